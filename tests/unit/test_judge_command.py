"""``invoke judge`` as a command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judged import FULL, POLICY_FILE, ROOT, RUNS, SMOKE, Counts, counts, rows, shipped, write_root
from solidgreen import cycle, jsonio, judgement
from solidgreen.paths import DataRoot

OLD = ("case_id", "scenario", "expected_verdict", "actual_verdict", "status", "error", "http_status")
#: Good enough to pass, and no verdict that its scenario tells.
GOOD = counts(SMOKE, "warn>reject 1", "reject>warn 1")


def written(path: Path, *runs: Any) -> Path:
    path.write_bytes(b"".join(jsonio.canonical(row) + b"\n" for run in runs for row in run))
    return path


def judge(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "judge.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def document(*arguments: object) -> dict[str, Any]:
    """Return the one document that the command printed; its exit code is the one it says."""
    done = judge(*arguments, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == found.get("exit_code", 0)
    return found


def called(found: dict[str, Any]) -> list[str]:
    return [mark["id"] for mark in found["callouts"]]


def gate(found: dict[str, Any], name: str) -> tuple[str, str]:
    entry = next(entry for entry in found["gates"] if entry["id"] == name)
    return entry["status"], entry["seen"]


def second(table: Counts, minutes: float = 10) -> Any:
    return rows(table, "smoke2-y", ordinal=2, minutes=minutes)


def full(table: Counts = FULL) -> Any:
    return rows(table, "full1-z", kind="full", minutes=20)


def old(run: Any) -> list[dict[str, Any]]:
    return [{key: row[key] for key in OLD} for row in run]


# --- a results file ------------------------------------------------------------------------------------------------


def test_a_good_file_passes_its_gates_and_names_what_it_cannot_show(tmp_path: Path) -> None:
    done = judge("--results", written(tmp_path / "r.jsonl", rows(GOOD)))
    assert (done.returncode, done.stderr) == (11, "")
    assert "pass          smoke1:accuracy_lower" in done.stdout
    assert "CALLED OUT" not in done.stdout
    last = done.stdout.splitlines()[-2:]
    assert last[0].endswith(" gates passed")
    assert last[0].startswith("INCONCLUSIVE: ")
    assert last[1] == (
        "not established from this file: min_interval, retries_429, ledger, verdicts_blind, registration"
    )


def test_a_bad_file_fails_by_its_number(tmp_path: Path) -> None:
    done = judge("--results", written(tmp_path / "r.jsonl", rows(counts(SMOKE, "warn>reject 4"))))
    assert done.returncode == 10
    assert 'FAIL: gate "smoke1:accuracy_lower" failed: lower bound 0.584' in done.stdout


def test_the_second_smoke_is_judged_against_the_first_of_the_same_file(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", rows(SMOKE), second(counts(SMOKE, "warn>pass 2")))
    found = document("--results", path)
    assert (found["exit_code"], found["run_id"]) == (10, "smoke2-y")
    assert gate(found, "consistency")[1].startswith("0.900 (18 of 20)")
    assert [(flip["case_id"], flip["first"], flip["second"]) for flip in found["consistency"]["flips"]] == [
        ("w-004", "warn", "pass"),
        ("w-005", "warn", "pass"),
    ]
    assert found["drift_matrix"]["warn"]["pass"] == 0.4


def test_the_first_smoke_may_lie_in_another_file(tmp_path: Path) -> None:
    first = written(tmp_path / "first.jsonl", rows(GOOD))
    found = document("--results", written(tmp_path / "r.jsonl", second(GOOD)), "--against", first)
    assert gate(found, "consistency") == ("pass", "1.000 (20 of 20)")
    assert gate(found, "independent") == ("pass", "0 of 5")
    assert gate(found, "drift")[0] == "pass"
    assert (found["exit_code"], called(found)) == (11, [])


def test_a_second_smoke_alone_leaves_the_gates_between_the_two_open(tmp_path: Path) -> None:
    found = document("--results", written(tmp_path / "r.jsonl", second(GOOD)))
    assert {"consistency", "independent"} <= {*found["not_established"]}


def test_a_full_run_is_held_against_the_smokes_of_its_file(tmp_path: Path) -> None:
    table = counts(FULL, "warn>server_error 1")
    alone = document("--results", written(tmp_path / "alone.jsonl", full(table)))
    assert "new_errors" in alone["not_established"]
    both = document("--results", written(tmp_path / "r.jsonl", rows(GOOD), second(GOOD), full(table)))
    assert gate(both, "new_errors") == ("fail", "1 of 90: server_error 500")
    assert both["exit_code"] == 10


def test_one_json_document_is_all_of_standard_output(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", rows(GOOD), second(GOOD), full(counts(FULL, "warn>reject 1")))
    done = judge("--results", path, "--gates", "full", "--json")
    found = json.loads(done.stdout)
    assert (found["total"], found["matched"], found["exit_code"], found["run_id"]) == (90, 89, 11, "full1-z")
    assert {entry["id"] for entry in found["gates"] if entry["status"] == "pass"} >= {"accuracy", "new_errors"}
    assert "full1:accuracy" in done.stderr
    assert (found["status"], found["deviations"], found["callouts"]) == ("inconclusive", [], [])


def test_metrics_only_judges_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", rows(counts(SMOKE, "reject>pass 7")))
    done = judge("--results", path, "--metrics-only")
    assert (done.returncode, done.stderr) == (0, "")
    assert "reject                    7" in done.stdout
    assert "gate" not in done.stdout
    found = document("--results", path, "--metrics-only")
    assert found["critical_false_pass"] == 7
    assert not {"gates", "status", "exit_code"} & {*found}


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(lambda text: text, id="as it was"),
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="byte order mark"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace(b"\n", b"\n\n").strip(), id="blank lines, no end of line"),
    ],
)
def test_an_old_file_is_judged_by_its_size_however_it_was_written(
    tmp_path: Path, encode: Callable[[bytes], bytes]
) -> None:
    path = written(tmp_path / "old.jsonl", old(rows(GOOD)))
    path.write_bytes(encode(path.read_bytes()))
    found = document("--results", path)
    assert found["exit_code"] == 11
    assert gate(found, "accuracy") == ("pass", "0.900 (18 of 20)")
    assert {"duration", "ledger"} <= {*found["not_established"]}


# --- called out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "marks", "code", "fired"),
    [
        pytest.param([rows(SMOKE)], ["follows-labels"], 11, None, id="verdicts that follow the scenarios"),
        pytest.param([old(rows(SMOKE))], ["follows-labels"], 11, None, id="the same in an old file"),
        pytest.param(
            [[row | {"status": "blocked"} for row in old(rows(SMOKE))]],
            ["labels-copied", "status-overruled"],
            14,
            "verdicts_blind",
            id="verdicts that the answers do not give",
        ),
        pytest.param([rows({("pass", "pass"): 20})], ["one-class"], 10, "classes_present", id="a smoke of one class"),
        pytest.param(
            [rows(GOOD), [row | {"job_id": f"smoke1-x/{row['case_id']}"} for row in second(GOOD)]],
            ["shared-job-ids"],
            14,
            "independent",
            id="two runs that share job ids",
        ),
        pytest.param(
            [rows(GOOD), [row | {"run_id": "smoke2-y", "ordinal": 2} for row in rows(GOOD)]],
            ["shared-job-ids", "replayed-run"],
            14,
            "independent",
            id="a second run that only replays the first",
        ),
        pytest.param(
            [
                [row | {"finished_at": f"2026-03-01 12:00:{at}"} for at, row in enumerate(old(rows(GOOD)), 10)]
                for _ in range(2)
            ],
            ["replayed-run"],
            14,
            "independent",
            id="a replay in an old file",
        ),
        pytest.param(
            [rows(GOOD), second(GOOD), rows(GOOD, "smoke3-z", minutes=30)],
            ["runs-to-pick-from"],
            11,
            None,
            id="a third smoke to pick from",
        ),
        pytest.param(
            [[row | {"content_sha256": "c"} for row in rows(GOOD)]],
            ["conflicting-labels"],
            13,
            None,
            id="one document under several labels",
        ),
    ],
)
def test_a_suspicious_file_is_called_out_and_never_only_said(
    tmp_path: Path, runs: list[Any], marks: list[str], code: int, fired: str | None
) -> None:
    found = document("--results", written(tmp_path / "r.jsonl", *runs))
    assert (called(found), found["exit_code"]) == (marks, code)
    if fired:
        assert gate(found, fired)[0] == "fail"


def test_a_run_against_itself_is_called_out(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", rows(GOOD))
    done = judge("--results", path, "--against", path)
    assert done.returncode == 14
    assert "run id smoke1-x in both" in done.stdout
    assert "CALLED OUT    against-itself: smoke1-x is compared with itself" in done.stdout


def test_an_old_file_against_itself_or_a_copy_of_it_is_called_out(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", old(rows(GOOD)))
    found = document("--results", path, "--against", path)
    assert (called(found), found["exit_code"]) == (["against-itself"], 14)
    assert gate(found, "independent") == ("fail", "1 of 1: the run is compared with itself")
    copy = Path(shutil.copy(written(tmp_path / "s.jsonl", rows(GOOD)), tmp_path / "copy.jsonl"))
    assert document("--results", tmp_path / "s.jsonl", "--against", copy)["exit_code"] == 14


def test_the_same_file_with_two_smokes_is_no_run_against_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", rows(GOOD), second(GOOD))
    assert called(document("--results", path, "--against", path)) == []


def test_a_full_run_against_itself_is_14_though_it_has_no_gate_for_it(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", full(counts(FULL, "warn>reject 1")))
    done = judge("--results", path, "--against", path)
    assert done.returncode == 14
    assert "FAIL: against-itself: full1-z is compared with itself" in done.stdout


# --- another policy ------------------------------------------------------------------------------------------------


def other_policy(tmp_path: Path, old_text: str, new_text: str) -> Path:
    text = POLICY_FILE.read_text(encoding="utf-8")
    assert old_text in text
    path = tmp_path / "other.yml"
    path.write_text(text.replace(old_text, new_text, 1), encoding="utf-8")
    return path


def test_a_looser_policy_is_said_and_a_tighter_one_too(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", rows(counts(GOOD, "warn>server_error 3")))
    assert document("--results", path)["exit_code"] == 10
    loose = other_policy(tmp_path, "threshold: 18/20", "threshold: 17/20")
    found = document("--results", path, "--policy", loose)
    assert gate(found, "comparable")[0] == "pass"
    assert "gate smoke:comparable needs >= 17 of 20, the plan >= 18 of 20" in found["deviations"]
    done = judge("--results", path, "--policy", other_policy(tmp_path, "threshold: 18/20", "threshold: 19/20"))
    assert "DEVIATION     gate smoke:comparable needs >= 19 of 20, the plan >= 18 of 20\n" in done.stdout


# --- the record of a run -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Return a cycle with its three runs judged."""
    root = write_root(tmp_path_factory.mktemp("cycle"))
    for run_id, kind, ordinal in RUNS:
        found = judgement.judge_run(
            root, shipped(), run_id=run_id, kind=kind, ordinal=ordinal, cycle=cycle.load(root), digests={}
        )
        judgement.write(root, found)
    return root


