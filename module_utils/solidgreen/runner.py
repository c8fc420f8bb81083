"""Runs the cases of one run: one thread decides, paces and records; the workers only send.

A case is tried again only where its attempt said nothing about it (a transport error, 429, 503); each such attempt is
on the disk before the next one starts, and one terminal record closes the case. A run goes on from its own ledger and
from nothing else.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from .answers import RETRIED, Exchange
from .cases import Case
from .clock import Clock, parse, stamp
from .errors import SolidGreenError
from .ledger import Ledger, Writer
from .observation import Record, attempt, attempt_of, given_up, observation, open_attempt
from .pacing import GUARD_S, Forecast, Pacer, Pacing, forecast
from .progress import Progress
from .request import Request
from .verdict import VerdictMap
from .workers import Workers

#: How a session of a run ends. All but the last are final: the ledger is closed and the run is never gone on with.
FINISHED, EXHAUSTED, QUOTA, INTERRUPTED = "finished", "exhausted", "quota", "interrupted"
OBSERVATIONS = "observations.jsonl"
#: How often a wait is broken to see whether someone wants the run to stop.
POLL_S = 0.25


@dataclass(frozen=True)
class Job:
    """What a run is over and how it is paced; ``identity`` is registered with it and must not change in a resume."""

    run_id: str
    kind: str
    ordinal: int
    cases: Sequence[Case]
    vmap: VerdictMap
    pacing: Pacing
    identity: Mapping[str, Any]

    def registration(self) -> dict[str, Any]:
        """Return the first record of its ledger."""
        return {
            "run_id": self.run_id,
            "kind": self.kind,
            "ordinal": self.ordinal,
            "selection": [case.case_id for case in self.cases],
            "pacing": asdict(self.pacing),
            "verdict_map_sha256": self.vmap.sha256,
            **self.identity,
        }


@dataclass(frozen=True)
class RunResult:
    """How a session of a run ended; counts are over the whole run, ``requests`` over this session.

    :param active_s: seconds the run took, without the time between its sessions
    :param smallest_gap_s: seconds between the two starts that were closest, to the millisecond
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
    missing: list[str] = field(default_factory=list)


def run_batch(
    job: Job,
    folder: Path,
    *,
    build: Callable[[Case], Request],
    workers: Workers,
    clock: Clock,
    random: Callable[[], float],
    stop: Callable[[], bool] = lambda: False,
    lock_timeout_s: float = 0.0,
) -> RunResult:
    """Run, or go on with, the job in *folder* until every case has its record, the budget is spent, or *stop* says so.

    :param build: makes the request of a case from the bytes on disk, or refuses
    :param random: a number in [0, 1), for the jitter of waits
    :raises Refused: another process writes the run, or it was registered over something else
    :raises IntegrityError: its ledger is broken
    :raises InfrastructureStop: the disk does not take the records
    """
    with Writer(folder / OBSERVATIONS, job.registration(), clock=clock, lock_timeout_s=lock_timeout_s) as writer:
        if writer.ledger.end is not None:
            return _result(writer.ledger, writer.ledger.end["state"], requests=0)
        session = _Session(job, writer, folder, build, workers, clock, random, stop)
        return _result(writer.ledger, session.run(), requests=session.requests)


def outlook(job: Job, known: Ledger | None) -> Forecast:
    """Return what the rest of the run takes at least; *known* is what its ledger says so far."""
    if known is None or not known.registration:
        return forecast(len(job.cases), job.pacing)
    return forecast(len(known.missing) if known.end is None else 0, job.pacing, spent_s=known.active_s)


@dataclass
class _Task:
    """A case on its way to its terminal record."""

    case: Case
    attempts: list[Record] = field(default_factory=list)
    request: Request | None = None
    not_before: float = -math.inf

    def tries(self, reason: str) -> int:
        """Return how many attempts ended with a 429 (or, for any other reason, with something else)."""
        return sum((earlier["reason"] == "http_429") == (reason == "http_429") for earlier in self.attempts)


