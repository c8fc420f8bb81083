"""A run judged: from its ledger, the labels and the policy to metrics and gates.

Labels are read here and nowhere earlier; the observations are on disk by then. The same files give the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from . import cases, early, gates, jsonio, ledger, metrics, shards, verdict, waivers
from .check import Check, Status
from .clock import parse
from .errors import ANOTHER_FORM, BadInput, IntegrityError, SolidGreenError
from .manifest import Label
from .metrics import Tally
from .paths import OBSERVATIONS, SNAPSHOT_PREFIX, DataRoot
from .policy import Policy
from .power import run_power
from .selection import draw
from .verdict import VerdictMap
from .waivers import Waiver

#: What is written for a run; the results folder holds a copy of the latest judged run's.
METRICS, CONFUSION, FAILED, RATE_LIMIT = (
    "metrics_summary.json",
    "confusion_matrix.csv",
    "failed_cases.csv",
    "rate_limit_stats.json",
)
#: Settings of the pacing that a run must have as they were registered.
PACED = ("min_interval", "max_in_flight", "retries_429", "budget_minutes")
COPIED = (METRICS, CONFUSION, FAILED, RATE_LIMIT)
ROWS, GATES = "results.jsonl", "gates.json"


@dataclass(frozen=True)
class Evidence:
    """What a run's ledger gives: its registration, joined rows, whether the chain is whole, how it ended, its pace.

    ``lines`` are the rows as a results file has them, ``verdicts`` those that do not follow again from the recorded
    answers.
    """

    registration: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    chain: Tally | None
    active_minutes: float | None
    missing: Sequence[str] = ()
    ended: str | None = None
    pace: Mapping[str, Any] | None = None
    verdicts: Tally | None = None
    smallest_gap_s: float | None = None
    lines: bytes = b""


@dataclass(frozen=True)
class Ground:
    """What a run is judged against: labels, the first smoke (of the second), waivers, what its rows do not tell.

    ``smokes`` are the rows of both smokes of the cycle, by run label, where the run is the full one.
    """

    labels: Mapping[str, Mapping[str, Any]]
    first_rows: Sequence[Mapping[str, Any]]
    facts: gates.Facts
    waivers: Sequence[Waiver] = ()
    smokes: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def unsent(self, cases: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the labels of those cases; one without a label is for the gate over the registration."""
        return {case: self.labels[case] for case in cases if case in self.labels}


@dataclass(frozen=True)
class Judgement:
    """A run's rows, metrics and gates, and what they come to; ``early`` where it was ended before its last case.

    ``refused`` are the waivers that are not in force, with the reason. They are said and stand in no file: one that is
    put beside the evidence later must not make another judgement of it.
    """

    run_id: str
    kind: str
    ordinal: int
    rows: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    results: Sequence[gates.GateResult]
    conclusion: gates.Conclusion
    files: Mapping[str, bytes]
    early: bool = False
    refused: Sequence[str] = ()

    def checks(self, owner: str) -> list[Check]:
        """Return the gates that bear on the phase as checks; a gate without an effect or data is only in its file.

        So is one that a run left open that was ended early, because another had failed.
        """
        at = self.summary["finished_at"] or ""
        settled = self.early and self.conclusion.status is Status.FAIL
        return [
            result.check(owner, at)
            for result in self.results
            if result.effect is not Status.PASS or result.status is Status.PASS
            if not (settled and result.status is Status.INCONCLUSIVE)
        ]


