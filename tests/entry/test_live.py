"""What a person sees while a playbook works."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scripts import live

NAMES = dict(enumerate(("freeze", "infrastructure", "configuration", "smoke", "full", "production")))
PROGRESS = {
    "run_id": "full-1",
    "kind": "full",
    "ordinal": 1,
    "total": 90,
    "done": 34,
    "rate_per_min": 92.4,
    "http_429": 2,
    "eta_s": 37.2,
    "verdicts": {"pass": 10, "warn": 8, "reject": 12, "blocked": 4, "unknown": 0},
    "paused_until_s": None,
    "state": "running",
}


def result(**fields: Any) -> dict[str, Any]:
    return {"event": "runner_on_ok", "event_data": {"task": "x", "res": fields}}


def begin(number: int, *, due: bool = True, reason: str = "it has not passed", root: str = "/d") -> dict[str, Any]:
    return result(day3={"phase": number, "name": NAMES[number], "data_root": root, "due": due, "reason": reason})


def conclude(number: int, status: str, sentence: str) -> dict[str, Any]:
    return result(day3={"phase": number, "status": status, "sentence": sentence})


class Time:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def board(clock: Time) -> live.Board:
    return live.Board(NAMES, now=clock)


def drawn(board: live.Board, progress: dict[str, Any] | None = None, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=120, **options)
    console.print(live.picture(board, progress))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_phase_says_when_it_begins_and_how_it_ended(board: live.Board, clock: Time) -> None:
    assert board.feed(begin(3)) == ["phase 3 smoke begins: it has not passed"]
    clock.now += 185
    assert board.feed(conclude(3, "fail", "accuracy 0.40")) == ["phase 3 smoke fail (3:05): accuracy 0.40"]


def test_a_phase_that_is_not_due_says_why(board: live.Board) -> None:
    assert board.feed(begin(1, due=False, reason="passed 4 min ago")) == [
        "phase 1 infrastructure holds: passed 4 min ago"
    ]


def test_only_checks_that_did_not_pass_are_worth_a_line(board: live.Board) -> None:
    checks = [
        {"id": "tcp-redis", "status": "pass", "seen": "open", "needed": "open"},
        {"id": "tcp-postgres", "status": "fail", "seen": "connection refused", "needed": "an open port"},
    ]
    assert board.feed(result(checks=checks)) == ["tcp-postgres fail: connection refused, need an open port"]
    assert board.checks == 2


def test_a_check_that_its_task_wanted_to_fail_is_no_news(board: live.Board) -> None:
    checks = [{"id": "gone:5432", "status": "fail", "seen": "nothing listens", "needed": "a listener"}]
    assert board.feed(result(checks=checks, failed_when_result=False)) == []
    assert board.checks == 1


def test_what_a_role_says_to_the_person_is_shown(board: live.Board) -> None:
    event = {
        "event": "runner_on_ok",
        "event_data": {"task_action": "ansible.builtin.debug", "res": {"msg": "R2 touches x"}},
    }
    assert board.feed(event) == ["R2 touches x"]


def test_the_task_at_hand_is_shown(board: live.Board) -> None:
    board.feed({"event": "playbook_on_task_start", "event_data": {"task": "probe : Verify | Probe the API"}})
    assert "Verify | Probe the API" in drawn(board)


@pytest.mark.parametrize(
    "event",
    [
        {"event": "verbose", "stdout": "hello"},
        {"event": "runner_on_ok", "event_data": {"res": None}},
        {"event": "runner_on_ok", "event_data": {"res": {"checks": None, "day3": {}}}},
        {"event": "runner_on_ok", "event_data": None},
    ],
    ids=["no data", "no result", "empty results", "null data"],
)
def test_an_event_without_news_is_no_line(board: live.Board, event: dict[str, Any]) -> None:
    assert board.feed(event) == []


def test_the_picture_shows_every_phase_and_the_batch(board: live.Board, clock: Time) -> None:
    board.feed(begin(0))
    clock.now += 2
    board.feed(conclude(0, "pass", "frozen"))
    board.feed(begin(1))
    text = drawn(board, PROGRESS)
    assert [line.split()[:4] for line in text.splitlines()[:3]] == [
        ["✔", "0", "freeze", "pass"],
        ["▶", "1", "infrastructure", "running"],
        ["·", "2", "configuration", "waiting"],
    ]
    assert "full 1 34/90 · 92/min · 2 x 429 · 37 s left · pass 10 warn 8 reject 12 blocked 4" in text


def test_agreement_is_never_shown(board: live.Board) -> None:
    text = drawn(board, {**PROGRESS, "accuracy": 0.91, "agreement": 0.91, "matched": 31})
    assert not any(word in text.lower() for word in ("accura", "agree", "match", "0.91", "31"))


def test_no_color_means_no_colour_codes(board: live.Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.feed(begin(0))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[3" not in drawn(board, PROGRESS, force_terminal=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eta_s": None, "rate_per_min": None}, "full 1 34/90 · 2 x 429 · pass 10"),
        ({"paused_until_s": 12.0}, "paused by Retry-After"),
        ({"paused_until_s": 12.0, "cooling_s": 12.0}, "cooling down for 12 s"),
        ({"limit": "10 in 60 s"}, "2 x 429 · limit 10 in 60 s"),
        ({"verdicts": {}}, "37 s left"),
        ({"ordinal": None}, "full 34/90"),
    ],
    ids=["nothing measured yet", "paused", "cooling down", "a limit", "no verdict yet", "no ordinal"],
)
def test_a_batch_line_says_what_is_known(change: dict[str, Any], words: str) -> None:
    assert words in live.progress_line({**PROGRESS, **change})


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (0.4, "0 s"), (59.4, "59 s"), (185, "3:05"), (3723, "1:02:03")]
)
def test_a_duration_is_short(seconds: float | None, text: str) -> None:
    assert live.duration(seconds) == text


def write_progress(root: Path, run: str, age_s: float = 0, **change: Any) -> Path:
    path = root / "results" / "runs" / run / "progress.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**PROGRESS, "run_id": run, **change}))
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def test_the_newest_batch_is_the_one_shown(tmp_path: Path) -> None:
    write_progress(tmp_path, "smoke-1", age_s=60)
    write_progress(tmp_path, "smoke-2", age_s=5)
    found = live.newest_progress(tmp_path, time.time() - 120)
    assert found is not None
    assert found["run_id"] == "smoke-2"


@pytest.mark.parametrize("kind", ["none", "old", "finished", "torn"])
def test_a_batch_that_is_not_at_work_is_not_shown(tmp_path: Path, kind: str) -> None:
    if kind != "none":
        path = write_progress(
            tmp_path, "r", age_s=500 if kind == "old" else 0, state="finished" if kind == "finished" else "running"
        )
        if kind == "torn":
            path.write_text('{"run_id": "r", "do')
    assert live.newest_progress(tmp_path, time.time() - 100) is None


def test_without_a_terminal_lines_carry_the_time(tmp_path: Path) -> None:
    stream = io.StringIO()
    with live.PlainView(live.Board(NAMES), stream, every_s=0.02) as view:
        view.event(begin(4, root=str(tmp_path)))
        write_progress(tmp_path, "full-1")
        deadline = time.monotonic() + 5
        while "34/90" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
    lines = stream.getvalue().splitlines()
    assert [line[8:] for line in lines] == [
        " phase 4 full begins: it has not passed",
        " full 1 34/90 · 92/min · 2 x 429 · 37 s left · pass 10 warn 8 reject 12 blocked 4",
    ]
    assert all(time.strptime(line[:8], "%H:%M:%S") for line in lines)


def test_a_forecast_is_said_when_it_changes(tmp_path: Path) -> None:
    stream = io.StringIO()
    with live.PlainView(live.Board(NAMES), stream, every_s=60.0) as view:
        view.event(begin(4, root=str(tmp_path)))
        path = write_progress(tmp_path, "full-1", forecast="90 cases: fits")
        time.sleep(0.8)  # the first one is the playbook's to say
        path.write_text(json.dumps({**PROGRESS, "run_id": "full-1", "forecast": "76 cases: does not fit"}))
        deadline = time.monotonic() + 5
        while "76 cases" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.6)
    assert [line[9:] for line in stream.getvalue().splitlines()[1:]] == ["full 1: 76 cases: does not fit"]


def test_a_pipe_gets_lines_and_a_terminal_gets_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(live.view(NAMES, stream=io.StringIO()), live.PlainView)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    with live.view(NAMES, stream=stream) as view:
        assert isinstance(view, live.LiveView)
        view.event(begin(2))
        view.event(conclude(2, "pass", "not uniformly blocked"))
    assert "phase 2 configuration pass (0 s): not uniformly blocked" in stream.getvalue()
