"""A cycle recomputed from its evidence, and what another policy would have decided."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from judged import (
    NOW,
    POLICY_FILE,
    POLICY_SCHEMA,
    ROOT,
    RUNS,
    SMOKE,
    Counts,
    counts,
    shipped,
    write_phase,
    write_root,
    write_run,
)
from solidgreen import bundle, cycle, jsonio, judgement, ledger, metrics, policy, replay
from solidgreen.check import Check, Status
from solidgreen.errors import BadInput, IntegrityError
from solidgreen.paths import DataRoot
from solidgreen.replay import MISSING, SAME

REPORTS = ("decision.json", "DAY3_SIGNOFF.md", "EXECUTION_CHECKLIST.md", "report.html", "gates.junit.xml")
Change = Callable[[DataRoot], None]


def decided(
    tmp_path: Path, smoke: Counts = SMOKE, *, level: str = "solid", after: float = 0, **changes: Any
) -> DataRoot:
    """Write a cycle that ran to its decision, *after* minutes past the last phase."""
    root = write_root(tmp_path, smoke, **changes)
    decide(root, level=level, after=after)
    return root


def decide(root: DataRoot, *, level: str = "solid", after: float = 0) -> None:
    """Judge the runs, conclude phases 3 and 4, and decide."""
    checks: dict[int, list[Check]] = {3: [Check("dataset-counts", "Counted", Status.PASS, "90", "90")], 4: []}
    for run_id, kind, ordinal in RUNS:
        found = judgement.judge_run(
            root, shipped(), run_id=run_id, kind=kind, ordinal=ordinal, cycle=cycle.load(root), digests={}
        )
        judgement.write(root, found)
        checks[3 if kind == "smoke" else 4] += found.checks(shipped().phases[3 if kind == "smoke" else 4].owners[0])
    for number, each in checks.items():
        write_phase(root, number, each)
    now = NOW + timedelta(minutes=after)
    made = bundle.make(root, shipped(), shipped=shipped(), level_asked=level, now=now)
    bundle.write(root, made)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Return a cycle that passed everything, to look at and not to change."""
    return decided(tmp_path_factory.mktemp("good"))


@pytest.fixture
def root(good: DataRoot, tmp_path: Path) -> DataRoot:
    """Return a copy of it."""
    return DataRoot(shutil.copytree(good.root, tmp_path / "day3"))


def again(root: DataRoot) -> replay.Replay:
    return replay.replay(root, shipped(), shipped=shipped())


def apart(found: replay.Replay) -> dict[str, str]:
    return {each.name: f"{each.state} {each.detail}".strip() for each in found.artifacts if each.state != SAME}


def everything(root: DataRoot) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.root.rglob("*") if path.is_file()}


# --- the same ------------------------------------------------------------------------------------------------------


def test_a_cycle_is_recomputed_byte_for_byte_and_nothing_is_written(root: DataRoot) -> None:
    before = everything(root)
    found = again(root)
    assert (apart(found), found.exit_code) == ({}, 0)
    assert everything(root) == before
    names = [each.name for each in found.artifacts]
    assert len(names) == len(set(names)) == 3 * 7 + 4 + 1 + 2 + 5 + 1
    assert {f"runs/smoke2-b/{name}" for name in judgement.COPIED} < {*names}
    assert {*REPORTS, "phases/phase3.json (gates)", "evidence/manifest.json", "day3_results.jsonl"} < {*names}


@pytest.mark.parametrize(
    ("smoke", "options", "decision"),
    [
        pytest.param(counts(SMOKE, "reject>pass 1"), {}, "REHEARSAL NO-GO", id="a failed gate"),
        pytest.param(SMOKE, {"level": "local"}, "REHEARSAL SOLID GREEN PENDING APPROVAL", id="local asked for"),
        pytest.param(SMOKE, {"after": 195}, "REHEARSAL INCONCLUSIVE", id="a pass had expired by then"),
        pytest.param(SMOKE, {"after": 12000}, "REHEARSAL INCONCLUSIVE", id="every pass had expired by then"),
        pytest.param(SMOKE, {"after": -115}, "REHEARSAL NO-GO", id="decided by a clock that was slow"),
        pytest.param(SMOKE, {"rehearsal": None}, "INCONCLUSIVE", id="nobody asked the target"),
    ],
)
def test_a_decision_replays_whenever_it_was_taken(
    tmp_path: Path, smoke: Counts, options: dict[str, Any], decision: str
) -> None:
    root = decided(tmp_path, smoke, **options)
    found = again(root)
    assert (apart(found), found.exit_code) == ({}, 0)
    assert found.decision.decision == decision
    assert found.decision.decision == jsonio.read_json(root.decision)["decision"]


