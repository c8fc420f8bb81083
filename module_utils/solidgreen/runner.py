"""Runs the cases of one run: one thread decides, paces and records; the workers only send.

A case is tried again only where its attempt said nothing about it (a transport error, 429, 503); each such attempt is
on the disk before the next one starts, and one terminal record closes the case. A run goes on from its own ledger and
from nothing else. Of a run of any size only the ids are kept, never its cases, requests or records.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from .answers import RETRIED, Exchange
from .cases import Case
from .clock import Clock, parse, stamp
from .errors import SolidGreenError
from .ledger import Ledger, Writer
from .observation import Record, attempt, attempt_of, given_up, observation, open_attempt
from .pacing import GUARD_S, Forecast, Limit, Pace, Pacer, Pacing, Shard, Slots, forecast
from .paths import OBSERVATIONS
from .progress import Progress
from .request import Request
from .verdict import VerdictMap
from .workers import Workers

#: How a session of a run ends. All but the last are final: the ledger is closed and the run is never gone on with.
FINISHED, EXHAUSTED, QUOTA, EARLY, INTERRUPTED = "finished", "exhausted", "quota", "early_stop", "interrupted"
#: How often a wait is broken to see whether someone wants the run to stop.
POLL_S = 0.25
#: Cases a result names of those without a record.
NAMED = 1000


@dataclass(frozen=True)
class Known:
    """What is known of the target's rate limit before a run starts.

    :param pace: the limit to keep below, None where it has not shown itself
    :param starts: wall times of requests that still count against it
    :param cooling_until: wall time before which the run must not start; None without a reason to wait
    """

    pace: Pace | None = None
    starts: Sequence[datetime] = ()
    cooling_until: datetime | None = None

    def cooling_s(self, now: datetime) -> float:
        """Return the seconds the run still has to wait before its first request."""
        return max(0.0, (self.cooling_until - now).total_seconds()) if self.cooling_until else 0.0


@dataclass(frozen=True)
class Job:
    """What a run is over and how it is paced; ``identity`` is registered with it and must not change in a resume.

    :param selection: ids of the cases this process sends, in their order
    :param case: returns a case by its id
    :param shard: which part of the run this is, None for the whole
    :param known: what earlier runs found out about the rate limit
    :param usual: what the limit most likely is where nobody found it out yet
    """

    run_id: str
    kind: str
    ordinal: int
    selection: Sequence[str]
    case: Callable[[str], Case]
    vmap: VerdictMap
    pacing: Pacing
    identity: Mapping[str, Any]
    shard: Shard | None = None
    known: Known = field(default_factory=Known)
    usual: Limit | None = None

    def registration(self) -> dict[str, Any]:
        """Return the first record of its ledger."""
        return {
            "run_id": self.run_id,
            "kind": self.kind,
            "ordinal": self.ordinal,
            "selection": list(self.selection),
            "pacing": asdict(self.pacing),
            "verdict_map_sha256": self.vmap.sha256,
            **({"shard": asdict(self.shard)} if self.shard else {}),
            **self.identity,
        }


@dataclass(frozen=True)
class RunResult:
    """How a session of a run ended; counts are over the whole run, ``requests`` over this session.

    :param active_s: seconds the run took, without the time between its sessions
    :param smallest_gap_s: seconds between the two starts that were closest, to the millisecond
    :param pace: the rate limit as it was known at the end
    :param missing: cases without a record, the first thousand
    """

    run_id: str
    state: str
    observations: Path
    total: int
    done: int
    requests: int
    torn_bytes: int
    active_s: float
    outcomes: dict[str, int]
    verdicts: dict[str, int]
    http_429: int
    smallest_gap_s: float | None
    pace: Pace | None
    missing: list[str] = field(default_factory=list)


def run_batch(
    job: Job,
    folder: Path,
    *,
    build: Callable[[Case], Request],
    workers: Workers,
    clock: Clock,
    random: Callable[[], float],
    stop: Callable[[], str | None] = lambda: None,
    begun: Callable[[str], None] = lambda _: None,
    lock_timeout_s: float = 0.0,
) -> RunResult:
    """Run, or go on with, the job in *folder* until every case has its record, the budget is spent, or *stop* says so.

    :param build: makes the request of a case from the bytes on disk, or refuses
    :param random: a number in [0, 1), for the jitter of waits
    :param stop: names how the run shall end (:data:`EARLY` or :data:`INTERRUPTED`), None to go on
    :param begun: gets the digest of the registration once it is on the disk, before the first request
    :raises Refused: another process writes the run, or it was registered over something else
    :raises IntegrityError: its ledger is broken
    :raises InfrastructureStop: the disk does not take the records
    """
    with Writer(folder / OBSERVATIONS, job.registration(), clock=clock, lock_timeout_s=lock_timeout_s) as writer:
        begun(str(writer.ledger.registration["sha256"]))
        if writer.ledger.end is not None:
            return _result(writer.ledger, writer.ledger.end["state"], requests=0)
        session = _Session(job, writer, folder, build, workers, clock, random, stop)
        return _result(writer.ledger, session.run(), requests=session.requests)


def outlook(job: Job, ledger: Ledger | None, *, now: datetime) -> Forecast:
    """Return what the rest of the run takes at least; *ledger* is what its record says so far."""
    begun = ledger if ledger is not None and ledger.registration else None
    cases = len(job.selection) if begun is None else len(begun.missing) if begun.end is None else 0
    pace = _pace(job, begun)
    return forecast(
        cases,
        job.pacing,
        spent_s=begun.active_s if begun else 0.0,
        limit=pace.limit if pace else None,
        usual=job.usual,
        sent=_sent(job, begun, now),
        cooling_s=0.0 if begun else job.known.cooling_s(now),
        shard=job.shard,
    )


def held_s(ledger: Ledger, now: datetime) -> float:
    """Return the seconds that what a run was last told to wait still lasts: never longer than it was told."""
    if ledger.held_until is None:
        return 0.0
    longest = max((tried["duration_s"] + tried["wait_s"] for tried in ledger.recent), default=0.0)
    return min(longest, max(0.0, (ledger.held_until - now).total_seconds()))


def _sent(job: Job, ledger: Ledger | None, now: datetime) -> list[float]:
    """Return when the latest requests started that count against the limit, in seconds from *now*."""
    tried = ledger.recent if ledger else ()
    own = (parse(attempt["started_at"]) for attempt in tried if attempt["reason"] != "http_429")
    return [min(0.0, (start - now).total_seconds()) for start in (*job.known.starts, *own)]


def _pace(job: Job, ledger: Ledger | None) -> Pace | None:
    """Return the limit of the whole run as it is known: stated, found out by this run, or by one before it."""
    if job.pacing.limit:
        return Pace(job.pacing.limit, "stated")
    if ledger is not None and ledger.pace:
        return Pace.of(ledger.pace)
    return job.known.pace


@dataclass
class _Task:
    """A case on its way to its terminal record; only its id is kept, it may have to wait among many."""

    case_id: str
    attempts: list[Record] = field(default_factory=list)
    not_before: float = -math.inf

    def tries(self, reason: str) -> int:
        """Return how many attempts ended with a 429 (or, for any other reason, with something else)."""
        return sum((earlier["reason"] == "http_429") == (reason == "http_429") for earlier in self.attempts)


class _Flight(NamedTuple):
    """A request under way: its start on the wall clock, on the monotonic one and in seconds of the run."""

    task: _Task
    case: Case
    started_at: datetime
    start: float
    at_s: float


class _Session:
    """One process's share of a run."""

    def __init__(
        self,
        job: Job,
        writer: Writer,
        folder: Path,
        build: Callable[[Case], Request],
        workers: Workers,
        clock: Clock,
        random: Callable[[], float],
        stop: Callable[[], str | None],
    ) -> None:
        self._job, self._writer, self._build, self._workers = job, writer, build, workers
        self._clock, self._random, self._stop = clock, random, stop
        self._share = job.shard.of if job.shard else 1
        self._pacer = Pacer(job.pacing.min_interval, slots=self._slots())
        self._flying: dict[str, _Flight] = {}
        self._noted: Pace | None = None
        self._fresh: Iterator[str] = iter(())
        self._next: _Task | None = None
        self._built: tuple[_Task, Case, Request] | None = None
        self._again: list[tuple[float, int, _Task]] = []
        self._order = itertools.count()
        self._failure: SolidGreenError | None = None
        self._ending: str | None = None
        self.requests = 0
        ledger = writer.ledger
        self._zero = clock.monotonic() - ledger.active_s
        self._budget_end = self._zero + job.pacing.budget_minutes * 60.0
        self._progress = Progress(
            folder / "progress.json",
            run_id=job.run_id,
            kind=job.kind,
            ordinal=job.ordinal,
            total=len(job.selection),
            clock=clock,
        )
        self._take_up(ledger)

    def run(self) -> str:
        """Work until the run, its budget or the patience of its operator ends, and return which."""
        self._show()
        while True:
            wait = self._start_what_is_due()
            if not self._flying and (self._ending or self._upcoming() is None):
                break
            self._collect(min(wait, POLL_S))
            self._show()
        ending = self._ending or FINISHED
        if ending != INTERRUPTED:
            self._close(ending)
        self._show("stopped" if ending != FINISHED else "finished")
        if self._failure is not None:
            raise self._failure
        return ending

    def _slots(self) -> Slots | None:
        zero = self._clock.now().timestamp() - self._clock.monotonic()
        return Slots(self._job.shard, self._job.pacing.min_interval, zero) if self._job.shard else None

    def _take_up(self, ledger: Ledger) -> None:
        """Line up what has no record yet; what an earlier session was told to wait for still holds."""
        self._fresh = iter(ledger.missing)
        now, wall = self._clock.monotonic(), self._clock.now()
        self._pacer.recall(now + seconds for seconds in _sent(self._job, ledger, wall))
        self._progress.resumed(ledger.done, ledger.verdicts, ledger.http_429)
        if ledger.resumes:
            # Nobody knows how many requests were lost with the last session, or when they were sent.
            self._pacer.recall([now] * (self._job.pacing.max_in_flight - 1))
            self._pacer.started(now)
            self._pacer.pause(now + held_s(ledger, wall))
        else:
            self._pacer.pause(now + self._job.known.cooling_s(wall))
        pace = _pace(self._job, ledger)
        if pace is not None:
            self._pacer.keep_below(pace.shared(self._share))
            if ledger.pace is None:
                self._record(pace)
        self._noted = self._pacer.pace
        self._foresee()

    def _note_pace(self) -> None:
        """Put the limit on record whenever it is another one than before."""
        if self._pacer.pace is not None and self._pacer.pace != self._noted:
            self._noted = self._pacer.pace
            self._record(self._noted.whole(self._share))
            self._foresee()

    def _record(self, pace: Pace) -> None:
        self._writer.append({"type": "pace", "at": stamp(self._clock.now()), **pace.to_dict()})

    def _foresee(self) -> None:
        """Say what the rest takes, by what is known of the limit now."""
        now = self._clock.monotonic()
        left = len(self._job.selection) - self._writer.ledger.done
        pace = self._pacer.pace.whole(self._share) if self._pacer.pace else None
        cooling = max(0.0, self._pacer.paused_until - now) if not self.requests else 0.0
        self._progress.foresee(
            forecast(
                left,
                self._job.pacing,
                spent_s=now - self._zero,
                limit=pace.limit if pace else None,
                usual=self._job.usual,
                sent=[start - now for start in self._pacer.starts],
                cooling_s=cooling,
                shard=self._job.shard,
            )
        )

    def _upcoming(self) -> _Task | None:
        """Return the task that is next, without taking it: one whose wait is over before a fresh one."""
        if self._again and (self._again[0][0] <= self._pacer.due(self._clock.monotonic()) or self._fill() is None):
            return self._again[0][2]
        return self._fill()

    def _fill(self) -> _Task | None:
        """Return the next case that was not tried in this session, None when all were."""
        if self._next is None and (case_id := next(self._fresh, None)) is not None:
            attempts = [attempt_of(record) for record in self._writer.ledger.pending.get(case_id, [])]
            self._next = _Task(case_id, attempts)
        return self._next

    def _take(self, task: _Task) -> None:
        if task is self._next:
            self._next = None
        else:
            heapq.heappop(self._again)

    def _start_what_is_due(self) -> float:
        """Start requests until none is due, and return the seconds until the next one is."""
        while self._ending is None and len(self._flying) < self._job.pacing.max_in_flight:
            # Read and encoded before its turn comes, so that the turn is not spent on it.
            try:
                task = self._upcoming()
                if task is None:
                    break
                case, request = self._request_of(task)
                self._ending = self._stop()
            except SolidGreenError as error:
                self._ending, self._failure = INTERRUPTED, error  # raised when the requests under way have landed
                break
            if self._ending is not None:
                break
            now = self._clock.monotonic()  # read last: a start counts from when it leaves
            due = self._pacer.due(max(task.not_before, now))
            if due > self._budget_end:
                self._ending = EXHAUSTED
            elif due > now:
                return due - now
            else:
                self._take(task)
                self._start(task, case, request, now)
        return POLL_S

    def _request_of(self, task: _Task) -> tuple[Case, Request]:
        """Return case and request of a task; only the latest are kept, a queue of bodies would not fit in memory."""
        if self._built is None or self._built[0] is not task:
            case = self._job.case(task.case_id)
            self._built = (task, case, self._build(case))
        return self._built[1:]

    def _start(self, task: _Task, case: Case, request: Request, now: float) -> None:
        self._pacer.started(now)
        self.requests += 1
        self._flying[task.case_id] = _Flight(task, case, self._clock.now(), now, now - self._zero)
        self._workers.start(task.case_id, request)
        self._note_pace()

    def _collect(self, timeout: float) -> None:
        landed = self._workers.wait(timeout)
        while landed is not None:
            self._settle(self._flying.pop(landed[0]), landed[1])
            landed = self._workers.wait(0.0)

    def _settle(self, flight: _Flight, exchange: Exchange) -> None:
        """Record how an attempt ended: the case is closed by it, or tried again."""
        task, limited = flight.task, exchange.reason == "http_429"
        limit = self._job.pacing.retries_429 if limited else self._job.pacing.retries_other
        again = exchange.outcome in RETRIED and task.tries(exchange.reason) < limit
        n = len(task.attempts) + 1
        wait, until = self._wait_after(n, flight, exchange, again)
        ended = attempt(n, started_at=flight.started_at, at_s=flight.at_s, wait_s=wait, exchange=exchange)
        task.attempts.append(ended)
        self._progress.http_429 += limited
        if again:
            self._writer.append(open_attempt(flight.case, ended, now=self._clock.now()))
            task.not_before = until
            heapq.heappush(self._again, (task.not_before, next(self._order), task))
        else:
            self._observe(flight.case, task.attempts, exchange)
        if exchange.outcome == QUOTA and self._ending is None:
            self._ending = QUOTA

    def _wait_after(self, n: int, flight: _Flight, exchange: Exchange, again: bool) -> tuple[float, float]:
        """Return the seconds that must pass after attempt *n*, and until when; a 429, or any stated time, holds all."""
        asked, limited = exchange.retry_after_s, exchange.reason == "http_429"
        if exchange.outcome not in RETRIED or not (again or limited):
            return 0.0, -math.inf
        wait = asked + GUARD_S if asked is not None else self._job.pacing.backoff(n, self._random)
        until = self._clock.monotonic() + wait
        if limited:
            self._pacer.refused(flight.start, asked, until)
            self._note_pace()
        elif asked is not None:
            self._pacer.pause(until)
        return wait, until

    def _observe(self, case: Case, attempts: Sequence[Record], exchange: Exchange) -> None:
        seq = self._writer.ledger.done + 1
        record = observation(seq, case, attempts, exchange, self._job.vmap, now=self._clock.now())
        self._writer.append(record)
        self._progress.count(record)

    def _close(self, ending: str) -> None:
        """End the run for good: cases given up in the middle keep their attempts, cases never sent stay unsent.

        A run that was stopped from outside gives up none of its own: what a case would have become stays open, so that
        whoever asked for the stop has turned nothing by it.
        """
        ledger = self._writer.ledger
        for case_id, records in list(ledger.pending.items()) if ending != EARLY else ():
            attempts = [attempt_of(record) for record in records]
            self._observe(self._job.case(case_id), attempts, given_up(attempts[-1]))
        facts = {"state": ending, "done": ledger.done, "unsent": len(self._job.selection) - ledger.done}
        self._writer.append({"type": "end", "at": stamp(self._clock.now()), **facts})

    def _show(self, state: str = "running") -> None:
        self._progress.show(
            paused_until=self._pacer.paused_until,
            interval=self._job.pacing.min_interval,
            limit=self._pacer.limit,
            state=state,
        )


def _result(ledger: Ledger, state: str, *, requests: int) -> RunResult:
    return RunResult(
        run_id=ledger.run_id,
        state=state,
        observations=ledger.path,
        total=len(ledger.selection),
        done=ledger.done,
        requests=requests,
        torn_bytes=sum(record["torn_bytes"] for record in ledger.resumes),
        active_s=round(ledger.active_s, 6),
        outcomes=dict(ledger.outcomes),
        verdicts=dict(ledger.verdicts),
        http_429=ledger.http_429,
        smallest_gap_s=None if ledger.smallest_gap_s is None else round(ledger.smallest_gap_s, 3),
        pace=Pace.of(ledger.pace) if ledger.pace else None,
        missing=ledger.missing[:NAMED],
    )
