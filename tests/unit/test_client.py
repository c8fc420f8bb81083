"""The client against real servers on loopback, hostile ones."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import socket
import ssl
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pytest
from hostile_server import JSON, MIB, PASS, TRICKS, HostileServer, Trick, certificate, http
from solidgreen import answers, client, jsonio
from solidgreen.answers import Exchange
from solidgreen.client import Client, Target, open_session
from solidgreen.clock import SystemClock
from solidgreen.errors import BadInput
from solidgreen.request import Request
from solidgreen.workers import Threads

REQUEST = Request(b"--b\r\n\r\nbody\r\n--b--\r\n", "multipart/form-data; boundary=b")
LARGE = Request(b"--b\r\n\r\n" + b"x" * (8 * MIB) + b"\r\n--b--\r\n", "multipart/form-data; boundary=b")
PLAIN = open_session(4)
#: Seconds a loaded machine may add to a limit before it counts as not kept.
SLACK = 2.0


@pytest.fixture(scope="module", name="server")
def server_fixture() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.close()


def send(url: str, token: str = "", request: Request = REQUEST, **limits: float) -> Exchange:
    times = {"connect_timeout_s": 5.0, "read_timeout_s": 5.0, "total_timeout_s": 10.0, **limits}
    # What TLS trusts is read when a session is opened, and takes longer than all else here.
    session = open_session(1) if url.startswith("https:") else PLAIN
    return Client(session, Target(url, token, **times), SystemClock()).send(request)


@contextlib.contextmanager
def listening(reply: Callable[[socket.socket], None], buffer: int = 0) -> Iterator[str]:
    """Yield the address of a server that lets *reply* do what it likes with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                reply(connection)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}/"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts


def kinds(exchange: Exchange) -> tuple[str, str, int | None]:
    return exchange.outcome, exchange.reason, exchange.status


def expected(trick: Trick) -> tuple[str, str, int | None]:
    return trick.outcome, trick.reason, trick.status


@pytest.mark.parametrize("path", [path for path, trick in TRICKS.items() if not trick.slow])
def test_whatever_a_server_does_is_a_classified_exchange(server: HostileServer, path: str) -> None:
    exchange = send(server.url(path))
    assert kinds(exchange) == expected(TRICKS[path])
    assert (exchange.answer is not None) is (exchange.outcome == "answer")


def overlapping(
    server: HostileServer, paths: Sequence[str], in_flight: int, **limits: float
) -> Mapping[str, tuple[str, Exchange]]:
    """Return path and exchange of each request, by its number, sent side by side."""
    with open_session(in_flight) as session:
        senders = {
            path.encode(): Client(session, Target(server.url(path), **limits), SystemClock()).send
            for path in set(paths)
        }
        workers = Threads(lambda request: senders[request.body](request))
        waiting, landed = list(enumerate(paths)), {}
        flying = 0
        while waiting or flying:
            while waiting and flying < in_flight:
                number, path = waiting.pop()
                workers.start(str(number), Request(path.encode(), "text/plain"))
                flying += 1
            back = workers.wait(30.0)
            assert back is not None, f"{flying} requests never came back"
            landed[back[0]] = (paths[int(back[0])], back[1])
            flying -= 1
    return landed


def test_600_hostile_answers_from_many_threads_are_each_what_they_are(server: HostileServer) -> None:
    paths = [path for path, trick in TRICKS.items() for _ in range(2 if trick.slow or trick.heavy else 6)]
    random.Random(3).shuffle(paths)
    landed = overlapping(server, paths, 24, read_timeout_s=1.5, total_timeout_s=2.5)
    assert len(landed) == len(paths) >= 600
    wrong = Counter(
        (path, *kinds(exchange)) for path, exchange in landed.values() if kinds(exchange) != expected(TRICKS[path])
    )
    assert not wrong
    for _, exchange in landed.values():
        jsonio.canonical(dataclasses.asdict(exchange))
        assert exchange.duration_s <= 2.5 + SLACK
        assert len(exchange.error_detail or "") <= answers.MAX_DETAIL
        assert (exchange.error_detail or "").isprintable()


def test_no_trickle_outlasts_the_total_timeout(server: HostileServer) -> None:
    slow = [path for path, trick in TRICKS.items() if trick.slow]
    for path, exchange in overlapping(server, slow, len(slow), read_timeout_s=0.8, total_timeout_s=1.2).values():
        assert kinds(exchange) == expected(TRICKS[path])
        assert 0.8 <= exchange.duration_s <= 1.2 + SLACK, path


