"""When the next request may start: one pacer for all workers, on a monotonic clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from .errors import BadInput

#: Added to every Retry-After: the server rounds it down, and exactly that long earns a second refusal.
GUARD_S = 1.0


@dataclass(frozen=True)
class Pacing:
    """The numbers a run is paced by.

    :param min_interval: seconds between two starts, at least
    :param max_in_flight: requests under way at once, at most
    :param retries_429: further attempts of a case after a 429
    :param retries_other: further attempts of a case after a 503 or a transport error
    :param budget_minutes: time a run may take, over all its sessions
    :param base_backoff_s: first wait where the server names none; it doubles
    :param max_backoff_s: longest such wait
    """

    min_interval: float
    max_in_flight: int
    retries_429: int
    budget_minutes: float
    retries_other: int = 3
    base_backoff_s: float = 2.0
    max_backoff_s: float = 60.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 1 if name == "max_in_flight" else 0
            if not math.isfinite(value) or value < least:
                raise BadInput(
                    f"pacing {name}", found=str(value), need=f"at least {least}", next_step=f"correct {name}"
                )

    def backoff(self, attempt: int, random: Callable[[], float]) -> float:
        """Return the seconds to wait after that attempt (1 is the first): doubling, capped, between half and whole."""
        ceiling = min(self.max_backoff_s, self.base_backoff_s * 2.0 ** min(attempt - 1, 32))
        return ceiling * (0.5 + 0.5 * random())


class Pacer:
    """Keeps starts apart and everyone still while a pause lasts; times are monotonic seconds."""

    def __init__(self, min_interval: float) -> None:
        self._min_interval = min_interval
        self._next = self._until = -math.inf

    @property
    def due(self) -> float:
        """The moment before which nothing may start."""
        return max(self._next, self._until)

    @property
    def paused_until(self) -> float:
        """The end of the longest pause asked for so far."""
        return self._until

    def started(self, now: float) -> None:
        """Note a start."""
        self._next = now + self._min_interval

    def pause(self, until: float) -> None:
        """Hold all starts until then; a longer pause is never shortened."""
        self._until = max(self._until, until)


@dataclass(frozen=True)
class Forecast:
    """What a run takes at least, said before its first request."""

    cases: int
    seconds: float
    budget_left_s: float
    facts: dict[str, Any]

    @property
    def fits(self) -> bool:
        """Whether the run can end within what is left of its budget."""
        return self.seconds <= self.budget_left_s

    def sentence(self) -> str:
        """Return the forecast as one line."""
        if not self.cases:
            return "no case left to send"
        interval, budget = self.facts["min_interval"], self.facts["budget_minutes"]
        need = f"{self.cases} cases, starts at least {interval:g} s apart: {_span(self.seconds)} and one answer's time"
        left = f"{_span(self.budget_left_s)} of {budget:g} min left"
        return f"{need}; {left}: {'fits' if self.fits else 'does not fit'}"


def forecast(cases: int, pacing: Pacing, *, spent_s: float = 0.0) -> Forecast:
    """Return what that many cases take at least when no request is refused."""
    seconds = max(0, cases - 1) * pacing.min_interval
    return Forecast(cases, seconds, pacing.budget_minutes * 60.0 - spent_s, asdict(pacing))


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if abs(seconds) < 120 else f"{seconds / 60:.1f} min"
