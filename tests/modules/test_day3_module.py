"""What all modules share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from solidgreen.jsonio import read_jsonl


def look(run_module: Any, folder: Path, *ids: str) -> Any:
    log = folder / "api.log"
    log.write_text("one\ntwo\n", encoding="utf-8")
    expect = [{"id": name, "pattern": pattern} for name, pattern in zip(ids, ("one", "two"), strict=True)]
    journal = str(folder / "journal.jsonl")
    return run_module(
        "day3_log_info", {"logs": [{"service": "api", "path": str(log)}], "expect": expect, "journal": journal}
    )


def test_two_checks_of_one_task_may_not_share_an_id(run_module: Any, tmp_path: Path) -> None:
    result = look(run_module, tmp_path, "log:same", "log:same")
    assert (result["failed"], result["exit_code"]) == (True, 13)
    assert result["msg"].startswith("check log:same: found two checks of one task under this id, need an id for each")
    assert not (tmp_path / "journal.jsonl").exists()


def test_a_later_task_may_look_again(run_module: Any, tmp_path: Path) -> None:
    for _ in range(2):
        assert look(run_module, tmp_path, "log:one", "log:two")["failed"] is False
    assert len(list(read_jsonl(tmp_path / "journal.jsonl"))) == 4
