"""A run from the order to its checks: what is known of the rate limit, forecast, the cycle's entry, the requests."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from . import cases, cycle, jsonio, ledger, request, runner, verdict
from .check import Check, Status
from .client import Target
from .clock import Clock, compact, parse, stamp
from .errors import BadInput, Inconclusive, InfrastructureStop, IntegrityError, Refused
from .ledger import Ledger
from .pacing import USUAL_WINDOW_S, Forecast, Limit, Pace, Pacing, Shard
from .paths import MARK, OBSERVATIONS, DataRoot
from .runner import Job, Known, RunResult
from .workers import Workers

OWNER = "QA Lead"
NOT_STARTED = "not_started"
_BECAUSE = {
    runner.EXHAUSTED: "its spent budget",
    runner.QUOTA: "a used-up quota (429 QUOTA_EXCEEDED)",
    runner.EARLY: "an early stop; its gates say whether one was lost",
}
_NEXT = {
    runner.EARLY: 'look at its gates, then invoke go --new-cycle --fix "what was changed"',
    runner.EXHAUSTED: "raise the budget or lower the interval as far as the plan allows, then invoke go --new-cycle",
    runner.QUOTA: "wait until the quota is back or have it raised, then invoke go --new-cycle",
}
#: What the API allows without and with a token, as far as its operators have not set it otherwise.
_USUAL = {False: Limit(10, 60.0), True: Limit(120, 60.0)}
#: Earlier runs that are asked what they know of the rate limit: the latest, as long as it may still count them.
_ASKED, _ASKED_WITHIN_S = 4, 2 * 3600.0


@dataclass(frozen=True)
class Order:
    """What a run is asked to be; ``deadline`` is a stamp, the end of the maintenance window.

    :param selection: the cases of a probe, all without it; a smoke sends those that were drawn, a full run all
    :param run_id: of a run that no cycle here lists: a worker's shard, or one of the old command line
    :param shard: which part of the run is sent from here, None for the whole
    :param early_stop: whether the run ends when the mark for it is put beside its ledger
    :param remarks: further facts to register with the run
    """

    root: DataRoot
    kind: str
    ordinal: int
    cases: Path
    template: Path
    verdict_map: Path
    target: Target
    pacing: Pacing
    selection: Path | None = None
    deadline: str | None = None
    run_id: str = ""
    shard: Shard | None = None
    early_stop: bool = True
    remarks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_cycle(self) -> bool:
        """Whether the cycle lists the run."""
        return self.kind != "probe" and not self.run_id

    @property
    def name(self) -> str:
        """The run as its checks are called after it: ``smoke1``, ``full1``, ``probe``."""
        name = self.kind if self.kind == "probe" or not self.ordinal else f"{self.kind}{self.ordinal}"
        return f"{name}-shard{self.shard.index}" if self.shard else name


@dataclass(frozen=True)
class Report:
    """What came of an order; ``result`` is None when no run was started."""

    run_id: str
    state: str
    forecast: Forecast
    checks: tuple[Check, ...]
    result: RunResult | None = None

    @property
    def changed(self) -> bool:
        """Whether a request was sent."""
        return self.result is not None and self.result.requests > 0


def execute(
    order: Order,
    workers: Workers,
    *,
    clock: Clock,
    random: Callable[[], float],
    stop: Callable[[], bool] = lambda: False,
    look_only: bool = False,
    lock_timeout_s: float = 0.0,
    say: Callable[[Forecast], None] = lambda _: None,
) -> Report:
    """Carry out an order, or with *look_only* say what it would take.

    :param stop: tells whether somebody wants the run to be interrupted
    :param say: gets the forecast before the first request
    :raises BadInput: an input cannot be used
    :raises Refused: the cycle, the maintenance window or another process forbids it
    :raises IntegrityError: the record of the run is broken
    :raises Inconclusive: the run was interrupted; it goes on with the next call
    """
    _require_url(order.target.url)
    template = request.load_template(order.template)
    record = _record(order)
    known_id = order.run_id if record is None else record.run_id
    job = _job(order, known_id, template, _known(order, known_id, clock))
    outlook = runner.outlook(job, record, now=clock.now())
    foreseen = _forecast_check(order, outlook)
    if look_only or (record is None and not outlook.fits):
        return Report(job.run_id, NOT_STARTED, outlook, (foreseen,))
    if outlook.cases:
        _require_window(order, outlook, clock)
    if record is None and order.in_cycle:
        _require_whole(order)
    say(outlook)
    run_id = known_id or _open(order, clock)
    folder = order.root.run(run_id)

    def ending() -> str | None:
        if stop():
            return runner.INTERRUPTED
        return runner.EARLY if order.early_stop and (folder / MARK).exists() else None

    def begun(sha256: str) -> None:
        if order.in_cycle:
            cycle.note_run(order.root, run_id, registration_sha256=sha256)

    with _only_sender(order.root, lock_timeout_s):
        result = runner.run_batch(
            replace(job, run_id=run_id),
            folder,
            build=lambda case: request.build(case, template, order.root.root),
            workers=workers,
            clock=clock,
            random=random,
            stop=ending,
            begun=begun,
            lock_timeout_s=lock_timeout_s,
        )
    if result.state == runner.INTERRUPTED:
        raise Inconclusive(
            f"run {run_id}",
            found=f"an interruption after {result.done} of {result.total} cases",
            need="all of them",
            next_step="invoke go; the run goes on where it stood",
            done=result.done,
            total=result.total,
        )
    if order.in_cycle:
        cycle.finish_run(order.root, run_id, clock=clock, state=ledger.in_cycle(result.state))
    return Report(run_id, result.state, outlook, (foreseen, _complete_check(order, result)), result)


def _record(order: Order) -> Ledger | None:
    """Return the record of the run if it was begun."""
    if order.kind == "probe":
        return None
    if order.run_id:
        return _begun(order.root.run(order.run_id) / OBSERVATIONS)
    entries = (cycle.load(order.root) or {}).get("runs", [])
    for entry in entries:
        path = order.root.run(entry["run_id"]) / OBSERVATIONS
        if (entry["kind"], entry["ordinal"]) != (order.kind, order.ordinal):
            continue
        if entry["state"] != "open":
            return ledger.closed(path, entry["state"], keep=False)
        found = _begun(path)
        cycle.require_record(entry, path, found.registration.get("sha256") if found else None)
        return found
    return None


def _require_whole(order: Order) -> None:
    """Refuse to send a run from here that was shared out to batch workers."""
    runs = (cycle.load(order.root) or {}).get("runs", [])
    shared = [run for run in runs if (run["kind"], run["ordinal"]) == (order.kind, order.ordinal)]
    if shared and shared[0].get("plan_sha256"):
        raise Refused(
            f"run {shared[0]['run_id']}",
            found="a run that batch workers send, not merged yet",
            need="the same workers to its end",
            next_step="invoke phase --only 4 with these workers in the inventory",
        )


def _begun(path: Path) -> Ledger | None:
    found = ledger.read(path, keep=False) if path.exists() else None
    return found if found is not None and found.registration else None


@contextlib.contextmanager
def _only_sender(root: DataRoot, timeout_s: float) -> Iterator[None]:
    """Keep any other run of this data root from sending meanwhile; the lock dies with its process.

    :raises Refused: another one is at work
    :raises InfrastructureStop: the disk does not take the lock
    """
    try:
        lock = FileLock(root.root / ".batch.lock", timeout=timeout_s).acquire()
    except Timeout as error:
        raise Refused(
            f"data root {root.root}",
            found="another process that is sending a run of it",
            need="one at a time: two would send faster than either is told to",
            next_step="wait for it to end (invoke status shows it), then invoke go",
        ) from error
    except OSError as error:
        raise InfrastructureStop(
            f"data root {root.root}",
            found=f"a disk that does not take it ({error.strerror})",
            need="a writable disk with free space",
            next_step="make room or permit writing, then invoke go; the run goes on where it stood",
        ) from error
    with lock:
        yield


def _known(order: Order, own_id: str, clock: Clock) -> Known:
    """Return what the latest runs against the same target know of its rate limit.

    Their requests may still count against it. After a run that met a 429 the next one waits until none of them does,
    so that it begins as the first one did; what one was told to wait, the next one waits as well.
    """
    now = clock.now()
    runs = {path: path.stat().st_mtime for path in order.root.runs.glob(f"*/{OBSERVATIONS}") if path.is_file()}
    latest = heapq.nlargest(_ASKED, (path for path in runs if path.parent.name != own_id), key=lambda path: runs[path])
    pace: Pace | None = None
    starts: list[datetime] = []
    held: list[float] = []
    for path in latest:
        if now.timestamp() - runs[path] > _ASKED_WITHIN_S:
            break
        try:
            earlier = ledger.read(path, keep=False)
        except IntegrityError:
            continue  # whoever judges it says so; here it only cannot help
        if (earlier.registration or {}).get("target") != _target(order):
            continue
        if pace is None and earlier.pace:
            pace = replace(Pace.of(earlier.pace), source=f"known from {earlier.run_id}")
        sent = [parse(tried["started_at"]) for tried in earlier.recent if tried["reason"] != "http_429"]
        window = (pace.limit if pace else Limit(1, float(USUAL_WINDOW_S))).spacing_s
        starts += [moment for moment in sent if (now - moment).total_seconds() < window]
        if earlier.http_429 and sent:
            held.append(min(window, (max(sent) - now).total_seconds() + window))
        held.append(runner.held_s(earlier, now))
    cooling = max(held, default=0.0)
    return Known(pace, starts, now + timedelta(seconds=cooling) if cooling > 0 else None)


def _open(order: Order, clock: Clock) -> str:
    """Return the id of the run: of the cycle's entry, or a new one for a probe."""
    if order.kind == "probe":
        now = clock.now()
        return f"probe-{compact(now)}-{jsonio.digest(stamp(now))[:6]}"
    return cycle.open_run(order.root, order.kind, order.ordinal, clock=clock).run_id


