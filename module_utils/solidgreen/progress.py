"""What a run is doing now, for whoever watches: one small file, replaced at most five times a second."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from .clock import Clock, stamp

LEAST_S = 0.2


class Progress:
    """Writes ``progress.json``; it is a view, so losing it loses nothing."""

    def __init__(self, path: Path, *, run_id: str, kind: str, ordinal: int, total: int, clock: Clock) -> None:
        self._path, self._clock, self._total = path, clock, total
        self._facts = {"run_id": run_id, "kind": kind, "ordinal": ordinal, "total": total}
        self._began = clock.monotonic()
        self._written = -math.inf
        self._done_before = 0
        self.done = self.http_429 = 0
        self.verdicts: Counter[str] = Counter()

    def count(self, observation: dict[str, Any], *, earlier: bool = False) -> None:
        """Take in a terminal record; one of an earlier session does not count towards the rate."""
        self.done += 1
        self._done_before += earlier
        if observation["verdict"] is not None:
            self.verdicts[observation["verdict"]] += 1

    def show(self, *, paused_until: float, interval: float, state: str = "running") -> None:
        """Write the file when its time has come, always when *state* says that the run is over.

        :param paused_until: monotonic moment a pause ends; in the past when there is none
        :param interval: seconds between starts, the pace no estimate goes below
        """
        now = self._clock.monotonic()
        if state == "running" and now - self._written < LEAST_S:
            return
        self._written = now
        fresh, elapsed = self.done - self._done_before, now - self._began
        each = max(interval, elapsed / fresh) if fresh else interval
        pause = max(0.0, paused_until - now) if math.isfinite(paused_until) else 0.0
        facts = {
            **self._facts,
            "done": self.done,
            "rate_per_min": round(60.0 * fresh / elapsed, 1) if fresh and elapsed > 0 else 0.0,
            "http_429": self.http_429,
            "eta_s": round((self._total - self.done) * each + pause, 1),
            "verdicts": dict(self.verdicts),
            "paused_until_s": round(pause, 1),
            "state": state,
            "updated_at": stamp(self._clock.now()),
        }
        beside = self._path.with_suffix(".tmp")
        # Replaced, so that a reader never sees half of it; not fsynced, and a full disk is the ledger's to report.
        with contextlib.suppress(OSError):
            beside.write_text(json.dumps(facts, sort_keys=True) + "\n", encoding="ascii")
            beside.replace(self._path)
