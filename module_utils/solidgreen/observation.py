"""The records a run writes of what it saw; nothing in them comes from anywhere but the request and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from . import fields, verdict
from .answers import Exchange
from .cases import Case
from .clock import stamp
from .verdict import VerdictMap

Record = dict[str, Any]
#: What an attempt holds, in its own record and in the list of its case.
ATTEMPT_KEYS = (
    "n",
    "started_at",
    "at_s",
    "duration_s",
    "http_status",
    "reason",
    "retry_after_s",
    "wait_s",
    "request_id",
)
_GIVEN_UP = {"http_429": "rate_limited", "http_503": "infra_unavailable"}


def attempt(n: int, *, started_at: datetime, at_s: float, wait_s: float, exchange: Exchange) -> Record:
    """Return one attempt; ``at_s`` counts from the start of the run, ``wait_s`` is what had to pass after it."""
    return {
        "n": n,
        "started_at": stamp(started_at),
        "at_s": round(at_s, 6),
        "duration_s": round(exchange.duration_s, 6),
        "http_status": exchange.status,
        "reason": exchange.reason,
        "retry_after_s": exchange.retry_after_s,
        "wait_s": round(wait_s, 6),
        "request_id": exchange.request_id,
    }


def open_attempt(case: Case, last: Record, *, now: datetime) -> Record:
    """Return the record of an attempt that will be followed by another."""
    identity = {"case_id": case.case_id, "content_sha256": case.content_sha256}
    return {"type": "attempt", **identity, **last, "at": stamp(now)}


def attempt_of(record: Record) -> Record:
    """Return the attempt that :func:`open_attempt` recorded."""
    return {key: record[key] for key in ATTEMPT_KEYS}


def given_up(last: Record) -> Exchange:
    """Return how a case counts that was waiting for another attempt when its run ended."""
    outcome = _GIVEN_UP.get(last["reason"], "transport_error")
    return Exchange(outcome, last["reason"], last["duration_s"], status=last["http_status"])


def observation(
    seq: int, case: Case, attempts: Sequence[Record], exchange: Exchange, vmap: VerdictMap, *, now: datetime
) -> Record:
    """Return the terminal record of a case.

    Of a case with personal data no value of the answer is kept, only its shape and the verdict.
    """
    answer = exchange.answer
    reading = verdict.read(answer, exchange.status, vmap)
    response = None if answer is None else verdict.kept(answer, vmap)
    return {
        "type": "observation",
        "seq": seq,
        "case_id": case.case_id,
        "content_sha256": case.content_sha256,
        "attempts": list(attempts),
        "outcome": exchange.outcome,
        "http_status": exchange.status,
        "content_type": exchange.content_type,
        "body_sha256": exchange.body_sha256,
        "body_bytes": exchange.body_bytes,
        "job_id": _job_id(answer),
        "values_kept": not case.contains_pii,
        "response": fields.blank(response) if case.contains_pii else response,
        "response_keys": None if answer is None else verdict.key_names(answer, vmap),
        "error_code": exchange.error_code,
        "error_detail": None if case.contains_pii else exchange.error_detail,
        "secrets": exchange.secrets,
        "verdict": reading.verdict,
        "verdict_source": reading.source,
        "verdict_sources": dict(reading.sources),
        "disagreements": reading.disagreements,
        "finished_at": stamp(now),
    }


def _job_id(answer: Mapping[str, Any] | None) -> str | None:
    found = (answer or {}).get("job_id") or (answer or {}).get("jobId")
    return found[:100] if isinstance(found, str) else None
