"""``day3_batch`` against a small API: the run, its record, its refusals, and how it dies."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from batch_setting import KNOWN, ROOT, arguments, data_root
from jsonschema import Draft202012Validator
from simple_api import Answer, SimpleApi, passing
from solidgreen import cases, cycle, jsonio, ledger, request
from solidgreen.clock import stamp
from solidgreen.jsonio import read_jsonl
from solidgreen.paths import DataRoot


@pytest.fixture(name="api")
def api_fixture() -> Iterator[SimpleApi]:
    api = SimpleApi()
    yield api
    api.close()


def checks(result: dict[str, Any]) -> dict[str, str]:
    return {check["id"]: check["status"] for check in result["checks"]}


def test_check_do_check_do(tmp_path: Path, run_module: Any, api: SimpleApi) -> None:
    root = data_root(tmp_path)
    params = arguments(root, api.url, journal=str(root.journal(3)))
    foreseen = run_module("day3_batch", params, check=True)
    assert (foreseen["changed"], foreseen["state"], foreseen["run_id"]) == (True, "not_started", "")
    assert foreseen["forecast"].startswith("10 cases, starts at least 0.01 s apart")
    assert not root.runs.exists()
    assert api.received == []

    done = run_module("day3_batch", params)
    assert (done["changed"], done["state"], done["requests"]) == (True, "finished", 10)
    assert checks(done) == {"smoke1:forecast": "pass", "smoke1:run-complete": "pass"}
    assert done["counts"]["outcomes"] == {"answer": 10}
    assert len(list(read_jsonl(root.journal(3)))) == 2

    foreseen = run_module("day3_batch", params, check=True)
    assert (foreseen["changed"], foreseen["run_id"]) == (False, done["run_id"])
    again = run_module("day3_batch", params)
    assert (again["changed"], again["state"], again["requests"]) == (False, "finished", 0)
    assert again["run_id"] == done["run_id"]
    assert len(api.received) == 10


def test_every_record_keeps_to_the_schema_and_none_to_a_label(tmp_path: Path, run_module: Any) -> None:
    def moody(number: int, body: bytes) -> Answer:
        moods: list[Answer] = [
            (429, {"detail": "later"}, {"Retry-After": "0"}),
            (503, {"error": "database_unavailable"}, {}),
            (422, {"detail": {"error_code": "contract"}}, {}),
            (200, [], {}),
        ]
        return moods[number] if number < len(moods) else passing(number, body)

    api, root = SimpleApi(moody), data_root(tmp_path)
    result = run_module("day3_batch", arguments(root, api.url))
    api.close()
    schema = json.loads((ROOT / "schemas" / "observation.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    found = list(read_jsonl(Path(result["observations"])))
    for record in found:
        validator.validate(record)
    assert Counter(record["type"] for record in found) == {"registration": 1, "attempt": 2, "observation": 10, "end": 1}
    text = Path(result["observations"]).read_text()
    assert not [word for word in ("ocr_noise", "sanctions_tbml_shell", "expected", "scenario") if word in text]


def test_the_smoke_sends_what_was_drawn_in_its_order(tmp_path: Path, run_module: Any, api: SimpleApi) -> None:
    root = data_root(tmp_path)
    params = arguments(root, api.url, max_in_flight=1)
    run_module("day3_batch", params)
    template = request.load_template(Path(params["request_template"]))
    known = cases.load(root.cases)
    chosen = map(known.get, cases.load_selection(root.smoke_selection, known.ids))
    assert api.received == [request.build(case, template, root.root).body for case in chosen]


@pytest.mark.parametrize("loss", ["end", "file"])
def test_a_finished_run_that_lost_its_end_or_its_record_is_not_gone_on_with(
    tmp_path: Path, run_module: Any, api: SimpleApi, loss: str
) -> None:
    root = data_root(tmp_path)
    path = Path(run_module("day3_batch", arguments(root, api.url))["observations"])
    lines = path.read_bytes().splitlines(keepends=True)
    path.unlink()
    if loss == "end":
        path.write_bytes(b"".join(lines[:-3]))
    result = run_module("day3_batch", arguments(root, api.url))
    assert (result["failed"], result["exit_code"], len(api.received)) == (True, 14, 10)
    assert "a run that the cycle calls finished" in result["msg"]


@pytest.mark.parametrize("loss", ["file", "another"])
def test_an_interrupted_run_whose_record_was_taken_away_does_not_begin_anew(
    tmp_path: Path, run_module: Any, loss: str
) -> None:
    root = data_root(tmp_path)
    api = SimpleApi(lambda number, _: (200, {"status": "ok"}, {}) if number < 3 else (503, {}, {"Retry-After": "9"}))
    params = arguments(root, api.url, budget_minutes=0.05, retries_429=0)
    run_module("day3_batch", params)
    entry = (cycle.load(root) or {})["runs"][0]
    cycle.change(root, lambda known: known["runs"][0].update(state="open"))
    path = root.run(entry["run_id"]) / "observations.jsonl"
    if loss == "file":
        path.unlink()
    else:
        lines = path.read_bytes().splitlines(keepends=True)
        record = {**json.loads(lines[0]), "at": "2026-03-01T12:00:00.000000Z"}
        record["sha256"] = jsonio.digest({key: value for key, value in record.items() if key != "sha256"})
        path.write_bytes(jsonio.canonical(record) + b"\n")
    sent = len(api.received)
    again = run_module("day3_batch", params)
    api.close()
    assert (again["failed"], again["exit_code"], len(api.received)) == (True, 14, sent)
    assert ("nothing, though the run was begun" if loss == "file" else "another registration") in again["msg"]


def test_a_probe_is_a_run_of_its_own_each_time(tmp_path: Path, run_module: Any, api: SimpleApi) -> None:
    root = data_root(tmp_path)
    params = arguments(root, api.url, kind="probe", selection=str(root.qualified / "probe.json"))
    first, second = (run_module("day3_batch", params) for _ in range(2))
    assert first["run_id"] != second["run_id"]
    assert (first["requests"], second["requests"]) == (4, 4)
    assert checks(first) == {"probe:forecast": "pass", "probe:run-complete": "pass"}
    assert (cycle.load(root) or {})["runs"] == []
    diagnosis = run_module("day3_triage_info", {**KNOWN, "observations": first["observations"]})
    assert (diagnosis["changed"], checks(diagnosis)["reading-proven"]) == (False, "pass")


def test_a_token_is_sent_but_stands_nowhere(tmp_path: Path, run_module: Any) -> None:
    def echo(number: int, body: bytes) -> Answer:
        return 401, {"detail": "bad token c4nary-t0ken"}, {}

    api, root = SimpleApi(echo), data_root(tmp_path)
    result = run_module("day3_batch", arguments(root, api.url, token="c4nary-t0ken"))
    api.close()
    assert api.headers[0]["Authorization"] == "Bearer c4nary-t0ken"
    assert "c4nary" not in json.dumps(result)
    for path in root.root.rglob("*"):
        assert not path.is_file() or b"c4nary" not in path.read_bytes(), path


def test_a_used_up_quota_is_inconclusive_by_name_and_final(tmp_path: Path, run_module: Any) -> None:
    api = SimpleApi(lambda *_: (429, {"error_code": "QUOTA_EXCEEDED"}, {}))
    root = data_root(tmp_path)
    params = arguments(root, api.url, max_in_flight=1)
    first, second = (run_module("day3_batch", params) for _ in range(2))
    api.close()
    assert (first["state"], second["state"], len(api.received)) == ("quota", "quota", 1)
    check = first["checks"][1]
    assert check["status"] == "inconclusive"
    assert "ended by a used-up quota (429 QUOTA_EXCEEDED)" in check["seen"]
    assert [run["state"] for run in (cycle.load(root) or {})["runs"]] == ["stopped"]


def test_what_cannot_fit_the_budget_is_not_started(tmp_path: Path, run_module: Any, api: SimpleApi) -> None:
    root = data_root(tmp_path)
    result = run_module("day3_batch", arguments(root, api.url, min_interval=60, budget_minutes=5))
    assert (result["changed"], result["state"], api.received) == (False, "not_started", [])
    assert checks(result) == {"smoke1:forecast": "inconclusive"}
    assert "9.0 min and one answer's time; 5.0 min of 5 min left: does not fit" in result["checks"][0]["seen"]
    assert not root.runs.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_url": "localhost:8000"}, "target_url: found no http or https address"),
        ({"target_url": "http://user:pw@localhost/"}, "without a login"),
        ({"max_in_flight": 0}, "pacing max_in_flight: found 0, need at least 1"),
        ({"verdict_map": "none.yml"}, "none.yml: found no readable file"),
        ({"request_template": "none.yml"}, "request template"),
        ({"cases": "none.json"}, "none.json: found no file"),
        ({"selection": "mine.json"}, "selection of the smoke1 run: found mine.json, need none"),
        ({"kind": "full", "selection": "mine.json"}, "selection of the full1 run: found mine.json, need none"),
        ({"ordinal": 3}, "smoke run 3: found a run the cycle does not have"),
        ({"ordinal": 2}, "smoke 1 not finished"),
        ({"deadline": "soon"}, "deadline: found soon"),
    ],
)
def test_an_order_that_cannot_be_used_is_refused_before_a_request(
    tmp_path: Path, run_module: Any, api: SimpleApi, changes: dict[str, Any], words: str
) -> None:
    root = data_root(tmp_path)
    result = run_module("day3_batch", {**arguments(root, api.url), **changes})
    assert (result["failed"], result["exit_code"]) == (True, 13)
    assert words in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert api.received == []
    assert not root.runs.exists()


def test_a_run_that_would_leave_the_window_is_refused(tmp_path: Path, run_module: Any, api: SimpleApi) -> None:
    root = data_root(tmp_path)
    deadline = stamp(datetime.now(UTC) + timedelta(seconds=30))
    result = run_module("day3_batch", arguments(root, api.url, min_interval=10, deadline=deadline))
    assert (result["failed"], result["exit_code"], api.received) == (True, 13, [])
    assert f"maintenance window until {deadline}: found a smoke1 run that ends at" in result["msg"]


def test_a_document_changed_after_it_was_qualified_is_refused(tmp_path: Path, run_module: Any, api: SimpleApi) -> None:
    root = data_root(tmp_path)
    for path in root.root.glob("bundles/*/lc.pdf"):
        path.write_bytes(path.read_bytes() + b"\n")
    result = run_module("day3_batch", arguments(root, api.url))
    assert (result["failed"], result["exit_code"], api.received) == (True, 13, [])
    assert "other bytes than were qualified" in result["msg"]


# --- how it dies -----------------------------------------------------------------------------------------------------

PROGRAM = """
import json, sys
sys.path[:0] = sys.argv[1:3]
from conftest import execute
print(json.dumps(execute("day3_batch", json.loads(sys.argv[3]))))
"""


def launch(params: dict[str, Any]) -> subprocess.Popen[str]:
    """Start the module in a process of its own."""
    path = str(ROOT / "tests" / "modules")
    command = [sys.executable, "-c", PROGRAM, path, str(ROOT), json.dumps(params)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(api: SimpleApi, requests: int, process: subprocess.Popen[str]) -> None:
    """Wait until the API got that many requests or the process ended."""
    until = time.monotonic() + 60
    while len(api.received) < requests and process.poll() is None:
        assert time.monotonic() < until, "the batch sent too little"
        time.sleep(0.005)


def end(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the result of a process that ends by itself."""
    output, errors = process.communicate(timeout=60)
    assert output, errors
    result: dict[str, Any] = json.loads(output)
    return result


