"""Qualifies the data set before a request is spent, and parts it: cases for the batch, labels for the judgement.

What cannot be a data set of the plan (counts, verdicts of a scenario) is refused; what makes one untrustworthy
(copies, stubs, a label that shows) is a failed check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import documents, request
from .blindness import tells as tells
from .cases import SELECTION_SCHEMA, Case, payload
from .check import Check, Status, overall
from .errors import BadInput, ExitCode, Refused
from .manifest import Label, Manifest
from .request import Template
from .selection import draw, rank
from .verdict import VERDICTS
from .words import SCENARIOS

LABELS_SCHEMA = "solidgreen/labels/1"
QUALIFICATION_SCHEMA = "solidgreen/qualification/1"
OWNER = "Data/Model Lead"


@dataclass(frozen=True)
class Qualification:
    """The data set in its parts, each the content of a file under ``qualified/``: ``cases`` as bytes."""

    cases: bytes
    labels: Mapping[str, Any]
    smoke: Mapping[str, Any]
    probe: Mapping[str, Any]
    report: Mapping[str, Any]
    checks: tuple[Check, ...]


def qualify(
    manifest: Manifest,
    dataset: Mapping[str, Any],
    smoke: Mapping[str, Any],
    *,
    data_root: Path,
    template: Template,
    look: Callable[[Path, str], documents.Look] = documents.look,
) -> Qualification:
    """Return the parted data set and what was checked.

    :param dataset: of the policy: ``scenarios`` with ``count`` and ``expected`` each
    :param smoke: of the policy: ``seed``, ``size`` and ``strata``, cases per scenario
    :param look: opens a document
    :raises BadInput: the manifest is not the data set the policy asks for
    """
    counts = require_counts(manifest, dataset)
    looks = {
        document.sha256: (document.path, look(data_root / document.path, document.media_type))
        for case in manifest.cases
        for document in case.documents
    }
    checks = (
        counts,
        _readable(looks),
        _not_stubs(looks),
        _no_copies(manifest),
        _nothing_tells(manifest, template, looks, data_root),
    )
    seed = int(smoke["seed"])
    drawn = draw(manifest.labels, smoke["strata"], seed)
    ordered = sorted(manifest.cases, key=lambda case: rank(seed, "order", case.case_id))
    return Qualification(
        cases=payload(ordered, manifest_sha256=manifest.sha256),
        labels=_labels(manifest),
        smoke=_selection(seed, drawn),
        probe=_selection(seed, _probe(manifest.labels, set(drawn), seed)),
        report={
            "schema": QUALIFICATION_SCHEMA,
            "manifest_sha256": manifest.sha256,
            "status": overall(check.status for check in checks).value,
            "checks": [check.to_dict() for check in checks],
        },
        checks=checks,
    )


def require_counts(manifest: Manifest, dataset: Mapping[str, Any]) -> Check:
    """Return the check that the manifest has the cases the policy asks for, each with the verdict of its scenario.

    :raises BadInput: it has not
    """
    needed: Mapping[str, Any] = dataset["scenarios"]
    subject = f"manifest {manifest.path}"
    found = manifest.per_scenario()
    wanted = {scenario: int(needed.get(scenario, {}).get("count", 0)) for scenario in SCENARIOS}
    if found != wanted:
        differing = ", ".join(f"{found[name]} {name}" for name in SCENARIOS if found[name] != wanted[name])
        need = ", ".join(f"{wanted[name]} {name}" for name in SCENARIOS if found[name] != wanted[name])
        raise BadInput(
            subject,
            found=f"{len(manifest.cases)} enabled cases, {differing}",
            need=f"{sum(wanted.values())} cases, {need}",
            next_step="complete the data set, or change dataset in the policy (every report will say so)",
        )
    for label in manifest.labels:
        expected = needed[label.scenario]["expected"]
        if label.expected != expected:
            raise BadInput(
                f"{subject} case {label.case_id}",
                found=f"scenario {label.scenario} with the verdict {label.expected}",
                need=expected,
                next_step="correct the row",
            )
    facts = {"scenarios": found, "verdicts": manifest.per_verdict(), "disabled": manifest.disabled}
    facts["parents"] = len({label.parent for label in manifest.labels})
    return _check(
        "dataset-counts",
        "Cases per scenario and verdict",
        (),
        f"{len(manifest.cases)} cases from {facts['parents']} parents",
        f"{sum(wanted.values())} cases in the scenarios of the policy",
        facts=facts,
    )


def _probe(labels: Sequence[Label], smoke: set[str], seed: int) -> list[str]:
    """Return one case for each verdict, outside the smoke where there is one: a probe spends no smoke case."""
    chosen = []
    for verdict in VERDICTS:
        members = [label.case_id for label in labels if label.expected == verdict]
        if members:
            chosen.append(min(members, key=lambda i: (i in smoke, rank(seed, "probe", i))))
    return sorted(chosen, key=lambda case_id: rank(seed, "order", case_id))


def _selection(seed: int, case_ids: list[str]) -> dict[str, Any]:
    return {"schema": SELECTION_SCHEMA, "seed": seed, "case_ids": case_ids}


def _labels(manifest: Manifest) -> dict[str, Any]:
    rows = {label.case_id: {k: v for k, v in asdict(label).items() if k != "case_id"} for label in manifest.labels}
    return {"schema": LABELS_SCHEMA, "manifest_sha256": manifest.sha256, "labels": rows}


def _readable(looks: Mapping[str, tuple[str, documents.Look]]) -> Check:
    faults = [f"{path} ({seen.error})" for path, seen in looks.values() if seen.error]
    seen = f"{len(looks) - len(faults)} of {len(looks)} documents open"
    return _check("dataset-readable", "Documents open", faults, seen, "every document")


def _not_stubs(looks: Mapping[str, tuple[str, documents.Look]]) -> Check:
    faults = [f"{path} ({seen.lines} lines)" for path, seen in looks.values() if seen.stub]
    seen = f"{len(faults)} of {len(looks)} documents with at most one line and no picture"
    return _check("dataset-not-stubs", "Documents say something", faults, seen, "none")


def _no_copies(manifest: Manifest) -> Check:
    """Fail on a bundle that is there twice; under two labels it is named so: one of them must be wrong."""
    bundles: dict[str, list[tuple[Case, Label]]] = defaultdict(list)
    for case, label in zip(manifest.cases, manifest.labels, strict=True):
        bundles[case.content_sha256].append((case, label))
    faults = []
    for same in bundles.values():
        if len(same) > 1:
            named = " and ".join(f"{case.case_id} ({label.expected})" for case, label in same)
            apart = len({label.expected for _, label in same}) > 1
            faults.append(f"{named}: the same documents{' under two labels' if apart else ''}")
    seen = f"{len(bundles)} different bundles for {len(manifest.cases)} cases"
    return _check("dataset-no-copies", "No bundle twice", faults, seen, "as many bundles as cases")


def _nothing_tells(
    manifest: Manifest, template: Template, looks: Mapping[str, tuple[str, documents.Look]], data_root: Path
) -> Check:
    """Fail on a label word in anything the batch reads or sends: ids, paths, sent names, constants, metadata."""
    faults = [f"request field {name}: {text}" for name, text in template.fields.items() if tells(text)]
    faults += [f"request name {name}" for name in template.names.values() if tells(name)]
    if tells(str(template.metadata)):
        faults.append(f"request metadata {template.metadata}")
    if not faults:  # else each request repeats what its template shows
        faults += [found for case in manifest.cases for found in _refused(case, template, data_root)]
    faults += [f"case id {case.case_id}" for case in manifest.cases if tells(case.case_id)]
    faults += [f"path {path}" for path in _paths(manifest.cases) if tells(path)]
    ids = {case.case_id.casefold() for case in manifest.cases}
    lengths = {len(case_id) for case_id in ids}
    for path, seen in looks.values():
        text = seen.metadata.casefold()
        if tells(text) or any(text[at : at + size] in ids for size in lengths for at in range(len(text))):
            faults.append(f"metadata of {path}")
    needed = "no label, scenario or case id in ids, paths, sent names, fields and metadata; no request that is refused"
    return _check("dataset-blind", "Nothing tells the label", faults, f"{len(faults)} places that tell", needed)


def _refused(case: Case, template: Template, data_root: Path) -> Iterator[str]:
    """Yield why the request of a case would not be sent: better now than in the middle of a run."""
    try:
        request.build(case, template, data_root)
    except Refused as error:
        yield f"{error.subject}: {error.found}"


def _paths(cases: Iterable[Case]) -> list[str]:
    return sorted({document.path for case in cases for document in case.documents})


def _check(
    check_id: str,
    title: str,
    faults: Sequence[str],
    seen: str,
    needed: str,
    facts: Mapping[str, Any] | None = None,
) -> Check:
    """Return a check that passes without faults and else names the first three and the count."""
    rest = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return Check(
        id=check_id,
        title=title,
        status=Status.FAIL if faults else Status.PASS,
        seen=f"{seen}: {'; '.join(faults[:3])}{rest}" if faults else seen,
        needed=needed,
        next_step="correct the data set, then invoke go" if faults else "",
        owner=OWNER,
        exit_code=int(ExitCode.BAD_INPUT) if faults else None,
        facts={**(facts or {}), **({"faults": list(faults)[:100]} if faults else {})},
    )