def judge_run(
    root: DataRoot,
    policy: Policy,
    *,
    run_id: str,
    kind: str,
    ordinal: int,
    cycle: Mapping[str, Any] | None,
    digests: Mapping[str, str | None] | None = None,
    rehearsal_pacing: bool = True,
) -> Judgement:
    """Return the judgement over one run of the cycle; nothing is written.

    A run without evidence, or with a damaged ledger, is judged too: its gates say so. The second smoke is judged
    against the cycle's first.

    :param cycle: ``cycle.json``: what was registered, the other runs, whether the target is a rehearsal
    :param digests: digests of the inputs as they were read after the run, by the names of the registration; a name
        that was registered and that neither they nor the evidence tell counts as changed
    :param rehearsal_pacing: judge the pacing of a target that is a rehearsal as one; no other target is
    :raises IntegrityError: the ledger is of another run
    """
    against = _first_smoke(cycle) if (kind, ordinal) == ("smoke", 2) else None
    under = ground(root, policy, kind=kind, ordinal=ordinal, cycle=cycle, rehearsal_pacing=rehearsal_pacing)
    state = _state(cycle, run_id)
    evidence = read_run(root, run_id, under.labels, kind=kind, ordinal=ordinal, state=state)
    summary = metrics.summarise(evidence.rows, policy.level)
    facts = replace(
        under.facts,
        ledger=evidence.chain,
        registration=_with_faults(
            registration_tally(root, policy, evidence.registration, cycle, digests, labels=under.labels),
            borrowed(under.smokes, evidence.rows),
        ),
        pacing=evidence.registration.get("pacing"),
        active_minutes=evidence.active_minutes,
        verdicts=evidence.verdicts,
        smallest_gap_s=evidence.smallest_gap_s,
    )
    # However it ended before its last case, what is certain by then counts; it is worked out from the evidence alone.
    unsent = under.unsent(evidence.missing) if evidence.ended not in (None, "finished") else {}
    run = early.Partial(policy, kind, ordinal, evidence.rows, unsent, facts, under.first_rows)
    pair = run.pair
    results = waivers.apply(run.settled(), under.waivers, ended_at(summary))
    conclusion = gates.conclude(results)
    gate_file = {
        "schema": gates.SCHEMA,
        "run_id": run_id,
        "kind": kind,
        "ordinal": ordinal,
        "against": against,
        "policy_sha256": policy.sha256,
        "digests": dict(digests or {}),
        "rehearsal_pacing": facts.rehearsal_pacing,
        "status": conclusion.status,
        "exit_code": conclusion.exit_code,
        "sentence": conclusion.sentence,
        "deviations": conclusion.deviations,
        "unsent": list(evidence.missing),
        "power": chances(policy, kind, summary["comparable"]),
        "flips": pair.consistency["flips"] if pair else [],
        "waivers": [waiver for waiver in under.waivers if waiver.carries(results)],
        "gates": results,
    }
    files = {
        ROWS: evidence.lines,
        METRICS: document(summary),
        CONFUSION: metrics.confusion_csv(summary).encode(),
        FAILED: metrics.failed_csv(evidence.rows).encode(),
        RATE_LIMIT: document(
            metrics.rate_limit_stats(evidence.rows, evidence.registration.get("pacing"), evidence.pace)
        ),
        GATES: document(gate_file),
    }
    return Judgement(
        run_id,
        kind,
        ordinal,
        evidence.rows,
        summary,
        results,
        conclusion,
        files,
        early=evidence.ended == early.ENDED,
        refused=[waiver.said() for waiver in under.waivers if waiver.refusal],
    )


def ground(
    root: DataRoot,
    policy: Policy,
    *,
    kind: str,
    ordinal: int,
    cycle: Mapping[str, Any] | None,
    rehearsal_pacing: bool = True,
) -> Ground:
    """Return what a run of the cycle is judged against; see :func:`judge_run` for the arguments."""
    labels = _labels(root)
    against = _first_smoke(cycle) if (kind, ordinal) == ("smoke", 2) else None
    first = read_run(root, against, labels, kind=kind, ordinal=1, state=_state(cycle, against)) if against else None
    rows = first.rows if first else ()
    smokes = _smokes(root, cycle, labels) if kind == "full" else {}
    facts = gates.Facts(
        prior=metrics.summarise(rows, policy.level) if rows else _prior(root, kind, cycle),
        known_errors=_known_errors(smokes) if kind == "full" else None,
        rehearsal_pacing=rehearsal_pacing and _is_rehearsal(cycle),
    )
    sealed = jsonio.read_json(root.labels).get("manifest_sha256")
    return Ground(labels, rows, facts, waivers.load(root.waivers, policy, sealed), smokes)