def test_the_moment_of_a_decision_is_told_by_what_had_expired(good: DataRoot, tmp_path: Path) -> None:
    assert again(good).as_of == "2026-03-01T13:05:00.000000Z"
    late = again(decided(tmp_path, after=181))
    assert late.as_of == "2026-03-01T17:01:00.000000Z"
    assert "its pass expired at 2026-03-01T17:00" in late.decision.deciding


def test_a_damaged_record_that_was_judged_as_damaged_is_named_alone(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    path = root.run("smoke1-a") / "observations.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"verdict":"warn"', b'"verdict":"pass"', 1))
    found = judgement.judge_run(
        root, shipped(), run_id="smoke1-a", kind="smoke", ordinal=1, cycle=cycle.load(root), digests={}
    )
    judgement.write(root, found)
    write_phase(root, 3, found.checks(shipped().phases[3].owners[0]))
    bundle.write(root, bundle.make(root, shipped(), shipped=shipped(), level_asked="solid", now=NOW))
    done = again(root)
    assert list(apart(done)) == ["runs/smoke1-a/observations.jsonl"]
    assert "line 7" in apart(done)["runs/smoke1-a/observations.jsonl"]
    assert done.exit_code == 14


def test_a_cycle_that_stopped_before_its_runs_replays(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    for number in (2, 5):
        root.phase(number).unlink()
    write_phase(root, 1, [Check("healthz", "Health", Status.FAIL, "500", "200", "mend it", exit_code=12)])
    bundle.write(root, bundle.make(root, shipped(), shipped=shipped(), level_asked="solid", now=NOW))
    found = again(root)
    assert (apart(found), found.decision.exit_code) == ({}, 12)
    assert [each.name for each in found.artifacts] == [*REPORTS, "evidence/manifest.json"]


def test_the_plan_of_the_bundle_is_held_against_the_registered_digest(root: DataRoot, tmp_path: Path) -> None:
    plan = tmp_path / "plan.md"
    plan.write_text("the plan", encoding="utf-8")
    document = jsonio.read_json(root.cycle)
    document["registration"]["digests"]["plan"] = jsonio.sha256_file(plan)
    jsonio.write_json(root.cycle, document)
    for run_id, kind, ordinal in RUNS:
        found = judgement.judge_run(
            root, shipped(), run_id=run_id, kind=kind, ordinal=ordinal, cycle=document,
            digests={"plan": jsonio.sha256_file(plan)},
        )  # fmt: skip
        judgement.write(root, found)
        number = 3 if kind == "smoke" else 4
        checks = [Check.from_dict(entry) for entry in jsonio.read_json(root.phase(number))["checks"]]
        new = {check.id: check for check in found.checks(shipped().phases[number].owners[0])}
        write_phase(root, number, [new.pop(check.id, check) for check in checks])
    bundle.write(root, bundle.make(root, shipped(), shipped=shipped(), level_asked="solid", now=NOW), plan)
    plan.unlink()
    assert apart(again(root)) == {}
    path = root.evidence / "manifest.json"
    path.write_bytes(path.read_bytes().replace(document["registration"]["digests"]["plan"].encode(), b"0" * 64))
    assert list(apart(again(root))) == ["evidence/manifest.json"]


# --- something is different ----------------------------------------------------------------------------------------


def edited(name: str, old: bytes, new: bytes) -> Change:
    def change(root: DataRoot) -> None:
        path = root.results / name
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))

    return change