@pytest.fixture
def root(good: DataRoot, tmp_path: Path) -> DataRoot:
    """Return a copy of it."""
    return DataRoot(shutil.copytree(good.root, tmp_path / "day3"))


@pytest.mark.parametrize("run_id", [run_id for run_id, _, _ in RUNS])
def test_the_record_of_a_run_establishes_every_gate(good: DataRoot, run_id: str) -> None:
    found = document("--results", good.run(run_id) / "observations.jsonl")
    assert (found["exit_code"], found["status"], found["not_established"]) == (0, "pass", [])
    assert gate(found, "ledger")[0] == gate(found, "registration")[0] == gate(found, "verdicts_blind")[0] == "pass"
    assert called(found) == []
    written_then = jsonio.read_json(good.run(run_id) / "gates.json")["gates"]
    assert found["gates"] == written_then


def test_a_clean_run_ends_with_pass(good: DataRoot) -> None:
    done = judge("--results", good.run("smoke2-b") / "observations.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("PASS: ")


def test_a_verdict_that_was_changed_in_the_record_is_14(root: DataRoot) -> None:
    path = root.run("smoke1-a") / "observations.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"verdict":"warn"', b'"verdict":"pass"', 1))
    done = judge("--results", path)
    assert done.returncode == 14
    assert 'FAIL: gate "smoke1:ledger" failed' in done.stdout


def test_a_looser_policy_makes_a_pass_of_a_record_no_pass(root: DataRoot, tmp_path: Path) -> None:
    loose = other_policy(tmp_path, "threshold: 18/20", "threshold: 17/20")
    registered = jsonio.read_json(root.cycle)
    registered["registration"]["digests"]["policy"] = jsonio.sha256_file(loose)
    jsonio.write_json(root.cycle, registered)
    done = judge("--results", root.run("smoke1-a") / "observations.jsonl", "--policy", loose)
    assert done.returncode == 11
    assert "INCONCLUSIVE: " in done.stdout
    assert "by a policy that is looser than the plan: gate smoke:comparable needs >= 17 of 20" in done.stdout


def test_a_policy_that_was_not_registered_is_named_by_the_gate_over_the_registration(
    good: DataRoot, tmp_path: Path
) -> None:
    loose = other_policy(tmp_path, "threshold: 18/20", "threshold: 17/20")
    found = document("--results", good.run("smoke1-a") / "observations.jsonl", "--policy", loose)
    assert found["exit_code"] == 14
    assert gate(found, "registration") == ("fail", "1 of 11: policy")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--gates", "full"], "found a smoke run of a cycle", id="another kind"),
        pytest.param(["--against", "{smoke}"], "found a smoke run of a cycle", id="against a file"),
    ],
)
def test_a_record_is_not_judged_as_something_else(
    good: DataRoot, tmp_path: Path, arguments: list[str], words: str
) -> None:
    smoke = written(tmp_path / "s.jsonl", rows(GOOD))
    record = good.run("smoke1-a") / "observations.jsonl"
    done = judge("--results", record, *(each.format(smoke=smoke) for each in arguments))
    assert (done.returncode, done.stdout) == (13, "")
    assert words in done.stderr


