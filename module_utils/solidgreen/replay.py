"""A cycle recomputed from its evidence, byte for byte, and what another policy would have decided; nothing is written.

Taken as given are the observations, the labels, the policy, the verdict files of phases 0 to 2 and 5, what the judge of
a run was told from outside (digests of the inputs, in its file of gates) and the checks of phases 3 and 4 that are no
gates. Everything else is worked out anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

from . import cycle as cycles
from . import jsonio, judgement, ledger, metrics, report
from .check import Check, Status, overall
from .clock import parse, stamp
from .decision import LEVELS, Decision, decide
from .errors import ANOTHER_FORM, BadInput, ExitCode, IntegrityError, SolidGreenError, another_form, worst
from .judgement import COPIED, GATES, METRICS, ROWS, Judgement, document
from .paths import OBSERVATIONS, DataRoot
from .phase import RUN_PHASES
from .policy import Deviation, Policy, deviations
from .report import Picture

SAME, DIFFERS, MISSING = "same", "differs", "missing"
#: What a file that somebody signed anew, or wrote by hand, breaks with.
Files = dict[Path, bytes]


@dataclass(frozen=True)
class Artifact:
    """One file (or part of one) against what the evidence gives; ``detail`` says where they part."""

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Replay:
    """Every artifact of a cycle, the decision that the evidence gives, and the moment as of which it does.

    ``commit`` is that of this project when the cycle was registered: another version may write other bytes.
    """

    cycle_id: str
    commit: str | None
    artifacts: tuple[Artifact, ...]
    decision: Decision
    as_of: str

    @property
    def exit_code(self) -> int:
        """0 where everything is the same, else 14."""
        return int(ExitCode.OK if all(each.state == SAME for each in self.artifacts) else ExitCode.INTEGRITY)


@dataclass(frozen=True)
class Turned:
    """A gate that comes out otherwise; None where one of the policies does not have it, or the run was not judged."""

    name: str
    before: str | None
    after: str | None
    seen: str
    needed: str


@dataclass(frozen=True)
class Other:
    """What another policy would have decided, beside what was decided."""

    cycle_id: str
    decided: str | None
    decision: Decision
    deviations: tuple[Deviation, ...]
    turned: tuple[Turned, ...]


def replay(root: DataRoot, policy: Policy, *, shipped: Policy | None) -> Replay:
    """Return every artifact of the cycle against what its evidence gives.

    The decision is taken as of the moment that gives the bytes that lie there: passes expire, and nothing tells when it
    was taken but the moments from which on it could be no other. Where no moment does, as of its last phase.

    :param policy: the one the cycle was registered with
    :param shipped: the policy the numbers are compared with, where it can be read
    :raises BadInput: no cycle is open there
    :raises IntegrityError: the policy is another one, or a file that is taken as given has another form
    """
    cycle = _cycle(root)
    registered = _registered_policy(cycle)
    if registered not in (None, policy.sha256):
        raise IntegrityError(
            f"policy of {cycle['cycle_id']}",
            found=f"another one (sha256 {policy.sha256[:12]})",
            need=f"the one that was registered ({str(registered)[:12]})",
            next_step="check out the commit of the cycle, or see what this one would have decided: --policy FILE",
        )
    try:
        return _replay(root, policy, shipped, cycle)
    except ANOTHER_FORM as error:
        raise another_form(f"evidence of {cycle.get('cycle_id')}", error) from error


def what_if(root: DataRoot, policy: Policy, *, shipped: Policy | None) -> Other:
    """Return what would have been decided by that policy over the same evidence, right after the last phase.

    The cycle is taken to have been registered with it; everything else about the registration stands.

    :raises BadInput: no cycle is open there
    :raises IntegrityError: a file that is taken as given has another form
    """
    cycle = _cycle(root)
    try:
        return _what_if(root, policy, shipped, cycle)
    except ANOTHER_FORM as error:
        raise another_form(f"evidence of {cycle.get('cycle_id')}", error) from error


def registered_policy(root: DataRoot) -> tuple[Path | None, str | None]:
    """Return where the cycle's policy lay when it was registered, and its digest.

    :raises BadInput: no cycle is open there
    """
    cycle = _cycle(root)
    path = ((cycle.get("registration") or {}).get("files") or {}).get("policy")
    return Path(path) if isinstance(path, str) else None, _registered_policy(cycle)


def _cycle(root: DataRoot) -> dict[str, Any]:
    found = cycles.load(root)
    if found is None:
        raise BadInput(
            str(root.results),
            found="no cycle",
            need="the results of one",
            next_step="name its data root with --data-root, or run one: invoke go",
        )
    return found


def _registered_policy(cycle: Mapping[str, Any]) -> str | None:
    digests: Mapping[str, str | None] = (cycle.get("registration") or {}).get("digests") or {}
    return digests.get("policy")


# --- runs ----------------------------------------------------------------------------------------------------------


def _replay(root: DataRoot, policy: Policy, shipped: Policy | None, cycle: Mapping[str, Any]) -> Replay:
    found: list[Artifact] = []
    judged: dict[str, Judgement] = {}
    made: Files = {}
    for run in _judged(root, cycle):
        folder = root.run(run["run_id"])
        found.append(_record(root, run))
        try:
            again = _judge(root, policy, run, cycle, _or_none(folder / GATES) or {})
        except SolidGreenError as error:
            found += [Artifact(_name(root, folder), DIFFERS, f"{error.subject}: {error.found}")]
            continue
        judged[f"{run['kind']}{run['ordinal']}"] = again
        made |= {folder / name: data for name, data in again.files.items()}
    if judged:
        last = list(judged.values())[-1]
        made |= {root.results / name: last.files[name] for name in COPIED}
        rows = _rows(root, judged)
        made |= {root.day3_results: rows} if rows or root.day3_results.exists() else {}
    phases: dict[int, Mapping[str, Any] | None] = {}
    in_phases: list[Artifact] = []
    for spec in policy.phases:
        number = spec.number
        if number not in RUN_PHASES:
            phases[number] = jsonio.read_json_or_none(root.phase(number))
            continue
        runs = [each for each in judged.values() if each.results[0].phase == number]
        phases[number], artifact = _phase(root, number, runs, spec.owners[0])
        in_phases += [artifact] if artifact else []
        if phases[number]:
            made[root.phase(number)] = document(phases[number])
    # What was doubted when the decision was taken may since have been put right, and the other way round.
    fine = all(each.state == SAME for each in found) and all(_is(path, data) for path, data in made.items())
    doubts = {} if fine else judgement.doubts(root, policy, cycle)
    decision, as_of, reports = _decided(root, policy, shipped, cycle, phases, judged, doubts, made)
    compared = [path for path in made if path.parent != root.phases]
    found += [_compared(root, path, made[path]) for path in compared]
    found += [*in_phases, *(_compared(root, path, data) for path, data in reports.items())]
    commit = (((cycle.get("registration") or {}).get("git") or {}).get("solidgreen") or {}).get("commit")
    return Replay(str(cycle["cycle_id"]), commit, tuple(found), decision, as_of)


def _judged(root: DataRoot, cycle: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the runs of the cycle of which anything says that they were judged."""
    rows = root.day3_results.read_bytes() if root.day3_results.is_file() else b""
    for run in cycle["runs"]:
        written = [root.run(run["run_id"]) / name for name in (*COPIED, ROWS, GATES)]
        if any(path.exists() for path in written) or f'"{run["run_id"]}"'.encode() in rows:
            yield run


