"""The decision: one function over the verdict files of the phases, the gates of the runs, and the cycle.

A GO needs positive evidence everywhere: a phase without a file has not passed, a pass that expired holds no longer, a
phase that says pass over a failed check is not believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import gates
from .check import Check, Status, overall
from .clock import parse, stamp
from .errors import BadInput, ExitCode, worst
from .policy import Deviation, Policy

SCHEMA = "solidgreen/decision/1"
PREFIX = "REHEARSAL"
NO_GO, INCONCLUSIVE = "NO-GO", "INCONCLUSIVE"
#: Levels in rising order: the phases each stands on and what it is called.
LEVELS: dict[str, tuple[tuple[int, ...], str]] = {
    "local": ((0, 1, 2, 3, 4), "LOCAL GO"),
    "solid": ((0, 1, 2, 3, 4, 5), "SOLID GREEN PENDING APPROVAL"),
}
#: Runs a phase rests on.
RUNS = {3: (("smoke", 1), ("smoke", 2)), 4: (("full", 1),)}
NEW_CYCLE = "invoke go --new-cycle"
RESTORE = f"restore the results from their snapshot, or {NEW_CYCLE}"
UNCAP = f"commit or undo what differs, then {NEW_CYCLE}"


@dataclass(frozen=True)
class Finding:
    """What stands in the way, or (code 0) what was found in order.

    :param state: ``pass``, ``fail``, ``inconclusive``, ``expired``, ``not run`` or ``not believed``
    """

    phase: int | None
    state: str
    code: int
    reason: str
    next_step: str


@dataclass(frozen=True)
class Decision:
    """A decision and why; ``level`` is the highest level reached, None where there is none."""

    decision: str
    rehearsal: bool | None
    level: str | None
    level_asked: str
    exit_code: int
    cycle_id: str | None
    phases: Mapping[str, str]
    deciding: str
    reasons: tuple[str, ...]
    deviations: tuple[str, ...]
    next: str
    at: str
    evidence: str = "DAY3_SIGNOFF.md"
    schema: str = SCHEMA

    def sentence(self) -> str:
        """Return the decision as one line a person reads."""
        return f"{self.decision}: {self.deciding}. Next: {self.next}"


def decide(
    phases: Mapping[int, Mapping[str, Any] | None],
    *,
    cycle: Mapping[str, Any] | None,
    policy: Policy,
    level_asked: str,
    gate_files: Mapping[str, Mapping[str, Any]],
    deviations: Sequence[Deviation],
    now: datetime,
    doubts: Mapping[str, str] | None = None,
) -> Decision:
    """Return the decision.

    :param phases: phase number to its verdict file, None (or absent) where there is none
    :param cycle: ``cycle.json``, None where no cycle is open
    :param gate_files: ``smoke1``, ``smoke2``, ``full1`` to the ``gates.json`` of that run
    :param deviations: numbers that are not the shipped policy's
    :param now: aware UTC; a pass that has expired by then no longer holds
    :param doubts: ``smoke1`` … to why the files about that run are not what its evidence gives
    :raises BadInput: an unknown level
    """
    if level_asked not in LEVELS:
        raise BadInput(
            "level", found=repr(level_asked), need=" or ".join(LEVELS), next_step="invoke go --level local|solid"
        )
    findings = {n: _phase(n, phases.get(n), cycle, policy, gate_files, now) for n in range(len(policy.phases))}
    general = _cycle(cycle, gate_files)
    for label, reason in (doubts or {}).items():
        # A run that the plan does not have speaks against its last one.
        number = next((n for n, runs in RUNS.items() if label in {f"{kind}{ordinal}" for kind, ordinal in runs}), 4)
        doubt = _not_believed(number, f"{label}: {reason}", RESTORE)
        if findings[number].state == "pass":
            findings[number] = doubt
        general.append(doubt)
    caps = [Finding(None, "capped", ExitCode.INCONCLUSIVE, cap, UNCAP) for cap in _caps(cycle, deviations)]
    waived = _waived(gate_files)
    caps += [Finding(None, "capped", ExitCode.INCONCLUSIVE, _carried(gate), gate["next_step"]) for gate, _ in waived]
    general += [
        Finding(None, "expired", ExitCode.INCONCLUSIVE, f"expired: {_carried(gate)}", gate["next_step"])
        for gate, waiver in waived
        if waiver is None or parse(str(waiver["expires"])) <= now
    ]
    # In the way of each level, most telling first: a gate that failed says more than the bar it led to.
    in_the_way = {
        name: [
            finding
            for finding in [
                *(general if cycle is None else ()),
                *(findings[n] for n in numbers),
                *(general if cycle is not None else ()),
                *_target(cycle),
                *(caps if name == "solid" else []),
            ]
            if finding.code
        ]
        for name, (numbers, _) in LEVELS.items()
    }
    reached = [name for name in LEVELS if not in_the_way[name]]
    level = reached[-1] if reached else None
    asked = in_the_way[level_asked]
    first = _first(asked)
    rehearsal = _rehearsal(cycle, phases)
    name = LEVELS[level][1] if level else _without_level(in_the_way["local"])
    name += " WITH WAIVER" if level and waived else ""
    telling = [finding for finding in asked if finding.state != "not run"]
    return Decision(
        decision=f"{PREFIX} {name}" if rehearsal else name,
        rehearsal=rehearsal,
        level=level,
        level_asked=level_asked,
        exit_code=worst([finding.code for finding in asked]),
        cycle_id=cycle.get("cycle_id") if cycle else None,
        phases={str(number): finding.state for number, finding in findings.items()},
        deciding=first.reason if first else _deciding_number(gate_files),
        reasons=tuple(dict.fromkeys(finding.reason for finding in telling or asked)),
        deviations=tuple(
            dict.fromkeys([d.text for d in deviations] + _said(gate_files) + [cap.reason for cap in caps])
        ),
        next=first.next_step if first else _onward(level, rehearsal),
        at=max((str(doc["finished_at"]) for doc in phases.values() if doc and doc.get("finished_at")), default=""),
    )


def _without_level(findings: Sequence[Finding]) -> str:
    """Return the name of a decision that reached no level: NO-GO where something speaks against, else INCONCLUSIVE."""
    against = {ExitCode.NO_GO, ExitCode.STOP, ExitCode.INTEGRITY}
    return NO_GO if against & {finding.code for finding in findings} else INCONCLUSIVE


def _first(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding that counts: the one whose exit code wins, the earliest of those."""
    code = worst([finding.code for finding in findings])
    return next((finding for finding in findings if finding.code == code), None)


