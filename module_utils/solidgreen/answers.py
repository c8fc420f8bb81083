"""What came back for one attempt, classified: an answer, a refusal, a failure of the infrastructure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from . import jsonio

MAX_DETAIL = 300
#: Outcomes that say nothing about the case: only these are ever tried again.
RETRIED = ("rate_limited", "infra_unavailable", "transport_error")
#: What a failed attempt without an answer counts as, by its reason; every other reason is a transport error.
_WITHOUT_ANSWER = {"too_large": "malformed", "undecodable": "malformed"}


@dataclass(frozen=True)
class Exchange:
    """One attempt as it ended.

    :param outcome: ``answer``, ``rate_limited``, ``quota``, ``client_error``, ``unprocessable``, ``server_error``,
        ``transport_error``, ``malformed`` or ``infra_unavailable``
    :param reason: ``ok``, ``http_<status>``, or what broke the attempt: ``timeout``, ``connect``, ``reset``, ``tls``,
        ``too_large``, ``undecodable``
    :param retry_after_s: seconds the server asked for, None where it asked for none
    :param answer: the JSON object of an ``answer``
    """

    outcome: str
    reason: str
    duration_s: float
    status: int | None = None
    content_type: str | None = None
    request_id: str | None = None
    retry_after_s: float | None = None
    body_sha256: str | None = None
    body_bytes: int = 0
    answer: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_detail: str | None = None


def broken(reason: str, duration_s: float, *, status: int | None = None, detail: str | None = None) -> Exchange:
    """Return the exchange of an attempt that ended without a body."""
    outcome = _WITHOUT_ANSWER.get(reason, "transport_error")
    return Exchange(outcome, reason, duration_s, status=status, error_detail=detail)


def classify(
    status: int, headers: Mapping[str, str], body: bytes, duration_s: float, *, now: datetime, secret: str = ""
) -> Exchange:
    """Return the exchange of an attempt that was answered.

    :param headers: by lower-case name
    :param now: our wall time when it was answered
    :param secret: a text that must not be kept, should the server echo it
    """
    document = _json(body)
    answer = document if status == 200 and isinstance(document, Mapping) else None
    code, detail = (None, None) if answer is not None else _detail(status, headers, body, document, secret)
    retry_after = parse_retry_after(headers.get("retry-after"), headers.get("date"), now)
    return Exchange(
        outcome="answer" if answer is not None else _outcome(status, code, retry_after),
        reason="ok" if status == 200 else f"http_{status}",
        duration_s=duration_s,
        status=status,
        content_type=headers.get("content-type", "")[:100] or None,
        request_id=headers.get("x-request-id", "")[:100] or None,
        retry_after_s=retry_after,
        body_sha256=jsonio.sha256_bytes(body),
        body_bytes=len(body),
        answer=answer,
        error_code=code,
        error_detail=detail,
    )


def _outcome(status: int, code: str | None, retry_after: float | None) -> str:
    if status == 429:
        # Waiting helps against a rate limit, which says how long; it does not help against a used-up quota.
        return "quota" if retry_after is None and "QUOTA" in (code or "").upper() else "rate_limited"
    if status == 503:
        return "infra_unavailable"
    if status == 422:
        return "unprocessable"
    if status >= 500:
        return "server_error"
    return "client_error" if status >= 300 else "malformed"


def parse_retry_after(value: str | None, date: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, None where there is none that can be read.

    An HTTP-date counts from the server's own ``Date``, so that its clock need not agree with ours; without one from
    *now*.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    until = _date(text)
    return None if until is None else max(0.0, (until - (_date(date or "") or now)).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _detail(
    status: int, headers: Mapping[str, str], body: bytes, document: Any, secret: str
) -> tuple[str | None, str | None]:
    """Return the error code and one line about a body that is no answer, without *secret*."""
    error = document.get("detail", document) if isinstance(document, Mapping) else document
    code = None
    if isinstance(error, Mapping):
        code = next((str(error[key])[:100] for key in ("error_code", "code", "error") if error.get(key)), None)
        texts = (error.get(key) for key in ("error_code", "error", "message", "error_type"))
        line = ": ".join(str(text) for text in texts if text)
    elif isinstance(error, str):
        line = error
    else:
        kind = headers.get("content-type") or "no content type"
        line = f"{len(body)} bytes of {kind}, {'JSON of another type' if error is not None else 'not JSON'}"
    if 300 <= status < 400:
        line = f"redirect to {headers.get('location', 'nowhere')}"
    if secret:
        line = line.replace(secret, "[redacted]")
        code = code.replace(secret, "[redacted]") if code else None
    return code, " ".join(line.split())[:MAX_DETAIL]
