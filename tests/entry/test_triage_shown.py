"""What a person sees of a triage: on the last screen, in the status, and as long as the failed verdict stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from solidgreen import jsonio, phase
from solidgreen.clock import SystemClock
from solidgreen.paths import DataRoot

from scripts import verbs
from scripts.launcher import Outcome, decided

LIKELY = ["the API has lost its database [Infra Lead] (12 of 20 cases). Next: start PostgreSQL", "another [QA Lead]"]


def result(**fields: Any) -> dict[str, Any]:
    return {"event": "runner_on_ok", "event_data": {"task": "x", "res": fields}}


def outcome(*, code: int = 10) -> Outcome:
    found = Outcome()
    found.see(result(day3={"phase": 3, "status": "fail", "exit_code": code, "sentence": "phase 3 fail"}))
    found.see(result(triage={"phase": 3, "lines": LIKELY}))
    found.see(result(decision="NO-GO", exit_code=code, screen=["=> NO-GO"]))
    return found


def test_the_last_screen_ends_with_the_likely_causes_and_the_code_is_the_decisions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verbs.ended(outcome(), decided) == (10, "")
    assert capsys.readouterr().out.splitlines() == ["=> NO-GO", *(f"   likely      {line}" for line in LIKELY)]


@pytest.mark.parametrize("event", ["runner_on_failed", "runner_on_ok"])
def test_a_triage_that_broke_changes_no_code(event: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = Outcome()
    found.see(result(decision="NO-GO", exit_code=10, screen=["=> NO-GO"]))
    broken = {"msg": "triage t.yml line 3: found x", "exit_code": 13, "failed": True}
    found.see({"event": event, "event_data": {"task": "Look", "res": broken, "ignore_errors": True}})
    assert verbs.ended(found, decided) == (10, "")
    assert capsys.readouterr().out.splitlines() == ["=> NO-GO"]


def test_the_status_shows_what_likely_kept_a_phase_from_passing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = DataRoot(tmp_path / "data" / "day3")
    jsonio.write_json(root.cycle, {"cycle_id": "c1", "env": "rehearsal", "state": "open", "opened_at": "t", "runs": []})
    jsonio.write_json(root.phase(3), {"status": "fail", "sentence": "phase 3 fail"})
    jsonio.write_json(root.triage(3), {"lines": LIKELY})
    monkeypatch.setattr(verbs, "ask", lambda *_: {"day3_data_root": str(root.root)})
    assert verbs.status(env="rehearsal") == (0, "")
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if "phase 3 fail" in line)
    assert lines[place + 1 : place + 3] == [f"    likely: {line}" for line in LIKELY]


def test_a_triage_goes_when_its_phase_begins_again_and_goes_aside_with_its_verdict(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "data" / "day3")
    for number in (1, 2):
        jsonio.write_json(root.phase(number), {"status": "fail"})
        jsonio.write_json(root.triage(number), {"lines": LIKELY})
    phase.begin(root, 1)
    assert (root.triage(1).exists(), root.triage(2).exists()) == (False, True)
    phase.reset(root, 2, clock=SystemClock())
    assert not root.triage(2).exists()
    assert sorted(path.name for path in root.phases.glob("rolled_back_*/*")) == ["phase2.json", "phase2.triage.json"]
