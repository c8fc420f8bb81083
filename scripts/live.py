"""What a person sees while a playbook works: phases, the check at hand, a bar for the batch; never agreement.

:class:`Board` keeps the state and is fed by events of ansible-runner; :class:`PlainView` prints it as lines with the
time, :class:`LiveView` draws it in a terminal.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from solidgreen.paths import DataRoot

STYLES = {"pass": "green", "holds": "green", "fail": "bold red", "inconclusive": "yellow", "running": "bold cyan"}
SIGNS = {"pass": "✔", "holds": "✔", "fail": "✘", "inconclusive": "?", "running": "▶", "waiting": "·"}
#: What a role says this way is meant for the person, for example which stack a rollback touches.
DEBUG_ACTIONS = ("debug", "ansible.builtin.debug")
#: Seconds between two batch lines where nothing can be redrawn.
PLAIN_EVERY_S = 10.0
#: Seconds between two looks for a forecast that has changed, because the run learnt its rate limit.
LOOK_EVERY_S = 0.25


@dataclass
class Row:
    """A phase as shown: its status, when it began and ended (monotonic seconds), and its last words."""

    number: int
    name: str = ""
    status: str = "waiting"
    began: float | None = None
    ended: float | None = None
    note: str = ""

    def seconds(self, now: float) -> float | None:
        """Seconds it took, or has taken so far."""
        return None if self.began is None else (now if self.ended is None else self.ended) - self.began


@dataclass
class Board:
    """State of the view; :meth:`feed` returns the lines that an event is worth."""

    phases: Mapping[int, str]
    now: Callable[[], float] = time.monotonic
    rows: dict[int, Row] = field(init=False)
    task: str = ""
    checks: int = 0
    data_root: Path | None = None

    def __post_init__(self) -> None:
        self.rows = {number: Row(number, name) for number, name in self.phases.items()}

    def feed(self, event: Mapping[str, Any]) -> list[str]:
        """Take an event of ansible-runner and return what is worth a line."""
        data = event.get("event_data") or {}
        if event.get("event") == "playbook_on_task_start":
            self.task = str(data.get("task") or data.get("name") or "")
            return []
        result = data.get("res")
        if not isinstance(result, dict):
            return []
        said = data.get("task_action") in DEBUG_ACTIONS and result.get("msg")
        lines = [said] if isinstance(said, str) else []
        for check in result.get("checks") or []:
            self.checks += 1
            # Where a task has a failed_when and did not fail, what it saw is what it wanted.
            wanted = result.get("failed_when_result") is False
            if isinstance(check, dict) and check.get("status") != "pass" and not wanted:
                lines.append(
                    f"{check.get('id')} {check.get('status')}: {check.get('seen')}, need {check.get('needed')}"
                )
        short = result.get("day3")
        if isinstance(short, dict) and "phase" in short:
            lines += self._phase(short)
        return lines

    def _phase(self, short: Mapping[str, Any]) -> list[str]:
        number = int(short["phase"])
        row = self.rows.setdefault(number, Row(number, str(short.get("name") or "")))
        if short.get("data_root"):
            self.data_root = Path(str(short["data_root"]))
        if "status" in short:
            row.status, row.ended = str(short["status"]), self.now()
            row.began = row.ended if row.began is None else row.began
            row.note = str(short.get("sentence") or "")
            return [f"phase {row.number} {row.name} {row.status} ({duration(row.seconds(self.now()))}): {row.note}"]
        row.began, row.note = self.now(), str(short.get("reason") or "")
        if short.get("due", True):
            row.status = "running"
            return [f"phase {row.number} {row.name} begins: {row.note}"]
        row.status, row.ended = "holds", row.began
        return [f"phase {row.number} {row.name} holds: {row.note}"]


def newest_progress(data_root: Path | None, since: float) -> dict[str, Any] | None:
    """Return the progress of the batch at work; None when none was written after *since* (epoch seconds)."""
    if data_root is None:
        return None
    found: list[tuple[float, Path]] = []
    for path in DataRoot(data_root).runs.glob("*/progress.json"):
        try:
            found.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue
    if not found or max(found)[0] < since:
        return None
    try:
        value = json.loads(max(found)[1].read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and value.get("state") == "running" else None


def run_name(progress: Mapping[str, Any]) -> str:
    """Return which run a progress is of, as people say it."""
    return f"{progress.get('kind', 'run')} {progress.get('ordinal') or ''}".strip()


def forecast_line(progress: Mapping[str, Any]) -> str:
    """Return what the batch was foreseen to take, empty where nobody said."""
    foreseen = progress.get("forecast")
    return f"{run_name(progress)}: {foreseen}" if foreseen else ""


def progress_line(progress: Mapping[str, Any]) -> str:
    """Return one line about a batch: how far, how fast, how many 429s, how long still, the verdicts counted."""
    parts = [f"{run_name(progress)} {progress.get('done', 0)}/{progress.get('total', 0)}"]
    if progress.get("rate_per_min") is not None:
        parts.append(f"{float(progress['rate_per_min']):.0f}/min")
    parts.append(f"{progress.get('http_429', 0)} x 429")
    if progress.get("limit"):
        parts.append(f"limit {progress['limit']}")
    if progress.get("cooling_s"):
        parts.append(f"cooling down for {duration(float(progress['cooling_s']))}")
    elif progress.get("paused_until_s"):
        parts.append("paused by Retry-After")
    if progress.get("eta_s") is not None:
        parts.append(f"{duration(float(progress['eta_s']))} left")
    verdicts = " ".join(f"{name} {count}" for name, count in (progress.get("verdicts") or {}).items() if count)
    return " · ".join([*parts, *([verdicts] if verdicts else [])])


def duration(seconds: float | None) -> str:
    """Return ``7 s``, ``3:05`` or ``1:02:03``; a dash for None."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def picture(board: Board, progress: Mapping[str, Any] | None) -> RenderableType:
    """Return the board as rich draws it: phases, the task at hand, the bar of the batch."""
    table = Table.grid(padding=(0, 1))
    for row in board.rows.values():
        style = STYLES.get(row.status, "dim")
        table.add_row(
            Text(SIGNS.get(row.status, "·"), style=style),
            Text(f"{row.number} {row.name}"),
            Text(row.status, style=style),
            Text(duration(row.seconds(board.now())), style="dim", justify="right"),
            Text(row.note, style="dim", no_wrap=True, overflow="ellipsis"),
        )
    below: list[RenderableType] = [Text(f"{board.checks} checks · {board.task}", style="dim", no_wrap=True)]
    if progress is not None:
        total = max(int(progress.get("total") or 0), 1)
        below += [
            ProgressBar(total=total, completed=int(progress.get("done") or 0), width=40),
            Text(progress_line(progress), overflow="fold"),
            Text(str(progress.get("forecast") or ""), style="dim", overflow="fold"),
        ]
    return Group(table, *below)


