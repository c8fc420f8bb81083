"""Qualifies the data set before a request is spent, and parts it: cases for the batch, labels for the judgement.

What cannot be a data set of the plan (counts, verdicts of a scenario) is refused; what makes one untrustworthy
(copies, stubs, a label that shows) is a failed check.
"""

from __future__ import annotations

import functools
import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from . import copies, documents, request, stats
from .blindness import tells as tells
from .cases import SELECTION_SCHEMA, Case, Document, payload
from .check import Check, Status, overall
from .errors import BadInput, ExitCode, Refused
from .manifest import Label, Manifest
from .request import Template
from .selection import draw, rank
from .telling import holds, tellings
from .text import plural
from .verdict import VERDICTS
from .words import SCENARIOS

LABELS_SCHEMA = "solidgreen/labels/1"
QUALIFICATION_SCHEMA = "solidgreen/qualification/1"
OWNER = "Data/Model Lead"
#: As the shipped policy has them.
NEAR_COPY = 0.95
CORRELATION = 0.3

#: What a file name says about the type of its bytes; a name without an extension says nothing.
_EXTENSIONS = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
#: Documents by digest, each with a path it lies at.
Looks = Mapping[str, tuple[str, documents.Look]]
#: What a document is told by, by role and digest.
Papers = Mapping[tuple[str, str], Hashable]


@dataclass(frozen=True)
class Member:
    """A case of the data set with its label, and what a reader can tell it from others by.

    ``bundle`` is the same for cases that say the same word for word, ``near`` for near copies as well, ``credits``
    holds what its letters of credit are told by. Cases of one ``family`` were made from one parent.
    """

    case: Case
    label: Label
    bundle: Hashable
    near: Hashable
    credits: frozenset[Hashable]
    family: Hashable


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
    near_copy: float = NEAR_COPY,
    correlation: float = CORRELATION,
    look: Callable[[Path, str], documents.Look] = documents.look,
) -> Qualification:
    """Return the parted data set and what was checked.

    :param dataset: of the policy: ``scenarios`` with ``count`` and ``expected`` each
    :param smoke: of the policy: ``seed``, ``size`` and ``strata``, cases per scenario
    :param near_copy: of the policy: how alike the texts of near copies are at least
    :param correlation: of the policy: of the outcomes of two cases of one parent
    :param look: opens a document; each is opened once, however many cases have it
    :raises BadInput: the manifest is not the data set the policy asks for
    """
    counts = require_counts(manifest, dataset)
    different = {document.sha256: document for document in _documents(manifest)}
    looks = {
        digest: (document.path, look(data_root / document.path, document.media_type))
        for digest, document in different.items()
    }
    members = _members(manifest, looks, near_copy)
    seed = int(smoke["seed"])
    drawn = draw(manifest.labels, smoke["strata"], seed)
    checks = (
        counts,
        _typed(manifest, looks),
        _readable(looks),
        _not_stubs(looks),
        _no_copies(members),
        _no_near_copies(members, looks, near_copy),
        _nothing_tells(manifest, template, looks, data_root),
        _parents(members, correlation),
        _smoke(members, set(drawn)),
    )
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


def _documents(manifest: Manifest) -> Iterator[Document]:
    return (document for case in manifest.cases for document in case.documents)


def _typed(manifest: Manifest, looks: Looks) -> Check:
    """Fail on a document whose name says another type than its bytes: a reader may believe either of them."""
    faults, all_of_them = [], list(_documents(manifest))
    for document in all_of_them:
        extension = PurePosixPath(document.path).suffix.casefold()
        begins = looks[document.sha256][1].begins
        if extension and _EXTENSIONS.get(extension) != document.media_type:
            faults.append(f"{document.path} holds {document.media_type}")
        elif begins not in (None, document.media_type):
            faults.append(f"{document.path} holds {document.media_type} and begins as {begins}")
    seen = f"{len(all_of_them) - len(faults)} of {len(all_of_them)} documents are what their name says"
    return _check("dataset-types", "Documents are of their declared type", faults, seen, "every document")


def _readable(looks: Looks) -> Check:
    faults = [f"{path} ({seen.error})" for path, seen in looks.values() if seen.error]
    seen = f"{len(looks) - len(faults)} of {len(looks)} documents open"
    return _check("dataset-readable", "Documents open", faults, seen, "every document")


def _not_stubs(looks: Looks) -> Check:
    faults = [f"{path} ({plural(seen.lines, 'line')})" for path, seen in looks.values() if seen.stub]
    seen = f"{len(faults)} of {len(looks)} documents with at most one line and no picture"
    return _check("dataset-not-stubs", "Documents say something", faults, seen, "none")


