"""When the next request may start: one pacer for all workers, on a monotonic clock.

The pacer keeps starts apart, holds everyone while a pause lasts, and learns the target's rate limit from its first
refusal: from then on it stays below it by itself. Times are monotonic seconds where nothing else is said.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from .errors import BadInput

Item = TypeVar("Item")

#: Added to every Retry-After: the server rounds it down, and exactly that long earns a second refusal.
GUARD_S = 1.0
#: Lengths rate limits are counted over, in seconds. A refusal tells the length to about a second, this list the rest.
WINDOWS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 86400)
#: Those that one refusal is believed to tell where requests came before ours that we may not know all of.
COMMON_S = (1, 10, 60, 3600)
#: How many requests rate limits allow; for a refusal that somebody else's unseen requests had a part in.
COUNTS = (1, 2, 3, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 500, 600, 1000)
#: Assumed where a refusal tells nothing: the usual length.
USUAL_WINDOW_S = 60
#: How late a request may arrive after its start, and one may be refused by a clock of another second.
JITTER_S = 0.25
#: Where a limit comes from that a refusal told exactly.
TOLD = "learnt from a 429"
ASSUMED = "assumed after a 429"
RAISED = "tried higher after a window in peace"
#: Starts remembered; more than any limit worth pacing by counts.
REMEMBERED = 1000


@dataclass(frozen=True)
class Limit:
    """A rate limit: so many requests in any window of so many seconds."""

    requests: int
    window_s: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Return the limit that ``10/60`` states: requests, then seconds.

        :raises BadInput: the text is of another form
        """
        found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6}(?:\.\d{1,3})?)\s*", text)
        if not found or int(found[1]) < 1 or float(found[2]) <= 0:
            raise BadInput(
                "rate limit",
                found=repr(text[:40]),
                need="requests and seconds like 10/60, both above 0",
                next_step="correct rate_limit, or leave it empty: the limit is learnt then",
            )
        return cls(int(found[1]), float(found[2]))

    def __str__(self) -> str:
        return f"{self.requests} in {self.window_s:g} s"

    @property
    def rate(self) -> float:
        """Requests a second, over a long time."""
        return self.requests / self.window_s

    @property
    def spacing_s(self) -> float:
        """Seconds after which the start that fills the window may be followed: with room for a late arrival."""
        return self.window_s + max(JITTER_S, 0.01 * self.window_s)


@dataclass(frozen=True)
class Pace:
    """A limit that is kept below, and where it comes from.

    :param certain: whether it was stated or told exactly; else it is tried one higher after a window in peace
    """

    limit: Limit
    source: str
    certain: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the pace as it goes on record."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Pace:
        """Return the pace of a record."""
        limit = Limit(int(record["limit"]["requests"]), float(record["limit"]["window_s"]))
        return cls(limit, str(record["source"]), record["certain"] is True)

    def shared(self, of: int) -> Pace:
        """Return the part of it that one of *of* senders keeps below."""
        each = self.limit.requests // of
        # Where there is less than one for each, the window is stretched: together they still keep below it.
        share = Limit(each, self.limit.window_s) if each else Limit(1, self.limit.window_s * of / self.limit.requests)
        return replace(self, limit=share)

    def whole(self, of: int) -> Pace:
        """Return what *of* senders keep below together when each keeps below this one."""
        return replace(self, limit=Limit(self.limit.requests * of, self.limit.window_s))


