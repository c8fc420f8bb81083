"""A phase: whether it is due, what it looked at, and its verdict file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from . import cycle as cycles
from . import jsonio
from .check import Check, Status, overall
from .clock import Clock, compact, parse, stamp
from .errors import ExitCode, Inconclusive, Refused, SolidGreenError, worst
from .paths import DataRoot
from .policy import PhaseSpec, Policy

SCHEMA = "solidgreen/phase/1"
#: Phases that spend the cycle's runs: their verdict stands for the cycle, a second look cannot change it.
RUN_PHASES = (3, 4)
#: Phases that look at what earlier ones set up: when those run again, so do these. The runs have the registration.
RESTS_ON = {2: (1,), 5: (1, 2)}
#: Exit codes that speak about the target or the evidence. Anything else that breaks a run phase leaves it open: the API
#: that went away says nothing about its verdicts, and the unfinished run goes on.
JUDGED = (ExitCode.NO_GO, ExitCode.INTEGRITY)


@dataclass(frozen=True)
class Due:
    """Whether a phase has to run now, and why."""

    due: bool
    reason: str


def require_before(root: DataRoot, number: int, policy: Policy, *, clock: Clock) -> None:
    """Refuse a phase whose earlier phases have not passed; phase 5 stands alone, it only reads production.

    :raises Refused: an earlier phase left no verdict in this cycle, did not pass, or its pass expired
    """
    if number == 5:
        return
    cycle = cycles.load(root) or {}
    for earlier in range(number):
        verdict = jsonio.read_json_or_none(root.phase(earlier)) or {}
        of_this_cycle = verdict.get("cycle_id") == cycle.get("cycle_id")
        state = verdict.get("status", "without a verdict") if of_this_cycle else "without a verdict in this cycle"
        if state == Status.PASS and _expired(verdict, clock):
            state = f"with a pass that expired at {verdict['expires_at']}"
        if state != Status.PASS:
            raise Refused(
                title(policy, number),
                found=f"{title(policy, earlier)} {state}",
                need="every phase before it passed",
                next_step=f"invoke phase --only {earlier}",
            )


def _expired(verdict: Mapping[str, Any], clock: Clock) -> bool:
    return not verdict.get("expires_at") or parse(str(verdict["expires_at"])) <= clock.now()


def title(policy: Policy, number: int) -> str:
    """Return how a phase is called in a sentence: ``phase 3 (smoke)``."""
    return f"phase {number} ({policy.phases[number].name})"


def require_not_barred(root: DataRoot, number: int, policy: Policy) -> None:
    """Refuse the runs of a cycle that a rollback has barred.

    :raises SolidGreenError: it is barred; a NO-GO that a new cycle ends
    """
    barred = (cycles.load(root) or {}).get("barred")
    if barred and number in RUN_PHASES:
        raise SolidGreenError(
            title(policy, number),
            found=f"runs barred since {barred['at']} ({barred['reason']})",
            need="a cycle that was not rolled back",
            next_step='invoke go --new-cycle, after a failed run with --fix "what was changed"',
        )


def reset(root: DataRoot, first: int, *, clock: Clock) -> list[int]:
    """Set the verdicts of the phases from *first* on aside, so that they run again; return their numbers.

    Verdicts of runs stay: they are what the runs showed.
    """
    gone = [n for n in range(first, 6) if n not in RUN_PHASES and root.phase(n).exists()]
    if gone:
        aside = root.phases / f"rolled_back_{compact(clock.now())}"
        aside.mkdir(parents=True, exist_ok=True)
        for number in gone:
            root.phase(number).replace(aside / root.phase(number).name)
            if root.triage(number).exists():
                root.triage(number).replace(aside / root.triage(number).name)
    return gone


def due(root: DataRoot, number: int, policy: Policy, *, clock: Clock) -> Due:
    """Tell whether the phase has to run: it does until it has passed in this cycle, and again when its pass expired.

    :raises SolidGreenError: its runs failed; their verdict stands for the cycle
    :raises Inconclusive: its runs passed too long ago; a cycle has no further ones
    """
    cycle = cycles.load(root)
    verdict = jsonio.read_json_or_none(root.phase(number))
    if cycle is None or verdict is None or verdict.get("cycle_id") != cycle["cycle_id"]:
        return Due(True, "it has no verdict in this cycle")
    if number in RUN_PHASES and verdict["status"] == Status.FAIL:
        raise SolidGreenError(
            f"{title(policy, number)} of {cycle['cycle_id']}",
            found=f"it failed at {verdict['finished_at']} and stands",
            need="a new cycle after a fix",
            next_step='invoke go --new-cycle --fix "what was changed"',
        )
    if verdict["status"] != Status.PASS:
        return Due(True, f"its last verdict is {verdict['status']}")
    if _expired(verdict, clock):
        if number in RUN_PHASES:
            raise Inconclusive(
                f"{title(policy, number)} of {cycle['cycle_id']}",
                found=f"runs whose pass expired at {verdict['expires_at']}",
                need="fresh runs, and this cycle has no further ones",
                next_step="invoke go --new-cycle",
            )
        return Due(True, f"its pass expired at {verdict['expires_at']}")
    for earlier in RESTS_ON.get(number, ()):
        ground = jsonio.read_json_or_none(root.phase(earlier)) or {}
        if ground.get("finished_at", "") > verdict["finished_at"]:
            return Due(True, f"{title(policy, earlier)} ran again since it passed")
    return Due(False, f"it passed at {verdict['finished_at']}")


def begin(root: DataRoot, number: int, *, fresh: bool = False) -> bool:
    """Start the phase's journal afresh; tell whether an unfinished one was thrown away.

    The earlier verdict is set aside: a phase that was begun again and killed has not passed.

    :param fresh: a new cycle is about to be opened, which archives the earlier verdict as it is
    """
    journal = root.journal(number)
    stale = journal.exists()
    jsonio.write_bytes(journal, b"")
    if not fresh:
        root.triage(number).unlink(missing_ok=True)
    if root.phase(number).exists() and not fresh:
        root.phase(number).replace(_aside(root, number))
    return stale


def _aside(root: DataRoot, number: int) -> Path:
    return root.phase(number).with_suffix(".previous.json")


def conclude(
    root: DataRoot,
    number: int,
    *,
    policy: Policy,
    started_at: str,
    broken: Mapping[str, Any] | None,
    managed: bool = True,
    clock: Clock,
) -> dict[str, Any]:
    """Turn the journal into the phase's verdict file and return it.

    :param broken: the result of a task that failed before it could leave a check: ``msg`` and ``exit_code``
    :param managed: whether the stack is run from here; of one that is not, neither environment nor logs are asked for
    """
    cycle = cycles.load(root) or {}
    if not cycle and broken:
        raise _refusal(number, broken)
    if not cycle and number != 5:
        cycles.require(root)  # phase 5 alone may look at production without a cycle
    rows = list(jsonio.read_jsonl(root.journal(number))) if root.journal(number).exists() else []
    checks = _latest([Check.from_dict(row) for row in rows])
    if broken:
        checks.append(_broken(policy, number, broken, clock))
    now, spec = clock.now(), policy.phases[number]
    if overall(check.status for check in checks) is Status.PASS:
        checks += _unseen(spec, checks, managed, clock)
    status = overall(check.status for check in checks)
    previous = jsonio.read_json_or_none(_aside(root, number)) or {}
    attempts = previous.get("attempts", []) if previous.get("cycle_id") == cycle.get("cycle_id") else []
    decisive = next((check for check in checks if check.status is status and status is not Status.PASS), None)
    code = worst([_exit_code(number, check) for check in checks]) if checks else int(ExitCode.INCONCLUSIVE)
    verdict = {
        "schema": SCHEMA,
        "phase": number,
        "name": spec.name,
        "cycle_id": cycle.get("cycle_id"),
        "status": status.value,
        "exit_code": code,
        "owners": list(spec.owners),
        "managed": managed,
        "started_at": started_at,
        "finished_at": stamp(now),
        "expires_at": stamp(now + timedelta(minutes=policy.expiry_minutes(number))) if status is Status.PASS else None,
        "checks": [check.to_dict() for check in checks],
        "attempts": [*attempts, {"started_at": started_at, "finished_at": stamp(now), "status": status.value}],
        "sentence": _sentence(title(policy, number), number, checks, decisive),
        "next": decisive.next_step if decisive else "",
    }
    jsonio.write_json(root.phase(number), verdict)
    root.journal(number).unlink(missing_ok=True)
    _aside(root, number).unlink(missing_ok=True)
    return verdict


def _latest(checks: Sequence[Check]) -> list[Check]:
    """Return one check an id, the last one, with how often it was looked at: what was remedied is looked at again."""
    looks = Counter(check.id for check in checks)
    return [
        replace(check, attempts=max(check.attempts, looks[check.id]))
        for check in {check.id: check for check in checks}.values()
    ]


def _unseen(spec: PhaseSpec, checks: Sequence[Check], managed: bool, clock: Clock) -> list[Check]:
    """Return an inconclusive check for everything the plan asks of the phase that nothing looked at."""
    return [
        Check(
            id=f"unseen:{pattern}",
            title=box.text,
            status=Status.INCONCLUSIVE,
            seen=f"no check {pattern}",
            needed=f"evidence for: {box.text}",
            next_step=f"see why nothing looked at it in the inventory, then invoke phase --only {spec.number}",
            owner=spec.owners[0],
            at=stamp(clock.now()),
        )
        for box, pattern in spec.unseen((check.id for check in checks), managed=managed)
    ]


def _exit_code(number: int, check: Check) -> int:
    if check.status is Status.PASS:
        return int(ExitCode.OK)
    if check.exit_code is not None:
        return check.exit_code
    if number == 1 and check.status is Status.FAIL:
        return int(ExitCode.STOP)  # its checks were remedied once and looked at twice
    return int(ExitCode.NO_GO if check.status is Status.FAIL else ExitCode.INCONCLUSIVE)


def _refusal(number: int, broken: Mapping[str, Any]) -> SolidGreenError:
    """Return the error of the failed task again: without a cycle there is no verdict file that could keep it."""
    error = broken.get("error") or {}
    refusal = SolidGreenError(
        str(error.get("subject") or f"phase {number}"),
        found=str(error.get("found") or broken.get("msg") or "a task that failed without a word"),
        need=str(error.get("need") or "every task of the phase to end without an error"),
        next_step=str(error.get("next") or f"read the task's output, then invoke phase --only {number}"),
    )
    refusal.exit_code = ExitCode(broken.get("exit_code") or ExitCode.BAD_INPUT)
    return refusal


def _words(error: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Return what a failed task said, its subject first."""
    if error.get("found"):
        return ": ".join(str(error[key]) for key in ("subject", "found") if error.get(key))
    return str(result.get("msg") or "a task that failed without a word")


def _broken(policy: Policy, number: int, result: Mapping[str, Any], clock: Clock) -> Check:
    code = result.get("exit_code")
    error = result.get("error") or {}
    return Check(
        id="phase-completed",
        title="Every task of the phase ran",
        status=Status.FAIL if number not in RUN_PHASES or code in JUDGED else Status.INCONCLUSIVE,
        seen=_words(error, result)[:500],
        needed=str(error.get("need") or "every task of the phase to end without an error"),
        next_step=str(
            error.get("next") or f"read the task's output, mend its cause, then invoke phase --only {number}"
        ),
        owner=policy.phases[number].owners[0],
        at=stamp(clock.now()),
        exit_code=int(code) if isinstance(code, int) else None,
        facts={"subject": error.get("subject", "")},
    )


def _sentence(name: str, number: int, checks: Sequence[Check], decisive: Check | None) -> str:
    if not checks:
        return f"{name} inconclusive: nothing was looked at. Next: invoke phase --only {number}"
    if decisive is None:
        return f"{name} passed: {len(checks)} checks"
    return f"{name} {decisive.status.value}: {decisive.sentence()}"
