"""Phase 0's stop controls: freeze what retries on its own, prove it stopped, hold the maintenance window."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from .check import Check, Status
from .clock import Clock, parse, stamp
from .errors import BadInput

OWNER = "CTO"


@dataclass(frozen=True)
class Outcome:
    """What a command did: its return code (None: it never ended) and the last line it printed."""

    rc: int | None
    said: str


class Command(Protocol):
    """Runs an argument vector and returns its outcome."""

    def __call__(self, argv: Sequence[str]) -> Outcome:
        """Run *argv*."""


def system_command(timeout: float) -> Command:
    """Return the command runner of this machine: no shell, bounded by *timeout* seconds."""

    def call(argv: Sequence[str]) -> Outcome:
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)  # noqa: S603 - the inventory's own commands
        except subprocess.TimeoutExpired:
            return Outcome(None, f"no end after {timeout:g} s")
        except OSError as error:
            return Outcome(None, error.strerror or str(error))
        lines = (done.stderr or done.stdout).strip().splitlines()
        return Outcome(done.returncode, lines[-1][:200] if lines else "")

    return call


@dataclass(frozen=True)
class Loop:
    """An agent or loop that retries on its own; ``check`` ends with 0 only while it is stopped."""

    name: str
    freeze: tuple[str, ...]
    check: tuple[str, ...]
    unfreeze: tuple[str, ...] = ()


def read_loops(items: Sequence[Mapping[str, object]] | None) -> list[Loop] | None:
    """Return the inventory's list of loops, None where it has none at all.

    :raises BadInput: an entry lacks its name, its freeze command or the check that proves it stopped
    """
    if items is None:
        return None
    loops = []
    for number, item in enumerate(items, start=1):
        missing = [key for key in ("name", "freeze", "check") if not item.get(key)]
        if missing:
            raise BadInput(
                f"freeze_loops entry {number}",
                found=f"no {' and no '.join(missing)}",
                need="name, freeze and a check that proves it stopped",
                next_step="complete the entry in the inventory",
            )
        loops.append(Loop(str(item["name"]), _argv(item["freeze"]), _argv(item["check"]), _argv(item.get("unfreeze"))))
    return loops


def _argv(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(str(part) for part in value)
    return tuple(shlex.split(str(value or "")))


def frozen(
    loops: Sequence[Loop] | None, *, reason: str, run: Command, clock: Clock, look_only: bool = False
) -> tuple[list[Check], bool]:
    """Freeze every loop that still runs and prove each stopped; return the checks and whether a command was run.

    :param reason: why the list is empty; an empty list without one proves nothing
    :param look_only: run the checks, never a freeze command
    """
    if not loops:
        return [_no_loops(loops, reason, clock)], False
    checks, changed = [], False
    for loop in loops:
        outcome = run(loop.check)
        if outcome.rc != 0 and not look_only:
            changed = True
            run(loop.freeze)
            outcome = run(loop.check)
        stopped = outcome.rc == 0
        checks.append(
            Check(
                id=f"frozen:{loop.name}",
                title=f"{loop.name} is stopped",
                status=Status.PASS if stopped else Status.FAIL,
                seen="stopped, proven by its check"
                if stopped
                else f"its check ended with {outcome.rc} ({outcome.said or 'no output'})",
                needed="its check ends with 0",
                next_step=""
                if stopped
                else f"stop it by hand, then invoke phase --only 0; check: {shlex.join(loop.check)}",
                owner=OWNER,
                at=stamp(clock.now()),
            )
        )
    return checks, changed


def unfrozen(loops: Sequence[Loop] | None, *, run: Command) -> list[str]:
    """Let every loop go on that has an unfreeze command; return the names of those started."""
    return [loop.name for loop in loops or () if loop.unfreeze and run(loop.unfreeze).rc == 0]


def _no_loops(loops: Sequence[Loop] | None, reason: str, clock: Clock) -> Check:
    stated = loops is not None and bool(reason.strip())
    return Check(
        id="frozen",
        title="Auto-retry agents and loops are frozen",
        status=Status.PASS if stated else Status.INCONCLUSIVE,
        seen=f"none to freeze: {reason}"
        if stated
        else "no list of loops"
        if loops is None
        else "an empty list, no reason",
        needed="every loop stopped with proof, or a stated reason why there is none",
        next_step="" if stated else "fill freeze_loops, or set it to [] and say why in freeze_loops_reason",
        owner=OWNER,
        at=stamp(clock.now()),
    )


def window(start: str | None, end: str | None, *, reason: str, minutes: float, clock: Clock) -> Check:
    """Check that the maintenance window is open now and stays open for *minutes*.

    :param start, end: UTC stamps; without both a *reason* must say why none is needed
    :raises BadInput: a stamp cannot be read, or the window ends before it starts
    """
    now = clock.now()
    if not start and not end:
        return _window_check(
            now,
            Status.PASS if reason.strip() else Status.INCONCLUSIVE,
            f"no window, stated reason: {reason}" if reason.strip() else "no window and no reason",
            "set freeze_window_start and freeze_window_end (UTC), or freeze_window_reason",
        )
    begins, ends = _moment("freeze_window_start", start), _moment("freeze_window_end", end)
    if ends <= begins:
        raise BadInput(
            "maintenance window",
            found=f"an end ({end}) not after its start ({start})",
            need="start before end, in UTC",
            next_step="correct freeze_window_start and freeze_window_end in the inventory",
        )
    needs_until = now + timedelta(minutes=minutes)
    holds = begins <= now and needs_until <= ends
    return _window_check(
        now,
        Status.PASS if holds else Status.FAIL,
        f"window {stamp(begins)} to {stamp(ends)}, now {stamp(now)}, needed until {stamp(needs_until)}",
        "agree on a window that covers the forecast, set it in the inventory and run the phase again",
    )


def _window_check(now: datetime, status: Status, seen: str, next_step: str) -> Check:
    return Check(
        id="maintenance-window",
        title="Maintenance window holds",
        status=status,
        seen=seen,
        needed="an agreed window that is open for the whole forecast",
        next_step="" if status is Status.PASS else next_step,
        owner="SRE Lead",
        at=stamp(now),
    )


def _moment(name: str, text: str | None) -> datetime:
    try:
        return parse(text or "")
    except ValueError as error:
        raise BadInput(
            name,
            found=repr(text),
            need="a UTC time such as 2026-03-01T22:00:00Z",
            next_step="correct it in the inventory",
        ) from error
