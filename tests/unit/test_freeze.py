"""Freezing needs proof; a window that does not cover the forecast does not hold."""

from __future__ import annotations

import sys

import pytest
from clocks import TurnedClock
from solidgreen import freeze
from solidgreen.check import Status
from solidgreen.errors import BadInput

RUN = freeze.system_command(10)


def loop(tmp_path, *, stoppable=True):
    flag = tmp_path / "stopped"
    return {
        "name": "agent",
        "freeze": ["touch", str(flag)] if stoppable else "true",
        "check": ["test", "-e", str(flag)],
        "unfreeze": ["rm", str(flag)],
    }


def test_a_running_loop_is_frozen_and_proven_then_left_alone(tmp_path):
    loops = freeze.read_loops([loop(tmp_path)])
    checks, changed = freeze.frozen(loops, reason="", run=RUN, clock=TurnedClock())
    assert ([check.status for check in checks], changed) == ([Status.PASS], True)
    assert freeze.frozen(loops, reason="", run=RUN, clock=TurnedClock())[1] is False
    assert freeze.unfrozen(loops, run=RUN) == ["agent"]
    assert not (tmp_path / "stopped").exists()


def test_a_freeze_command_that_succeeds_without_stopping_anything_fails(tmp_path):
    loops = freeze.read_loops([loop(tmp_path, stoppable=False)])
    (check,), changed = freeze.frozen(loops, reason="", run=RUN, clock=TurnedClock())
    assert changed is True
    assert check.status is Status.FAIL
    assert "its check ended with 1" in check.seen


def test_looking_only_runs_no_freeze_command(tmp_path):
    loops = freeze.read_loops([loop(tmp_path)])
    (check,), changed = freeze.frozen(loops, reason="", run=RUN, clock=TurnedClock(), look_only=True)
    assert (check.status, changed) == (Status.FAIL, False)
    assert not (tmp_path / "stopped").exists()


@pytest.mark.parametrize(
    ("loops", "reason", "status"),
    [
        (None, "", Status.INCONCLUSIVE),
        (None, "a reason does not replace the list", Status.INCONCLUSIVE),
        ([], "", Status.INCONCLUSIVE),
        ([], "  ", Status.INCONCLUSIVE),
        ([], "nothing retries here", Status.PASS),
    ],
    ids=["no list", "no list but a reason", "empty list", "blank reason", "empty list with its reason"],
)
def test_nothing_to_freeze_has_to_be_said(loops, reason, status):
    (check,), changed = freeze.frozen(freeze.read_loops(loops), reason=reason, run=RUN, clock=TurnedClock())
    assert (check.status, changed) == (status, False)


@pytest.mark.parametrize("missing", ["name", "freeze", "check"])
def test_an_incomplete_loop_is_bad_input(missing):
    entry = {"name": "agent", "freeze": "true", "check": "true", missing: ""}
    with pytest.raises(BadInput, match=f"found no {missing}"):
        freeze.read_loops([entry])


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["no-such-command-anywhere"], "No such file or directory"),
        ([sys.executable, "-c", "import time; time.sleep(30)"], "no end after 0.2 s"),
    ],
    ids=["missing", "hanging"],
)
def test_a_command_that_cannot_prove_anything_ends_in_words(argv, said):
    outcome = freeze.system_command(0.2)(argv)
    assert (outcome.rc, outcome.said) == (None, said)


@pytest.mark.parametrize(
    ("start", "end", "reason", "minutes", "status"),
    [
        ("2026-03-01T11:00:00Z", "2026-03-01T14:00:00Z", "", 60, Status.PASS),
        ("2026-03-01T11:00:00Z", "2026-03-01T13:00:00Z", "", 60, Status.PASS),
        ("2026-03-01T11:00:00Z", "2026-03-01T12:59:59Z", "", 60, Status.FAIL),
        ("2026-03-01T12:00:01Z", "2026-03-01T14:00:00Z", "", 1, Status.FAIL),
        ("2026-03-01T13:00:00+02:00", "2026-03-01T14:30:00+02:00", "", 20, Status.PASS),
        (None, None, "loopback only", 60, Status.PASS),
        ("", "", "", 60, Status.INCONCLUSIVE),
    ],
    ids=["open", "exactly long enough", "a second short", "not yet open", "other zone", "stated reason", "nothing"],
)
def test_the_window_has_to_cover_the_forecast(start, end, reason, minutes, status):
    check = freeze.window(start, end, reason=reason, minutes=minutes, clock=TurnedClock())
    assert check.status is status


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("soon", "2026-03-01T14:00:00Z", "found 'soon'"),
        ("2026-03-01T14:00:00Z", None, "freeze_window_end: found None"),
        ("2026-03-01T10:00:00", "2026-03-01T14:00:00Z", "freeze_window_start: found '2026-03-01T10:00:00'"),
        ("2026-03-01T14:00:00Z", "2026-03-01T13:00:00Z", "not after its start"),
    ],
    ids=["no time", "half a window", "no zone", "backwards"],
)
def test_a_window_that_cannot_be_read_is_bad_input(start, end, words):
    with pytest.raises(BadInput, match=words):
        freeze.window(start, end, reason="", minutes=1, clock=TurnedClock())
