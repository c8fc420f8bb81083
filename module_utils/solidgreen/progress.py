"""What a run is doing now, for whoever watches: one small file, replaced at most five times a second."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .clock import Clock, stamp
from .pacing import Forecast, Limit

LEAST_S = 0.2


class Progress:
    """Writes ``progress.json``; it is a view, so losing it loses nothing."""

    def __init__(self, path: Path, *, run_id: str, kind: str, ordinal: int, total: int, clock: Clock) -> None:
        self._path, self._clock, self._total = path, clock, total
        self._facts = {"run_id": run_id, "kind": kind, "ordinal": ordinal, "total": total}
        self._began = clock.monotonic()
        self._written = -math.inf
        self._done_before = 0
        self._forecast = ""
        self._cooling_until = -math.inf
        self.done = self.http_429 = 0
        self.verdicts: Counter[str] = Counter()

    def resumed(self, done: int, verdicts: Mapping[str, int], http_429: int) -> None:
        """Take in what earlier sessions recorded; it does not count towards the rate."""
        self.done = self._done_before = done
        self.verdicts.update(verdicts)
        self.http_429 = http_429

    def count(self, observation: dict[str, Any]) -> None:
        """Take in a terminal record."""
        self.done += 1
        if observation["verdict"] is not None:
            self.verdicts[observation["verdict"]] += 1

    def foresee(self, forecast: Forecast) -> None:
        """Take in what the rest of the run takes, as far as it is known now."""
        self._forecast = forecast.sentence()
        self._cooling_until = self._clock.monotonic() + forecast.cooling_s if forecast.cooling_s else -math.inf

    def show(self, *, paused_until: float, interval: float, limit: Limit | None, state: str = "running") -> None:
        """Write the file when its time has come, always when *state* says that the run is over.

        :param paused_until: monotonic moment a pause ends; in the past when there is none
        :param interval: seconds between starts, the pace no estimate goes below
        :param limit: the rate limit as far as it is known
        """
        now = self._clock.monotonic()
        if state == "running" and now - self._written < LEAST_S:
            return
        self._written = now
        fresh, elapsed = self.done - self._done_before, now - self._began
        least = max(interval, limit.spacing_s / limit.requests) if limit else interval
        each = max(least, elapsed / fresh) if fresh else least
        pause = max(0.0, paused_until - now) if math.isfinite(paused_until) else 0.0
        cooling = max(0.0, self._cooling_until - now) if math.isfinite(self._cooling_until) else 0.0
        facts = {
            **self._facts,
            "done": self.done,
            "rate_per_min": round(60.0 * fresh / elapsed, 1) if fresh and elapsed > 0 else 0.0,
            "http_429": self.http_429,
            "eta_s": round((self._total - self.done) * each + pause, 1),
            "verdicts": dict(self.verdicts),
            "paused_until_s": round(pause, 1),
            "cooling_s": round(cooling, 1),
            "limit": str(limit) if limit else None,
            "forecast": self._forecast,
            "state": state,
            "updated_at": stamp(self._clock.now()),
        }
        beside = self._path.with_suffix(".tmp")
        # Replaced, so that a reader never sees half of it; not fsynced, and a full disk is the ledger's to report.
        with contextlib.suppress(OSError):
            beside.write_text(json.dumps(facts, sort_keys=True) + "\n", encoding="ascii")
            beside.replace(self._path)
