"""day3_probe_info, day3_log_info, day3_route_info: they look under check mode too, but write only outside of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = b'{"status": "error"}' if self.path == "/ready" else b'{"status": "ok"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(params=["day3_probe_info", "day3_log_info", "day3_route_info"])
def looking(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    log = tmp_path / "api.log"
    log.write_text("Application configuration\n")
    params: dict[str, dict[str, Any]] = {
        "day3_probe_info": {"probes": [{"id": "healthz", "type": "http", "url": f"{url}/healthz"}]},
        "day3_log_info": {"logs": [{"service": "api", "path": str(log)}], "expect": ["Application configuration"]},
        "day3_route_info": {"routes": [{"id": "healthz", "url": f"{url}/healthz", "keys": ["status"]}], "cycles": 2},
    }
    return request.param, params[request.param]


@pytest.mark.parametrize("check", [True, False], ids=["check mode", "for real"])
def test_it_looks_in_check_mode_too_and_writes_the_journal_only_outside(
    run_module: Any, looking: tuple[str, dict[str, Any]], tmp_path: Path, check: bool
) -> None:
    name, params = looking
    journal = tmp_path / "phases" / "phase1.journal.jsonl"
    result = run_module(name, {**params, "journal": str(journal)}, check=check)
    assert (result["failed"], result["changed"], result["passed"]) == (False, False, True)
    assert [item["status"] for item in result["checks"]] == ["pass"]
    assert journal.exists() is not check
    if not check:
        assert [json.loads(line) for line in journal.read_text().splitlines()] == result["checks"]


def test_a_check_that_fails_does_not_fail_the_module(run_module: Any, url: str) -> None:
    probes = [
        {"id": "ready", "type": "http", "url": f"{url}/ready", "owner": "Infra Lead", "exit_code": 12},
        {"id": "live", "type": "http", "url": f"{url}/live", "expect_json": {"status": "ok"}},
    ]
    result = run_module("day3_probe_info", {"probes": probes, "attempts": 2, "delay": 0.01})
    assert (result["failed"], result["passed"], result["failed_ids"]) == (False, False, ["ready"])
    ready = result["checks"][0]
    assert (ready["status"], ready["attempts"], ready["exit_code"]) == ("fail", 2, 12)
    assert ready["seen"] == "200 application/json: the body says status=error"


def test_nothing_to_look_at_is_no_pass(run_module: Any) -> None:
    for name, empty in (("day3_probe_info", {"probes": []}), ("day3_route_info", {"routes": []})):
        assert run_module(name, empty)["passed"] is False


def test_routes_are_written_apart_with_their_times_but_not_in_check_mode(
    run_module: Any, url: str, tmp_path: Path
) -> None:
    output = tmp_path / "results" / "routes.json"
    params = {"routes": [{"id": "a", "url": f"{url}/x"}], "cycles": 2, "output": str(output)}
    run_module("day3_route_info", params, check=True)
    assert not output.exists()
    result = run_module("day3_route_info", params)
    written = json.loads(output.read_text())
    assert written["schema"] == "solidgreen/routes/1"
    assert [row["cycle"] for row in written["seen"]] == [1, 2]
    assert all(row["at"].endswith("Z") for row in written["seen"])
    assert written["checks"] == result["checks"]


def test_logs_tell_where_to_go_on(run_module: Any, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("Traceback\n")
    params = {"logs": [{"service": "api", "path": str(log)}], "critical": ["Traceback"]}
    first = run_module("day3_log_info", params)
    assert (first["passed"], first["offsets"]) == (False, {"api": 10})
    with log.open("a") as handle:
        handle.write("all is well\n")
    params["logs"][0]["offset"] = first["offsets"]["api"]
    assert run_module("day3_log_info", params)["passed"] is True


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "probe without port": ("day3_probe_info", {"probes": [{"id": "a", "type": "tcp"}]}, "need a port from 1 to 65535"),
    "route without url": (
        "day3_route_info",
        {"routes": [{"id": "a", "url": "x"}]},
        "need http://host… or https://host…",
    ),
    "log pattern": (
        "day3_log_info",
        {"logs": [{"service": "a", "path": "/x"}], "expect": ["("]},
        "need a regular expression",
    ),
    "log time": (
        "day3_log_info",
        {"logs": [{"service": "a", "path": "/x"}], "since": "now"},
        "need an ISO time in UTC",
    ),
}


@pytest.mark.parametrize(("name", "params", "words"), BAD.values(), ids=BAD)
def test_input_that_cannot_be_used_fails_with_its_exit_code(
    run_module: Any, name: str, params: dict[str, Any], words: str
) -> None:
    result = run_module(name, params)
    assert (result["failed"], result["exit_code"]) == (True, 13)
    assert words in result["msg"]


def test_a_password_does_not_come_back(run_module: Any) -> None:
    probe = {"id": "a", "type": "redis", "port": 1, "password": "canary-7", "timeout": 0.5}
    assert "canary-7" not in json.dumps(run_module("day3_probe_info", {"probes": [probe]}))