def borrowed(smokes: Mapping[str, Sequence[Mapping[str, Any]]], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the signs that a full run took answers from a smoke, over the cases they share: it starts empty."""
    found = []
    for label, before in smokes.items():
        cases_of = {row["case_id"] for row in before}
        shared = [row for row in rows if row["case_id"] in cases_of]
        again = {row["case_id"] for row in shared}
        signs = metrics.dependence([row for row in before if row["case_id"] in again], shared)
        found += [f"{label}: {fault}" for fault in signs.faults]
    return found


def _with_faults(tally: Tally | None, faults: Sequence[str]) -> Tally | None:
    return tally and replace(tally, faults=(*tally.faults, *faults), n=tally.n + len(faults))


def ended_at(summary: Mapping[str, Any]) -> datetime:
    """Return when a run ended: a waiver has to be in force then, whenever the run is judged."""
    return parse(summary["finished_at"]) if summary["finished_at"] else datetime.max.replace(tzinfo=UTC)


def write(root: DataRoot, judgement: Judgement) -> bool:
    """Write a judgement's files, the plan's also at the top, append its rows once; tell whether a byte changed.

    :raises IntegrityError: ``day3_results.jsonl`` holds other rows of this run
    """
    targets = {root.run(judgement.run_id) / name: data for name, data in judgement.files.items()}
    targets |= {root.results / name: judgement.files[name] for name in COPIED}
    changed = append_rows(root.day3_results, judgement.run_id, judgement.files[ROWS])
    for path, data in targets.items():
        if not path.is_file() or path.read_bytes() != data:
            jsonio.write_bytes(path, data)
            changed = True
    return changed


def doubts(root: DataRoot, policy: Policy, cycle: Mapping[str, Any] | None) -> dict[str, str]:
    """Return, by run label (``smoke1``), why what lies on disk about an ended run is not what its evidence gives.

    Every run that was judged is judged again, from its ledger, the labels and the policy; a file that says anything
    else, or is gone, is named. A run that ended and was not judged yet needs its ledger only.
    """
    found = {}
    for run in (cycle or {}).get("runs", []):
        if run["state"] != "open":
            try:
                reason = _doubt(root, policy, cycle, run)
            except SolidGreenError as error:
                reason = f"{error.subject}: {error.found}"
            except ANOTHER_FORM as error:  # signed anew by a hand that knew how
                reason = f"evidence of {run['run_id']}: found another form than was written ({error!r})"
            if reason:
                found[f"{run['kind']}{run['ordinal']}"] = reason
    return found


def _doubt(root: DataRoot, policy: Policy, cycle: Mapping[str, Any] | None, run: Mapping[str, Any]) -> str | None:
    run_id, folder = run["run_id"], root.run(run["run_id"])
    ledger.closed(folder / OBSERVATIONS, run["state"])
    written = jsonio.read_json_or_none(folder / GATES)
    if written is None:
        return None
    if written.get("policy_sha256") != policy.sha256:
        return f"{folder / GATES}: judged by another policy than this one"
    again = judge_run(
        root,
        policy,
        run_id=run_id,
        kind=run["kind"],
        ordinal=run["ordinal"],
        cycle=cycle,
        digests=written.get("digests") or {},
        rehearsal_pacing=written.get("rehearsal_pacing") is True,
    )
    for name in sorted(again.files, key=lambda name: name != GATES):
        path = folder / name
        if not path.is_file():
            return f"{path}: no file, though the run was judged"
        if path.read_bytes() != again.files[name]:
            return f"{path}: found other content than the evidence gives{_differing(written, again, name)}"
    rows = root.day3_results.read_bytes() if root.day3_results.is_file() else b""
    mine = b"".join(line for line in rows.splitlines(keepends=True) if _run_of(line) == run_id)
    if mine != again.files[ROWS]:
        return f"{root.day3_results}: found other rows of {run_id} than its evidence gives"
    return None


def _differing(written: Mapping[str, Any], again: Judgement, name: str) -> str:
    """Return which gates a written file of gates has otherwise, in brackets; nothing for other files."""
    entries = written.get("gates") if name == GATES else None
    if not isinstance(entries, list):
        return ""
    given = [jsonio.to_plain(result) for result in again.results]
    names = [entry["id"] for entry in given if entry not in entries]
    return f" ({', '.join(names)})" if names else ""


def append_rows(path: Path, run_id: str, rows: bytes) -> bool:
    """Append a run's rows to the results of the cycle, fsynced, unless they are there; tell whether that was needed.

    The file is only ever appended to, except that the part of a line a kill left behind is taken off first.

    :raises IntegrityError: other rows of the run are there
    """
    known = path.read_bytes() if path.exists() else b""
    whole = known[: known.rfind(b"\n") + 1]
    mine = b"".join(line for line in whole.splitlines(keepends=True) if _run_of(line) == run_id)
    if not rows.startswith(mine):
        raise IntegrityError(
            str(path),
            found=f"rows of {run_id} that its observations do not give",
            need="the rows as they were written",
            next_step="restore the file from its snapshot, or invoke go --new-cycle",
        )
    rest = rows[len(mine) :]
    if not rest and len(whole) == len(known):
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if known else "wb") as handle:
            handle.truncate(len(whole))
            handle.seek(len(whole))
            handle.write(rest)
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise jsonio.not_taken(path, error) from error
    return True


def _run_of(line: bytes) -> str | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row.get("run_id") if isinstance(row, dict) else None


def document(value: Any) -> bytes:
    """Return *value* as the bytes of a JSON file people read: indented, sorted keys."""
    return json.dumps(jsonio.to_plain(value), sort_keys=True, indent=2, allow_nan=False).encode("ascii") + b"\n"


# --- evidence ------------------------------------------------------------------------------------------------------


def read_run(
    root: DataRoot,
    run_id: str,
    labels: Mapping[str, Mapping[str, Any]],
    *,
    kind: str,
    ordinal: int,
    state: str = "open",
) -> Evidence:
    """Return what a run's ledger gives; no rows where there is none or it is damaged.

    :param state: of the run in its cycle; one that is not open must have its end on record
    :raises IntegrityError: the ledger is of another run
    """
    path = root.run(run_id) / OBSERVATIONS
    # Each record is joined and read again as it is verified: none is held, a run of any size is judged.
    joined, again = metrics.Join(labels), _Again(root)

    def take(record: Mapping[str, Any]) -> None:
        joined.add(record)
        again.add(record)

    try:
        if state != "open" and path.exists():
            found = ledger.closed(path, state, keep=False, sink=take)
        else:
            found = ledger.verify(path, keep=False, sink=take)
        shards.require_merged(root.run(run_id))
    except BadInput:
        return Evidence({}, (), None, None)
    except IntegrityError as error:
        return Evidence({}, (), Tally((f"{error.subject}: {error.found}",), 1), None)
    named = tuple(found.registration.get(key) for key in ("run_id", "kind", "ordinal"))
    if named != (run_id, kind, ordinal):
        raise IntegrityError(
            str(path),
            found=f"the record of {named[1]} run {named[2]} ({named[0]})",
            need=f"that of {kind} run {ordinal} ({run_id})",
            next_step="restore the runs folder from its snapshot, or invoke go --new-cycle",
        )
    return Evidence(
        registration=found.registration,
        rows=joined.rows(),
        lines=joined.lines(),
        chain=Tally((), 1 + found.done),
        active_minutes=round(found.active_s / 60, 4),
        missing=found.missing,
        ended=None if found.end is None else str(found.end["state"]),
        pace=found.pace,
        verdicts=again.tally(),
        smallest_gap_s=found.smallest_gap_s,
    )


def chances(policy: Policy, kind: str, n: int) -> dict[str, float]:
    """Return, by true accuracy, how likely such a system meets the gates over the agreement with *n* answers."""
    found = run_power(n, gates.agreement_needed(policy, kind, n), policy.data["power"]["true_accuracy"])
    return {f"{accuracy:.2f}": round(chance, 6) for accuracy, chance in found.items()}


class _Again:
    """Finds, as records come, the cases whose verdict does not follow again from what was recorded of the answer.

    It is read by the map that was kept when the cycle was registered.
    """

    def __init__(self, root: DataRoot) -> None:
        self._map, self._cases = root.verdict_map, root.cases
        self._source: cases.CaseFile | None = None
        self._vmap: VerdictMap | None = None
        self._found: Tally | SolidGreenError | None = None
        self._faults: list[str] = []
        self._n = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in the next record, the registration first; an error waits for :meth:`tally`."""
        if record["type"] == "registration":
            self._begin(record)
        elif record["type"] == "observation" and self._vmap:
            self._n += 1
            if not (verdict.follows(record, self._vmap) and self._same_case(record)):
                self._faults.append(str(record["case_id"]))

    def _begin(self, registration: Mapping[str, Any]) -> None:
        if not self._map.is_file():
            return
        try:
            vmap = verdict.load_map(self._map)
            self._source = cases.load(self._cases) if self._cases.is_file() else None
        except SolidGreenError as error:
            self._found = error
            return
        if vmap.sha256 == registration.get("verdict_map_sha256"):
            self._vmap = vmap
        else:
            self._found = Tally((f"{self._map.name} is not the map the run was read by",), 1)

    def _same_case(self, record: Mapping[str, Any]) -> bool:
        """Tell whether the answer is one to the documents of that case, its values kept unless they are personal."""
        if self._source is None or str(record["case_id"]) not in self._known:
            return False
        case = self._source.get(str(record["case_id"]))
        kept = record.get("values_kept") is (not case.contains_pii)
        return kept and record.get("content_sha256") == case.content_sha256

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._source.ids if self._source else ())

    def tally(self) -> Tally | None:
        """Return those cases, None where no map was kept.

        :raises SolidGreenError: it cannot be read
        """
        if isinstance(self._found, SolidGreenError):
            raise self._found
        return Tally(tuple(self._faults), self._n) if self._vmap else self._found