def _judge(
    root: DataRoot,
    policy: Policy,
    run: Mapping[str, Any],
    cycle: Mapping[str, Any],
    written: Mapping[str, Any],
) -> Judgement:
    return judgement.judge_run(
        root,
        policy,
        run_id=run["run_id"],
        kind=run["kind"],
        ordinal=run["ordinal"],
        cycle=cycle,
        digests=written.get("digests") or {},
        rehearsal_pacing=written.get("rehearsal_pacing") is not False,
    )


def _record(root: DataRoot, run: Mapping[str, Any]) -> Artifact:
    """Return whether the record of a run is whole: every line bound to the one before, and its end on record."""
    path = root.run(run["run_id"]) / OBSERVATIONS
    name = _name(root, path)
    if not path.exists():
        return Artifact(name, MISSING)
    try:
        record = ledger.verify(path) if run["state"] == "open" else ledger.closed(path, run["state"])
        cycles.require_record(run, path, record.registration.get("sha256"))
    except SolidGreenError as error:
        return Artifact(name, DIFFERS, f"{error.subject.removeprefix(str(path)).strip()} {error.found}".strip())
    return Artifact(name, SAME)


def _rows(root: DataRoot, judged: Mapping[str, Judgement]) -> bytes:
    """Return the results of the cycle by the rows of its runs, those of the old command line between them.

    The order of the runs is that of the file, which is only ever appended to; a run that is not in it comes last.
    """
    lines = root.day3_results.read_bytes().splitlines(keepends=True) if root.day3_results.is_file() else []
    rows = {each.run_id: each.files[ROWS] for each in judged.values()}
    order = list(dict.fromkeys(filter(None, map(_run_of, lines))))
    rows |= {run_id: _rows_of(root, run_id) for run_id in order if run_id not in rows}
    return b"".join(rows[run_id] for run_id in [*order, *(name for name in rows if name not in order)])


