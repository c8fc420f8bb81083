"""What an answer is classified as, and how long it asks to wait."""

from __future__ import annotations

import base64
import dataclasses
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from batch_world import sample, steady
from hypothesis import given
from hypothesis import strategies as st
from solidgreen import answers, jsonio

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
        ("7.5", None, 7.5),
        ("7, 30", None, 30.0),
        ("1000000000", None, answers.LONGEST_WAIT_S),
        ("9" * 400, None, answers.LONGEST_WAIT_S),
        ("Sun, 01 Mar 2026 12:01:30 GMT", None, 90.0),
        ("Sunday, 01-Mar-26 12:01:30 GMT", None, 90.0),
        ("Sun Mar  1 12:01:30 2026", None, 90.0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", "Sun, 01 Mar 2026 12:01:00 GMT", 30.0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", "today", 90.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", "Sun, 01 Mar 2026 12:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None, answers.LONGEST_WAIT_S),
        ("Sun, 01 Mar 2026 12:01:30 +99999999999", None, None),
        ("Sun, 01 Mar 99999 12:01:30 GMT", None, None),
        (None, None, None),
        ("", None, None),
        ("soon", None, None),
        ("-5", None, None),
        ("+5", None, None),
        ("1e9", None, None),
        ("60 s", None, None),
        ("7,", None, None),
        ("inf", None, None),
        ("٣", None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_servers_own(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    assert answers.parse_retry_after(value, date, NOW) == seconds


@given(value=st.text(max_size=60), date=st.text(max_size=60))
@steady
def test_no_retry_after_leads_to_a_time_that_is_none(value: str, date: str) -> None:
    seconds = answers.parse_retry_after(value, date, NOW)
    assert seconds is None or 0 <= seconds <= answers.LONGEST_WAIT_S


def test_a_detail_is_one_short_line_without_the_token() -> None:
    body = {"detail": {"error_code": "auth s3cret", "message": "bad token s3cret\nfor\tyou " + "x" * 500}}
    exchange = classified(401, body, secret="s3cret")
    assert exchange.error_detail is not None
    assert exchange.error_detail.startswith("auth [redacted]: bad token [redacted] for you")
    assert len(exchange.error_detail) == answers.MAX_DETAIL
    assert exchange.error_code == "auth [redacted]"


TOKEN = "sk-1/2+3=?>~x"


@pytest.mark.parametrize(
    "echo",
    [
        TOKEN,
        TOKEN.upper(),
        f"Bearer {TOKEN}",
        quote(TOKEN, safe=""),
        quote(TOKEN, safe="").lower(),
        base64.b64encode(TOKEN.encode()).decode(),
        base64.b64encode(f"Bearer {TOKEN}".encode()).decode(),
        base64.urlsafe_b64encode(f"Bearer {TOKEN}".encode()).decode(),
        " " * 295 + TOKEN,
    ],
    ids=[
        "plain",
        "other case",
        "header",
        "address",
        "address, other case",
        "base64",
        "base64 header",
        "urlsafe",
        "edge",
    ],
)
def test_a_token_is_cut_out_in_each_form_it_may_come_back_in(echo: str) -> None:
    body = {"detail": {"error_code": echo, "message": f"x{' ' * 270}you sent {echo}"}}
    exchange = classified(401, body, secret=TOKEN, content_type=echo, x_request_id=echo, location=echo)
    moved = classified(302, b"", secret=TOKEN, location=echo)
    kept = json.dumps([dataclasses.asdict(exchange), dataclasses.asdict(moved)])
    assert echo.strip().rstrip("=").lower() not in kept.lower()
    assert kept.count("[redacted]") >= 5


CANARY = "postgresql://lcopilot:c4n4ry@db/lc"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, {"job_id": CANARY, "deep": [{"text": CANARY}], CANARY: 1}, id="answer"),
        pytest.param(503, {"error": "database_unavailable", "message": CANARY, "trace": [CANARY]}, id="refusal"),
        pytest.param(401, {"detail": CANARY}, id="text"),
        pytest.param(200, [CANARY], id="no answer"),
    ],
)
def test_a_secret_of_a_server_leaves_no_trace_but_a_count(status: int, body: Any) -> None:
    exchange = classified(status, body, x_request_id=CANARY)
    assert "c4n4ry" not in json.dumps(dataclasses.asdict(exchange))
    assert exchange.secrets == json.dumps(body).count("c4n4ry") + 1
    assert exchange.request_id == "postgresql://lcopilot:[redacted]@db/lc"
    assert exchange.body_sha256 == jsonio.sha256_bytes(json.dumps(body).encode())