class _Flight(NamedTuple):
    """A request under way, with its start on the wall clock and in seconds of the run."""

    task: _Task
    started_at: datetime
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
        stop: Callable[[], bool],
    ) -> None:
        self._job, self._writer, self._build, self._workers = job, writer, build, workers
        self._clock, self._random, self._stop = clock, random, stop
        self._pacer = Pacer(job.pacing.min_interval)
        self._flying: dict[str, _Flight] = {}
        self._waiting: list[tuple[float, int, _Task]] = []
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
            total=len(job.cases),
            clock=clock,
        )
        self._take_up(ledger)

    def run(self) -> str:
        """Work until the run, its budget or the patience of its operator ends, and return which."""
        while True:
            wait = self._start_what_is_due()
            if not self._flying and (self._ending or not self._waiting):
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

    def _take_up(self, ledger: Ledger) -> None:
        """Queue what has no record yet; what an earlier session was told to wait for still holds."""
        missing = set(ledger.missing)
        for case in self._job.cases:
            if case.case_id in missing:
                attempts = [attempt_of(record) for record in ledger.pending.get(case.case_id, [])]
                heapq.heappush(self._waiting, (-math.inf, next(self._order), _Task(case, attempts)))
        for record in ledger.observations:
            self._progress.count(record, earlier=True)
        if ledger.resumes:
            now = self._clock.monotonic()
            self._pacer.started(now)  # nobody knows when the requests lost with the last session were sent
            self._pacer.pause(now + _hold(ledger, self._clock))
        self._progress.http_429 = sum(tried["reason"] == "http_429" for tried in ledger.attempts)

    def _start_what_is_due(self) -> float:
        """Start requests until none is due, and return the seconds until the next one is."""
        while self._waiting and self._ending is None and len(self._flying) < self._job.pacing.max_in_flight:
            task = self._waiting[0][2]
            # Read and encoded before its turn comes, so that the turn is not spent on it.
            try:
                task.request = task.request or self._build(task.case)
            except SolidGreenError as error:
                self._ending, self._failure = INTERRUPTED, error  # raised when the requests under way have landed
                break
            now = self._clock.monotonic()
            due = max(self._pacer.due, task.not_before, now)
            if self._stop():
                self._ending = INTERRUPTED
            elif due > self._budget_end:
                self._ending = EXHAUSTED
            elif due > now:
                return due - now
            else:
                heapq.heappop(self._waiting)
                self._start(task, task.request, now)
        return POLL_S

    def _start(self, task: _Task, request: Request, now: float) -> None:
        self._pacer.started(now)
        self.requests += 1
        task.request = None  # a request that waits is built again: a queue of bodies would not fit in memory
        self._flying[task.case.case_id] = _Flight(task, self._clock.now(), now - self._zero)
        self._workers.start(task.case.case_id, request)

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
        wait = self._wait_after(n, exchange, again)
        ended = attempt(n, started_at=flight.started_at, at_s=flight.at_s, wait_s=wait, exchange=exchange)
        task.attempts.append(ended)
        self._progress.http_429 += limited
        if again:
            self._writer.append(open_attempt(task.case, ended, now=self._clock.now()))
            task.not_before = self._clock.monotonic() + wait
            heapq.heappush(self._waiting, (task.not_before, next(self._order), task))
        else:
            self._observe(task, exchange)
        if exchange.outcome == QUOTA:
            self._ending = QUOTA

    def _wait_after(self, n: int, exchange: Exchange, again: bool) -> float:
        """Return the seconds that must pass after attempt *n*; a 429, or any stated time, holds everyone."""
        asked, limited = exchange.retry_after_s, exchange.reason == "http_429"
        if exchange.outcome not in RETRIED or not (again or limited):
            return 0.0
        wait = asked + GUARD_S if asked is not None else self._job.pacing.backoff(n, self._random)
        if asked is not None or limited:
            self._pacer.pause(self._clock.monotonic() + wait)
        return wait

    def _observe(self, task: _Task, exchange: Exchange) -> None:
        seq = len(self._writer.ledger.observations) + 1
        record = observation(seq, task.case, task.attempts, exchange, self._job.vmap, now=self._clock.now())
        self._writer.append(record)
        self._progress.count(record)

    def _close(self, ending: str) -> None:
        """End the run for good: cases given up in the middle keep their attempts, cases never sent stay unsent."""
        for _, _, task in sorted(self._waiting, key=lambda entry: entry[:2]):
            if task.attempts:
                self._observe(task, given_up(task.attempts[-1]))
        ledger = self._writer.ledger
        facts = {"state": ending, "done": len(ledger.observations), "unsent": len(ledger.missing)}
        self._writer.append({"type": "end", "at": stamp(self._clock.now()), **facts})

    def _show(self, state: str = "running") -> None:
        self._progress.show(paused_until=self._pacer.paused_until, interval=self._job.pacing.min_interval, state=state)


def _hold(ledger: Ledger, clock: Clock) -> float:
    """Return the seconds a pause that an earlier session was told to make still lasts."""
    now = clock.now()
    ends = (
        parse(tried["started_at"]) + timedelta(seconds=tried["duration_s"] + tried["wait_s"])
        for tried in ledger.attempts
        if tried["wait_s"]
    )
    return max(((end - now).total_seconds() for end in ends), default=0.0)


def _result(ledger: Ledger, state: str, *, requests: int) -> RunResult:
    attempts = ledger.attempts
    starts = sorted(tried["at_s"] for tried in attempts)
    gaps = [later - sooner for sooner, later in itertools.pairwise(starts)]
    return RunResult(
        run_id=ledger.run_id,
        state=state,
        observations=ledger.path,
        total=len(ledger.selection),
        done=len(ledger.observations),
        requests=requests,
        torn_bytes=sum(record["torn_bytes"] for record in ledger.resumes),
        active_s=round(ledger.active_s, 6),
        outcomes=dict(Counter(record["outcome"] for record in ledger.observations)),
        verdicts=dict(Counter(record["verdict"] for record in ledger.observations if record["verdict"] is not None)),
        http_429=sum(tried["reason"] == "http_429" for tried in attempts),
        smallest_gap_s=round(min(gaps), 3) if gaps else None,
        missing=ledger.missing,
    )
