"""The modules of the cycle, run as Ansible runs them: check, do, check, do, modify."""

from __future__ import annotations

import csv
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from solidgreen import cycle, jsonio
from solidgreen.manifest import COLUMNS
from solidgreen.paths import DataRoot

ROOT = Path(__file__).resolve().parents[2]
POLICY = {"policy": str(ROOT / "policy" / "day3.yml"), "policy_schema": str(ROOT / "schemas" / "policy.schema.json")}


INFO = b'{"service": "lcopilot", "rehearsal": true, "build": "1", "configuration": {"use_stubs": false}}'


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path / "data" / "day3")
    (root.root / "bundles" / "b1").mkdir(parents=True)
    (root.root / "bundles" / "b1" / "lc.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    row = dict.fromkeys(COLUMNS, "x") | {
        "case_id": "D3-001",
        "scenario": "pass",
        "expected_verdict": "pass",
        "contains_pii": "false",
        "run_enabled": "true",
        "cleaned_path": "bundles/b1",
    }
    with root.manifest.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        writer.writerow(row)
    return root


@pytest.fixture(name="inputs")
def inputs_fixture(root: DataRoot) -> dict:
    return {
        "manifest": str(root.manifest),
        "files": {"policy": POLICY["policy"]},
        "config_files": [str(root.root / ".env")],
        "images": {"api": "sha256:1"},
        "target": {"driver": "external"},
        "pacing": {"min_interval": 3.0},
        "checkouts": {"solidgreen": str(ROOT)},
    }


@pytest.fixture(name="info_url")
def info_url_fixture():
    class Handler(BaseHTTPRequestHandler):
        answer = (200, INFO)

        def do_GET(self):
            status, body = self.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url, server.handler = f"http://127.0.0.1:{server.server_port}/api/validate/", Handler
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def looked_at(run_module, root, info_url) -> None:
    """Leave what phases 1 and 2 saw of the target."""
    (check,) = run_module("day3_target_info", {"target_url": info_url.url})["checks"]
    for number in (1, 2):
        jsonio.write_json(root.phase(number), {"checks": [check]})


def test_a_cycle_is_opened_once_and_its_checks_go_to_the_journal(run_module, root, inputs, tmp_path):
    journal = tmp_path / "journal.jsonl"
    wanted = {
        "state": "open",
        "data_root": str(root.root),
        "env": "here",
        "inputs": inputs,
        "registry": str(tmp_path / "active"),
        "journal": str(journal),
    }
    assert run_module("day3_cycle", wanted, check=True)["changed"] is True
    assert not root.cycle.exists()
    assert not journal.exists()
    opened = run_module("day3_cycle", wanted)
    assert opened["changed"] is True
    assert [row["id"] for row in jsonio.read_jsonl(journal)] == ["lease", "snapshot"]
    assert run_module("day3_cycle", wanted, check=True)["changed"] is False
    again = run_module("day3_cycle", wanted)
    assert (again["changed"], again["cycle_id"]) == (False, opened["cycle_id"])
    found = run_module("day3_cycle_info", {"registry": str(tmp_path / "active")})
    assert found["active"]["cycle_id"] == opened["cycle_id"]


def test_inputs_are_registered_once_and_a_change_is_refused_by_name(run_module, root, inputs, info_url):
    base = {"data_root": str(root.root), "inputs": inputs}
    run_module("day3_cycle", {**base, "state": "open"})
    looked_at(run_module, root, info_url)
    wanted = {**base, "state": "registered", "target_url": info_url.url}
    assert run_module("day3_cycle", wanted)["changed"] is True
    assert cycle.require(root)["rehearsal"] is True
    assert run_module("day3_cycle", wanted)["changed"] is False
    (root.root / "bundles" / "b1" / "lc.pdf").write_bytes(b"%PDF-1.4\n% edited\n%%EOF\n")
    refused = run_module("day3_cycle", wanted)
    assert (refused["failed"], refused["exit_code"]) == (True, 13)
    assert refused["error"]["context"]["changed"] == ["documents"]


def test_another_build_of_the_target_is_refused(run_module, root, inputs, info_url):
    base = {"data_root": str(root.root), "inputs": inputs}
    run_module("day3_cycle", {**base, "state": "open"})
    looked_at(run_module, root, info_url)
    wanted = {**base, "state": "registered", "target_url": info_url.url}
    run_module("day3_cycle", wanted)
    looked_at(run_module, root, info_url)
    info_url.handler.answer = (200, INFO.replace(b'"1"', b'"2"'))
    swapped = run_module("day3_cycle", wanted)
    assert swapped["exit_code"] == 13
    assert "another build than phase 1 looked at" in swapped["msg"]
    looked_at(run_module, root, info_url)
    assert run_module("day3_cycle", wanted)["error"]["context"]["changed"] == ["target"]


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [(b"true", 10, "use_stubs True"), (b"null", 11, "no word about it"), (b'"no"', 10, "use_stubs 'no'")],
    ids=["stub mode", "silent", "not a plain false"],
)
def test_a_target_in_stub_mode_is_never_registered(run_module, root, inputs, info_url, said, code, words):
    base = {"data_root": str(root.root), "inputs": inputs}
    run_module("day3_cycle", {**base, "state": "open"})
    info_url.handler.answer = (200, INFO.replace(b"false", said))
    refused = run_module("day3_cycle", {**base, "state": "registered", "target_url": info_url.url})
    assert refused["exit_code"] == code
    assert words in refused["msg"]