# --- what is looked at ---------------------------------------------------------------------------------------------


def _phase(
    number: int,
    doc: Mapping[str, Any] | None,
    cycle: Mapping[str, Any] | None,
    policy: Policy,
    gate_files: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> Finding:
    name = f"phase {number} ({policy.phases[number].name})"
    again = f"invoke phase --only {number}"
    if doc is None:
        return Finding(number, "not run", ExitCode.INCONCLUSIVE, f"{name} left no verdict", again)
    try:
        status, checks = Status(doc["status"]), [Check.from_dict(entry) for entry in doc["checks"]]
        finished, stated = parse(str(doc["finished_at"])), doc.get("expires_at")
        expires = min(_after(finished, policy.expiry_minutes(number)), parse(str(stated))) if stated else None
        code = worst([int(doc.get("exit_code") or ExitCode.OK)])
    except (KeyError, ValueError, TypeError):
        return _not_believed(number, f"{name} left a file that is no verdict", again)
    if cycle is None or doc.get("cycle_id") != cycle.get("cycle_id") or doc.get("phase") != number:
        return _not_believed(number, f"{name} has the verdict of {doc.get('cycle_id')}, not of this cycle", again)
    ended = [
        str(run.get("ended_at") or "")
        for run in cycle.get("runs", ())
        if (run["kind"], run["ordinal"]) in RUNS.get(number, ())
    ]
    if any(Status.WAIVED is check.status for check in checks):
        return _not_believed(number, f"{name} has a check that says waived, which only a gate can be", again)
    if status is not Status.PASS and _milder(status, code, checks):
        return _not_believed(number, f"{name} says {status.value} over a check that says worse", again)
    if status is Status.PASS and any(end and parse(end) > finished for end in ended):
        return _not_believed(number, f"{name} finished at {doc['finished_at']}, before its runs did", again)
    if finished > now:
        return _not_believed(number, f"{name} finished at {doc['finished_at']}, which is not yet", again)
    if status is Status.PASS and overall(check.status for check in checks) is not Status.PASS:
        return _not_believed(number, f"{name} says pass over a check that did not", again)
    if status is not Status.PASS:
        check = next((check for check in checks if check.status is status), None)
        fallback = ExitCode.NO_GO if status is Status.FAIL else ExitCode.INCONCLUSIVE
        code = code or fallback
        if check is None:
            return Finding(number, status.value, code, f"{name} {status.value}: nothing was looked at", again)
        return Finding(number, status.value, code, _reason(number, check), check.next_step or again)
    driver = ((cycle.get("registration") or {}).get("target") or {}).get("driver", "external")
    # Only a stack that is registered as someone else's is excused from showing its environment and logs.
    managed = doc.get("managed") is not False or driver != "external"
    unseen = policy.phases[number].unseen((check.id for check in checks), managed=managed)
    if unseen:
        return _not_believed(number, f"{name} says pass without a check {unseen[0][1]}", again)
    if expires is None or expires <= now:
        when = f"expired at {stamp(expires)}" if expires else "states no expiry"
        return Finding(number, "expired", ExitCode.INCONCLUSIVE, f"{name}: its pass {when}", again)
    return _runs(number, name, cycle, policy, gate_files) or Finding(number, "pass", ExitCode.OK, f"{name} passed", "")


def _milder(status: Status, code: int, checks: Sequence[Check]) -> bool:
    """Tell whether a verdict that is no pass says less than its checks do, by status or by exit code."""
    if status is Status.INCONCLUSIVE and overall(check.status for check in checks) is Status.FAIL:
        return True
    failed = [check.exit_code for check in checks if check.status is Status.FAIL and check.exit_code]
    return bool(failed) and worst([code, *failed]) != code


def _after(moment: datetime, minutes: float) -> datetime:
    return moment + timedelta(minutes=minutes)


def _not_believed(number: int, reason: str, next_step: str) -> Finding:
    return Finding(number, "not believed", ExitCode.INTEGRITY, reason, next_step)


def _reason(number: int, check: Check) -> str:
    verb = "failed" if check.status is Status.FAIL else "is inconclusive"
    turn = check.facts.get("counterfactual")
    return f"phase {number}, {check.id} {verb}: {check.seen}, need {check.needed}" + (f"; {turn}" if turn else "")


def _runs(
    number: int,
    name: str,
    cycle: Mapping[str, Any],
    policy: Policy,
    gate_files: Mapping[str, Mapping[str, Any]],
) -> Finding | None:
    """Return what is wrong with the gates a passed phase rests on, None where each run has all of them passed."""
    for kind, ordinal in RUNS.get(number, ()):
        label = f"{kind}{ordinal}"
        file = gate_files.get(label)
        entry = next((r for r in cycle.get("runs", ()) if (r["kind"], r["ordinal"]) == (kind, ordinal)), None)
        if file is None or entry is None or entry["state"] != "finished":
            reason = f"{name} passed without the gates of {label}"
            return Finding(number, "inconclusive", ExitCode.INCONCLUSIVE, reason, f"invoke phase --only {number}")
        if file.get("run_id") != entry["run_id"]:
            return _not_believed(number, f"the gates of {label} judge {file.get('run_id')}, not this run", NEW_CYCLE)
        if file.get("policy_sha256") != policy.sha256:
            return _not_believed(number, f"{label} was judged by another policy than this one", NEW_CYCLE)
        judged = {(gate.get("scope"), gate.get("id")) for gate in file.get("gates", ())}
        missing = [gate.id for gate in policy.gates_for(kind, ordinal) if gate.key not in judged]
        if missing:
            return _not_believed(number, f"{label} was judged without {', '.join(missing)}", NEW_CYCLE)
        results = [gates.from_dict(entry) for entry in file["gates"]]
        if overall(result.effect for result in results) is not Status.PASS:
            return _not_believed(number, f"{name} says pass over gates of {label} that did not", NEW_CYCLE)
    return None


def _cycle(cycle: Mapping[str, Any] | None, gate_files: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Return what speaks against any level, whatever the phases say."""
    if cycle is None:
        return [Finding(None, "not run", ExitCode.INCONCLUSIVE, "no cycle is open", "invoke go")]
    found = []
    if cycle.get("barred"):
        reason = f"the runs are barred: {cycle['barred'].get('reason')}"
        found.append(Finding(None, "fail", ExitCode.NO_GO, reason, f'{NEW_CYCLE} --fix "what was changed"'))
    if cycle.get("demonstration"):
        reason = f"demonstration mode (rollback R2): {cycle['demonstration'].get('reason')}"
        found.append(Finding(None, "inconclusive", ExitCode.INCONCLUSIVE, reason, "invoke rollback --point R2 --undo"))
    eased = [label for label, file in gate_files.items() if file.get("rehearsal_pacing")]
    if eased and cycle.get("rehearsal") is False:
        reason = f"{' and '.join(eased)} judged with a rehearsal's pacing, the target is none"
        found.append(Finding(None, "not believed", ExitCode.INTEGRITY, reason, NEW_CYCLE))
    return found


def _rehearsal(cycle: Mapping[str, Any] | None, phases: Mapping[int, Mapping[str, Any] | None]) -> bool | None:
    """Return whether the target calls itself a rehearsal: as registered, before that as phases 1 and 2 heard it."""
    said = _said_of_rehearsal(cycle)
    if said:
        return True if True in said else bool(said[0])
    heard = [
        check.get("facts", {}).get("rehearsal")
        for number in (1, 2)
        for check in (phases.get(number) or {}).get("checks", [])
        if isinstance(check, Mapping) and check.get("id") == "target-identity"
    ]
    return bool(heard[-1]) if heard else None


def _said_of_rehearsal(cycle: Mapping[str, Any] | None) -> list[Any]:
    """Return whether the target is a rehearsal, as each place of the cycle says that tells it; its own first."""
    registered = (cycle or {}).get("registration") or {}
    places = [(cycle or {}).get("rehearsal"), registered.get("rehearsal")]
    places.append((registered.get("target") or {}).get("rehearsal"))
    return [each for each in places if each is not None]


def _not_believed_at_all(reason: str) -> Finding:
    return Finding(None, "not believed", ExitCode.INTEGRITY, reason, NEW_CYCLE)


def _target(cycle: Mapping[str, Any] | None) -> list[Finding]:
    """Return what is wrong with the target; a cycle learns only with its registration whether it is a rehearsal."""
    said = _said_of_rehearsal(cycle)
    if cycle is None or said:
        if len({bool(each) for each in said}) > 1:
            reason = "the cycle says both that its target is a rehearsal and that it is none"
            return [_not_believed_at_all(reason)]
        return []
    reason = "nobody asked the target whether it is a rehearsal"
    return [Finding(None, "inconclusive", ExitCode.INCONCLUSIVE, reason, "invoke phase --only 3")]


def _caps(cycle: Mapping[str, Any] | None, deviations: Sequence[Deviation]) -> list[str]:
    """Return what keeps the decision below SOLID GREEN."""
    caps = [deviation.text for deviation in deviations if deviation.loosens]
    git = ((cycle or {}).get("registration") or {}).get("git") or {}
    dirty = sorted(name for name, commit in git.items() if not commit.get("clean"))
    if dirty or not git:
        caps.append(f"the git tree of {' and '.join(dirty) or 'this project'} is not clean, or is none")
    return caps


def _waived(
    gate_files: Mapping[str, Mapping[str, Any]],
) -> list[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    """Return every waived gate with its waiver, None where the file of gates does not name it."""
    found = []
    for label in sorted(gate_files):
        held = {waiver["waives"]: waiver for waiver in gate_files[label].get("waivers", ()) if not waiver["refusal"]}
        found += [
            (gate, held.get(f"{gate['scope']}:{gate['id']}"))
            for gate in gate_files[label]["gates"]
            if gate["status"] == Status.WAIVED
        ]
    return found


def _carried(gate: Mapping[str, Any]) -> str:
    return f"{gate['subject']}:{gate['id']} is {gate['seen']}, need {gate['needed']}; {gate['waiver']}"


def _said(gate_files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [text for label in sorted(gate_files) for text in gate_files[label].get("deviations", ())]


def _deciding_number(gate_files: Mapping[str, Mapping[str, Any]]) -> str:
    results = [gates.from_dict(entry) for label in sorted(gate_files) for entry in gate_files[label]["gates"]]
    gate = gates.decisive(results)
    if gate is None:
        return "no gate was judged"
    return f"{gate.name}: {gate.seen}, need {gate.needed}; {gate.counterfactual}"


def _onward(level: str | None, rehearsal: bool | None) -> str:
    if level == "local":
        return "invoke phase --only 5, then invoke go --level solid"
    if rehearsal:
        return "invoke go --env workstation (a rehearsal cannot be signed as a GO)"
    return "invoke approve"
