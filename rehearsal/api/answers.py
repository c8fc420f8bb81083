"""The API's answers, in the shapes clients already know."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
_FEE = 75.0
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
    empty_reason = "extraction_completeness_zero" if gate.empty else None
    counts = {"critical": 1, "major": 0, "medium": 0, "minor": 0}
    rules = [gate.rule]
    issue = {
        "rule": gate.rule,
        "code": gate.rule,
        "title": gate.title,
        "passed": False,
        "severity": "critical",
        "message": gate.message,
        "expected": "Readable LC text and fields",
        "actual": "No extractable content detected" if gate.empty else gate.message,
        "suggestion": "Upload a readable document with visible text or re-run OCR.",
        "documents": ["Letter of Credit"],
        "document_names": ["Letter of Credit"],
        "display_card": True,
        "ruleset_domain": "icc.lcopilot.gate",
        "blocks_validation": True,
        "auto_generated": True,
    }
    result = {
        "version": "structured_result_v1",
        "validation_blocked": True,
        "validation_status": "blocked",
        "extraction_empty": gate.empty,
        "extraction_empty_reason": empty_reason,
        "verdict_signature": _signature("blocked", "validation_gate", {}, None, "blocking_gate_fields"),
        "authoritative_verdict": _authoritative(
            "blocked",
            "validation_gate",
            "validation_gate blocked the request before bank-risk scoring",
            {"validation_status": "blocked", "reason": "blocking_gate_fields"},
        ),
        "ai_verdict": None,
        "ruleset_verdict": "reject",
        "final_verdict": "BLOCKED",
        "override_reason": "validation_blocked_before_ai",
        "blocking_rules": rules,
        "confidence_band": None,
        "confidence_band_reason": "validation_blocked_no_confidence_band",
        "gate_result": _gate_result(gate),
        "extraction_summary": {
            **_extraction_summary(gate),
            "extraction_empty": gate.empty,
            "extraction_empty_reason": empty_reason,
        },
        "lc_baseline": _baseline(case.credit, gate),
        "issues": [issue],
        "documents_structured": [_document(paper, case) for paper in case.papers],
        "processing_summary": {
            **_processing(case, 1, counts),
            "compliance_rate": 0,
        },
        "analytics": {
            "extraction_accuracy": 0,
            "lc_compliance_score": 0,
            "compliance_level": "blocked",
            "compliance_cap_reason": gate.block_reason,
            "customs_ready_score": 0,
            "documents_processed": len(case.papers),
            "issue_counts": counts,
            "document_risk": [],
        },
        "timeline": [
            _step("Documents Uploaded", "completed", f"{len(case.papers)} documents received"),
            _step("LC Extraction", "error", gate.block_reason),
            _step("Validation", "blocked", "Validation blocked due to missing LC data"),
        ],
        "lc_structured": {
            "mt700": {"blocks": {}, "raw_text": None, "version": "mt700_v1"},
            "goods": [],
            "clauses": [],
            "timeline": [],
        },
        "lc_type": "unknown",
        "lc_type_reason": "Blocked - LC extraction incomplete",
        "lc_type_confidence": 0,
        "customs_pack": None,
        "ai_enrichment": None,
        "decision_trace": _trace("review", "reject", rules),
        **_pipeline(case, None, "reject", "BLOCKED"),
    }
    return {
        "job_id": case.job_id,
        "jobId": case.job_id,
        "structured_result": result,
        "telemetry": {
            "validation_blocked": True,
            "block_reason": gate.block_reason,
            "extraction_empty": gate.empty,
            "extraction_empty_reason": empty_reason,
            "timings": case.timings,
            "total_time_seconds": case.seconds,
        },
    }


def judged(case: Case) -> Body:
    """Return the answer of a request that went through all checks."""
    gate, credit, label = case.gate, case.credit, case.verdict
    if gate is None:
        raise ValueError("a judged answer needs a gate")
    token, status, colour, message, recommendation = _WORDS[label]
    counts = {word: sum(one.severity == word for one in case.findings) for word in SEVERITIES}
    score = max(0, 100 - 40 * counts["critical"] - 25 * counts["major"] - 8 * counts["minor"])
    grave = [one for one in case.findings if one.severity in {"critical", "major"}]
    rules = list(dict.fromkeys(one.id for one in grave))
    reason = "non_submit_guardrail" if label == "reject" else "stub_mode" if case.stub else "rules"
    signature = _signature(label, "bank_verdict", counts, float(score), reason)
    authoritative = _authoritative(
        label,
        "bank_verdict",
        reason,
        {
            "validation_status": status,
            "compliance_status": label,
            "critical_count": counts["critical"],
            "major_count": counts["major"],
        },
    )
    documents = [_document(paper, case) for paper in case.papers]
    sanctions = [one for one in case.findings if one.id.startswith("SANCTIONS")]
    result = {
        "version": "structured_result_v1",
        **_lc_type(credit),
        "lc_structured": {
            **_lc_structured(credit, documents),
            "analytics": {"compliance_score": score, "issue_counts": counts},
        },
        "documents_structured": documents,
        "issues": [_issue(one, case.papers) for one in case.findings],
        "processing_summary": {
            **_processing(case, len(case.findings), counts),
            "documents": len(documents),
            "documents_found": len(documents),
            "verified": sum(not one["issues_count"] for one in documents),
            "warnings": counts["minor"],
            "errors": len(grave),
            "compliance_rate": score,
            "processing_time_ms": round(case.seconds * 1000),
            "extraction_quality": round(gate.completeness),
            "discrepancies": len(case.findings),
            "status_counts": _statuses(documents),
            "document_status": _statuses(documents),
            "invariant_failure_reason": None,
            "bank_verdict": token,
        },
        "analytics": {
            "extraction_accuracy": None,
            "lc_compliance_score": score,
            "customs_ready_score": None,
            "documents_processed": len(documents),
            "document_status_distribution": None,
            "document_processing": [],
            "performance_insights": [],
            "processing_time_display": _display(case.seconds),
            "issue_counts": {word: counts[word] for word in ("critical", "major", "minor")},
            "compliance_score": score,
            "customs_risk": _customs_risk(case),
            "document_composition": _composition(case),
            "lc_only_mode": False,
            "compliance_level": status,
            "compliance_cap_reason": f"{len(grave)} grave issue(s) - bank will reject" if grave else None,
        },
        "ai_enrichment": {"enabled": False, "notes": [], "layers_attempted": [], "layers_succeeded": []},
        "customs_pack": {
            "ready": True,
            "manifest": [{"name": paper.filename, "tag": paper.type} for paper in case.papers],
            "format": "zip-manifest-v1",
        },
        "invariant_failure_reason": None,
        "sanctions_screening": {
            "screened": not case.stub,
            "parties_screened": sum(party is not None for party in (credit.applicant, credit.beneficiary)),
            "matches": len(sanctions),
            "potential_matches": 0,
            "clear": 0 if sanctions else 1,
            "should_block": bool(sanctions),
            "screened_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "issues": [one.id for one in sanctions],
        },
        "sanctions_blocked": False,
        "validation_blocked": False,
        "validation_status": status,
        "gate_result": _gate_result(gate),
        "extraction_summary": _extraction_summary(gate),
        "lc_baseline": {
            **_baseline(credit, gate),
            "expiry_date": _iso(credit.expiry),
            "latest_shipment": _iso(credit.latest_shipment),
            "port_of_loading": credit.loading,
            "port_of_discharge": credit.discharge,
            "goods_description": credit.goods,
            "incoterm": None,
        },
        "bank_verdict": {
            "verdict": token,
            "verdict_color": colour,
            "verdict_message": message,
            "recommendation": recommendation,
            "can_submit": label == "pass",
            "will_be_rejected": label == "reject",
            "estimated_discrepancy_fee": _FEE if case.findings else 0.0,
            "issue_summary": {
                **{word: counts[word] for word in ("critical", "major", "minor")},
                "total": len(case.findings),
            },
            "action_items": [
                {
                    "priority": "critical" if one.severity == "critical" else "high",
                    "issue": one.title,
                    "action": one.suggestion,
                }
                for one in grave
            ],
            "action_items_count": len(grave),
            "verdict_class": label,
            "verdict_signature": signature,
            "compliance_status": label,
        },
        "verdict_signature": signature,
        "blocking_reasons": rules,
        "compliance_status": label,
        "authoritative_verdict": authoritative,
        "ai_verdict": label,
        "ruleset_verdict": label,
        "final_verdict": token,
        "override_reason": reason,
        "blocking_rules": rules,
        "confidence_band": None,
        "confidence_score": None,
        "risk_score": None,
        "risk_level": None,
        "applied_rules": [],
        "reasoning_summary": None,
        "confidence_band_reason": "extraction_confidence_unavailable",
        "ai_summary": {
            "llm_layers_attempted": [],
            "llm_layers_succeeded": [],
            "llm_layer_error": None,
            "provider_evidence_present": False,
        },
        "decision_trace": _trace(label, label, rules),
        **_pipeline(case, label, label, token),
        "bank_profile": {"bank_code": "REHEARSAL", "bank_name": "Rehearsal", "strictness": "standard"},
        "tolerances_applied": {
            "amount": {
                "tolerance_percent": float(credit.above),
                "source": "lc_39a" if credit.above else "ucp600_art_30",
                "explicit": bool(credit.above),
            },
            "quantity": {"tolerance_percent": 5.0, "source": "ucp600_art_30", "explicit": False},
        },
        "_db_rules_debug": {"enabled": False, "status": "not_started"},
        "_contract_warnings": [],
        "_contract_validation": {"valid": True, "error_count": 0, "warning_count": 0, "info_count": 0},
        **({"stub_mode": True} if case.stub else {}),
    }
    return {
        "job_id": case.job_id,
        "jobId": case.job_id,
        "structured_result": result,
        "authoritative_verdict": authoritative,
        "telemetry": {
            "UnifiedStructuredResultBuilt": True,
            "documents": len(documents),
            "issues": len(case.findings),
            "timings": case.timings,
            "total_time_seconds": case.seconds,
        },
    }


def _signature(label: str, source: str, counts: Mapping[str, int], score: float | None, reason: str) -> Body:
    return {
        "version": "1.0",
        "source": source,
        "verdict_class": label,
        "verdict_token": _WORDS[label][0],
        "validation_status": _WORDS[label][1],
        "critical_count": counts.get("critical", 0),
        "major_count": counts.get("major", 0),
        "minor_count": counts.get("minor", 0),
        "compliance_score": score,
        "reason": reason,
        "schema_version": "phase4-class-separation-v1",
    }


def _authoritative(label: str, source: str, rationale: str, details: Body) -> Body:
    version = "phase4-authoritative-verdict-v1"
    return {"schema_version": version, "label": label, "source": source, "rationale": rationale, "details": details}


def _extraction_summary(gate: Gate) -> Body:
    return {
        "completeness": gate.completeness,
        "critical_completeness": gate.critical_completeness,
        "missing_critical": list(gate.missing_critical),
        "missing_required": list(gate.missing_required),
    }


def _gate_result(gate: Gate) -> Body:
    return {
        "status": "blocked" if gate.blocked else "passed",
        "can_proceed": not gate.blocked,
        "block_reason": gate.block_reason,
        "warnings": [],
        **_extraction_summary(gate),
        "blocking_issue_count": int(gate.blocked),
        "warning_issue_count": 0 if gate.blocked else len(gate.missing_required),
    }


def _baseline(credit: Credit, gate: Gate) -> Body:
    return {
        "lc_number": credit.number,
        "amount": float(credit.amount.amount) if credit.amount else None,
        "currency": (credit.amount.currency or None) if credit.amount else None,
        "applicant": credit.applicant.name if credit.applicant else None,
        "beneficiary": credit.beneficiary.name if credit.beneficiary else None,
        "extraction_completeness": gate.completeness,
        "critical_completeness": gate.critical_completeness,
    }


def _document(paper: Paper, case: Case) -> Body:
    empty = not paper.reading.segments
    found = [one for one in case.findings if one.document == paper.filename]
    reading = paper.reading
    return {
        "document_id": str(uuid.uuid5(uuid.UUID(case.job_id), paper.filename)),
        "document_type": paper.type,
        "filename": paper.filename,
        "extraction_status": "stub" if case.stub else reading.status,
        "extracted_fields": {} if empty else _fields(paper, case.credit),
        "issues_count": len(found),
        "raw_text_preview": None,
        "ocr_confidence": None if case.stub else round(reading.confidence or 0.0, 4),
        "failed_reason": reading.failure,
        "compliance_status": case.verdict if paper.type == "letter_of_credit" or found else "pass",
    }


def _fields(paper: Paper, credit: Credit) -> Body:
    if paper.type == "letter_of_credit":
        return _lc_fields(credit)
    if paper.type == "commercial_invoice":
        total = paper.total
        amount = {"total": float(total.amount), "currency": total.currency} if total else {}
        return {**amount, "presentation_date": _iso(paper.presented)}
    if paper.type == "bill_of_lading":
        ports = {"loading": paper.port("loading"), "discharge": paper.port("discharge")}
        return {"on_board_date": _iso(paper.on_board), "ports": ports, "gross_weight_kg": _float(paper.gross)}
    if paper.type == "insurance_certificate":
        insured = paper.sum_insured
        return {"sum_insured": float(insured.amount), "currency": insured.currency} if insured else {}
    if paper.type == "packing_list":
        return {"packages": paper.count, "gross_weight_kg": _float(paper.gross), "net_weight_kg": _float(paper.net)}
    return {"country_of_origin": paper.origin} if paper.type == "certificate_of_origin" else {}


def _goods_lines(credit: Credit) -> list[Body]:
    if not credit.goods:
        return []
    line = {"line_no": 1, "description": credit.goods, "quantity": None, "hs_code": None}
    return [{**line, "notes": [], "source": "45A", "confidence": 0.85}]


def _clauses(credit: Credit) -> list[Body]:
    lines = [line.strip(" +-.") for line in (credit.conditions or "").splitlines()]
    return [
        {"id": f"47A-{number}", "text": line, "type": "text_condition"}
        for number, line in enumerate(filter(None, lines), start=1)
    ]


def _timeline(credit: Credit) -> Body:
    return {
        "latest_shipment": _iso(credit.latest_shipment),
        "issue_date": _iso(credit.issue_date),
        "expiry_date": _iso(credit.expiry),
    }


def _mt700(credit: Credit) -> Body:
    tags = credit.tags
    return {
        "reference": credit.number,
        "sequence": tags.get("27"),
        "form_of_doc_credit": tags.get("40A"),
        "applicable_rules": tags.get("40E"),
        "date_of_issue": _iso(credit.issue_date),
        "expiry_details": {"expiry_place_and_date": tags.get("31D"), "expiry_date_iso": _iso(credit.expiry)},
        "applicant": credit.applicant.name if credit.applicant else None,
        "beneficiary": credit.beneficiary.name if credit.beneficiary else None,
        "credit_amount": str(credit.amount) if credit.amount else None,
        "tolerance": tags.get("39A"),
        "max_credit_amt": tags.get("39B"),
        "available_with": {"by": tags.get("41A") or tags.get("41D"), "details": None},
        "shipment": {
            "drafts_at": tags.get("42C"),
            "drawee": tags.get("42A") or tags.get("42D"),
            "partial_shipments": tags.get("43P"),
            "transshipment": tags.get("43T"),
        },
        "period_for_presentation": credit.presentation_days,
        "mixed_payment_details": tags.get("42M"),
        "deferred_payment_details": tags.get("42P"),
        "shipment_details": {
            "place_of_taking_in_charge_dispatch_from": tags.get("44A"),
            "port_of_loading_airport_of_departure": credit.loading,
            "port_of_discharge_airport_of_destination": credit.discharge,
            "place_of_final_destination_for_transport": tags.get("44B"),
            "latest_date_of_shipment": _iso(credit.latest_shipment),
            "shipment_period": tags.get("44D"),
        },
        "docs_required": credit.documents,
        "description_of_goods": credit.goods,
        "additional_conditions": credit.conditions,
        "charges": tags.get("71B") or tags.get("71D"),
        "reimbursing_bank": tags.get("53A"),
        "advising_bank": tags.get("57A") or tags.get("57D"),
        "instructions_to_paying_accepting_negotiating_bank": tags.get("78"),
        "sender_to_receiver_info": tags.get("72") or tags.get("72Z"),
        "lc_classification": _classification(credit),
        "blocks": {},
        "raw": {},
    }


def _lc_fields(credit: Credit) -> Body:
    return {
        "number": credit.number,
        "amount": float(credit.amount.amount) if credit.amount else None,
        "applicant": {"name": credit.applicant.name} if credit.applicant else None,
        "beneficiary": {"name": credit.beneficiary.name} if credit.beneficiary else None,
        "ports": {"loading": credit.loading, "discharge": credit.discharge},
        "goods": _goods_lines(credit),
        "goods_summary": {"items": len(_goods_lines(credit)), "total_quantity": None, "units": []},
        "additional_conditions": _clauses(credit),
        "ucp_reference": "UCP LATEST VERSION",
        "timeline": _timeline(credit),
        "source": {"parsers": ["mt700" if credit.tags else "labels_and_prose"], "version": "rehearsal_v1"},
        "mt700": _mt700(credit),
        **_lc_type(credit),
        "lc_classification": _classification(credit),
    }


def _lc_type(credit: Credit) -> Body:
    return {
        "lc_type": "export" if credit.number else "unknown",
        "lc_type_reason": "Presented by the beneficiary"
        if credit.number
        else "Could not determine LC type from document",
        "lc_type_confidence": 0.9 if credit.number else 0.0,
        "lc_type_source": "mt700_parser" if credit.tags else "text_parser",
    }


def _classification(credit: Credit) -> Body:
    return {"types": ["Documentary" if credit.number else "Unknown"]}


def _lc_structured(credit: Credit, documents: list[Body]) -> Body:
    return {
        "mt700": _mt700(credit),
        "goods": _goods_lines(credit),
        "clauses": _clauses(credit),
        "timeline": _timeline(credit),
        "documents_structured": [one for one in documents if one["document_type"] == "letter_of_credit"],
        "number": credit.number,
        "lc_number": credit.number,
        "amount": float(credit.amount.amount) if credit.amount else None,
        "currency": (credit.amount.currency or None) if credit.amount else None,
        "incoterm": None,
        "ucp_reference": "UCP LATEST VERSION",
        "goods_description": credit.goods,
        "applicant": {"name": credit.applicant.name} if credit.applicant else None,
        "beneficiary": {"name": credit.beneficiary.name} if credit.beneficiary else None,
        "ports": {"loading": credit.loading, "discharge": credit.discharge},
        "additional_conditions": _clauses(credit),
        "hs_codes": None,
        "dates": None,
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
        "field": None,
        "ucp_reference": one.article,
        "isbp_reference": None,
    }


def _processing(case: Case, issues: int, counts: Mapping[str, int]) -> Body:
    statuses = ["success" if case.stub else paper.reading.status for paper in case.papers]
    return {
        "total_documents": len(case.papers),
        "successful_extractions": statuses.count("success"),
        "failed_extractions": statuses.count("empty"),
        "partial_extractions": statuses.count("partial"),
        "total_issues": issues,
        "processing_time_seconds": round(case.seconds, 2),
        "processing_time_display": _display(case.seconds),
        "severity_breakdown": dict(counts),
    }


def _statuses(documents: Sequence[Body]) -> Body:
    words = [one["extraction_status"] for one in documents]
    warning, failed = words.count("partial"), words.count("empty")
    return {"success": len(words) - warning - failed, "warning": warning, "error": failed}


def _customs_risk(case: Case) -> Body:
    flags = [f"missing_{kind}" for kind in TITLES if all(paper.type != kind for paper in case.papers)]
    score = min(90, 15 * len(flags))
    return {"score": score, "tier": "high" if score >= 60 else "medium" if score >= 30 else "low", "flags": flags}


def _composition(case: Case) -> Body:
    types = [paper.type for paper in case.papers]
    missing = [kind for kind in TITLES if kind not in types]
    return {
        "total_documents": len(types),
        "total_pages": sum(1 + max((one.page for one in paper.reading.segments), default=0) for paper in case.papers),
        "document_types": {kind: types.count(kind) for kind in dict.fromkeys(types)},
        "missing_common": missing,
        "missing_required": [one.subject for one in case.findings if one.id == "DOC-MISSING"],
        "completeness_score": round(100 * (1 - len(missing) / len(TITLES)), 1),
        "lc_only_mode": types == ["letter_of_credit"],
        "estimated_processing_time_sec": 0.0,
        "completeness_grade": "ABCDEF"[min(5, len(missing))],
    }


def _trace(ai: str, ruleset: str, rules: Sequence[str | None]) -> Body:
    return {
        "mode": "rules_only",
        "enforced": False,
        "ai_verdict": ai,
        "ruleset_verdict": ruleset,
        "arbitration_verdict": ruleset,
        "arbitration_reason": "rules_critical_fail" if rules else "rules_pass",
        "blocking_rules": list(rules),
        "extraction_confidence": None,
        "thresholds": {"low_extraction_confidence": 0.6},
        "enforcement_applied": False,
        "router_transport": "unknown",
        "layer_calls": [],
    }


def _pipeline(case: Case, ai: str | None, ruleset: str, final: str) -> Body:
    statuses = ["success" if case.stub else paper.reading.status for paper in case.papers]
    observed = {"total_documents": len(statuses), "successful_extractions": statuses.count("success")}
    rows: list[tuple[str, bool, Any, str]] = [
        ("documents_extraction_non_empty", "success" in statuses, observed, ">=1 extractable document"),
        ("ai_verdict_non_empty", ai is not None, ai, "non-empty"),
        ("ruleset_verdict_non_empty", True, ruleset, "non-empty"),
        ("final_verdict_non_empty", True, final, "non-empty"),
    ]
    reasons = [
        f"{name} failed (observed={seen!r}, required={needed!r})" for name, passed, seen, needed in rows if not passed
    ]
    return {
        "pipeline_verification_status": "UNVERIFIED" if reasons else "VERIFIED",
        "pipeline_verification_checks": [
            {"check_name": name, "passed": passed, "observed_value": seen, "required_value": needed}
            for name, passed, seen, needed in rows
        ],
        "pipeline_verification_fail_reasons": reasons,
        "pipeline_verification_warnings": [f"WARNING: {reason}" for reason in reasons],
    }


def _step(title: str, status: str, description: str) -> Body:
    return {"title": title, "status": status, "description": description}


def _display(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms" if seconds < 0.5 else f"{seconds:.1f} seconds"


def _iso(day: Any) -> str | None:
    return day.isoformat() if day else None


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