def gone(name: str) -> Change:
    return lambda root: (root.results / name).unlink()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            edited("runs/smoke1-a/results.jsonl", b'"actual_verdict":"warn"', b'"actual_verdict":"pass"'),
            {"runs/smoke1-a/results.jsonl": "differs line 6, byte"},
            id="a row",
        ),
        pytest.param(
            edited("runs/full1-c/metrics_summary.json", b'"accuracy": 1.0', b'"accuracy": 0.9'),
            {"runs/full1-c/metrics_summary.json": "differs line 2, byte 17 of"},
            id="metrics of a run",
        ),
        pytest.param(
            edited("runs/smoke2-b/gates.json", b'"seen": "1.000 (20 of 20)"', b'"seen": "1.000 (21 of 21)"'),
            {"runs/smoke2-b/gates.json": "smoke2:comparable"},
            id="a gate",
        ),
        pytest.param(
            edited("confusion_matrix.csv", b"pass,20", b"pass,21"),
            {"confusion_matrix.csv": "differs line 2"},
            id="a copy",
        ),
        pytest.param(gone("failed_cases.csv"), {"failed_cases.csv": "missing"}, id="a copy is gone"),
        pytest.param(
            gone("runs/smoke1-a/rate_limit_stats.json"),
            {"runs/smoke1-a/rate_limit_stats.json": "missing"},
            id="a file of a run is gone",
        ),
        pytest.param(
            edited("day3_results.jsonl", b'"actual_verdict":"blocked"', b'"actual_verdict":"reject" '),
            {"day3_results.jsonl": "differs line"},
            id="the results of the cycle",
        ),
        pytest.param(
            lambda root: jsonio.write_bytes(
                root.day3_results, root.day3_results.read_bytes() + b'{"run_id":"batch-x","case_id":"p-001"}\n'
            ),
            {"day3_results.jsonl": "differs line 131, byte"},
            id="a row of a run that has no record",
        ),
        pytest.param(
            edited("phases/phase3.json", b"lower bound 0.839", b"lower bound 0.939"),
            {"phases/phase3.json (gates)": "differs smoke1:accuracy_lower"},
            id="a gate in a phase",
        ),
        pytest.param(gone("phases/phase4.json"), {"phases/phase4.json (gates)": "missing"}, id="a phase is gone"),
        *[
            pytest.param(edited(name, b"SOLID GREEN", b"SOLID GREEM"), {name: "differs line"}, id=name)
            for name in ("decision.json", "DAY3_SIGNOFF.md", "EXECUTION_CHECKLIST.md", "report.html")
        ],
        pytest.param(gone("gates.junit.xml"), {"gates.junit.xml": "missing"}, id="a report is gone"),
        pytest.param(gone("decision.json"), {"decision.json": "missing"}, id="the decision is gone"),
        pytest.param(
            edited("evidence/manifest.json", b'"role": "gates"', b'"role": "gate"'),
            {"evidence/manifest.json": "differs line"},
            id="the list of evidence",
        ),
        pytest.param(
            lambda root: (root.results / "decision.json").write_bytes(b"{"), {"decision.json": "differs"}, id="no JSON"
        ),
    ],
)
def test_what_differs_is_named_with_its_place_and_is_14(
    root: DataRoot, tmp_path: Path, change: Change, expected: dict[str, str]
) -> None:
    change(root)
    found = again(root)
    named = apart(found)
    for name, words in expected.items():
        assert words in named[name]
    # What only repeats it may differ as well (a phase that is gone takes the decision with it), nothing before it.
    if not name.startswith("phases/"):
        assert list(named) == list(expected)
    assert found.exit_code == 14


def test_labels_that_were_swapped_afterwards_change_everything_that_rests_on_them(root: DataRoot) -> None:
    sealed = jsonio.read_json(root.labels)
    sealed["labels"]["r-001"]["expected"] = "pass"
    jsonio.write_json(root.labels, sealed)
    found = again(root)
    assert {"runs/full1-c/gates.json", "metrics_summary.json", "decision.json"} <= {*apart(found)}
    assert "full1:registration" in apart(found)["runs/full1-c/gates.json"]
    assert found.decision.exit_code == 14


def test_rows_of_the_old_command_line_between_the_cycles_own_are_recomputed_too(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    write_run(root, SMOKE, "batch-o", "smoke", 1, 60)
    decide(root)
    labels = jsonio.read_json(root.labels)["labels"]
    record = ledger.verify(root.run("batch-o") / "observations.jsonl")
    old = b"".join(
        jsonio.canonical(row) + b"\n" for row in metrics.join([record.registration, *record.observations], labels)
    )
    jsonio.write_bytes(root.day3_results, old + root.day3_results.read_bytes())
    assert "day3_results.jsonl" not in apart(again(root))
    jsonio.write_bytes(root.day3_results, old.replace(b"pass", b"warn", 1) + root.day3_results.read_bytes())
    assert "differs line 1, byte" in apart(again(root))["day3_results.jsonl"]


# --- refusals ------------------------------------------------------------------------------------------------------


def test_a_data_root_without_a_cycle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="results: found no cycle, need the results of one"):
        again(DataRoot(tmp_path))


def test_another_policy_than_the_registered_one_is_an_integrity_error(root: DataRoot, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"policy of cycle-1: found another one .* what this one would have"):
        replay.replay(root, looser(tmp_path), shipped=shipped())


def test_a_phase_file_of_another_form_is_an_integrity_error(root: DataRoot) -> None:
    jsonio.write_json(root.phase(3), {"checks": [{"id": 3}]})
    with pytest.raises(IntegrityError, match="evidence of cycle-1: found a file of another form"):
        again(root)