def _state(cycle: Mapping[str, Any] | None, run_id: str | None) -> str:
    runs = (cycle or {}).get("runs", [])
    return next((str(run["state"]) for run in runs if run["run_id"] == run_id), "open")


def _is_rehearsal(cycle: Mapping[str, Any] | None) -> bool:
    """Tell whether the target said that it is a rehearsal, in every place that keeps it."""
    registered = (cycle or {}).get("registration") or {}
    places = [(cycle or {}).get("rehearsal"), registered.get("rehearsal", True)]
    places.append((registered.get("target") or {}).get("rehearsal", True))
    return all(said is True for said in places)


def _first_smoke(cycle: Mapping[str, Any] | None) -> str | None:
    runs = (cycle or {}).get("runs", [])
    return next((run["run_id"] for run in runs if (run["kind"], run["ordinal"]) == ("smoke", 1)), None)


def _labels(root: DataRoot) -> Mapping[str, Mapping[str, Any]]:
    labels = jsonio.read_json(root.labels).get("labels")
    if not isinstance(labels, dict) or not all(isinstance(row, dict) and "expected" in row for row in labels.values()):
        raise IntegrityError(
            str(root.labels),
            found="no labels in it",
            need="a label a case, as the qualification wrote it",
            next_step="invoke go --new-cycle",
        )
    return labels