def test_a_record_without_what_lies_beside_it_is_refused(good: DataRoot, root: DataRoot, tmp_path: Path) -> None:
    alone = shutil.copy(good.run("smoke1-a") / "observations.jsonl", tmp_path / "observations.jsonl")
    done = judge("--results", alone)
    assert done.returncode == 13
    assert "found a record of a run, which holds no labels" in done.stderr
    stray = root.run("stray") / "observations.jsonl"
    stray.parent.mkdir()
    shutil.copy(good.run("smoke1-a") / "observations.jsonl", stray)
    done = judge("--results", stray)
    assert done.returncode == 13
    assert "found a run the cycle does not have" in done.stderr
    root.labels.unlink()
    done = judge("--results", root.run("smoke1-a") / "observations.jsonl")
    assert done.returncode == 13
    assert "labels.json: found no file" in done.stderr


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--results", "absent.jsonl"], "absent.jsonl: found no file", id="missing"),
        pytest.param(["--results", "{folder}"], "found no readable file (Is a directory)", id="a folder"),
        pytest.param(["--results", "{empty}"], "found no rows", id="empty"),
        pytest.param(["--results", "{text}"], "text line 2: found text that is no JSON object", id="not JSON"),
        pytest.param(["--results", "{wide}"], "found text that is no JSON object", id="UTF-16"),
        pytest.param(["--results", "{unnamed}"], "line 3: found case_id None", id="a row without a case id"),
        pytest.param(["--results", "{twice}"], "line 21: found case p-001 a second time", id="a case twice"),
        pytest.param(["--results", "{smoke}", "--gates", "full"], "found smoke runs only", id="no such run"),
        pytest.param(["--results", "{smoke}", "--against", "{empty}"], "found no rows", id="nothing to compare with"),
        pytest.param(["--results", "{smoke}", "--policy", "absent.yml"], "policy absent.yml", id="no policy"),
        pytest.param(["--results", "x" * 5000], "found File name too long", id="too long a name"),
        pytest.param(["--results", "{smoke}", "--against", "x" * 5000], "File name too long", id="too long to compare"),
        pytest.param(["--results", "{smoke}", "--policy", "x" * 5000], "File name too long", id="too long a policy"),
        pytest.param([], "--results", id="no option"),
        pytest.param(["--results", "{smoke}", "--gates", "probe"], "invalid choice", id="no such kind"),
    ],
)
def test_bad_input_is_13_and_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    run = rows(SMOKE)
    paths = {
        "smoke": written(tmp_path / "s.jsonl", run),
        "empty": written(tmp_path / "e.jsonl"),
        "folder": tmp_path,
        "text": tmp_path / "text",
        "wide": tmp_path / "wide",
        "unnamed": written(tmp_path / "u.jsonl", [*run[:2], run[2] | {"case_id": None}, *run[3:]]),
        "twice": written(tmp_path / "t.jsonl", run, run[:1]),
    }
    paths["text"].write_bytes(paths["smoke"].read_bytes().replace(b"{", b"[", 2).replace(b"[", b"{", 1))
    paths["wide"].write_bytes(paths["smoke"].read_bytes().decode().encode("utf-16"))
    done = judge(*(argument.format(**paths) for argument in arguments))
    assert (done.returncode, done.stdout) == (13, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_ninety_records_are_judged_without_what_costs_most_to_load(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", full())
    command = [sys.executable, "-X", "importtime", str(ROOT / "scripts" / "judge.py"), "--results", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.returncode == 11
    assert "pandas" in loaded
    assert not {"scipy.stats", "matplotlib", "ansible", "jinja2"} & loaded