# --- another policy ------------------------------------------------------------------------------------------------


def looser(tmp_path: Path, *changes: tuple[str, str]) -> policy.Policy:
    text = POLICY_FILE.read_text(encoding="utf-8")
    for old, new in changes or (("threshold: 18/20", "threshold: 17/20"),):
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "other.yml"
    path.write_text(text, encoding="utf-8")
    return policy.load(path, POLICY_SCHEMA)


def test_a_looser_policy_would_have_turned_its_gate_and_is_capped(tmp_path: Path) -> None:
    root = decided(tmp_path, counts(SMOKE, "warn>server_error 3"))
    before = everything(root)
    found = replay.what_if(root, looser(tmp_path), shipped=shipped())
    assert found.decided == "REHEARSAL NO-GO"
    assert [(each.name, each.before, each.after) for each in found.turned if each.name.endswith(":comparable")] == [
        ("smoke1:comparable", "fail", "pass"),
        ("smoke2:comparable", "fail", "pass"),
    ]
    assert [each.text for each in found.deviations] == ["gate smoke:comparable needs >= 17 of 20, the plan >= 18 of 20"]
    assert found.decision.exit_code == 10  # the two smokes still disagree on what neither of them answered
    assert everything(root) == before


def test_a_stricter_policy_would_have_said_no(tmp_path: Path) -> None:
    root = decided(tmp_path, counts(SMOKE, "warn>reject 2"))
    assert jsonio.read_json(root.decision)["exit_code"] == 0
    strict = looser(tmp_path, ("threshold: 0.60\n    min_n: 18", "threshold: 0.75\n    min_n: 18"))
    found = replay.what_if(root, strict, shipped=shipped())
    assert [(each.name, each.before, each.after) for each in found.turned] == [
        ("smoke1:accuracy_lower", "pass", "fail"),
        ("smoke2:accuracy_lower", "pass", "fail"),
    ]
    assert (found.decision.decision, found.decision.exit_code) == ("REHEARSAL NO-GO", 10)
    assert "smoke1:accuracy_lower failed" in found.decision.deciding


def test_a_loosened_policy_over_a_good_cycle_turns_nothing_and_is_capped(good: DataRoot, tmp_path: Path) -> None:
    found = replay.what_if(good, looser(tmp_path), shipped=shipped())
    assert found.turned == ()
    assert (found.decision.decision, found.decision.exit_code) == ("REHEARSAL LOCAL GO", 11)


# --- the command ---------------------------------------------------------------------------------------------------


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(ROOT / "scripts" / "replay.py"), *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_command_prints_a_line_an_artifact(root: DataRoot) -> None:
    done = command("--data-root", root.root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "same     runs/smoke1-a/observations.jsonl\n" in done.stdout
    assert "cycle-1: 34 of 34 artifacts the same\n=> REHEARSAL SOLID GREEN PENDING APPROVAL" in done.stdout


def test_the_command_ends_with_14_and_one_sentence_where_anything_differs(root: DataRoot) -> None:
    root.junit.unlink()
    done = command("--data-root", root.root, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit_code"], document["counts"]) == (14, 14, {SAME: 33, MISSING: 1})
    assert "found 1 artifact other than the evidence gives (gates.junit.xml), need every one the same" in done.stderr
    assert "Next: replay it with the version that wrote it (commit cccccccccccc), restore the results" in done.stderr
    assert document["decision"]["decision"] == "REHEARSAL SOLID GREEN PENDING APPROVAL"


def test_the_command_shows_what_another_policy_would_have_decided(root: DataRoot, tmp_path: Path) -> None:
    looser(tmp_path)
    done = command("--data-root", root.root, "--policy", tmp_path / "other.yml", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit_code"]) == (11, 11)
    assert document["decided"] == "REHEARSAL SOLID GREEN PENDING APPROVAL"
    assert document["deviations"] == [
        {"text": "gate smoke:comparable needs >= 17 of 20, the plan >= 18 of 20", "loosens": True}
    ]
    assert "no gate turned" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--data-root", "{empty}"], "found no cycle", id="no cycle"),
        pytest.param(["--data-root", "{empty}", "--policy", "absent.yml"], "policy absent.yml", id="no policy"),
        pytest.param(["--data-root", "x" * 5000], "found File name too long", id="too long a name"),
        pytest.param(["--results", "x"], "unrecognized arguments", id="no such option"),
    ],
)
def test_bad_input_is_13_and_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = command(*(argument.format(empty=tmp_path) for argument in arguments))
    assert (done.returncode, done.stdout) == (13, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