def _target(order: Order) -> dict[str, Any]:
    return {"url": order.target.url, "authenticated": bool(order.target.token)}


def _job(order: Order, run_id: str, template: request.Template, known: Known) -> Job:
    source = cases.load(order.cases)
    chosen = _selection(order)
    selection = source.ids if chosen is None else cases.load_selection(chosen, source.ids)
    return Job(
        run_id=run_id,
        kind=order.kind,
        ordinal=order.ordinal,
        selection=selection if order.shard is None else order.shard.of_run(selection),
        case=source.get,
        vmap=verdict.load_map(order.verdict_map),
        pacing=order.pacing,
        identity={
            "cases_sha256": source.sha256,
            "request_template_sha256": template.sha256,
            "target": _target(order),
            **order.remarks,
        },
        shard=order.shard,
        known=known,
        usual=_USUAL[bool(order.target.token)],
    )


def _selection(order: Order) -> Path | None:
    """Return where the ids of the cases to send stand, None for all.

    :raises BadInput: a run of the cycle was given cases of somebody's choice
    """
    if not order.in_cycle:
        return order.selection
    if order.selection is not None:
        raise BadInput(
            f"selection of the {order.name} run",
            found=str(order.selection),
            need="none: a smoke sends the cases that were drawn, a full run all of them",
            next_step="leave it out",
        )
    return order.root.smoke_selection if order.kind == "smoke" else None