def _run_of(line: bytes) -> str | None:
    try:
        found = json.loads(line).get("run_id")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _rows_of(root: DataRoot, run_id: str) -> bytes:
    """Return the rows of a run that is none of the cycle's, nothing where it has no record that gives any."""
    path = root.run(run_id) / OBSERVATIONS
    if Path(run_id).name != run_id or not path.is_file():
        return b""
    try:
        record = ledger.verify(path)
        joined = metrics.join([record.registration, *record.observations], jsonio.read_json(root.labels)["labels"])
    except SolidGreenError:
        return b""
    return b"".join(jsonio.canonical(row) + b"\n" for row in joined)


# --- phases --------------------------------------------------------------------------------------------------------


def _phase(
    root: DataRoot, number: int, runs: Sequence[Judgement], owner: str
) -> tuple[Mapping[str, Any] | None, Artifact | None]:
    """Return the verdict of a phase with the gates that the evidence gives, and how the file fares against it."""
    path = root.phase(number)
    name = f"{_name(root, path)} (gates)"
    if not path.is_file():
        return None, Artifact(name, MISSING) if runs else None
    try:
        written = jsonio.read_json(path)
    except IntegrityError as error:
        return None, Artifact(name, DIFFERS, error.found)
    again = _with_gates(written, runs, owner)
    if again == written:
        return written, replace(_compared(root, path, document(written)), name=name)
    before, after = ({check["id"]: check for check in doc["checks"]} for doc in (written, again))
    names = [each for each in {**after, **before} if before.get(each) != after.get(each)]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return again, Artifact(name, DIFFERS, shown or "the order of its checks, or what they come to")


def _with_gates(
    written: Mapping[str, Any], runs: Sequence[Judgement], owner: str, *, minutes: float | None = None
) -> dict[str, Any]:
    """Return a phase's verdict with the gates of these runs in the place of its own.

    Where that changes none of its checks, it is the verdict as it was written.

    :param minutes: how long a pass holds that it did not have before
    """
    gates = {check.id: check for run in runs for check in run.checks(owner)}
    checks: list[Check] = []
    for entry in written["checks"]:
        check = Check.from_dict(entry)
        if check.id in gates:
            checks.append(replace(gates.pop(check.id), attempts=check.attempts))
        elif "gate" not in check.facts:
            checks.append(check)
    checks += gates.values()
    plain = [check.to_dict() for check in checks]
    if plain == written["checks"]:
        return dict(written)
    status = overall(check.status for check in checks)
    fallback = {Status.FAIL: ExitCode.NO_GO, Status.INCONCLUSIVE: ExitCode.INCONCLUSIVE, Status.PASS: ExitCode.OK}
    codes = [
        int(fallback[check.status] if check.exit_code is None else check.exit_code)
        for check in checks
        if check.status is not Status.PASS
    ]
    expires = written.get("expires_at")
    if status is Status.PASS and not expires and minutes is not None:
        expires = stamp(parse(str(written["finished_at"])) + timedelta(minutes=minutes))
    return {**written, "status": status.value, "exit_code": worst(codes), "expires_at": expires, "checks": plain}


# --- the decision --------------------------------------------------------------------------------------------------