def test_an_answer_without_a_secret_is_kept_as_it_came() -> None:
    captured = sample("200_reject_lc_only")
    exchange = classified(200, captured["body"], secret="t0ken-of-ours")
    assert (exchange.answer, exchange.secrets) == (captured["body"], 0)


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        pytest.param(400, {"detail": "no"}, "no", id="a text"),
        pytest.param(500, {"detail": {"error_code": "a", "message": "b", "error_type": "C"}}, "a: b: C", id="object"),
        pytest.param(
            422,
            {"detail": [{"loc": ["body", "files", 0], "msg": "Field required"}, {"msg": "b"}]},
            "body.files.0: Field required; b",
            id="a list of objects",
        ),
        pytest.param(503, {"error": "database_unavailable", "message": "m"}, "database_unavailable: m", id="no detail"),
        pytest.param(429, {"error": {"code": "QUOTA_EXCEEDED", "message": "m"}}, "QUOTA_EXCEEDED: m", id="nested"),
        pytest.param(
            500,
            {"detail": {"message": {"a": "b"}}},
            "35 bytes of no content type, JSON that says nothing",
            id="an object as message",
        ),
        pytest.param(500, {"detail": None}, "16 bytes of no content type, JSON that says nothing", id="null"),
        pytest.param(500, [1], "3 bytes of no content type, JSON that is no object", id="a list"),
        pytest.param(500, {"detail": "a\u0000\ud800\n\u2028\u001b[31m"}, "a\\u0000\\ud800 \\u001b[31m", id="odd signs"),
        pytest.param(500, {"detail": "x" * 2_000_000}, "x" * 297 + "...", id="two million signs"),
        pytest.param(500, {"detail": "\u0001" * 300}, "\\u0001" * 50, id="each sign shown as six"),
        pytest.param(307, b"", "redirect to nowhere", id="a redirect without a place"),
        pytest.param(200, b'{"a": NaN}', "10 bytes of no content type, JSON with NaN, which is none", id="NaN"),
        pytest.param(200, b'{"a": 1, "a": 1}', "16 bytes of no content type, JSON with a key twice", id="a key twice"),
        pytest.param(200, b'"pass"', "6 bytes of no content type, JSON that is no object", id="200 with a text"),
    ],
)
def test_what_is_no_answer_is_said_in_one_line(status: int, body: Any, detail: str) -> None:
    assert classified(status, body).error_detail == detail


@pytest.mark.parametrize(
    ("value", "read"),
    [
        pytest.param(b'\xef\xbb\xbf{"a": 1}', True, id="BOM"),
        pytest.param(b'{"a": 1.5e3, "b": -0, "c": 9007199254740993}', True, id="numbers"),
        pytest.param(b'{"a": [{"b": 1}, {"b": 1}]}', True, id="a key once an object"),
        pytest.param(b'{"a": {"b": 1, "b": 2}}', False, id="a key twice, below"),
        pytest.param(b'{"a": 1e999}', False, id="beyond floats"),
        pytest.param(b'{"a": ' + b"1" * 301 + b"}", False, id="more digits than a float holds"),
        pytest.param(b'{"a": Infinity}', False, id="Infinity"),
        pytest.param(b'{"a": "\xc3"}', False, id="half a sign"),
        pytest.param('{"a": 1}'.encode("utf-16"), False, id="UTF-16"),
        pytest.param(b'{"a": 1} {"a": 2}', False, id="two values"),
        pytest.param(b'{"a": [' + b"0," * answers.MAX_VALUES + b"0]}", False, id="too many values"),
    ],
)
def test_an_answer_is_json_that_every_reader_reads_alike(value: bytes, read: bool) -> None:
    assert (classified(200, value).outcome == "answer") is read


@given(
    status=st.integers(100, 999),
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(), max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["detail", "error", "code", "message", "loc", "msg"]), inner)
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    header=st.text(st.characters(max_codepoint=255), max_size=50),
)
@steady
def test_whatever_came_can_be_recorded(status: int, body: bytes, header: str) -> None:
    exchange = classified(
        status, body, secret="t0k", retry_after=header, content_type=header, x_request_id=header, location=header
    )
    kept = dataclasses.asdict(exchange)
    assert json.dumps(kept, ensure_ascii=True, allow_nan=False)  # nothing that to_plain would have to mend
    assert json.loads(jsonio.canonical(kept)) == kept
    assert (exchange.outcome == "answer") is (exchange.answer is not None)
    assert all(text is None or text.isprintable() for text in (exchange.error_detail, exchange.error_code))
    assert len(exchange.error_detail or "") <= answers.MAX_DETAIL


def test_a_body_that_broke_off_has_no_digest_and_keeps_its_status() -> None:
    exchange = answers.classify(429, {"retry-after": "7"}, b'{"det', 0.5, now=NOW, lost="IncompleteRead")
    assert (exchange.outcome, exchange.retry_after_s, exchange.body_sha256) == ("rate_limited", 7.0, None)
    assert exchange.error_detail == "5 bytes of no content type, IncompleteRead"


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