@pytest.mark.parametrize(
    ("said", "rehearsal"), [(b"true", True), (b'"true"', True), (b"1", True), (b"false", False), (b"null", False)]
)
def test_any_word_about_a_rehearsal_but_false_makes_it_one(run_module, info_url, said, rehearsal):
    info_url.handler.answer = (200, INFO.replace(b'"rehearsal": true', b'"rehearsal": ' + said))
    found = run_module("day3_target_info", {"target_url": info_url.url})
    assert found["identity"]["rehearsal"] is rehearsal


@pytest.mark.parametrize(
    "answer", [(500, b"{}"), (200, b"<html>"), (200, b"[]")], ids=["error", "HTML with 200", "no object"]
)
def test_a_target_that_does_not_say_what_it_is_stops(run_module, root, inputs, info_url, answer):
    info_url.handler.answer = answer
    base = {"data_root": str(root.root), "inputs": inputs}
    run_module("day3_cycle", {**base, "state": "open"})
    stopped = run_module("day3_cycle", {**base, "state": "registered", "target_url": info_url.url})
    assert stopped["exit_code"] == 12
    assert "invoke phase --only 1" in stopped["msg"]


def journal(begun: dict) -> dict:
    return {"journal": begun["journal"]}


def test_a_phase_is_begun_and_concluded(run_module, root, inputs):
    run_module("day3_cycle", {"state": "open", "data_root": str(root.root), "inputs": inputs})
    base = {"data_root": str(root.root), "phase": 0, **POLICY}
    begun = run_module("day3_phase", {**base, "state": "begun"})
    assert (begun["due"], begun["day3"]["name"]) == (True, "freeze")
    run_module("day3_freeze", {"loops": [], "reason": "none", "window_reason": "loopback", "journal": begun["journal"]})
    run_module("day3_cycle", {"state": "open", "data_root": str(root.root), "inputs": inputs} | journal(begun))
    end = {**base, "state": "concluded", "started_at": begun["started_at"]}
    left_out = run_module("day3_phase", end)["verdict"]
    assert (left_out["status"], left_out["checks"][-1]["id"]) == ("inconclusive", "unseen:restore-point:R3")
    begun = run_module("day3_phase", {**base, "state": "begun"})
    run_module("day3_freeze", {"loops": [], "reason": "none", "window_reason": "loopback"} | journal(begun))
    run_module("day3_cycle", {"state": "open", "data_root": str(root.root), "inputs": inputs} | journal(begun))
    run_module("day3_restore_point", {"data_root": str(root.root), "points": ["R1", "R2", "R3"]} | journal(begun))
    concluded = run_module("day3_phase", {**end, "started_at": begun["started_at"]})
    assert concluded["verdict"]["status"] == "pass"
    assert run_module("day3_phase", {**base, "state": "begun"})["due"] is False
    assert run_module("day3_phase", {**base, "state": "begun", "new": True})["due"] is True
    refused = run_module("day3_phase", {**base, "phase": 2, "state": "begun"})
    assert refused["exit_code"] == 13
    reset = {"data_root": str(root.root), "first": 0}
    assert run_module("day3_phase_reset", reset, check=True)["phases"] == [0]
    assert run_module("day3_phase_reset", reset)["changed"] is True
    assert run_module("day3_phase_reset", reset)["changed"] is False


def test_a_pass_that_does_not_hold_any_more_is_set_aside(run_module, root, inputs):
    run_module("day3_cycle", {"state": "open", "data_root": str(root.root), "inputs": inputs})
    forever = {
        "status": "pass",
        "cycle_id": cycle.require(root)["cycle_id"],
        "finished_at": "",
        "expires_at": "2999-01-01T00:00:00Z",
    }
    jsonio.write_json(root.phase(0), forever)
    base = {"data_root": str(root.root), "phase": 0, "state": "begun", **POLICY}
    assert run_module("day3_phase", base)["due"] is False
    assert run_module("day3_phase", {**base, "stale": "redis is gone"})["reason"] == "redis is gone"
    assert not root.phase(0).exists()
    jsonio.write_json(root.phase(0), forever)
    assert run_module("day3_phase", {**base, "again": True})["reason"] == "it was asked for"
    for number in range(5):
        jsonio.write_json(root.phase(number), forever)
    assert run_module("day3_phase", {**base, "phase": 4, "again": True})["due"] is False