def _require_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise BadInput(
            "target_url",
            found="no http or https address without a login in it",
            need="for example http://localhost:8000/api/validate/",
            next_step="set DAY3_API_URL",
        )


def _require_window(order: Order, outlook: Forecast, clock: Clock) -> None:
    """Refuse a run that would still be going on when the maintenance window closes."""
    if order.deadline is None:
        return
    try:
        deadline = parse(order.deadline)
    except ValueError as error:
        raise BadInput(
            "deadline",
            found=order.deadline,
            need="a UTC time like 2026-03-01T22:00:00Z",
            next_step="correct the window",
        ) from error
    end = clock.now() + timedelta(seconds=outlook.seconds)
    if end > deadline:
        raise Refused(
            f"maintenance window until {stamp(deadline)}",
            found=f"a {order.name} run that ends at {stamp(end)} at the earliest",
            need="a run that ends inside the window",
            next_step="wait for the next window or extend it",
        )


def _forecast_check(order: Order, outlook: Forecast) -> Check:
    return Check(
        id=f"{order.name}:forecast",
        title="The run fits its budget",
        status=Status.PASS if outlook.fits else Status.INCONCLUSIVE,
        seen=outlook.sentence(),
        needed=f"an end within {order.pacing.budget_minutes:g} min",
        next_step="" if outlook.fits else _NEXT[runner.EXHAUSTED],
        owner=OWNER,
        facts=outlook.facts(),
    )


def _complete_check(order: Order, result: RunResult) -> Check:
    seen = f"{result.done} of {result.total} cases recorded in {result.active_s:.0f} s, {result.http_429} times 429"
    if result.pace is not None:
        seen += f", paced below {result.pace.limit} ({result.pace.source})"
    if result.torn_bytes:
        seen += f", a torn line of {result.torn_bytes} bytes repaired"
    finished = result.state == runner.FINISHED
    return Check(
        id=f"{order.name}:run-complete",
        title="Every case has its record",
        status=Status.PASS if finished else Status.INCONCLUSIVE,
        seen=seen if finished else f"{seen}, ended by {_BECAUSE[result.state]}",
        needed=f"{result.total} records",
        next_step="" if finished else _NEXT[result.state],
        owner=OWNER,
        facts={
            "run_id": result.run_id,
            "outcomes": result.outcomes,
            "active_s": result.active_s,
            "smallest_gap_s": result.smallest_gap_s,
            "min_interval": order.pacing.min_interval,
            "retries_429": order.pacing.retries_429,
            "rate_limit": None if result.pace is None else result.pace.to_dict(),
            "missing": result.missing[:100],
        },
    )
