"""The client against a real server on loopback, a hostile one."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from hostile_server import PASS, HostileServer
from solidgreen import jsonio
from solidgreen.answers import Exchange
from solidgreen.client import Client, Target, open_session
from solidgreen.clock import SystemClock
from solidgreen.request import Request

REQUEST = Request(b"--b\r\n\r\nbody\r\n--b--\r\n", "multipart/form-data; boundary=b")


@pytest.fixture(scope="module", name="server")
def server_fixture() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.close()


def send(url: str, token: str = "") -> Exchange:
    target = Target(url, token, connect_timeout_s=1.0, read_timeout_s=0.7, total_timeout_s=1.2)
    with open_session(1) as session:
        return Client(session, target, SystemClock()).send(REQUEST)


@pytest.mark.parametrize(
    ("path", "outcome", "reason", "status"),
    [
        ("/fine", "answer", "ok", 200),
        ("/chunked", "answer", "ok", 200),
        ("/gzip", "answer", "ok", 200),
        ("/cookie", "answer", "ok", 200),
        ("/html", "malformed", "ok", 200),
        ("/list", "malformed", "ok", 200),
        ("/cut-json", "malformed", "ok", 200),
        ("/empty", "malformed", "ok", 200),
        ("/short", "transport_error", "reset", None),
        ("/chunk-cut", "transport_error", "reset", None),
        ("/huge", "malformed", "too_large", 200),
        ("/bomb", "malformed", "too_large", 200),
        ("/not-gzip", "malformed", "undecodable", 200),
        ("/silent", "transport_error", "timeout", None),
        ("/drip", "transport_error", "timeout", None),
        ("/gone", "transport_error", "reset", None),
        ("/garbage", "transport_error", "reset", None),
        ("/reset", "transport_error", "reset", None),
        ("/reset-500", "server_error", "http_500", 500),
        ("/reset-200", "transport_error", "reset", None),
        ("/redirect", "client_error", "http_307", 307),
        ("/429", "rate_limited", "http_429", 429),
        ("/503", "infra_unavailable", "http_503", 503),
    ],
)
def test_whatever_a_server_does_is_a_classified_exchange(
    server: HostileServer, path: str, outcome: str, reason: str, status: int | None
) -> None:
    began = time.monotonic()
    exchange = send(server.url(path))
    assert (exchange.outcome, exchange.reason, exchange.status) == (outcome, reason, status)
    assert exchange.duration_s <= time.monotonic() - began < 5
    assert (exchange.answer is not None) is (outcome == "answer")


def test_a_redirect_that_is_no_address_is_still_an_exchange(server: HostileServer) -> None:
    assert send(server.url("/odd-redirect")).outcome in ("client_error", "transport_error")


def test_nobody_listening_is_a_failed_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert (send(f"http://127.0.0.1:{port}/").reason, send(f"http://127.0.0.1:{port}/").status) == ("connect", None)


def test_an_answer_is_kept_with_its_digest_type_and_request_id(server: HostileServer) -> None:
    exchange = send(server.url("/fine"))
    assert exchange.body_sha256 == jsonio.sha256_bytes(PASS)
    assert (exchange.body_bytes, exchange.content_type, exchange.request_id) == (len(PASS), "application/json", "r-1")


@pytest.mark.parametrize(("path", "seconds"), [("/429", 7.0), ("/429-date", 40.0), ("/503", None), ("/fine", None)])
def test_the_time_a_server_asks_for_is_read(server: HostileServer, path: str, seconds: float | None) -> None:
    assert send(server.url(path)).retry_after_s == seconds


def test_the_request_arrives_as_it_was_built_with_no_token_and_no_cookie(server: HostileServer) -> None:
    server.received.clear()
    with open_session(1) as session:
        client = Client(session, Target(server.url("/cookie")), SystemClock())
        assert [client.send(REQUEST).outcome for _ in range(2)] == ["answer", "answer"]
    for _, data in server.received:
        head, _, body = data.partition(b"\r\n\r\n")
        assert body == REQUEST.body
        names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
        assert names <= {
            b"host",
            b"user-agent",
            b"accept",
            b"accept-encoding",
            b"connection",
            b"content-type",
            b"content-length",
        }


def test_a_token_is_sent_only_when_there_is_one(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.received.clear()
    send(server.url("/fine"), token="t0ken")
    assert b"\r\nAuthorization: Bearer t0ken\r\n" in server.received[0][1]


def test_the_shell_cannot_add_a_login_or_a_proxy(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as handle:  # noqa: PTH123 - netrc is read by name
        handle.write("default login someone password secret\n")
    monkeypatch.setenv("NETRC", netrc)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.received.clear()
    assert send(server.url("/fine")).outcome == "answer"
    assert b"Authorization" not in server.received[0][1]
