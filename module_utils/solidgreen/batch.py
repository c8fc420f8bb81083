"""A run of the plan from the order to its checks: forecast, the cycle's entry, the requests, what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from . import cases, cycle, jsonio, ledger, request, runner, verdict
from .check import Check, Status
from .client import Target
from .clock import Clock, compact, parse, stamp
from .errors import BadInput, Inconclusive, Refused
from .ledger import Ledger
from .pacing import Forecast, Pacing
from .paths import DataRoot
from .runner import Job, RunResult
from .workers import Workers

OWNER = "QA Lead"
NOT_STARTED = "not_started"
_BECAUSE = {runner.EXHAUSTED: "its spent budget", runner.QUOTA: "a used-up quota (429 QUOTA_EXCEEDED)"}
_NEXT = {
    runner.EXHAUSTED: "raise the budget or lower the interval as far as the plan allows, then invoke go --new-cycle",
    runner.QUOTA: "wait until the quota is back or have it raised, then invoke go --new-cycle",
}


@dataclass(frozen=True)
class Order:
    """What a run is asked to be; ``deadline`` is a stamp, the end of the maintenance window.

    :param selection: the cases of a probe, all without it; a smoke sends those that were drawn, a full run all
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

    @property
    def name(self) -> str:
        """The run as its checks are called after it: ``smoke1``, ``full1``, ``probe``."""
        return self.kind if self.kind == "probe" else f"{self.kind}{self.ordinal}"


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
) -> Report:
    """Carry out an order, or with *look_only* say what it would take.

    :raises BadInput: an input cannot be used
    :raises Refused: the cycle, the maintenance window or another process forbids it
    :raises IntegrityError: the record of the run is broken
    :raises Inconclusive: the run was interrupted; it goes on with the next call
    """
    _require_url(order.target.url)
    template = request.load_template(order.template)
    known = _known(order)
    job = _job(order, "" if known is None else known.run_id, template)
    outlook = runner.outlook(job, known)
    foreseen = _forecast_check(order, outlook)
    if look_only or (known is None and not outlook.fits):
        return Report(job.run_id, NOT_STARTED, outlook, (foreseen,))
    if outlook.cases:
        _require_window(order, outlook, clock)
    run_id = _open(order, clock)
    result = runner.run_batch(
        _job(order, run_id, template),
        order.root.run(run_id),
        build=lambda case: request.build(case, template, order.root.root),
        workers=workers,
        clock=clock,
        random=random,
        stop=stop,
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
    if order.kind != "probe":
        final = "finished" if result.state == runner.FINISHED else "stopped"
        cycle.finish_run(order.root, run_id, clock=clock, state=final)
    return Report(run_id, result.state, outlook, (foreseen, _complete_check(order, result)), result)


def _known(order: Order) -> Ledger | None:
    """Return the record of the run if the cycle has begun it."""
    if order.kind == "probe":
        return None
    entries = (cycle.load(order.root) or {}).get("runs", [])
    for entry in entries:
        path = order.root.run(entry["run_id"]) / runner.OBSERVATIONS
        if (entry["kind"], entry["ordinal"]) != (order.kind, order.ordinal):
            continue
        if entry["state"] != "open":
            return ledger.closed(path, entry["state"])
        known = ledger.read(path) if path.exists() else None
        return known if known is not None and known.registration else None
    return None


def _open(order: Order, clock: Clock) -> str:
    """Return the id of the run: of the cycle's entry, or a new one for a probe."""
    if order.kind == "probe":
        now = clock.now()
        return f"probe-{compact(now)}-{jsonio.digest(stamp(now))[:6]}"
    return cycle.open_run(order.root, order.kind, order.ordinal, clock=clock).run_id


def _job(order: Order, run_id: str, template: request.Template) -> Job:
    source = cases.load(order.cases)
    selection = _selection(order)
    return Job(
        run_id=run_id,
        kind=order.kind,
        ordinal=order.ordinal,
        cases=source.cases if selection is None else cases.load_selection(selection, source.cases),
        vmap=verdict.load_map(order.verdict_map),
        pacing=order.pacing,
        identity={
            "cases_sha256": source.sha256,
            "request_template_sha256": template.sha256,
            "target": {"url": order.target.url, "authenticated": bool(order.target.token)},
        },
    )


def _selection(order: Order) -> Path | None:
    """Return where the ids of the cases to send stand, None for all.

    :raises BadInput: a run of the cycle was given cases of somebody's choice
    """
    if order.kind == "probe":
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
        facts={"cases": outlook.cases, "seconds": outlook.seconds, "budget_left_s": outlook.budget_left_s},
    )


def _complete_check(order: Order, result: RunResult) -> Check:
    seen = f"{result.done} of {result.total} cases recorded in {result.active_s:.0f} s, {result.http_429} times 429"
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
            "missing": result.missing[:100],
        },
    )
