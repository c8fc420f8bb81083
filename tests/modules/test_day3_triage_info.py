"""``day3_triage_info`` over the record of a run, ``day3_triage`` over a phase."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from batch_setting import KNOWN, arguments, data_root
from simple_api import SimpleApi
from solidgreen import jsonio
from solidgreen.check import Check, Status
from solidgreen.paths import DataRoot

BLOCKED = (200, {"status": "blocked", "block_reason": "no_lc_found", "detected_documents": [{"type": "invoice"}]}, {})


def broken_causes(folder: Path) -> dict[str, str]:
    """Return arguments that name a file of causes with a fault in its third line."""
    path = folder / "triage.yml"
    path.write_text("---\nschema: solidgreen/triage-causes/1\ncolour: red\n")
    return {**KNOWN, "causes": str(path)}


@pytest.mark.parametrize("check", [False, True])
def test_an_api_that_blocks_everything_fails_with_a_diagnosis(tmp_path: Path, run_module: Any, check: bool) -> None:
    api, root = SimpleApi(lambda *_: BLOCKED), data_root(tmp_path)
    probe = run_module("day3_batch", arguments(root, api.url, kind="probe"))
    api.close()
    journal = root.journal(2)
    params = {**KNOWN, "observations": probe["observations"], "journal": str(journal)}
    result = run_module("day3_triage_info", params, check=check)
    assert result["failed"] is False
    assert {item["id"]: item["status"] for item in result["checks"]} == {
        "cases-answered": "pass",
        "not-uniformly-blocked": "fail",
        "reading-proven": "fail",
        "verdicts-readable": "pass",
    }
    # Which case is named depends on the answer that came first.
    assert result["cause"].startswith(
        "no letter of credit is recognised among the documents "
        "(10 of 10 cases: verdict blocked, block reason no_lc_found, first probe1 D3-"
    )
    assert result["diagnosis"]["block_reasons"] == {"no_lc_found": 10}
    assert journal.exists() is not check


def test_a_record_that_was_touched_is_refused(tmp_path: Path, run_module: Any) -> None:
    api, root = SimpleApi(lambda *_: BLOCKED), data_root(tmp_path)
    probe = run_module("day3_batch", arguments(root, api.url, kind="probe"))
    api.close()
    path = Path(probe["observations"])
    path.write_text(path.read_text().replace('"verdict":"blocked"', '"verdict":"pass"', 1))
    result = run_module("day3_triage_info", {**KNOWN, "observations": str(path)})
    assert (result["failed"], result["exit_code"]) == (True, 14)
    assert "line 2: found a record changed after it was written" in result["msg"]


def test_causes_that_cannot_be_used_leave_the_checks_as_they_are(tmp_path: Path, run_module: Any) -> None:
    api, root = SimpleApi(lambda *_: BLOCKED), data_root(tmp_path)
    probe = run_module("day3_batch", arguments(root, api.url, kind="probe"))
    api.close()
    result = run_module("day3_triage_info", {**broken_causes(tmp_path), "observations": probe["observations"]})
    assert result["failed"] is False
    assert [item["status"] for item in result["checks"]] == ["pass", "fail", "fail", "pass"]
    assert "line 3: found the unknown key 'colour'" in result["problem"]
    assert "no cause was looked for, triage" in result["checks"][1]["seen"]


# --- the triage of a phase -----------------------------------------------------------------------------------------


def concluded(folder: Path, *, number: int = 1, seen: str = "nothing listens on 127.0.0.1:6379") -> DataRoot:
    """Return a data root whose phase failed over Redis."""
    root = DataRoot(folder / "data" / "day3")
    check = Check("redis-tcp", "Redis port", Status.FAIL, seen, "a listener", "start it")
    verdict = {
        "phase": number,
        "name": "infrastructure",
        "cycle_id": "c1",
        "status": "fail",
        "exit_code": 12,
        "started_at": "2026-03-01T12:00:00Z",
        "finished_at": "2026-03-01T12:01:00Z",
        "checks": [check.to_dict()],
        "next": "start it",
    }
    jsonio.write_json(root.phase(number), verdict)
    return root


def test_a_failed_phase_gets_its_causes_written_once_and_its_verdict_stands(tmp_path: Path, run_module: Any) -> None:
    root = concluded(tmp_path)
    before = root.phase(1).read_bytes()
    params = {**KNOWN, "data_root": str(root.root), "phase": 1}
    looked = run_module("day3_triage", params, check=True)
    assert (looked["changed"], root.triage(1).exists()) == (True, False)
    first = run_module("day3_triage", params)
    assert (first["failed"], first["changed"], first["path"]) == (False, True, str(root.triage(1)))
    assert first["triage"]["sentence"].startswith(
        'phase 1 (infrastructure), likely cause: Redis does not answer [Infra Lead] (check "redis-tcp" saw: nothing'
    )
    written = jsonio.read_json(root.triage(1))
    assert (written["schema"], written["causes"][0]["owner"]) == ("solidgreen/triage/1", "Infra Lead")
    assert written["lines"] == first["triage"]["lines"]
    assert run_module("day3_triage", params)["changed"] is False
    assert root.phase(1).read_bytes() == before


def test_logs_are_looked_in_and_named_in_the_next_command(tmp_path: Path, run_module: Any) -> None:
    root = concluded(tmp_path, number=2, seen="0 of 4 answered")
    log = tmp_path / "my logs" / "api.log"
    log.parent.mkdir()
    log.write_text("\x1b[2m2026-03-01T11:00:00Z\x1b[0m Startup issues detected missing=OCR\n")
    params = {**KNOWN, "data_root": str(root.root), "phase": 2, "logs": [{"service": "api", "path": str(log)}]}
    result = run_module("day3_triage", params)
    assert "no OCR provider is configured" in result["triage"]["lines"][0]
    assert f"grep -A2 'Startup issues' '{log}'" in result["triage"]["lines"][0]


def test_an_unhealthy_container_is_asked_for_its_reason(
    tmp_path: Path, run_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = concluded(tmp_path, seen="dependency failed to start: container trdrhub-api-1 is unhealthy")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\necho "/bin/sh: 1: curl: not found"\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent), prepend=":")
    params = {**KNOWN, "data_root": str(root.root), "phase": 1}
    assert "health check of a container fails" in run_module("day3_triage", params)["triage"]["lines"][0]
    asked = run_module("day3_triage", {**params, "inspect": True})
    assert "because its health check calls curl" in asked["triage"]["lines"][0]


def test_causes_that_cannot_be_used_are_named_with_their_line(tmp_path: Path, run_module: Any) -> None:
    root = concluded(tmp_path)
    result = run_module("day3_triage", {**broken_causes(tmp_path), "data_root": str(root.root), "phase": 1})
    assert (result["failed"], result["exit_code"]) == (True, 13)
    assert "triage.yml line 3: found the unknown key 'colour' in the document" in result["msg"]
    assert not root.triage(1).exists()


def test_a_phase_without_a_verdict_has_no_triage(tmp_path: Path, run_module: Any) -> None:
    root = concluded(tmp_path)
    shutil.rmtree(root.phases)
    result = run_module("day3_triage", {**KNOWN, "data_root": str(root.root), "phase": 1})
    assert result["failed"] is True
    assert "run the phase that writes it" in result["msg"]
