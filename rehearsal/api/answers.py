"""The API's answers, in the shapes clients already know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .checks import SEVERITIES, TITLES, Finding
from .credit import Credit
from .gate import Gate
from .papers import Paper

#: Verdict class: token, validation status, colour, message, recommendation.
_WORDS = {
    "pass": ("SUBMIT", "compliant", "green", "Documents are compliant", "Submit to the bank."),
    "warn": ("CAUTION", "needs_review", "yellow", "Documents have minor discrepancies", "Review before submission."),
    "reject": ("REJECT", "non_compliant", "red", "Documents are non-compliant", "Do NOT submit to bank."),
    "blocked": ("BLOCKED", "blocked", "grey", "Documents could not be judged", "Upload readable documents."),
}
Body = dict[str, Any]


@dataclass
class Case:
    """One request while it is answered."""

    job_id: str
    papers: list[Paper]
    credit: Credit = field(default_factory=Credit)
    gate: Gate | None = None
    findings: list[Finding] = field(default_factory=list)
    verdict: str = "blocked"
    timings: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    stub: bool = False


def no_lc_found(papers: Sequence[Paper]) -> Body:
    """Return the answer to a request without a letter of credit: no job, no structured result."""
    return {
        "status": "blocked",
        "block_reason": "no_lc_found",
        "error": {
            "error_code": "NO_LC_FOUND",
            "title": "No Letter of Credit Found",
            "message": "We couldn't detect a Letter of Credit in your uploaded documents.",
            "detail": f"Detected document types: {', '.join(paper.type for paper in papers)}",
            "action": "Add Letter of Credit",
            "help_text": "The Letter of Credit is the baseline of every check. Please upload your LC document.",
        },
        "detected_documents": [{"type": paper.type, "filename": paper.filename} for paper in papers],
        "message": "Please upload your Letter of Credit (MT700/MT760) to proceed with validation.",
        "action_required": "Add Letter of Credit",
    }


def error(code: str, message: str, error_type: str) -> Body:
    """Return the object that 422 and 500 carry as their detail."""
    return {"detail": {"error_code": code, "message": message, "error_type": error_type}}


def blocked(case: Case) -> Body:
    """Return the answer of a request the gate stopped."""
    gate = case.gate
    if gate is None or gate.block_reason is None:
        raise ValueError("a blocked answer needs a gate that blocked")
    issue = {
        "rule": gate.rule,
        "code": gate.rule,
        "title": gate.title,
        "severity": "critical",
        "message": gate.message,
        "expected": "Readable LC text and fields",
        "actual": "No extractable content detected" if gate.empty else gate.message,
        "suggestion": "Upload a readable document with visible text or re-run OCR.",
        "documents": ["Letter of Credit"],
        "blocks_validation": True,
    }
    empty = {
        "extraction_empty": gate.empty,
        "extraction_empty_reason": "extraction_completeness_zero" if gate.empty else None,
    }
    result = {
        **_result(case, gate, "validation_gate", "blocking_gate_fields", {}),
        **empty,
        "extraction_summary": {**_extraction_summary(gate), **empty},
        "issues": [issue],
        "blocking_rules": [gate.rule],
        "lc_type": "unknown",
        "lc_type_reason": "Blocked - LC extraction incomplete",
        "lc_type_confidence": 0,
    }
    telemetry = {"validation_blocked": True, "block_reason": gate.block_reason, **empty}
    return _answer(case, result, telemetry)


def judged(case: Case) -> Body:
    """Return the answer of a request that went through all checks."""
    gate, label = case.gate, case.verdict
    if gate is None:
        raise ValueError("a judged answer needs a gate")
    token, _, colour, message, recommendation = _WORDS[label]
    counts = {word: sum(one.severity == word for one in case.findings) for word in SEVERITIES}
    grave = [one.id for one in case.findings if one.severity in {"critical", "major"}]
    reason = "non_submit_guardrail" if label == "reject" else "stub_mode" if case.stub else "rules"
    result = _result(case, gate, "bank_verdict", reason, counts)
    known = bool(case.credit.number)
    result |= {
        "issues": [_issue(one, case.papers) for one in case.findings],
        "blocking_rules": list(dict.fromkeys(grave)),
        "lc_type": "export" if known else "unknown",
        "lc_type_reason": "Presented by the beneficiary" if known else "Could not determine LC type from document",
        "lc_type_confidence": 0.9 if known else 0.0,
        "lc_type_source": "mt700_parser" if case.credit.tags else "text_parser",
        "bank_verdict": {
            "verdict": token,
            "verdict_color": colour,
            "verdict_message": message,
            "recommendation": recommendation,
            "can_submit": label == "pass",
            "will_be_rejected": label == "reject",
            "issue_summary": {**counts, "total": len(case.findings)},
            "verdict_class": label,
            "verdict_signature": result["verdict_signature"],
        },
        **({"stub_mode": True} if case.stub else {}),
    }
    telemetry = {"documents": len(case.papers), "issues": len(case.findings)}
    return {**_answer(case, result, telemetry), "authoritative_verdict": result["authoritative_verdict"]}


def _answer(case: Case, result: Body, telemetry: Body) -> Body:
    return {
        "job_id": case.job_id,
        "jobId": case.job_id,
        "structured_result": result,
        "telemetry": {**telemetry, "timings": case.timings, "total_time_seconds": case.seconds},
    }


def _result(case: Case, gate: Gate, source: str, reason: str, counts: Mapping[str, int]) -> Body:
    """Return what every structured result holds: its verdict in all places, the gate, and what was read."""
    label = case.verdict
    token, status = _WORDS[label][:2]
    return {
        "version": "structured_result_v1",
        "validation_blocked": gate.blocked,
        "validation_status": status,
        "verdict_signature": {
            "version": "1.0",
            "source": source,
            "verdict_class": label,
            "verdict_token": token,
            "validation_status": status,
            "critical_count": counts.get("critical", 0),
            "major_count": counts.get("major", 0),
            "minor_count": counts.get("minor", 0),
            "reason": reason,
            "schema_version": "phase4-class-separation-v1",
        },
        "authoritative_verdict": {
            "schema_version": "phase4-authoritative-verdict-v1",
            "label": label,
            "source": source,
            "rationale": reason,
            "details": {"validation_status": status, "reason": reason},
        },
        "final_verdict": token,
        "gate_result": {
            "status": "blocked" if gate.blocked else "passed",
            "can_proceed": not gate.blocked,
            "block_reason": gate.block_reason,
            "warnings": [],
            **_extraction_summary(gate),
            "blocking_issue_count": int(gate.blocked),
            "warning_issue_count": 0 if gate.blocked else len(gate.missing_required),
        },
        "extraction_summary": _extraction_summary(gate),
        "lc_baseline": _baseline(case.credit),
        "documents_structured": [_document(paper, stub=case.stub) for paper in case.papers],
        "processing_summary": _processing(case, gate, counts),
    }


def _extraction_summary(gate: Gate) -> Body:
    return {
        "completeness": gate.completeness,
        "critical_completeness": gate.critical_completeness,
        "missing_critical": list(gate.missing_critical),
        "missing_required": list(gate.missing_required),
    }


def _baseline(credit: Credit) -> Body:
    return {
        "lc_number": credit.number,
        "amount": float(credit.amount.amount) if credit.amount else None,
        "currency": (credit.amount.currency or None) if credit.amount else None,
        "applicant": credit.applicant.name if credit.applicant else None,
        "beneficiary": credit.beneficiary.name if credit.beneficiary else None,
    }


def _document(paper: Paper, *, stub: bool) -> Body:
    return {
        "filename": paper.filename,
        "document_type": paper.type,
        "extraction_status": "stub" if stub else paper.reading.status,
        "ocr_confidence": None if stub else round(paper.reading.confidence or 0.0, 4),
        "failed_reason": paper.reading.failure,
    }


def _issue(one: Finding, papers: Sequence[Paper]) -> Body:
    kind = next((paper.type for paper in papers if paper.filename == one.document), None)
    return {
        "id": one.id,
        "rule": one.id,
        "title": one.title,
        "description": f"{TITLES.get(kind or '', one.document)}: {one.title.lower()}.",
        "severity": one.severity,
        "documentName": one.document,
        "documentType": kind,
        "expected": one.expected,
        "actual": one.actual,
        "suggestion": one.suggestion,
        "ucp_reference": one.article,
    }


def _processing(case: Case, gate: Gate, counts: Mapping[str, int]) -> Body:
    statuses = ["success" if case.stub else paper.reading.status for paper in case.papers]
    return {
        "total_documents": len(case.papers),
        "successful_extractions": statuses.count("success"),
        "failed_extractions": statuses.count("empty"),
        "partial_extractions": statuses.count("partial"),
        "total_issues": 1 if gate.blocked else len(case.findings),
        "processing_time_seconds": round(case.seconds, 2),
        "severity_breakdown": dict(counts) or {"critical": 1, "major": 0, "medium": 0, "minor": 0},
    }