def _decided(
    root: DataRoot,
    policy: Policy,
    shipped: Policy | None,
    cycle: Mapping[str, Any],
    phases: Mapping[int, Mapping[str, Any] | None],
    judged: Mapping[str, Judgement],
    doubts: Mapping[str, str],
    made: Files,
) -> tuple[Decision, str, Files]:
    """Return the decision, the moment as of which it is taken, and the files that it and its reports are.

    :param doubts: what the files of the runs are doubted for by now
    :param made: what was recomputed so far, for the list of the evidence
    """
    gate_files = {label: json.loads(each.files[GATES]) for label, each in judged.items()}
    summaries = {label: json.loads(each.files[METRICS]) for label, each in judged.items()}
    differing = deviations(policy, shipped)
    taken: list[tuple[Decision, str]] = []
    for level, doubted, moment in product(
        _levels(root), [{}, doubts] if doubts else [{}], _moments(policy, phases, gate_files)
    ):
        decision = decide(
            phases,
            cycle=cycle,
            policy=policy,
            level_asked=level,
            gate_files=gate_files,
            deviations=differing,
            now=moment,
            doubts=doubted,
        )
        if all(decision != known for known, _ in taken):
            taken.append((decision, stamp(moment)))
    # The decision that lies there tells which; where it is none of them, the one most of the reports are of.
    told = [each for each in taken if _is(root.decision, document(each[0]))] or taken
    made_of = [
        (*each, _reports(root, Picture(jsonio.to_plain(each[0]), policy, cycle, phases, gate_files, summaries), made))
        for each in told
    ]
    return max(made_of, key=lambda each: sum(_is(path, data) for path, data in each[2].items()))


def _levels(root: DataRoot) -> list[str]:
    """Return the levels that may have been asked for, the one that the decision says first."""
    said = (_or_none(root.decision) or {}).get("level_asked")
    return sorted(LEVELS, key=lambda level: (level != said, level != "solid"))


def _moments(
    policy: Policy,
    phases: Mapping[int, Mapping[str, Any] | None],
    gate_files: Mapping[str, Mapping[str, Any]],
) -> list[datetime]:
    """Return a moment of each span of time within which the decision is the same, that after the last phase first.

    It changes where a phase ends, where a pass or a waiver does, and never in between.
    """
    ends, turns = [], []
    for number, doc in phases.items():
        with contextlib.suppress(KeyError, TypeError, ValueError):
            end = parse(str((doc or {})["finished_at"]))
            ends.append(end)
            turns.append(end + timedelta(minutes=policy.expiry_minutes(number)))
            turns.append(parse(str((doc or {})["expires_at"])))
    for file in gate_files.values():
        for waiver in file.get("waivers", ()):
            with contextlib.suppress(KeyError, ValueError):
                turns.append(parse(str(waiver["expires"])))
    last = max(ends, default=datetime.fromtimestamp(0, UTC))  # where no phase ended, every moment is the same
    later = sorted({turn for turn in turns if turn > last})
    earlier = sorted({turn for turn in [*ends, *turns] if turn < last}, reverse=True)
    return [last, *later, *earlier, *(earlier[-1:] and [earlier[-1] - timedelta(seconds=1)])]


def _reports(root: DataRoot, picture: Picture, made: Files) -> Files:
    """Return the decision, the reports and the list of evidence files, which lists the others."""
    files = {
        root.decision: document(picture.decision),
        root.signoff: report.signoff(picture).encode(),
        root.checklist: report.checklist(picture).encode(),
        root.report: report.html(picture).encode(),
        root.junit: report.junit(picture),
    }
    path = root.evidence / "manifest.json"
    return {**files, path: _manifest(root, picture, {**made, **files}, _or_none(path) or {})}


def _manifest(root: DataRoot, picture: Picture, made: Files, written: Mapping[str, Any]) -> bytes:
    """Return the list of evidence files over what was recomputed, and for what is given over what lies there.

    The plan's own document may lie anywhere: its digest is the registered one, its size the one that was listed.
    """
    listed = {entry["path"]: entry for entry in written.get("files", ())}
    plan = next((n for n in (*listed, *written.get("missing", ())) if n.startswith("plan/")), None)
    registered = ((picture.cycle or {}).get("registration") or {}).get("digests") or {}
    files, missing = [], []
    for name, path, role in report.evidence_files(root, picture, Path(plan) if plan else None):
        data = made.get(path)
        if name == plan and name in listed:
            files.append({**listed[name], "sha256": registered.get("plan") or listed[name]["sha256"], "role": role})
        elif data is not None:
            files.append({"path": name, "sha256": jsonio.sha256_bytes(data), "bytes": len(data), "role": role})
        elif path.is_file() and name != plan:
            digest, size = jsonio.sha256_file(path), path.stat().st_size
            files.append({"path": name, "sha256": digest, "bytes": size, "role": role})
        else:
            missing.append(name)
    return document({**report.manifest(root, picture), "files": files, "missing": missing})