def recorded(root: DataRoot) -> set[str]:
    """Return the cases that have a terminal record on the disk."""
    paths = list(root.runs.glob("smoke1-*/observations.jsonl"))
    return {record["case_id"] for record in ledger.read(paths[0]).observations} if paths else set()


def test_killed_at_several_points_it_goes_on_and_sends_no_recorded_case_again(tmp_path: Path) -> None:
    api, root = SimpleApi(latency=0.05), data_root(tmp_path)
    params = arguments(root, api.url, min_interval=0.06)
    template = request.load_template(Path(params["request_template"]))
    case_of = {
        hashlib.sha256(request.build(case, template, root.root).body).hexdigest(): case.case_id
        for case in cases.load(root.cases)
    }
    kills: list[tuple[int, set[str]]] = []
    try:
        for more in (1, 2, 3):
            process = launch(params)
            wait_for(api, len(api.received) + more, process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills.append((len(api.received), recorded(root)))
        result = end(launch(params))
    finally:
        api.close()
    sent = [case_of[hashlib.sha256(body).hexdigest()] for body in api.received]
    for sent_by_then, done in kills:
        assert not set(sent[sent_by_then:]) & done
    assert kills[-1][1]
    assert (result["state"], result["counts"]["done"], result["counts"]["missing"]) == ("finished", 10, [])
    found = ledger.verify(Path(result["observations"]))
    assert sorted(record["case_id"] for record in found.observations) == sorted(found.selection)
    assert len(found.resumes) >= 2
    assert len(list(root.runs.iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_records_what_is_under_way_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    api, root = SimpleApi(latency=0.3), data_root(tmp_path)
    params = arguments(root, api.url, min_interval=0.1)
    try:
        process = launch(params)
        wait_for(api, 3, process)
        process.send_signal(number)
        stopped = end(process)
        sent = len(api.received)
        assert (stopped["failed"], stopped["exit_code"]) == (True, 11)
        assert f"an interruption after {sent} of 10 cases" in stopped["msg"]
        assert len(recorded(root)) == sent < 10
        result = end(launch(params))
    finally:
        api.close()
    assert (result["state"], len(api.received)) == ("finished", 10)


def test_it_stops_when_nobody_reads_it_any_more(tmp_path: Path) -> None:
    api, root = SimpleApi(latency=0.05), data_root(tmp_path)
    process = launch(arguments(root, api.url, min_interval=0.3))
    try:
        wait_for(api, 2, process)
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=20)
        assert len(api.received) < 10
        assert len(recorded(root)) == len(api.received)
    finally:
        api.close()
        assert process.stderr is not None
        process.stderr.close()


def test_two_batches_of_one_run_exclude_each_other(tmp_path: Path, run_module: Any) -> None:
    api, root = SimpleApi(latency=0.05), data_root(tmp_path)
    params = arguments(root, api.url, min_interval=0.2, lock_timeout=0)
    process = launch(params)
    try:
        wait_for(api, 1, process)
        refused = run_module("day3_batch", params)
        assert (refused["failed"], refused["exit_code"]) == (True, 13)
        assert "another process that is sending a run of it" in refused["msg"]
        assert end(process)["state"] == "finished"
    finally:
        api.close()
    assert len(api.received) == 10


def test_no_request_leaves_an_environment_that_names_a_token(
    tmp_path: Path, run_module: Any, api: SimpleApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "DAY3_API_TOKEN", "from-the-shell")
    run_module("day3_batch", arguments(data_root(tmp_path), api.url))
    assert not any("Authorization" in headers for headers in api.headers)