def test_nothing_is_left_of_a_request_when_it_ended(server: HostileServer) -> None:
    process = psutil.Process()
    threads, files = threading.active_count(), process.num_fds()
    paths = ["/fine", "/silent", "/drip-headers", "/reset", "/huge", "/long-header", "/bomb", "/429-drip", "/gone"]
    overlapping(server, paths * 2, 6, read_timeout_s=0.3, total_timeout_s=0.6)
    until = time.monotonic() + 5.0
    while (threading.active_count(), process.num_fds()) > (threads, files) and time.monotonic() < until:
        time.sleep(0.05)
    assert (threading.active_count(), process.num_fds()) <= (threads, files)


@pytest.mark.parametrize(
    "path", ["/bomb", "/bomb-deflate", "/huge", "/huge-endless", "/429-bomb", "/429-huge", "/gzip-members"]
)
def test_memory_stays_bounded_whatever_is_sent(server: HostileServer, path: str) -> None:
    tracemalloc.start()
    try:
        assert kinds(send(server.url(path))) == expected(TRICKS[path])
        assert tracemalloc.get_traced_memory()[1] < 5 * client.MAX_BODY
    finally:
        tracemalloc.stop()


def test_a_refusal_is_known_before_its_slow_body_has_come(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "REFUSAL_S", 0.3)
    exchange = send(server.url("/429-drip"), total_timeout_s=60.0)
    assert (exchange.outcome, exchange.retry_after_s) == ("rate_limited", 7.0)
    assert exchange.duration_s < 0.3 + SLACK
    assert exchange.body_sha256 is None


def _head(connection: socket.socket) -> None:
    while b"\r\n\r\n" not in connection.recv(4096, socket.MSG_PEEK):
        time.sleep(0.01)


def _deaf(connection: socket.socket) -> None:
    _head(connection)
    time.sleep(6)


def _sips(connection: socket.socket) -> None:
    while connection.recv(1024):
        time.sleep(0.02)


def _reads_slowly(connection: socket.socket) -> None:
    data = b""
    while not data.endswith(b"--b--\r\n"):
        data = data[-20:] + connection.recv(256 * 1024)
        time.sleep(0.02)
    connection.sendall(http(200, PASS, JSON))


@pytest.mark.parametrize(
    ("reply", "limits", "outcome", "seconds"),
    [
        pytest.param(_deaf, {"read_timeout_s": 0.4}, "transport_error", 0.4, id="nothing is taken"),
        pytest.param(_sips, {"total_timeout_s": 0.8}, "transport_error", 0.8, id="taken in sips"),
        pytest.param(
            _reads_slowly,
            {"connect_timeout_s": 0.3, "read_timeout_s": 2.0, "total_timeout_s": 30.0},
            "answer",
            0.3,
            id="taken slowly, longer than a connection may take",
        ),
    ],
)
def test_a_body_may_be_sent_slowly_but_neither_in_silence_nor_for_ever(
    reply: Callable[[socket.socket], None], limits: dict[str, float], outcome: str, seconds: float
) -> None:
    with listening(reply, buffer=64 * 1024) as place:
        exchange = send(f"http://{place}", request=LARGE, **limits)
    assert exchange.outcome == outcome
    assert exchange.reason == ("ok" if outcome == "answer" else "timeout")
    assert seconds <= exchange.duration_s
    assert outcome == "answer" or exchange.duration_s < seconds + SLACK


def test_a_refusal_is_heard_while_a_large_body_is_still_being_sent(server: HostileServer) -> None:
    exchange = send(server.url("/429-early"), request=LARGE)
    assert (exchange.outcome, exchange.retry_after_s) == ("rate_limited", 7.0)


def test_a_late_second_answer_is_nobodys() -> None:
    connections: list[socket.socket] = []

    def twice(connection: socket.socket) -> None:
        connections.append(connection)
        mine = b'{"job_id": "%d"}' % len(connections)
        connection.recv(65536)
        connection.sendall(http(200, mine, JSON).replace(b"close", b"keep-alive"))
        time.sleep(0.1)
        connection.sendall(http(200, b'{"job_id": "late"}', JSON))

    with listening(twice) as place, open_session(1) as session:
        sender = Client(session, Target(f"http://{place}"), SystemClock())
        first = sender.send(REQUEST)
        time.sleep(0.2)
        second = sender.send(REQUEST)
    assert [first.answer, second.answer] == [{"job_id": "1"}, {"job_id": "2"}]


def test_nobody_listening_is_a_failed_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    exchange = send(f"http://127.0.0.1:{port}/")
    assert (exchange.reason, exchange.status, exchange.error_detail) == ("connect", None, "ConnectionRefusedError")


@pytest.mark.parametrize("host", ["nobody.invalid", f"{'a' * 70}.test", "a..b"])
def test_a_host_that_has_no_address_is_a_failed_connection(host: str) -> None:
    exchange = send(f"http://{host}/")
    assert (exchange.outcome, exchange.reason, exchange.status) == ("transport_error", "connect", None)


