"""What a record of an answer shows, as flat facts that a cause can name; labels are none of them.

A fact is None where the record cannot tell it: of an answer whose values were not kept only the shape and the verdict
are known, and what nobody could look at speaks for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import fields
from .policy import Policy

Record = Mapping[str, Any]
Fact = Callable[[Record], Any]

#: Extraction states that mean nothing was read, and document types that mean nothing was recognised.
UNREAD = {"", "empty", "failed", "error", "pending", "none"}
UNRECOGNISED = {"", "unknown", "other", "unclassified", "none"}
_RESULT = "structured_result"
_LC = ("letter_of_credit", "lc", "mt700")


def response(record: Record) -> Mapping[str, Any] | None:
    """Return what was kept of an answer, None where there was none or its values may not be kept."""
    kept = record.get("response") if record.get("values_kept", True) else None
    return kept if isinstance(kept, Mapping) else None


def documents(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the documents an answer lists."""
    found = fields.lookup(answer, f"{_RESULT}.documents_structured") or answer.get("detected_documents") or []
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def type_of(document: Mapping[str, Any]) -> str:
    """Return the type of a document, empty where none is stated."""
    return str(document.get("document_type") or document.get("type") or "")


def was_read(document: Mapping[str, Any]) -> bool:
    """Tell whether something was read from a document."""
    return str(document.get("extraction_status") or "").casefold() not in UNREAD


def is_credit(document: Mapping[str, Any]) -> bool:
    """Tell whether a document was taken for a letter of credit."""
    kind = type_of(document).casefold()
    return kind in _LC or "letter_of_credit" in kind


def block_reason(answer: Mapping[str, Any]) -> Any:
    """Return why an answer says it is blocked."""
    return (
        answer.get("block_reason")
        or fields.lookup(answer, f"{_RESULT}.gate_result.block_reason")
        or fields.lookup(answer, f"{_RESULT}.extraction_summary.extraction_empty_reason")
    )


def issues(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the findings an answer lists."""
    found = fields.lookup(answer, f"{_RESULT}.issues")
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def rule(issue: Mapping[str, Any]) -> Any:
    """Return which rule a finding is of."""
    return issue.get("rule") or issue.get("code") or issue.get("id")


def _of_answer(read: Callable[[Mapping[str, Any]], Any]) -> Fact:
    def fact(record: Record) -> Any:
        answer = response(record)
        return None if answer is None else read(answer)

    return fact


def _of_documents(read: Callable[[list[Mapping[str, Any]]], Any]) -> Fact:
    """Return a fact of the documents of an answer that lists any: of one that lists none, none is missing."""

    def fact(answer: Mapping[str, Any]) -> Any:
        found = documents(answer)
        return read(found) if found else None

    return _of_answer(fact)


def _keys(path: str) -> Fact:
    return lambda record: (record.get("response_keys") or {}).get(path)


def _reasons(record: Record) -> list[str]:
    return [attempt["reason"] for attempt in record["attempts"]]


#: Facts of one record by name; what a name means stands in docs/triage.md.
RECORD: Mapping[str, Fact] = {
    "outcome": lambda record: record["outcome"],
    "http_status": lambda record: record["http_status"],
    "content_type": lambda record: record["content_type"],
    "body_whole": lambda record: None if record["http_status"] is None else record["body_sha256"] is not None,
    "error_code": lambda record: record["error_code"],
    "error_detail": lambda record: record["error_detail"],
    "reasons": _reasons,
    "verdict": lambda record: record["verdict"],
    "disagreements": lambda record: record["disagreements"],
    "secrets": lambda record: record.get("secrets"),
    "values_kept": lambda record: record.get("values_kept", True),
    "keys": _keys("."),
    "result_keys": _keys(_RESULT),
    "block_reason": _of_answer(block_reason),
    "completeness": _of_answer(lambda a: fields.lookup(a, f"{_RESULT}.extraction_summary.completeness")),
    "missing_critical": _of_answer(lambda a: fields.lookup(a, f"{_RESULT}.gate_result.missing_critical")),
    "severities": _of_answer(lambda a: [issue.get("severity") for issue in issues(a)]),
    "rules": _of_answer(lambda a: [rule(issue) for issue in issues(a)]),
    "document_types": _of_documents(lambda found: [type_of(document) for document in found]),
    "extraction_states": _of_documents(lambda found: [document.get("extraction_status") for document in found]),
    "lc_found": _of_documents(lambda found: any(map(is_credit, found))),
    "documents_read": _of_documents(lambda found: sum(map(was_read, found))),
}

#: Facts of a run, as it was registered and as its requests are made.
RUN = ("retries_429", "few_retries", "min_interval", "fast", "authenticated", "url", "fields")


def of_run(registration: Mapping[str, Any], *, policy: Policy, sent: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the facts of a run: its pacing, also against the floors of the policy, its target, the fields it sends.

    :param sent: the constant fields of the request template, None where it could not be read
    """
    pacing, target = registration.get("pacing") or {}, registration.get("target") or {}
    retries, interval = pacing.get("retries_429"), pacing.get("min_interval")
    return {
        "retries_429": retries,
        "few_retries": None if retries is None else retries < policy.pacing["retries_429_floor"],
        "min_interval": interval,
        "fast": None if interval is None else interval < policy.pacing["min_interval_floor"],
        "authenticated": target.get("authenticated"),
        "url": target.get("url"),
        "fields": None if sent is None else sorted(sent),
    }
