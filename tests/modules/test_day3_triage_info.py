"""``day3_triage_info`` over the record of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_setting import arguments, data_root
from simple_api import SimpleApi

BLOCKED = (200, {"status": "blocked", "block_reason": "no_lc_found", "detected_documents": [{"type": "invoice"}]}, {})


@pytest.mark.parametrize("check", [False, True])
def test_an_api_that_blocks_everything_fails_with_a_diagnosis(tmp_path: Path, run_module: Any, check: bool) -> None:
    api, root = SimpleApi(lambda *_: BLOCKED), data_root(tmp_path)
    probe = run_module("day3_batch", arguments(root, api.url, kind="probe"))
    api.close()
    journal = root.journal(2)
    params = {"observations": probe["observations"], "journal": str(journal)}
    result = run_module("day3_triage_info", params, check=check)
    assert result["failed"] is False
    assert {item["id"]: item["status"] for item in result["checks"]} == {
        "cases-answered": "pass",
        "not-uniformly-blocked": "fail",
        "reading-proven": "fail",
        "verdicts-readable": "pass",
    }
    assert result["cause"] == "no letter of credit recognised in 10 of 10 answers"
    assert result["diagnosis"]["block_reasons"] == {"no_lc_found": 10}
    assert journal.exists() is not check


def test_a_record_that_was_touched_is_refused(tmp_path: Path, run_module: Any) -> None:
    api, root = SimpleApi(lambda *_: BLOCKED), data_root(tmp_path)
    probe = run_module("day3_batch", arguments(root, api.url, kind="probe"))
    api.close()
    path = Path(probe["observations"])
    path.write_text(path.read_text().replace('"verdict":"blocked"', '"verdict":"pass"', 1))
    result = run_module("day3_triage_info", {"observations": str(path)})
    assert (result["failed"], result["exit_code"]) == (True, 14)
    assert "line 2: found a record changed after it was written" in result["msg"]
