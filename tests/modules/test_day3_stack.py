"""day3_stack on a real stack: check, do, check, do, modify, end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_stack_is_made_left_alone_modified_and_ended(run_module: Any, tmp_path: Path) -> None:
    params: dict[str, Any] = {"project": str(ROOT), "state_dir": str(tmp_path / "a stack")}

    def stack(check: bool = False, **more: Any) -> dict[str, Any]:
        return run_module("day3_stack", {**params, **more}, check=check, diff=True)

    try:
        planned = stack(check=True)
        assert (planned["changed"], planned["healthy"]) == (True, False)
        assert planned["diff"]["after"]["api: state"] == "healthy"
        assert not (tmp_path / "a stack").exists()
        done = stack()
        assert (done["changed"], done["healthy"], done["failed"]) == (True, True, False)
        assert done["reasons"] == planned["reasons"]
        for check in (True, False):
            assert stack(check=check)["changed"] is False
        assert stack(environment={"USE_STUBS": True}, check=True)["diff"]["after"] == {"api: USE_STUBS": "true"}
        modified = stack(environment={"USE_STUBS": True})
        assert [row["name"] for row in modified["reasons"]] == ["api: USE_STUBS"]
        assert modified["services"]["postgres"]["pid"] == done["services"]["postgres"]["pid"]
        restarted = stack(state="restarted", service="api")
        assert restarted["changed"]
        assert restarted["services"]["api"]["pid"] != modified["services"]["api"]["pid"]
        assert stack(state="absent", check=True)["changed"] is True
        assert stack(check=True)["healthy"] is True
    finally:
        ended = stack(state="absent", volumes=True)
    assert (ended["changed"], ended["healthy"]) == (True, False)
    assert stack(state="absent", volumes=True)["changed"] is False


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "port of no service": ({"ports": {"mail": 25}}, 13, "--port: found 'mail=25', need NAME=PORT with"),
    "service without restart": ({"service": "api"}, 13, "service: found it without state: restarted"),
    "no repository": ({"project": "/nonexistent"}, 13, "project /nonexistent: found No such file or directory"),
    "unknown fault": (
        {"environment": {"REHEARSAL_FAULTS": "edge_x"}},
        13,
        "REHEARSAL_FAULTS: found edge_x, need names out of",
    ),
}


@pytest.mark.parametrize(("more", "code", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_ends_in_one_sentence(
    run_module: Any, tmp_path: Path, more: dict[str, Any], code: int, words: str
) -> None:
    params = {"project": str(ROOT), "state_dir": str(tmp_path / "s")}
    try:
        result = run_module("day3_stack", {**params, **more})
    finally:
        run_module("day3_stack", {**params, "state": "absent", "volumes": True})
    assert (result["failed"], result["exit_code"]) == (True, code)
    assert words in result["msg"]
    assert "Traceback" not in result["msg"]