# --- comparing -----------------------------------------------------------------------------------------------------


def _compared(root: DataRoot, path: Path, data: bytes) -> Artifact:
    name = _name(root, path)
    if not path.is_file():
        return Artifact(name, MISSING)
    found = path.read_bytes()
    if found == data:
        return Artifact(name, SAME)
    same = next((at for at, (one, two) in enumerate(zip(found, data, strict=False)) if one != two), None)
    at = min(len(found), len(data)) if same is None else same
    line = found.count(b"\n", 0, at) + 1
    where = f"line {line}, byte {at + 1} of {len(data)}"
    names = _gates_apart(found, data) if path.name == GATES else ""
    return Artifact(name, DIFFERS, f"{where}: {names}" if names else where)


def _gates_apart(found: bytes, data: bytes) -> str:
    """Return which gates two files of gates have otherwise, nothing where it is something else or no such file."""
    try:
        sides = [{(gate["subject"], gate["id"]): gate for gate in json.loads(side)["gates"]} for side in (found, data)]
    except (ValueError, TypeError, KeyError):
        return ""
    names = [key for key in {**sides[1], **sides[0]} if sides[0].get(key) != sides[1].get(key)]
    return ", ".join(":".join(map(str, key)) for key in names)


def _is(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _or_none(path: Path) -> dict[str, Any] | None:
    """Return what a file says that is compared and not believed, None where there is none or it cannot be read."""
    try:
        return jsonio.read_json_or_none(path)
    except IntegrityError:
        return None


def _name(root: DataRoot, path: Path) -> str:
    return str(path.relative_to(root.results))


# --- another policy ------------------------------------------------------------------------------------------------


def _what_if(root: DataRoot, policy: Policy, shipped: Policy | None, cycle: Mapping[str, Any]) -> Other:
    registered = _registered_policy(cycle)
    if registered:
        cycle = deepcopy(dict(cycle))
        cycle["registration"]["digests"]["policy"] = policy.sha256
    judged: dict[str, Judgement] = {}
    turned: list[Turned] = []
    for run in _judged(root, cycle):
        written = _or_none(root.run(run["run_id"]) / GATES) or {}
        told = {
            name: policy.sha256 if (name, value) == ("policy", registered) else value
            for name, value in (written.get("digests") or {}).items()
        }
        again = _judge(root, policy, run, cycle, {**written, "digests": told})
        judged[f"{run['kind']}{run['ordinal']}"] = again
        turned += _turned(written, again)
    phases: dict[int, Mapping[str, Any] | None] = {}
    for spec in policy.phases:
        phases[spec.number] = doc = jsonio.read_json_or_none(root.phase(spec.number))
        if doc and spec.number in RUN_PHASES:
            runs = [each for each in judged.values() if each.results[0].phase == spec.number]
            minutes = policy.expiry_minutes(spec.number)
            phases[spec.number] = _with_gates(doc, runs, spec.owners[0], minutes=minutes)
    gate_files = {label: json.loads(each.files[GATES]) for label, each in judged.items()}
    differing = deviations(policy, shipped)
    decision = decide(
        phases,
        cycle=cycle,
        policy=policy,
        level_asked=_levels(root)[0],
        gate_files=gate_files,
        deviations=differing,
        now=_moments(policy, phases, gate_files)[0],
    )
    decided = (_or_none(root.decision) or {}).get("decision")
    return Other(str(cycle["cycle_id"]), decided, decision, tuple(differing), tuple(turned))


def _turned(written: Mapping[str, Any], again: Judgement) -> Iterator[Turned]:
    before = {f"{gate['subject']}:{gate['id']}": gate for gate in written.get("gates") or ()}
    after = {result.name: result for result in again.results}
    for name in {**after, **before}:
        old, new = before.get(name), after.get(name)
        was, now = old["status"] if old else None, new.status.value if new else None
        if was != now:
            seen, needed = (new.seen, new.needed) if new else (old["seen"], old["needed"]) if old else ("", "")
            yield Turned(name, was, now, seen, needed)