@pytest.fixture(name="trusted")
def trusted_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ssl.SSLContext]:
    def trusted(host: str, trust: bool = True) -> ssl.SSLContext:
        path = certificate(tmp_path, host)
        if trust:
            monkeypatch.setenv("SSL_CERT_FILE", str(path))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    return trusted


@pytest.mark.parametrize(
    "path", ["/fine", "/gzip", "/103", "/429", "/huge", "/gone", "/length-too-long", "/drip-headers"]
)
def test_over_tls_it_is_the_same(trusted: Callable[..., ssl.SSLContext], path: str) -> None:
    server = HostileServer(trusted("127.0.0.1"))
    exchange = send(server.url(path), request=LARGE, read_timeout_s=2.0, total_timeout_s=3.0)
    server.close()
    assert kinds(exchange) == expected(TRICKS[path])
    assert exchange.duration_s < 3.0 + SLACK


@pytest.mark.parametrize(
    ("host", "trust", "words"),
    [("127.0.0.1", False, "self-signed certificate"), ("127.0.0.2", True, "IP address mismatch")],
    ids=["not trusted", "of another host"],
)
def test_a_certificate_that_does_not_hold_is_named(
    trusted: Callable[..., ssl.SSLContext], host: str, trust: bool, words: str
) -> None:
    server = HostileServer(trusted(host, trust))
    exchange = send(server.url("/fine"), token="t0ken")
    server.close()
    assert kinds(exchange) == ("transport_error", "tls", None)
    assert words in (exchange.error_detail or "")
    assert not server.received


def test_a_server_that_speaks_no_tls_is_a_failure_of_tls() -> None:
    def plain(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(http(400, b"<html>plain HTTP here</html>"))

    with listening(plain) as place:
        assert kinds(send(f"https://{place}")) == ("transport_error", "tls", None)


def test_a_handshake_that_stalls_ends_with_the_attempt() -> None:
    with listening(lambda connection: time.sleep(6)) as place:
        exchange = send(f"https://{place}", total_timeout_s=0.5)
    assert exchange.reason == "timeout"
    assert 0.5 <= exchange.duration_s < 0.5 + SLACK


def test_an_answer_is_kept_with_its_digest_type_and_request_id(server: HostileServer) -> None:
    exchange = send(server.url("/fine"))
    assert exchange.body_sha256 == jsonio.sha256_bytes(PASS)
    assert (exchange.body_bytes, exchange.content_type, exchange.request_id) == (len(PASS), "application/json", "r-1")


@pytest.mark.parametrize(
    ("path", "seconds"),
    [("/429", 7.0), ("/429-date", 40.0), ("/429-huge", 7.0), ("/429-bomb", 7.0), ("/503", None), ("/fine", None)],
)
def test_the_time_a_server_asks_for_is_read(server: HostileServer, path: str, seconds: float | None) -> None:
    assert send(server.url(path)).retry_after_s == seconds


def test_the_request_arrives_as_it_was_built_with_no_token_and_no_cookie(server: HostileServer) -> None:
    server.received.clear()
    with open_session(1) as session:
        sender = Client(session, Target(server.url("/cookie")), SystemClock())
        assert [sender.send(REQUEST).outcome for _ in range(2)] == ["answer", "answer"]
    for _, data in server.received:
        head, _, body = data.partition(b"\r\n\r\n")
        assert body == REQUEST.body
        names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
        assert names == {
            b"host",
            b"user-agent",
            b"accept",
            b"accept-encoding",
            b"connection",
            b"content-type",
            b"content-length",
        }


def test_a_token_is_sent_only_when_there_is_one(server: HostileServer) -> None:
    server.received.clear()
    send(server.url("/fine"), token="t0ken")
    assert b"\r\nAuthorization: Bearer t0ken\r\n" in server.received[0][1]


def test_the_shell_cannot_add_a_login_or_a_proxy(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.received.clear()
    assert send(server.url("/fine")).outcome == "answer"
    assert b"Authorization" not in server.received[0][1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"read_timeout_s": 0.0}, "read_timeout_s: found 0.0, need seconds above 0"),
        ({"total_timeout_s": float("nan")}, "total_timeout_s: found nan, need seconds above 0"),
        ({"connect_timeout_s": float("inf")}, "connect_timeout_s: found inf, need seconds above 0"),
        ({"token": "two words"}, "the API token: found a sign that no header can carry"),
        ({"token": "line\r\nX-Injected: 1"}, "the API token: found a sign that no header can carry"),
        ({"token": "tökén"}, "the API token: found a sign that no header can carry"),
    ],
    ids=["no time", "no number", "no end", "a space", "a line end", "beyond ASCII"],
)
def test_a_target_that_cannot_be_asked_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        Target("http://127.0.0.1/", **changes)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "tökén" not in str(caught.value)