def _members(manifest: Manifest, looks: Looks, near_copy: float) -> list[Member]:
    """Return the cases with what they are told by.

    A parent has one family with every parent that has a near copy of a whole bundle of it or of its letter of credit,
    which is what a trade is made from. Another document alone, a general policy of an insurer for instance, may well
    belong to several trades.
    """
    exact, near = _papers(manifest, looks, near_copy)
    groups = copies.Groups()
    told = []
    for case, label in zip(manifest.cases, manifest.labels, strict=True):
        papers = [(document.role, document.sha256) for document in case.documents]
        alike = frozenset(Counter(near[paper] for paper in papers).items())
        credits = frozenset(near[paper] for paper in papers if paper[0] == "lc")
        for shown in (alike, *credits):
            groups.join(("parent", label.parent), shown)
        told.append((case, label, frozenset(Counter(exact[paper] for paper in papers).items()), alike, credits))
    return [Member(*parts, family=groups.of(("parent", parts[1].parent))) for parts in told]


def _papers(manifest: Manifest, looks: Looks, near_copy: float) -> tuple[Papers, Papers]:
    """Return what tells a document from others, word for word, and then with near copies taken for one.

    A scan says what its text layer does not: pictures have to be the same ones in both. Without text they alone count.
    """
    exact: dict[tuple[str, str], Hashable] = {}
    texts: dict[Hashable, dict[tuple[str, str], list[str]]] = defaultdict(dict)
    for document in _documents(manifest):
        paper, seen = (document.role, document.sha256), looks[document.sha256][1]
        if paper in exact:
            continue
        if words := copies.words(seen.text):
            texts[document.role, seen.pictures][paper] = words
        exact[paper] = (document.role, seen.pictures, " ".join(words) or (not seen.pictures and document.sha256))
    near = dict(exact)
    for kind, held in texts.items():
        groups = copies.near(held.values(), near_copy)
        near |= {paper: (kind, groups[tuple(words)]) for paper, words in held.items()}
    return exact, near


def _no_copies(members: Iterable[Member]) -> Check:
    """Fail on a bundle that is there twice; under two labels it is named so: one of them must be wrong."""
    bundles = _grouped(members, lambda member: [member.case.content_sha256])
    faults = [
        f"{_named(same)}: the same documents{' under two labels' if _labels_of(same) > 1 else ''}"
        for same in bundles
        if len(same) > 1
    ]
    count = sum(map(len, bundles))
    seen = f"{len(bundles)} different bundles for {count} cases"
    return _check("dataset-no-copies", "No bundle twice", faults, seen, "as many bundles as cases")


def _no_near_copies(members: Sequence[Member], looks: Looks, near_copy: float) -> Check:
    """Fail where what reads the same has two labels: one of them must be wrong.

    Near copies under one label pass: each still is another document, and that they are worth less is counted, as cases
    of one parent. Two bundles of one parent that a few words tell apart may well have two labels, for a discrepancy is
    often a single figure: they are named with the words, for a person to look at. A credit that two parents have under
    two labels is not made so: a parent or a label is wrong.
    """
    # The same bytes again are found as copies already.
    once = list({member.case.content_sha256: member for member in reversed(members)}.values())[::-1]
    faults = [
        f"{_named(same)}: the same words under two labels"
        for same in _grouped(once, lambda member: [member.bundle])
        if _labels_of(same) > 1
    ]
    close, apart = [], []
    for alike in _grouped(once, lambda member: [member.near]):
        if len(alike) > 1:
            close.append([member.case.case_id for member in alike])
        if _labels_of(alike) > 1 and len({member.bundle for member in alike}) > 1:
            if _parents_of(alike) > 1:
                faults.append(f"{_named(alike)}: near copies under two labels and two parents")
            else:
                apart.append({"cases": close[-1], "words": _words_apart(alike, looks)})
    faults += [
        f"{_named(sharing)}: one letter of credit under two labels and two parents"
        for sharing in _grouped(once, lambda member: member.credits)
        if _labels_of(sharing) > 1 and _parents_of(sharing) > 1 and len({member.near for member in sharing}) > 1
    ]
    count = sum(len(case_ids) - 1 for case_ids in close)
    return _check(
        "dataset-near-copies",
        "Nothing that reads the same under two labels",
        faults,
        f"{count} of {len(members)} bundles near copies of another",
        "none under two labels",
        facts={"likeness": near_copy, "near_copies": close[:100], "told_apart_by": apart[:100]},
    )


def _grouped(members: Iterable[Member], keys: Callable[[Member], Iterable[Hashable]]) -> list[list[Member]]:
    groups: dict[Hashable, list[Member]] = defaultdict(list)
    for member in members:
        for key in keys(member):
            groups[key].append(member)
    return list(groups.values())


def _labels_of(members: Iterable[Member]) -> int:
    return len({member.label.expected for member in members})


def _parents_of(members: Iterable[Member]) -> int:
    return len({member.label.parent for member in members})


def _named(members: Sequence[Member]) -> str:
    """Return cases with their labels, one of each label first, and the count of those left out."""
    firsts = {member.label.expected: member for member in reversed(members)}.values()
    ordered = [*reversed(firsts), *(member for member in members if member not in firsts)]
    named = " and ".join(f"{member.case.case_id} ({member.label.expected})" for member in ordered[:4])
    return f"{named} and {len(members) - 4} more" if len(members) > 4 else named


