"""Follows the record of a run while another process appends to it, and marks when a gate can no longer be met.

This process may see labels, the batch may not: all that passes between them is that there is a mark. The record is
neither written nor locked here; a line that is not whole yet is not there yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import cycle as cycles
from . import jsonio, judgement, metrics
from .clock import Clock, stamp
from .cycle import Holder
from .early import Partial
from .gates import GateResult
from .judgement import Ground
from .ledger import Ledger, Record
from .paths import MARK, OBSERVATIONS, DataRoot
from .policy import Policy
from .text import plural

#: Seconds between two looks at the record.
POLL_S = 0.5
#: A judgement is followed by this many times its own length without one: the batch needs the machine more.
REST = 9.0
#: What a record holds of an answer beside its verdict.
ANSWER = {"response", "response_keys", "verdict_sources"}


@dataclass(frozen=True)
class Watched:
    """How a watch ended: ``why`` in words, the gates that are lost, and how many records had been seen."""

    run_id: str
    why: str
    done: int
    lost: tuple[GateResult, ...] = ()


class Follower:
    """Reads a ledger on from where it stopped; whether its chain is whole is for the judgement to say.

    Of its records it keeps what is judged, not what was answered: a run of any size is followed.
    """

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path, keep=False)
        self.observations: list[Record] = []
        self._offset = 0

    def read(self) -> bool:
        """Take in what was appended and tell whether a terminal record was.

        :raises ValueError: a record that cannot follow the ones before it
        """
        done = self.ledger.done
        if not self.ledger.path.exists():
            return False
        with self.ledger.path.open("rb") as handle:
            handle.seek(self._offset)
            for line in handle:
                if not line.endswith(b"\n"):
                    break
                try:
                    record = json.loads(line)
                    self.ledger.take(record)
                    if record["type"] == "observation":
                        self.observations.append({key: record[key] for key in record.keys() - ANSWER})
                except (KeyError, TypeError, AttributeError) as error:
                    raise ValueError(repr(error)) from error
                self._offset += len(line)
        return self.ledger.done > done


class Watch:
    """One watch over the cycle's run of that kind; it lasts as long as whoever holds the cycle now is at work."""

    def __init__(self, root: DataRoot, policy: Policy, *, kind: str, ordinal: int, clock: Clock) -> None:
        self._root, self._policy, self._kind, self._ordinal = root, policy, kind, ordinal
        self._clock = clock
        self._holder = _holder(cycles.load(root))
        self._follower: Follower | None = None
        self._ground: Ground | None = None
        self._rested = 0.0
        self._fresh = False

    def until(self, limit_s: float) -> Watched:
        """Look again and again until a gate is lost, which is marked, the run ends, or *limit_s* seconds are over."""
        deadline = self._clock.monotonic() + limit_s
        while (found := self.look()) is None:
            if self._clock.monotonic() >= deadline:
                return self._ended(f"{limit_s:g} s were over")
            self._clock.sleep(POLL_S)
        if found.lost:
            jsonio.write_json(self._root.run(found.run_id) / MARK, mark(found, self._clock))
        return found

    def look(self) -> Watched | None:
        """Return how the watch ends if it does so now; nothing is written."""
        cycle = cycles.load(self._root) or {}
        run = next((r for r in cycle.get("runs", []) if (r["kind"], r["ordinal"]) == (self._kind, self._ordinal)), None)
        if run is not None:
            self._follower = self._follower or Follower(self._root.run(run["run_id"]) / OBSERVATIONS)
            try:
                self._fresh |= self._follower.read()
            except ValueError as error:
                return self._ended(f"its record is broken ({error})")
            if run["state"] != "open" or self._follower.ledger.end is not None:
                return self._ended("the run ended")
            if lost := self._lost(cycle):
                return replace(self._ended(_reason(lost)), lost=tuple(lost))
        if cycle.get("barred"):
            return self._ended("the runs of the cycle were barred")
        if self._holder is None or self._holder != _holder(cycle) or self._holder.alive() is False:
            return self._ended("whoever held the cycle is gone")
        return None

    def _lost(self, cycle: Mapping[str, Any]) -> list[GateResult]:
        """Return the gates that cannot be met any more, as far as it is time to judge."""
        if self._follower is None or not self._fresh or self._clock.monotonic() < self._rested:
            return []
        self._fresh = False
        first = self._ground is None
        self._ground = under = self._ground or judgement.ground(
            self._root, self._policy, kind=self._kind, ordinal=self._ordinal, cycle=cycle
        )
        ledger, began = self._follower.ledger, self._clock.monotonic()
        lost = Partial(
            self._policy,
            self._kind,
            self._ordinal,
            metrics.join([ledger.registration, *self._follower.observations], under.labels),
            under.unsent(ledger.missing),
            replace(under.facts, pacing=ledger.registration.get("pacing"), active_minutes=ledger.active_s / 60),
            under.first_rows,
        ).certain()
        # A gate that is carried is no reason to end its run.
        at = self._clock.now()
        lost = [result for result in lost if not any(waiver.covers(result, at) for waiver in under.waivers)]
        now = self._clock.monotonic()
        self._rested = now if first else now + REST * (now - began)  # the first time loads what the others need
        return lost

    def _ended(self, why: str) -> Watched:
        if self._follower is None:
            return Watched("", why, 0)
        ledger = self._follower.ledger
        return Watched(ledger.path.parent.name, why, ledger.done)


def mark(found: Watched, clock: Clock) -> dict[str, Any]:
    """Return what the mark says, for people: nothing reads it but them."""
    gates = [result.name for result in found.lost]
    return {"reason": found.why, "gates": gates, "at": stamp(clock.now()), "done": found.done}


def _reason(lost: list[GateResult]) -> str:
    others = f", and {plural(len(lost) - 1, 'other gate')}" if len(lost) > 1 else ""
    return f"{lost[0].name} is {lost[0].seen}, need {lost[0].needed}{others}"


def _holder(cycle: Mapping[str, Any] | None) -> Holder | None:
    held = ((cycle or {}).get("lease") or {}).get("holder")
    return Holder(**held) if held else None
