"""What came back for one attempt, classified: an answer, a refusal, a failure of the infrastructure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from . import jsonio
from .redaction import redact, redact_json
from .text import visible

MAX_DETAIL = 300
_MAX_NAME = 100
#: Values an answer may have: a body of nothing but brackets would take thirty times its size in memory.
MAX_VALUES = 500_000
#: Digits a number of an answer may have, so that each still fits a float.
_MAX_DIGITS = 300
#: A longer Retry-After counts as this one: no run waits ten years, and sums of times stay within the calendar.
LONGEST_WAIT_S = 10 * 365 * 86400.0
_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)
#: What is looked at of a text of which one line is kept.
_LOOKED_AT = 4096
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
    :param retry_after_s: see :func:`parse_retry_after`; finite
    :param body_sha256: of the body without its content coding, None where it did not arrive whole
    :param answer: the JSON object of an ``answer``, redacted
    :param error_code: at most 100 visible signs, redacted
    :param error_detail: one line of at most 300 visible signs, redacted
    :param secrets: how many secrets were cut out of body and headers
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
    secrets: int = 0


def broken(reason: str, duration_s: float, *, status: int | None = None, detail: str | None = None) -> Exchange:
    """Return the exchange of an attempt that ended without a body."""
    outcome = _WITHOUT_ANSWER.get(reason, "transport_error")
    return Exchange(outcome, reason, duration_s, status=status, error_detail=detail)


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    duration_s: float,
    *,
    now: datetime,
    secret: str = "",
    lost: str = "",
) -> Exchange:
    """Return the exchange of an attempt that was answered.

    :param headers: by lower-case name
    :param now: our wall time when it was answered
    :param secret: our own token, which the server may echo
    :param lost: why the body is not whole, empty where it is
    """
    document, unread = _json(body)
    # Before anything is read of it: what is written is what was read, so that a verdict follows from the record alone.
    document, secrets = redact_json(document, secret)
    answer = document if status == 200 and isinstance(document, Mapping) else None
    code = line = None
    if answer is None:
        error = _error(document)
        code = (
            next((text for key in _CODES if (text := _scalar(error.get(key)))), None)
            if isinstance(error, Mapping)
            else None
        )
        line = _message(error) if status != 200 else ""
        if 300 <= status < 400:
            line = f"redirect to {headers.get('location', 'nowhere')}"
        elif not line:
            kind = headers.get("content-type") or "no content type"
            nothing = "JSON that says nothing" if isinstance(document, Mapping) else "JSON that is no object"
            line = f"{len(body)} bytes of {kind}, {lost or unread or nothing}"
    retry_after = parse_retry_after(headers.get("retry-after"), headers.get("date"), now)
    outcome = "answer" if answer is not None else _outcome(status, code, retry_after)
    said = (
        (headers.get("content-type"), _MAX_NAME),
        (headers.get("x-request-id"), _MAX_NAME),
        (code, _MAX_NAME),
        (line, MAX_DETAIL),
    )
    (content_type, request_id, code, line), found = zip(*(_kept(*one, secret) for one in said), strict=True)
    return Exchange(
        outcome=outcome,
        reason="ok" if status == 200 else f"http_{status}",
        duration_s=duration_s,
        status=status,
        content_type=content_type,
        request_id=request_id,
        retry_after_s=retry_after,
        body_sha256=None if lost else jsonio.sha256_bytes(body),
        body_bytes=len(body),
        answer=answer,
        error_code=code,
        error_detail=line,
        secrets=secrets + sum(found),
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
    *now*; one that is past is 0. Seconds with a fraction are taken as they are; of several values, as two servers in a
    row may send, the longest counts. More than :data:`LONGEST_WAIT_S` counts as that. A sign, an exponent, a unit or
    words are no time: the attempt then waits as if there were no header.
    """
    text = (value or "").strip()
    parts = [part.strip() for part in text.split(",")]
    if all(_SECONDS.fullmatch(part) for part in parts):
        return min(max(map(float, parts)), LONGEST_WAIT_S)
    until = _date(text)
    if until is None:
        return None
    return min(max(0.0, (until - (_date(date or "") or now)).total_seconds()), LONGEST_WAIT_S)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotOneValue("JSON with a key twice")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotOneValue("JSON with a number out of range")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise _NotOneValue("JSON with a number out of range")
    return int(text)


def _constant(name: str) -> None:
    raise _NotOneValue(f"JSON with {name}, which is none")


class _NotOneValue(ValueError):
    """Text that one reader takes for another value than the next."""


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_number, parse_int=_whole, parse_constant=_constant)


def _json(body: bytes) -> tuple[Any, str]:
    """Return the value of a body, or None and what keeps it from being read one way only."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        return None, f"more than {MAX_VALUES} values"
    try:
        return _DECODER.decode(body.decode("utf-8-sig")), ""
    except UnicodeDecodeError:
        return None, "not UTF-8"
    except _NotOneValue as error:
        return None, str(error)
    except ValueError:
        return None, "not JSON"
    except RecursionError:
        return None, "JSON nested too deep"


_CODES = ("error_code", "code", "error")
_WORDS = ("error_code", "code", "error", "message", "msg", "error_type")


def _error(document: Any) -> Any:
    """Return the part of a refusal that says why."""
    error = document.get("detail", document) if isinstance(document, Mapping) else document
    nested = error.get("error") if isinstance(error, Mapping) else None
    return nested if isinstance(nested, Mapping) else error


def _message(error: Any) -> str:
    """Return what a refusal says: a text, the texts of an object, those of a list of objects and where they apply."""
    if isinstance(error, list):
        found = [item for item in error[:3] if isinstance(item, Mapping)]
        return "; ".join(_message(item) for item in found)
    if isinstance(error, Mapping):
        place = error.get("loc")
        where = ".".join(map(_scalar, place[:10])) if isinstance(place, list) else ""
        return ": ".join(text for text in (where, *(_scalar(error.get(key)) for key in _WORDS)) if text)
    return error if isinstance(error, str) else ""


def _scalar(value: Any) -> str:
    """Return a text or a number as text; of anything else nothing, so that no container is written out."""
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def _kept(text: str | None, limit: int, secret: str) -> tuple[str | None, int]:
    """Return *text* as one visible line of at most *limit* signs, None for nothing, and the secrets cut out of it."""
    text, count = redact(text or "", secret)
    return visible(" ".join(text[:_LOOKED_AT].split()), limit)[:limit] or None, count
