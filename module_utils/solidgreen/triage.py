"""Says why answers look wrong: what the observations of a run show when their verdicts do not differ.

It reads records only, never a label: whether everything was blocked, whether documents were recognised and read, what
kept an answer from being one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import fields
from .check import Check, Status
from .verdict import UNKNOWN

OWNER = "Platform/API Lead"
DATA_OWNER = "Data/Model Lead"
#: Extraction states that mean nothing was read, and document types that mean nothing was recognised.
_UNREAD = {"", "empty", "failed", "error", "pending", "none"}
_UNRECOGNISED = {"", "unknown", "other", "unclassified", "none"}
_RESULT = "structured_result"
_LC = ("letter_of_credit", "lc", "mt700")


@dataclass(frozen=True)
class Diagnosis:
    """What the answers of a run show, counted, with the likeliest cause, the way on and whose way it is."""

    facts: Mapping[str, Any]
    cause: str
    next_step: str
    owner: str


def diagnose(observations: Sequence[Mapping[str, Any]]) -> Diagnosis:
    """Return what the answers show: keys, extraction, severities, LC detection, documents, errors."""
    answers = [record for record in observations if record["outcome"] == "answer"]
    kept = [record["response"] for record in answers if record.get("values_kept", True) and record["response"]]
    documents = [document for response in kept for document in _documents(response)]
    facts: dict[str, Any] = {
        "observations": len(observations),
        "answers": len(answers),
        "verdicts": _counted(record["verdict"] for record in answers),
        "outcomes": _counted(record["outcome"] for record in observations),
        "errors": _counted(
            record["error_code"] or record["error_detail"] for record in observations if record["outcome"] != "answer"
        ),
        "keys": {
            path: sorted({name for record in answers for name in (record["response_keys"] or {}).get(path, [])})
            for path in sorted({path for record in answers for path in record["response_keys"] or {}})
        },
        "block_reasons": _counted(_block_reason(response) for response in kept),
        "missing_critical": _counted(
            name
            for response in kept
            for name in fields.lookup(response, f"{_RESULT}.gate_result.missing_critical") or []
        ),
        "completeness": _counted(
            fields.lookup(response, f"{_RESULT}.extraction_summary.completeness") for response in kept
        ),
        "severities": _counted(
            issue.get("severity") for response in kept for issue in fields.lookup(response, f"{_RESULT}.issues") or []
        ),
        "rules": _counted(
            issue.get("rule") or issue.get("code") or issue.get("id")
            for response in kept
            for issue in fields.lookup(response, f"{_RESULT}.issues") or []
        ),
        "document_types": _counted(document.get("document_type") or document.get("type") for document in documents),
        "extraction_states": _counted(document.get("extraction_status") for document in documents),
        "lc_detected": sum(any(_is_lc(document) for document in _documents(response)) for response in kept),
        "answers_with_documents": sum(bool(_documents(response)) for response in kept),
        "answers_with_reading": sum(any(_was_read(document) for document in _documents(response)) for response in kept),
        "answers_looked_into": len(kept),
    }
    return Diagnosis(facts, *_likeliest(facts))


def checks(observations: Sequence[Mapping[str, Any]], *, owner: str = OWNER) -> list[Check]:
    """Return the checks of phase 2 over probe cases: not all blocked, documents read, verdicts readable."""
    diagnosis = diagnose(observations)
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
    types = [name for name in diagnosis.facts["document_types"] if name.casefold() not in _UNRECOGNISED]
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


def _likeliest(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return cause, next step and owner of the first pattern that fits, from the outside of an answer inwards."""
    looked, reasons = facts["answers_looked_into"], facts["block_reasons"]
    top_error = next(iter(facts["errors"]), "")
    top_reason = next(iter(reasons), "")
    logs = "look at the last 120 lines of the API's log"
    if not facts["answers"]:
        return f"no answer at all ({top_error or 'nothing was sent'})", f"{logs}, then invoke phase --only 1", OWNER
    if not looked:
        return "answers whose values may not be kept", "probe with cases that hold no personal data", DATA_OWNER
    if not facts["lc_detected"]:
        step = "check the roles and names of policy/request_template.yml against what the API accepts"
        return f"no letter of credit recognised in {looked} of {looked} answers", step, DATA_OWNER
    if not facts["answers_with_reading"]:
        step = f"check the OCR configuration, {logs}"
        return f"documents recognised but none read ({top_reason or 'no reason stated'})", step, OWNER
    if reasons:
        missing = ", ".join(list(facts["missing_critical"])[:3])
        cause = f"blocked for {top_reason}" + (f", missing {missing}" if missing else "")
        return cause, "check the LC documents of the probe cases, else invoke rollback --point R2", DATA_OWNER
    return "no reason stated in the answers", f"{logs}, else invoke rollback --point R2", OWNER


def _documents(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = fields.lookup(response, f"{_RESULT}.documents_structured") or response.get("detected_documents") or []
    return [document for document in found if isinstance(document, Mapping)]


def _is_lc(document: Mapping[str, Any]) -> bool:
    kind = str(document.get("document_type") or document.get("type") or "").casefold()
    return kind in _LC or "letter_of_credit" in kind


def _was_read(document: Mapping[str, Any]) -> bool:
    return str(document.get("extraction_status") or "").casefold() not in _UNREAD


def _block_reason(response: Mapping[str, Any]) -> Any:
    return (
        response.get("block_reason")
        or fields.lookup(response, f"{_RESULT}.gate_result.block_reason")
        or fields.lookup(response, f"{_RESULT}.extraction_summary.extraction_empty_reason")
    )


def _counted(values: Iterable[Any]) -> dict[str, int]:
    """Return how often each value occurs, the most frequent first; None is not a value."""
    counted = Counter(str(value) for value in values if value is not None)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