def _words_apart(members: Iterable[Member], looks: Looks) -> list[str]:
    """Return up to ten words that are not as often in each of the bundles."""
    said = [
        Counter(word for document in member.case.documents for word in copies.words(looks[document.sha256][1].text))
        for member in members
    ]
    everywhere = functools.reduce(operator.and_, said)
    return sorted({word for words in said for word in words - everywhere})[:10]


def _parents(members: Sequence[Member], correlation: float) -> Check:
    """Say what the cases are worth under shared parents; a verdict that comes from a single one cannot be decided.

    However many cases that parent has, what they show of the verdict may hold for it alone. Nothing is wrong with them
    either, so that it is inconclusive. One case of a verdict, and no more, is what the policy asked for.
    """
    worth = _worth(members, correlation)
    classes = {
        verdict: _worth(of, correlation)
        for verdict in VERDICTS
        if (of := [member for member in members if member.label.expected == verdict])
    }
    faults = [
        f"all {seen['cases']} {verdict} cases come from one parent"
        for verdict, seen in classes.items()
        if seen["parents"] == 1 < seen["cases"]
    ]
    return _check(
        "dataset-parents",
        "No verdict from one parent alone",
        faults,
        f"{worth['cases']} cases of {plural(worth['parents'], 'parent')}, {worth['largest']} of the largest, "
        f"count as {worth['effective_n']} independent ones",
        "two parents or more for each verdict",
        facts={**worth, "parents_stated": _parents_of(members), "correlation": correlation, "verdicts": classes},
        status=Status.INCONCLUSIVE,
        next_step="add cases of other parents, then invoke qualify",
    )


def _worth(members: Sequence[Member], correlation: float) -> dict[str, Any]:
    sizes = Counter(member.family for member in members).values()
    effective = round(stats.effective_n(sizes, correlation), 1)
    return {"cases": len(members), "parents": len(sizes), "largest": max(sizes), "effective_n": effective}


def _smoke(members: Iterable[Member], drawn: Collection[str]) -> Check:
    """Fail on a smoke without a verdict that the data set has: it would prove nothing about that one."""
    chosen = [member for member in members if member.label.case_id in drawn]
    scenarios = Counter(member.label.scenario for member in chosen)
    verdicts = Counter(member.label.expected for member in chosen)
    asked = {member.label.expected for member in members}
    parents = len({member.family for member in chosen})
    facts = {
        "scenarios": {scenario: scenarios[scenario] for scenario in SCENARIOS},
        "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS},
        "parents": parents,
    }
    counted = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdict in asked)
    return _check(
        "dataset-smoke",
        "The smoke has every verdict",
        [f"no {verdict} case" for verdict in VERDICTS if verdict in asked and not verdicts[verdict]],
        f"{len(chosen)} cases of {plural(parents, 'parent')}, {counted}",
        "every verdict of the data set",
        facts=facts,
        next_step="correct smoke.strata in the policy, then invoke qualify",
    )


def _nothing_tells(manifest: Manifest, template: Template, looks: Looks, data_root: Path) -> Check:
    """Fail on a label in anything the batch reads or sends: ids, paths, sent names, constants, metadata and text."""
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
        metadata = seen.metadata.casefold()
        if tells(metadata) or any(metadata[at : at + size] in ids for size in lengths for at in range(len(metadata))):
            faults.append(f"metadata of {path}")
        faults += [f"text of {path}: {told}" for told in tellings(seen.text)]
        faults += [f"text of {path}: the mark {mark!r}" for mark in seen.marks]
    for case in manifest.cases:
        for document in case.documents:
            names = {case.case_id, PurePosixPath(document.path).parent.name}
            said = looks[document.sha256][1].text
            faults += [f"text of {document.path}: {name}" for name in sorted(names) if holds(said, name)]
    needed = (
        "no label, scenario or case id in ids, paths, sent names, fields, metadata and text; no request that is refused"
    )
    return _check(
        "dataset-blind", "Nothing tells the label", faults, f"{plural(len(faults), 'place')} telling it", needed
    )


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
    *,
    facts: Mapping[str, Any] | None = None,
    status: Status = Status.FAIL,
    next_step: str = "correct the data set, then invoke qualify",
) -> Check:
    """Return a check that passes without faults and else names the first three and the count.

    :param status: what faults make of it; a failed one ends in 13, an inconclusive one in 11
    """
    rest = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return Check(
        id=check_id,
        title=title,
        status=status if faults else Status.PASS,
        seen=f"{seen}: {'; '.join(faults[:3])}{rest}" if faults else seen,
        needed=needed,
        next_step=next_step if faults else "",
        owner=OWNER,
        exit_code=int(ExitCode.BAD_INPUT) if faults and status is Status.FAIL else None,
        facts={**(facts or {}), **({"faults": list(faults)[:100]} if faults else {})},
    )