class PlainView:
    """Lines with the time, for logs and pipes."""

    def __init__(self, board: Board, stream: TextIO | None = None, every_s: float = PLAIN_EVERY_S) -> None:
        self.board, self.stream, self.every_s = board, stream or sys.stdout, every_s
        self._since, self._last = time.time(), ""
        self._foreseen: dict[str, str] = {}
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def event(self, event: Mapping[str, Any]) -> None:
        """Print what the event is worth."""
        for line in self.board.feed(event):
            self.say(line)

    def say(self, text: str) -> None:
        """Print one line."""
        with self._lock:
            print(f"{datetime.now().astimezone():%H:%M:%S} {text}", file=self.stream, flush=True)

    def _watch(self) -> None:
        due = time.monotonic() + self.every_s
        while not self._stop.wait(min(LOOK_EVERY_S, self.every_s)):
            progress = newest_progress(self.board.data_root, self._since)
            if progress is None:
                continue
            run = str(progress.get("run_id"))
            # The first forecast of a run is said by its playbook, before the first request; here it is what changed.
            if (foreseen := forecast_line(progress)) and foreseen != self._foreseen.setdefault(run, foreseen):
                self.say(foreseen)
                self._foreseen[run] = foreseen
            line = progress_line(progress)
            if time.monotonic() >= due and line != self._last:
                self.say(line)
                self._last, due = line, time.monotonic() + self.every_s

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class LiveView:
    """A redrawn picture in a terminal; what must not scroll away is printed above it."""

    def __init__(self, board: Board, console: Console) -> None:
        self.board, self.console, self._since = board, console, time.time()
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=4, transient=True)

    def _draw(self) -> RenderableType:
        return picture(self.board, newest_progress(self.board.data_root, self._since))

    def event(self, event: Mapping[str, Any]) -> None:
        """Redraw, and print what the event is worth."""
        for line in self.board.feed(event):
            self.say(line)

    def say(self, text: str) -> None:
        """Print one line above the picture."""
        self.console.print(Text(text), highlight=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def view(phases: Mapping[int, str], stream: TextIO | None = None) -> PlainView | LiveView:
    """Return the view that fits where the output goes: a picture in a terminal, else lines. ``NO_COLOR`` is kept."""
    console = Console(file=stream or sys.stdout)
    board = Board(phases)
    return (
        LiveView(board, console) if console.is_terminal and not console.is_dumb_terminal else PlainView(board, stream)
    )
