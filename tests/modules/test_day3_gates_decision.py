"""The modules that judge and decide, run as Ansible runs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from judged import (
    POLICY_FILE,
    POLICY_SCHEMA,
    RUNS,
    SMOKE,
    counts,
    write_phase,
    write_root,
)
from solidgreen import jsonio
from solidgreen.check import Check
from solidgreen.paths import DataRoot

COMMON = {"policy": str(POLICY_FILE), "policy_schema": str(POLICY_SCHEMA)}


def gates_of(root: DataRoot, number: int, **more: Any) -> dict[str, Any]:
    run_id, kind, ordinal = RUNS[number]
    return {"data_root": str(root.root), "run_id": run_id, "kind": kind, "ordinal": ordinal, **COMMON, **more}


def test_check_do_check_do_of_a_runs_gates(run_module: Any, tmp_path: Path) -> None:
    root = write_root(tmp_path)
    params = gates_of(root, 0, journal=str(root.journal(3)), phase=3)
    rehearsed = run_module("day3_gates", params, check=True)
    assert (rehearsed["changed"], rehearsed["status"]) == (False, "pass")
    assert not root.day3_results.exists()
    assert not root.journal(3).exists()
    done = run_module("day3_gates", params)
    assert (done["changed"], done["exit_code"]) == (True, 0)
    assert done["gates"] == rehearsed["gates"]
    assert run_module("day3_gates", params, check=True)["changed"] is False
    assert run_module("day3_gates", params)["changed"] is False
    written = [Check.from_dict(row) for row in jsonio.read_jsonl(root.journal(3))]
    assert {check.id for check in written} == {check["id"] for check in done["checks"]}
    assert "smoke1:accuracy_lower" in {check.id for check in written}


def test_a_failed_gate_does_not_fail_the_module(run_module: Any, tmp_path: Path) -> None:
    root = write_root(tmp_path, counts(SMOKE, "warn>reject 4"))
    done = run_module("day3_gates", gates_of(root, 0))
    assert (done["failed"], done["status"], done["exit_code"]) == (False, "fail", 10)
    assert done["sentence"].startswith('gate "smoke1:accuracy_lower" failed')


@pytest.mark.parametrize(
    ("break_it", "code", "words"),
    [
        pytest.param(lambda root: root.labels.unlink(), 13, "labels.json", id="no labels"),
        pytest.param(lambda root: root.cycle.write_text("{"), 14, "cycle.json", id="a broken cycle"),
    ],
)
def test_what_cannot_be_judged_fails_with_a_sentence(
    run_module: Any, tmp_path: Path, break_it: Any, code: int, words: str
) -> None:
    root = write_root(tmp_path)
    break_it(root)
    done = run_module("day3_gates", gates_of(root, 0))
    assert (done["failed"], done["exit_code"]) == (True, code)
    assert words in done["msg"]


def test_a_broken_policy_fails_both_modules_with_13(run_module: Any, tmp_path: Path) -> None:
    root = write_root(tmp_path)
    broken = tmp_path / "policy.yml"
    broken.write_text(POLICY_FILE.read_text(encoding="utf-8").replace("cases: 90", "cases: 89"), encoding="utf-8")
    for name, params in (
        ("day3_gates", gates_of(root, 0)),
        ("day3_decision", {"data_root": str(root.root), **COMMON}),
    ):
        done = run_module(name, {**params, "policy": str(broken)})
        assert (done["failed"], done["exit_code"]) == (True, 13)
        assert "89 cases, need 90" in done["msg"]


def decide(run_module: Any, root: DataRoot, check: bool = False, **more: Any) -> dict[str, Any]:
    params = {"data_root": str(root.root), "shipped_policy": str(POLICY_FILE), **COMMON, **more}
    found: dict[str, Any] = run_module("day3_decision", params, check=check)
    return found


def test_check_do_check_do_modify_of_the_decision(run_module: Any, tmp_path: Path) -> None:
    root = write_root(tmp_path)
    assert decide(run_module, root, check=True)["changed"] is False
    assert not root.decision.exists()
    done = decide(run_module, root)
    assert (done["changed"], done["failed"], done["exit_code"]) == (True, False, 11)
    assert decide(run_module, root)["changed"] is False
    assert len(done["screen"]) == 10
    write_phase(root, 1, [Check.from_dict({"id": "x", "title": "x", "status": "fail", "seen": "a", "needed": "b"})])
    changed = decide(run_module, root)
    assert (changed["changed"], changed["exit_code"], changed["decision"]) == (True, 10, "REHEARSAL NO-GO")
    assert jsonio.read_json(root.decision) == changed["document"]
    assert changed["sentence"].startswith("REHEARSAL NO-GO: phase 1, x failed: a, need b. Next: ")


def test_a_loosened_policy_is_named_against_the_shipped_one(run_module: Any, tmp_path: Path) -> None:
    root = write_root(tmp_path)
    loose = tmp_path / "policy.yml"
    loose.write_text(
        POLICY_FILE.read_text(encoding="utf-8").replace("threshold: 0.70", "threshold: 0.1"), encoding="utf-8"
    )
    done = decide(run_module, root, policy=str(loose))
    assert "gate smoke:accuracy needs >= 0.1, the plan >= 0.7" in done["document"]["deviations"]
