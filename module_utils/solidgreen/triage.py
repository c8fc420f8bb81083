"""The triage of a phase: what is at hand about it, the likely causes beside its verdict, and the checks of phase 2.

It changes no verdict. Nothing here sees a label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import cycle as cycles
from . import jsonio, ledger, symptoms
from .causes import Causes
from .check import Check, Status
from .diagnosis import NAMED, OWNER, Diagnosis, Evidence, Finding, Log, Run, again, diagnose
from .errors import SolidGreenError
from .freeze import Command
from .logs import Text
from .paths import OBSERVATIONS, DataRoot
from .policy import Policy
from .symptoms import Record
from .verdict import UNKNOWN

SCHEMA = "solidgreen/triage/1"
#: Which runs a phase has.
RUNS = {2: "probe", 3: "smoke", 4: "full"}
_UNHEALTHY = re.compile(r"(?i)container (?P<container>[\w.-]+) is unhealthy")


# --- the checks of phase 2 -----------------------------------------------------------------------------------------


def checks(diagnosis: Diagnosis, *, owner: str = OWNER, problem: str = "") -> list[Check]:
    """Return the checks of phase 2 over probe cases: not all blocked, documents read, verdicts readable.

    :param problem: why no cause could be looked for; the checks hold without one
    """
    if problem:
        diagnosis = replace(diagnosis, unexplained=f"no cause was looked for, {problem}")
    return [
        _answered(diagnosis, owner),
        _not_uniformly_blocked(diagnosis, owner),
        _reading_proven(diagnosis, owner),
        _verdicts_readable(diagnosis, owner),
    ]


def _answered(diagnosis: Diagnosis, owner: str) -> Check:
    total, answers = diagnosis.facts["observations"], diagnosis.facts["answers"]
    status = Status.INCONCLUSIVE if not total else Status.PASS if answers == total else Status.FAIL
    kinds = ", ".join(f"{count} x {name}" for name, count in diagnosis.facts["outcomes"].items() if name != "answer")
    words = next(iter(diagnosis.facts["errors"]), "")
    return Check(
        id="cases-answered",
        title="Every probe case got an answer",
        status=status,
        seen=f"{answers} of {total} answered" + (f"; {kinds} ({words})" if kinds else ""),
        needed="an answer with a verdict for each",
        next_step="" if status is Status.PASS else diagnosis.next_step,
        owner=owner if status is Status.PASS else diagnosis.owner,
    )


def _not_uniformly_blocked(diagnosis: Diagnosis, owner: str) -> Check:
    verdicts = diagnosis.facts["verdicts"]
    stated = {name: count for name, count in verdicts.items() if name != UNKNOWN}
    total, blocked = sum(stated.values()), stated.get("blocked", 0)
    # One blocked case may be one that deserves it; two of two already say what the plan calls uniform.
    status = Status.PASS if total > blocked else Status.FAIL if total >= 2 else Status.INCONCLUSIVE
    seen = f"{blocked} of {total} verdicts blocked"
    return Check(
        id="not-uniformly-blocked",
        title="The API does not block everything",
        status=status,
        seen=seen if status is Status.PASS else f"{seen}: {diagnosis.cause}",
        needed="a case that is not blocked, of at least two with a verdict",
        next_step="" if status is Status.PASS else diagnosis.next_step,
        owner=owner if status is Status.PASS else diagnosis.owner,
        facts={"cause": diagnosis.cause, "diagnosis": diagnosis.facts},
    )


def _reading_proven(diagnosis: Diagnosis, owner: str) -> Check:
    read, looked = diagnosis.facts["answers_with_reading"], diagnosis.facts["answers_looked_into"]
    types = [name for name in diagnosis.facts["document_types"] if name.casefold() not in symptoms.UNRECOGNISED]
    # Two types, because a reader that calls everything a letter of credit has recognised nothing.
    proven = read > 0 and len(types) >= 2
    status = Status.PASS if proven else Status.FAIL if looked else Status.INCONCLUSIVE
    return Check(
        id="reading-proven",
        title="Documents were recognised and read",
        status=status,
        seen=f"{read} of {looked} answers with a document read, types {', '.join(types) or 'none'}",
        needed="an answer whose documents were read, of at least two types",
        next_step="" if proven else diagnosis.next_step,
        owner=owner if proven else diagnosis.owner,
    )


def _verdicts_readable(diagnosis: Diagnosis, owner: str) -> Check:
    unknown, total = diagnosis.facts["verdicts"].get(UNKNOWN, 0), diagnosis.facts["answers"]
    status = Status.FAIL if unknown else Status.PASS if total else Status.INCONCLUSIVE
    ways = {
        Status.PASS: "",
        Status.FAIL: "compare the keys in the diagnosis with the sources of policy/verdict_map.yml",
        Status.INCONCLUSIVE: diagnosis.next_step,
    }
    return Check(
        id="verdicts-readable",
        title="The verdict map reads the answers",
        status=status,
        seen=f"{unknown} of {total} answers without a readable verdict",
        needed="answers, each with a verdict the map knows",
        next_step=ways[status],
        owner=owner,
    )


# --- the triage of a phase -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ledger:
    """The terminal records of a run on disk: read whenever they are looked through, never kept."""

    path: Path
    lines: int

    def __iter__(self) -> Iterator[Record]:
        """Yield the terminal records of the lines whose chain was followed."""
        for number, record in enumerate(jsonio.read_jsonl(self.path), start=1):
            if number > self.lines:
                return
            if record.get("type") == "observation":
                yield record


def run_on_disk(path: Path, *, policy: Policy, sent: Mapping[str, str] | None) -> Run:
    """Return the run whose record lies at *path*.

    :param sent: the constant fields of the request template
    :raises SolidGreenError: there is none, or its chain is broken
    """
    known = ledger.read(path, keep=False)
    registration = known.registration
    kind, ordinal = registration.get("kind", "run"), registration.get("ordinal", 0)
    label = f"{kind}{ordinal}" if ordinal else str(kind)
    return Run(
        label,
        symptoms.of_run(registration, policy=policy, sent=sent),
        Ledger(path, known.lines),
        str(registration.get("at") or ""),
    )


def gather(
    root: DataRoot, verdict: Mapping[str, Any], *, policy: Policy, sent: Mapping[str, str] | None, logs: Sequence[Log]
) -> Evidence:
    """Return what is at hand about a concluded phase: its checks, the records of its runs, the logs."""
    number, found = int(verdict["phase"]), [Check.from_dict(entry) for entry in verdict["checks"]]
    closed = [f"log of {log.text.service}: {log.text.problem}" for log in logs if log.text.problem]
    runs = []
    for run_id in _run_ids(root, number, found):
        try:
            runs.append(run_on_disk(root.run(run_id) / OBSERVATIONS, policy=policy, sent=sent))
        except SolidGreenError as error:
            closed.append(f"record of {run_id}: {error.found}")
    return Evidence(
        number,
        str(verdict["status"]),
        str(verdict["started_at"]),
        found,
        tuple(runs),
        tuple(logs),
        tuple(closed),
    )


def _run_ids(root: DataRoot, number: int, found: Sequence[Check]) -> list[str]:
    """Return the runs of a phase: those its checks name, and those the cycle knows of that left no check."""
    named = [str(check.facts["run_id"]) for check in found if check.facts.get("run_id")]
    known = [run["run_id"] for run in (cycles.load(root) or {}).get("runs", ()) if run["kind"] == RUNS.get(number)]
    return list(dict.fromkeys([*known, *named]))


def health_logs(verdict: Mapping[str, Any], run: Command, docker_host: str = "") -> list[Log]:
    """Ask the engine what the health check of each container said that a phase found unhealthy."""
    found = [Check.from_dict(entry) for entry in verdict["checks"]]
    host = ["--host", docker_host] if docker_host else []
    names = {name[1] for check in found if check.status is not Status.PASS for name in _UNHEALTHY.finditer(check.seen)}
    logs = []
    for name in sorted(names):
        wanted = "{{range .State.Health.Log}}{{.Output}}{{end}}"
        outcome = run(["docker", *host, "inspect", "--format", wanted, name])
        problem = "" if outcome.rc == 0 and outcome.said else outcome.said or "it says nothing"
        lines = () if problem else (outcome.said,)
        logs.append(Log(Text(f"health:{name}", lines, 0, problem), f"docker inspect {name}"))
    return logs


def report(evidence: Evidence, verdict: Mapping[str, Any], causes: Causes) -> dict[str, Any]:
    """Return the triage of a phase as plain values: what is written beside its verdict.

    ``lines`` is what a person sees of it: a line a cause, the first :data:`NAMED`.
    """
    number, name = verdict["phase"], f"phase {verdict['phase']} ({verdict['name']})"
    diagnosis = diagnose(evidence, causes)
    if diagnosis.causes:
        lines = [finding.sentence() for finding in diagnosis.causes[:NAMED]]
        sentence = f"{name}, likely cause: {lines[0]}"
    else:
        closed = diagnosis.facts["not_looked_at"]
        nothing = diagnosis.cause + (f"; not looked at: {', '.join(closed)}" if closed else "")
        lines = [f"{nothing}. Next: {verdict['next'] or again(evidence.phase, evidence.status)}"]
        sentence = f"{name}: {lines[0]}"
    plain: dict[str, Any] = jsonio.to_plain(
        {
            "schema": SCHEMA,
            "phase": number,
            "name": verdict["name"],
            "cycle_id": verdict["cycle_id"],
            "status": verdict["status"],
            "at": verdict["finished_at"],
            "causes_sha256": causes.sha256,
            "causes": [_plain(finding) for finding in diagnosis.causes],
            "facts": diagnosis.facts,
            "lines": lines,
            "sentence": sentence,
        }
    )
    return plain


def _plain(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values; what a pattern named stands in its next step."""
    plain: dict[str, Any] = jsonio.to_plain(finding)
    for trace in plain["evidence"]:
        del trace["captured"]
    return plain