def registration_tally(
    root: DataRoot,
    policy: Policy,
    run: Mapping[str, Any],
    cycle: Mapping[str, Any] | None,
    digests: Mapping[str, str | None] | None,
    *,
    labels: Mapping[str, Mapping[str, Any]],
) -> Tally | None:
    """Return which inputs are not what the cycle registered; None when nothing was registered.

    Compared is what lies on disk (policy, labels, the manifest and documents the cases came from), what the run says it
    used (target, cases and which of them, request template, verdict map), and *digests*. A registered name that none
    of these tells is a fault: what nobody looked at did not stay the same.
    """
    registration = (cycle or {}).get("registration")
    if not registration or not run:
        return None
    source = cases.load(root.cases) if root.cases.exists() else None
    sealed = jsonio.read_json_or_none(root.labels) or {}
    seen: list[tuple[str, str | None]] = [
        ("policy", policy.sha256),
        ("manifest", source.manifest_sha256 if source else None),
        ("manifest", sealed.get("manifest_sha256")),
        ("labels", jsonio.digest({case: {"case_id": case, **row} for case, row in labels.items()})),
        ("documents", jsonio.digest({case.case_id: case.content_sha256 for case in source or ()})),
        ("request_template", run.get("request_template_sha256")),
        ("verdict_map", run.get("verdict_map_sha256")),
    ]
    known: Mapping[str, Any] = registration["digests"]
    seen += [(name, value) for name, value in (digests or {}).items()]
    compared = [(name, name in known and known[name] == value) for name, value in seen]
    compared += [(f"{name} (nobody looked)", False) for name in sorted({*known} - {name for name, _ in seen})]
    url = (run.get("target") or {}).get("url")
    same_cases = source is not None and source.sha256 == run.get("cases_sha256")
    compared += [
        ("target url", url is not None and url == (registration.get("target") or {}).get("url")),
        ("cases of the run", same_cases),
        ("selection of the run", _drawn(policy, run, labels)),
        ("order (the run began first)", parse(str(run["at"])) >= parse(str(registration["at"]))),
    ]
    settings, paced = registration.get("pacing") or {}, run.get("pacing") or {}
    compared += [(f"pacing ({key})", paced.get(key) == settings[key]) for key in PACED if key in settings]
    if taken := (cycle or {}).get("snapshot"):
        compared.append((f"snapshot {taken}", (root.results / str(taken)).is_dir()))
    begun = next((e.get("registration_sha256") for e in (cycle or {})["runs"] if e["run_id"] == run["run_id"]), None)
    compared += [("record the run was begun with", run.get("sha256") == begun)] if begun else []
    faults = dict.fromkeys(name for name, same in compared if not same)
    return Tally(tuple(faults), len(compared))


