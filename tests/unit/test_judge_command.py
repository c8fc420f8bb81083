"""``invoke judge`` as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from judged import FULL, ROOT, SMOKE, Counts, counts, rows
from solidgreen import jsonio


def written(path: Path, *runs: Any) -> Path:
    path.write_bytes(b"".join(jsonio.canonical(row) + b"\n" for run in runs for row in run))
    return path


def judge(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "judge.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def second(table: Counts) -> Any:
    return rows(table, "smoke2-y", ordinal=2, minutes=10)


def test_a_good_file_passes_its_gates_and_names_what_it_cannot_show(tmp_path: Path) -> None:
    done = judge("--results", written(tmp_path / "r.jsonl", rows(SMOKE)))
    assert done.returncode == 11, done.stderr
    assert "pass          smoke1:accuracy_lower" in done.stdout
    assert done.stdout.endswith("not established from this file: min_interval, retries_429, ledger, registration\n")


def test_a_bad_file_fails_by_its_number(tmp_path: Path) -> None:
    done = judge("--results", written(tmp_path / "r.jsonl", rows(counts(SMOKE, "warn>reject 4"))))
    assert done.returncode == 10
    assert 'FAIL: gate "smoke1:accuracy_lower" failed: lower bound 0.584' in done.stdout


def test_the_second_smoke_is_judged_against_the_first_of_the_same_file(tmp_path: Path) -> None:
    done = judge("--results", written(tmp_path / "r.jsonl", rows(SMOKE), second(counts(SMOKE, "warn>pass 2"))))
    assert done.returncode == 10
    assert "FAIL          pair:consistency               0.900 (18 of 20)" in done.stdout


def test_a_run_against_itself_is_called_out(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", rows(SMOKE))
    done = judge("--results", path, "--against", path)
    assert done.returncode == 14
    assert "run id smoke1-x in both" in done.stdout


def test_one_json_document_is_all_of_standard_output(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", rows(SMOKE), second(SMOKE), rows(FULL, "full1-z", kind="full"))
    done = judge("--results", path, "--gates", "full", "--json")
    found = json.loads(done.stdout)
    assert (found["total"], found["accuracy"], found["exit_code"], found["run_id"]) == (90, 1.0, 11, "full1-z")
    assert {gate["id"] for gate in found["gates"] if gate["status"] == "pass"} >= {"accuracy", "new_errors"}
    assert "full1:accuracy" in done.stderr


def test_metrics_only_judges_nothing(tmp_path: Path) -> None:
    done = judge("--results", written(tmp_path / "r.jsonl", rows(counts(SMOKE, "reject>pass 7"))), "--metrics-only")
    assert done.returncode == 0
    assert "reject                    7" in done.stdout
    assert "gate" not in done.stdout


def test_an_old_file_is_judged_by_its_size(tmp_path: Path) -> None:
    old = [
        {key: row[key] for key in ("case_id", "scenario", "expected_verdict", "actual_verdict", "http_status")}
        for row in rows(SMOKE)
    ]
    done = judge("--results", written(tmp_path / "old.jsonl", old))
    assert done.returncode == 11
    assert "pass          smoke1:accuracy " in done.stdout
    assert "duration" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--results", "absent.jsonl"], "found No such file or directory", id="missing"),
        pytest.param(["--results", "{empty}"], "found no rows", id="empty"),
        pytest.param(["--results", "{smoke}", "--gates", "full"], "found smoke runs only", id="no such run"),
        pytest.param(["--results", "{smoke}", "--policy", "absent.yml"], "policy absent.yml", id="no policy"),
        pytest.param([], "--results", id="no option"),
        pytest.param(["--results", "{smoke}", "--gates", "probe"], "invalid choice", id="no such kind"),
    ],
)
def test_bad_input_is_13_and_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    paths = {
        "smoke": written(tmp_path / "s.jsonl", rows(SMOKE)),
        "empty": written(tmp_path / "e.jsonl"),
    }
    done = judge(*(argument.format(**paths) for argument in arguments))
    assert (done.returncode, done.stdout) == (13, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