def test_both_spellings_of_the_data_root_are_refused(run_module, root):
    (root.root.parent.parent / "Data" / "day3").mkdir(parents=True)
    refused = run_module("day3_phase", {"data_root": str(root.root), "phase": 0, "state": "begun", **POLICY})
    assert refused["exit_code"] == 13
    assert "both data/day3 and Data/day3" in refused["msg"]


def test_a_broken_policy_is_bad_input_with_its_line(run_module, root, tmp_path):
    bad = tmp_path / "policy.yml"
    bad.write_text("schema: solidgreen/policy/1\nsurprise: 1\n")
    refused = run_module(
        "day3_phase", {"data_root": str(root.root), "phase": 0, "state": "begun", **POLICY, "policy": str(bad)}
    )
    assert refused["exit_code"] == 13
    assert not root.results.exists()


def test_a_mark_is_set_once_and_cleared(run_module, root, inputs):
    run_module("day3_cycle", {"state": "open", "data_root": str(root.root), "inputs": inputs})
    wanted = {"data_root": str(root.root), "name": "demonstration", "reason": "R2"}
    assert run_module("day3_cycle_mark", wanted, check=True)["changed"] is True
    assert run_module("day3_cycle_mark", wanted)["changed"] is True
    assert run_module("day3_cycle_mark", wanted)["changed"] is False
    (check,) = run_module("day3_cycle_info", {"data_root": str(root.root)})["checks"]
    assert (check["status"], check["exit_code"]) == ("fail", 10)
    assert run_module("day3_cycle_mark", {**wanted, "state": "absent"})["changed"] is True
    assert run_module("day3_cycle_mark", {**wanted, "state": "absent"})["changed"] is False


def test_restore_points_are_taken_once_and_put_back(run_module, root, inputs, tmp_path):
    run_module("day3_cycle", {"state": "open", "data_root": str(root.root), "inputs": inputs})
    env = tmp_path / ".env"
    env.write_text("A=1\n")
    wanted = {"data_root": str(root.root), "points": ["R1", "R2"], "files": {"env": str(env)}}
    assert run_module("day3_restore_point", wanted, check=True)["changed"] is True
    assert run_module("day3_restore_point", wanted)["changed"] is True
    assert run_module("day3_restore_point", wanted)["changed"] is False
    env.write_text("A=2\n")
    back = {"data_root": str(root.root), "points": ["R1"], "state": "restored"}
    assert run_module("day3_restore_point", back)["restored"] == [str(env)]
    assert run_module("day3_restore_point", back)["changed"] is False
    assert env.read_text() == "A=1\n"
    refused = run_module("day3_restore_point", {"data_root": str(root.root), "points": ["R3"], "state": "required"})
    assert refused["exit_code"] == 13


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"point": "R9"}, "found 'R9', need one of R1, R2, R3"),
        ({"point": ""}, "found none, need one of R1, R2, R3"),
        ({"point": "R1", "allowed": False, "env": "production"}, "found environment production"),
        ({"point": "R1", "dump": False, "env": "here"}, "found no way to dump the database of here"),
        ({"point": "R3", "state": "absent"}, "need R2, the only one that can be undone"),
    ],
    ids=["unknown", "none", "production", "no dump", "no way back"],
)
def test_a_rollback_that_must_not_happen_is_refused(run_module, params, words):
    refused = run_module("day3_rollback_point", params)
    assert refused["exit_code"] == 13
    assert words in refused["msg"]


def test_an_environment_file_shows_names_and_hides_values(run_module, tmp_path):
    (tmp_path / ".env.example").write_text("SECRET_KEY=abc123\nUSE_STUBS=true\n")
    wanted = {
        "path": str(tmp_path / ".env"),
        "example": str(tmp_path / ".env.example"),
        "entries": {"USE_STUBS": "false", "DAY3_API_TOKEN": "t0k3n"},
    }
    assert run_module("day3_env_file", wanted, check=True)["changed"] is True
    done = run_module("day3_env_file", wanted, diff=True)
    assert (done["changed"], done["created"]) == (True, True)
    assert "USE_STUBS=false" in done["diff"]["after"]
    assert "abc123" not in str(done["diff"])
    assert "t0k3n" not in str(done["diff"])
    assert run_module("day3_env_file", wanted)["changed"] is False


def test_a_state_is_captured_once(run_module, tmp_path):
    (tmp_path / ".env").write_text("TOKEN=s3cret\n")
    wanted = {"path": str(tmp_path / "frozen"), "environment": [str(tmp_path / ".env")], "facts": {"reason": "R3"}}
    assert run_module("day3_state_capture", wanted, check=True)["changed"] is True
    assert run_module("day3_state_capture", wanted)["changed"] is True
    assert run_module("day3_state_capture", wanted)["changed"] is False
    assert "s3cret" not in (tmp_path / "frozen" / "env.redacted").read_text()


def test_rehearsal_cases_never_replace_a_lost_manifest(run_module, root):
    root.manifest.unlink()
    left = run_module("day3_rehearsal_cases", {"data_root": str(root.root), "project": str(ROOT), "seed": 1})
    assert left["changed"] is False
    assert not root.manifest.exists()