@dataclass(frozen=True)
class Shard:
    """One of several processes that send a run together: *index* counts from 1."""

    index: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.of:
            raise BadInput(
                "shard",
                found=f"{self.index}/{self.of}",
                need="an index from 1 to the number of shards, like 1/2",
                next_step="correct it",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that ``1/2`` names.

        :raises BadInput: the text is of another form
        """
        found = re.fullmatch(r"\s*(\d{1,4})\s*/\s*(\d{1,4})\s*", text)
        if not found:
            raise BadInput("shard", found=repr(text[:40]), need="index and number like 1/2", next_step="correct it")
        return cls(int(found[1]), int(found[2]))

    def of_run(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this shard's items of a run's, every *of*-th, so that all shards have the same mixture."""
        return items[self.index - 1 :: self.of]


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
    :param rate_limit: the target's limit where it is known, like ``10/60``; empty where it has to show itself
    """

    min_interval: float
    max_in_flight: int
    retries_429: int
    budget_minutes: float
    retries_other: int = 3
    base_backoff_s: float = 2.0
    max_backoff_s: float = 60.0
    rate_limit: str = ""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name == "rate_limit":
                continue
            least = 1 if name == "max_in_flight" else 0
            if not math.isfinite(value) or value < least:
                raise BadInput(
                    f"pacing {name}", found=str(value), need=f"at least {least}", next_step=f"correct {name}"
                )
        if self.rate_limit:
            Limit.parse(self.rate_limit)

    @property
    def limit(self) -> Limit | None:
        """The rate limit that was stated, None without one."""
        return Limit.parse(self.rate_limit) if self.rate_limit else None

    def backoff(self, attempt: int, random: Callable[[], float]) -> float:
        """Return the seconds to wait after that attempt (1 is the first): doubling, capped, between half and whole."""
        ceiling = min(self.max_backoff_s, self.base_backoff_s * 2.0 ** min(attempt - 1, 32))
        return ceiling * (0.5 + 0.5 * random())


class Slots:
    """Turns of shards on the wall clock, so that no two of them start closer than the interval.

    A turn is a little longer than the interval and a start only allowed in that surplus at its beginning; the clocks of
    the machines have to agree as far as the interval is to hold between them.

    :param zero: wall time in epoch seconds at which the monotonic clock reads 0
    """

    def __init__(self, shard: Shard, min_interval: float, zero: float) -> None:
        self._surplus = max(0.05 * min_interval, 0.05)
        self._length = min_interval + self._surplus
        self._shard, self._zero = shard, zero

    def next(self, moment: float) -> float:
        """Return the first moment at or after *moment* that is ours."""
        turn = self._length * self._shard.of
        since = (moment + self._zero - self._length * (self._shard.index - 1)) % turn
        return moment if since <= self._surplus else moment + turn - since

    @property
    def interval(self) -> float:
        """Seconds between two turns of one shard."""
        return self._length * self._shard.of


class Pacer:
    """Keeps starts apart, everyone still while a pause lasts, and all of them below a limit once it is known.

    :param slots: the turns of this process where several send together
    """

    def __init__(self, min_interval: float, *, slots: Slots | None = None) -> None:
        self._min_interval, self._slots = min_interval, slots
        self._next = self._until = -math.inf
        self._starts: deque[float] = deque(maxlen=REMEMBERED)
        self._episode_until = self._episode_start = self._raise_at = -math.inf
        self._ceiling: Limit | None = None
        self._before: Limit | None = None
        self.pace: Pace | None = None

    @property
    def limit(self) -> Limit | None:
        """What is kept below now."""
        return self.pace.limit if self.pace else None

    @property
    def paused_until(self) -> float:
        """The end of the longest pause asked for so far."""
        return self._until

    @property
    def starts(self) -> list[float]:
        """The starts that count against the limit, oldest first: all remembered ones but the refused."""
        return list(self._starts)

    def due(self, moment: float) -> float:
        """Return the first moment at or after *moment* at which a request may start."""
        due = max(self._next, self._until, moment)
        limit = self.limit
        if limit is not None and len(self._starts) >= limit.requests:
            due = max(due, self._starts[-limit.requests] + limit.spacing_s)
        return due if self._slots is None else self._slots.next(due)

    def recall(self, starts: Iterable[float]) -> None:
        """Take in starts from before this process or run: they still count against the limit."""
        self._starts = deque(sorted([*self._starts, *starts]), maxlen=REMEMBERED)

    def keep_below(self, pace: Pace) -> None:
        """Stay below a limit from here on."""
        self.pace = pace
        # What was only assumed may be above the real one: nothing to come back to.
        self._ceiling = pace.limit if pace.certain and pace.source != ASSUMED else self._ceiling
        self._starts = deque(self._starts, maxlen=max(REMEMBERED, pace.limit.requests))

    def started(self, now: float) -> None:
        """Note a start; a limit that was only assumed is tried higher after a whole window in peace."""
        self._next = now + self._min_interval
        self._starts.append(now)
        if self.pace is None or self.pace.certain:
            return
        limit = self.pace.limit
        if self._raise_at == -math.inf:
            self._raise_at = now + limit.spacing_s
        elif now >= self._raise_at and limit.requests * self._min_interval < limit.window_s:
            self._raise_at = now + limit.spacing_s
            step = limit.requests + 1 if self._ceiling else _usual(limit.requests + 1)
            higher = Limit(step, limit.window_s)
            self._before = limit
            self.pace = Pace(higher, RAISED, certain=higher == self._ceiling)

    def pause(self, until: float) -> None:
        """Hold all starts until then; a longer pause is never shortened."""
        self._until = max(self._until, until)

    def refused(self, start: float, retry_after_s: float | None, until: float) -> None:
        """Hold all starts until *until*, the end of the wait after a 429, and learn from it.

        :param start: when the refused request started; a refusal of one that was under way when an earlier one was
            answered belongs to the same episode and teaches only that it was not admitted
        """
        if start in self._starts:
            self._starts.remove(start)
        same_episode = start < self._episode_until
        self.pause(until)
        self._episode_until = max(self._episode_until, until)
        self._raise_at = -math.inf
        if same_episode:
            self._correct(start)
            return
        self._episode_start = start
        told = learnt(self.starts, start, retry_after_s)
        exact = told is not None and told.source == TOLD
        if self.pace is not None and not (told and exact and told.limit.rate <= self.pace.limit.rate):
            told = self._lower(self.pace)
        if told is not None:
            self.keep_below(told)

    def _correct(self, start: float) -> None:
        """Take a request out of the limit that was counted as admitted when the episode's first refusal landed."""
        if self.pace is not None and self.pace.source == TOLD and start < self._episode_start:
            limit = self.pace.limit
            self._ceiling = None
            self.keep_below(replace(self.pace, limit=Limit(max(1, limit.requests - 1), limit.window_s)))

    def _lower(self, pace: Pace) -> Pace:
        """Return what to keep below when a known limit was refused: somebody else has a part of it, or it was none."""
        limit, why = pace.limit, "refused below what was known"
        if pace.source == RAISED and self._before is not None:
            return Pace(self._before, why, certain=True)  # the step up was one too many
        if limit.requests == 1:
            # No further down than one a minute: whatever is refused there does not hang on our pace.
            slower = min(2.0 * limit.window_s, max(limit.window_s, USUAL_WINDOW_S))
            return Pace(Limit(1, slower), why, certain=False)
        below = limit.requests - 1
        if self._ceiling is None:
            below = max(count for count in COUNTS if count <= below)
        return Pace(Limit(below, limit.window_s), why, certain=False)


def learnt(starts: Sequence[float], refused: float, retry_after_s: float | None) -> Pace | None:
    """Return the limit that a refusal tells, None where it tells nothing about our own requests.

    Retry-After ends when the oldest counted request leaves the window. Every start that follows a silence of at least
    that long may be that oldest one; where the window this gives is of a usual length, and no more than its requests
    were ever admitted in such a window before, it is the limit. Else somebody else's requests are counted too, one at
    least, and the limit is assumed to be the next usual one above what this run had sent when it was refused.

    :param starts: of the requests that were admitted or are under way, ascending
    :param refused: start of the refused one
    """
    starts = [start for start in starts if start < refused]
    for index, oldest in enumerate(starts if retry_after_s is not None else ()):
        if index and oldest - starts[index - 1] < (retry_after_s or 0.0):
            continue
        told = (retry_after_s or 0.0) + refused - oldest
        usual = COMMON_S if index else WINDOWS_S
        window = next((length for length in usual if abs(length - told) <= GUARD_S + JITTER_S), None)
        if window is None:
            continue
        limit = Limit(_within(starts, refused, window), float(window))
        if limit.requests and _most_within(starts, window - 0.5) <= limit.requests:
            return Pace(limit, TOLD, certain=True)
    floor = max(USUAL_WINDOW_S, retry_after_s or 0.0)
    window = next((length for length in WINDOWS_S if length >= floor), WINDOWS_S[-1])
    requests = _within(starts, refused, window)
    if not requests:
        return None
    if retry_after_s is None:  # nothing to learn a length from, now or later: it stays where it is
        return Pace(Limit(requests, float(window)), ASSUMED, certain=requests > 1)
    assumed = _usual(requests + 1)
    # Where most of it was ours there is no room for another usual limit: it is as good as told, if its length is.
    certain = window == USUAL_WINDOW_S and requests >= 0.75 * assumed
    return Pace(Limit(assumed, float(window)), ASSUMED, certain=certain)


def _usual(least: int) -> int:
    """Return the smallest usual count that is at least that."""
    return next((count for count in COUNTS if count >= least), least)


def _within(starts: Sequence[float], end: float, window: float) -> int:
    """Return how many starts lie in the window that ends at *end*."""
    return bisect_right(starts, end) - bisect_right(starts, end - window)


def _most_within(starts: Sequence[float], window: float) -> int:
    """Return the most starts that any window of that length holds."""
    return max((_within(starts, end, window) for end in starts), default=0)


@dataclass(frozen=True)
class Forecast:
    """What a run takes at least, said before its first request; ``seconds`` until its last start.

    :param usual: where the limit is unknown, the usual one and the seconds under it, if it makes a difference
    """

    cases: int
    seconds: float
    budget_left_s: float
    interval: float
    budget_minutes: float
    limit: Limit | None = None
    cooling_s: float = 0.0
    usual: tuple[Limit, float] | None = None

    @property
    def fits(self) -> bool:
        """Whether the run can end within what is left of its budget."""
        return self.seconds <= self.budget_left_s

    def sentence(self) -> str:
        """Return the forecast as one line."""
        if not self.cases:
            return "no case left to send"
        limit = f"at most {self.limit}, no 429 expected" if self.limit else "rate limit unknown, the first 429 tells it"
        if self.usual:
            limit += f" (under the usual {self.usual[0]}: {_span(self.usual[1])} and one 429)"
        parts = [f"{self.cases} cases", f"starts at least {self.interval:g} s apart", limit]
        if self.cooling_s:
            parts.append(f"a cool-down of {_span(self.cooling_s)} first")
        left = f"{_span(self.budget_left_s)} of {self.budget_minutes:g} min left"
        need = f"{_span(self.seconds)} and one answer's time"
        return f"{', '.join(parts)}: {need}; {left}: {'fits' if self.fits else 'does not fit'}"

    def facts(self) -> dict[str, Any]:
        """Return the numbers behind the sentence."""
        return {
            "cases": self.cases,
            "seconds": round(self.seconds, 3),
            "budget_left_s": round(self.budget_left_s, 3),
            "interval_s": self.interval,
            "rate_limit": None if self.limit is None else asdict(self.limit),
            "cooling_s": round(self.cooling_s, 3),
            "expected_429": 0 if self.limit else [0, 1],
            "seconds_under_the_usual_limit": round(self.usual[1], 3) if self.usual else None,
        }


def forecast(
    cases: int,
    pacing: Pacing,
    *,
    spent_s: float = 0.0,
    limit: Limit | None = None,
    usual: Limit | None = None,
    sent: Iterable[float] = (),
    cooling_s: float = 0.0,
    shard: Shard | None = None,
) -> Forecast:
    """Return what that many cases take at least when nobody else uses up the limit.

    :param limit: the rate limit as far as it is known, of the whole run
    :param usual: what it most likely is where it is not known
    :param sent: starts that still count against it, in seconds from now: none is above 0
    """
    interval = pacing.min_interval if shard is None else Slots(shard, pacing.min_interval, 0.0).interval
    left, of = pacing.budget_minutes * 60.0 - spent_s, shard.of if shard else 1
    seconds = cooling_s + max(0, cases - 1) * interval
    likely = None
    if limit is not None and cases:
        seconds = _under(limit, of, cases, interval, sent, cooling_s)
    elif usual is not None and cases:
        slower = _under(usual, of, cases, interval, sent, cooling_s)
        likely = (usual, slower) if slower > seconds + interval else None
    return Forecast(cases, seconds, left, interval, pacing.budget_minutes, limit, cooling_s, likely)


def _under(limit: Limit, of: int, cases: int, interval: float, sent: Iterable[float], cooling_s: float) -> float:
    """Return the seconds until the last start of one of *of* senders that keep below a limit together."""
    pacer, share = Pacer(interval), Pace(limit, "").shared(of)
    pacer.recall(sent)
    pacer.keep_below(share)
    # A few windows are laid out start by start; by then all repeats, window by window.
    starts, now = [], cooling_s
    for _ in range(min(cases, 4 * share.limit.requests)):
        now = pacer.due(now)
        pacer.started(now)
        starts.append(now)
    windows = -(-(cases - len(starts)) // share.limit.requests)
    last = starts[cases - 1 - windows * share.limit.requests]
    return last + windows * max(share.limit.spacing_s, share.limit.requests * interval)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if abs(seconds) < 120 else f"{seconds / 60:.1f} min"
