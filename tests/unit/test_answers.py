"""What an answer is classified as, and how long it asks to wait."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from batch_world import sample
from solidgreen import answers

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def classified(status: int, body: Any, secret: str = "", **headers: str) -> answers.Exchange:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answers.classify(status, named, data, 0.5, now=NOW, secret=secret)


@pytest.mark.parametrize(
    ("name", "outcome", "reason", "code", "detail"),
    [
        ("200_reject_lc_only", "answer", "ok", None, None),
        ("200_blocked_no_lc_found", "answer", "ok", None, None),
        ("429_rate_limited", "rate_limited", "http_429", None, "Too many requests. Please try again later."),
        (
            "500_internal_error",
            "server_error",
            "http_500",
            "validation_internal_error",
            "validation_internal_error: Validation processing failed. Please retry or contact support.: "
            "JSONDecodeError",
        ),
    ],
)
def test_a_captured_answer_is_classified(
    name: str, outcome: str, reason: str, code: str | None, detail: str | None
) -> None:
    captured = sample(name)
    headers = {key.replace("-", "_"): value for key, value in captured["headers"].items()}
    exchange = classified(captured["status"], captured["body"], **headers)
    assert (exchange.outcome, exchange.reason) == (outcome, reason)
    assert (exchange.error_code, exchange.error_detail) == (code, detail)
    assert exchange.request_id == captured["headers"].get("x-request-id")


@pytest.mark.parametrize(
    ("status", "body", "headers", "outcome"),
    [
        pytest.param(200, [1, 2], {}, "malformed", id="JSON of another type"),
        pytest.param(200, b"<html>", {"content_type": "text/html"}, "malformed", id="HTML with 200"),
        pytest.param(200, b'{"a": ', {}, "malformed", id="cut JSON"),
        pytest.param(200, b"[" * 100_000, {}, "malformed", id="JSON nested beyond measure"),
        pytest.param(200, b"\xff\xfe\x00", {}, "malformed", id="no text at all"),
        pytest.param(204, b"", {}, "malformed", id="204"),
        pytest.param(307, b"", {"location": "/api/validate/"}, "client_error", id="redirect"),
        pytest.param(400, {"detail": "type and content disagree"}, {}, "client_error", id="400"),
        pytest.param(422, {"detail": {"error_code": "contract"}}, {}, "unprocessable", id="422"),
        pytest.param(429, {"detail": "later"}, {}, "rate_limited", id="429 without a time"),
        pytest.param(429, {"error_code": "QUOTA_EXCEEDED"}, {}, "quota", id="quota"),
        pytest.param(429, {"detail": {"error_code": "QUOTA_EXCEEDED"}}, {}, "quota", id="quota, nested"),
        pytest.param(
            429, {"error_code": "QUOTA_EXCEEDED"}, {"retry_after": "5"}, "rate_limited", id="quota with a time"
        ),
        pytest.param(500, {"detail": {"error_code": "quota_error"}}, {}, "server_error", id="schema drift is no quota"),
        pytest.param(502, b"<html>", {}, "server_error", id="502"),
        pytest.param(503, {"error": "database_unavailable"}, {}, "infra_unavailable", id="database gone"),
    ],
)
def test_an_answer_is_what_its_status_and_body_say(
    status: int, body: Any, headers: dict[str, str], outcome: str
) -> None:
    assert classified(status, body, **headers).outcome == outcome


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("59", None, 59.0),
        (" 0 ", None, 0.0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", None, 90.0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", "Sun, 01 Mar 2026 12:01:00 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", "Sun, 01 Mar 2026 12:00:00 GMT", 0.0),
        (None, None, None),
        ("", None, None),
        ("soon", None, None),
        ("-5", None, None),
        ("1.5", None, None),
        ("٣", None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_servers_own(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    assert answers.parse_retry_after(value, date, NOW) == seconds


def test_a_detail_is_one_short_line_without_the_token() -> None:
    body = {"detail": {"error_code": "auth s3cret", "message": "bad token s3cret\nfor\tyou " + "x" * 500}}
    exchange = classified(401, body, secret="s3cret")
    assert exchange.error_detail is not None
    assert exchange.error_detail.startswith("auth [redacted]: bad token [redacted] for you")
    assert len(exchange.error_detail) == answers.MAX_DETAIL
    assert exchange.error_code == "auth [redacted]"


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("timeout", "transport_error"),
        ("reset", "transport_error"),
        ("too_large", "malformed"),
        ("undecodable", "malformed"),
    ],
)
def test_an_attempt_without_an_answer_is_classified_by_what_broke_it(reason: str, outcome: str) -> None:
    assert answers.broken(reason, 1.0).outcome == outcome