def _drawn(policy: Policy, run: Mapping[str, Any], labels: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether the run is over the cases that the plan has it over: those drawn for a smoke, all in a full run."""
    selection = list(run.get("selection") or ())
    if run.get("kind") == "full":
        return sorted(selection) == sorted(labels)
    try:
        rows = [Label(**{"case_id": case, **row}) for case, row in labels.items()]
        return selection == draw(rows, policy.smoke["strata"], int(policy.smoke["seed"]))
    except (BadInput, TypeError):
        return False


def _prior(root: DataRoot, kind: str, cycle: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the metrics of the latest run of that kind in an earlier cycle, None where there is none."""
    for snapshot in sorted(root.results.glob(f"{SNAPSHOT_PREFIX}*"), reverse=True):
        earlier = _past(snapshot / "cycle.json")
        if earlier.get("cycle_id") == (cycle or {}).get("cycle_id"):
            continue  # taken within this cycle: a run is not its own past
        # A run that its gates ended tells the recall of the cases it sent: none to compare with.
        runs = [run for run in earlier.get("runs", []) if run["kind"] == kind and run.get("state") != early.ENDED]
        for run in reversed(runs):
            summary = _past(snapshot / "runs" / run["run_id"] / METRICS)
            if summary.get("total") and summary.get("schema") == metrics.SUMMARY_SCHEMA:
                return summary
    return None


def _past(path: Path) -> Mapping[str, Any]:
    """Return a file of an earlier cycle; one that nobody can read any more is no past to compare with."""
    try:
        found = jsonio.read_json_or_none(path)
    except SolidGreenError:
        return {}
    return found if isinstance(found, dict) else {}


def _smokes(
    root: DataRoot, cycle: Mapping[str, Any] | None, labels: Mapping[str, Mapping[str, Any]]
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return the rows of the cycle's smokes by run label."""
    return {
        f"smoke{run['ordinal']}": read_run(
            root, run["run_id"], labels, kind="smoke", ordinal=run["ordinal"], state=run["state"]
        ).rows
        for run in (cycle or {}).get("runs", [])
        if run["kind"] == "smoke"
    }


def _known_errors(smokes: Mapping[str, Sequence[Mapping[str, Any]]]) -> set[str] | None:
    """Return the kinds of infrastructure error that the records of both smokes show, None without both."""
    if len(smokes) < 2 or not all(len(rows) for rows in smokes.values()):
        return None
    return {kind for rows in smokes.values() for kind in metrics.error_classes(rows)}
