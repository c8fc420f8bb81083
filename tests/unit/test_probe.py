"""Probes against real servers on the loopback interface, well and ill behaved."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from clocks import TurnedClock
from solidgreen.check import Status
from solidgreen.errors import BadInput
from solidgreen.probe import Probe, exchange, look, look_all, run

JSON = "application/json"
HEALTHY = {"status": "ok", "checks": {"database": {"status": "ok"}}}
PAGES: dict[str, tuple[int, str, Any, dict[str, str]]] = {
    "/healthz": (200, JSON, HEALTHY, {}),
    "/charset": (200, "application/json; charset=utf-8", HEALTHY, {}),
    "/ready": (200, JSON, {"status": "error", "overall_healthy": False}, {}),
    "/flag": (200, JSON, {"overall_healthy": False}, {}),
    "/stub": (200, JSON, {"configuration": {"use_stubs": True}}, {}),
    "/html": (200, "text/html", "<html>", {}),
    "/moved": (307, "", "", {"Location": "/healthz"}),
    "/validate": (405, JSON, {"detail": "Method Not Allowed"}, {"Allow": "POST, OPTIONS"}),
    "/broken": (500, JSON, {"detail": {"error_code": "validation_internal_error", "message": "x"}}, {}),
    "/gone": (503, JSON, {"error": "database_unavailable", "message": "x"}, {}),
    "/list": (200, JSON, [1, 2], {}),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/host":
            page: tuple[int, str, Any, dict[str, str]] = (200, JSON, {"host": self.headers["Host"]}, {})
        else:
            page = PAGES.get(self.path, (404, JSON, {"detail": "Not Found"}, {}))
        status, media_type, body, headers = page
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": media_type, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve connections by *answer* and yield the port."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            answer(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return closed.getsockname()[1]


PASSES = {
    "status alone": ("/healthz", {}),
    "content type with parameters": ("/charset", {"expect_content_type": JSON}),
    "dotted key": ("/healthz", {"expect_json": {"checks.database.status": "ok"}}),
    "one of several values": ("/healthz", {"expect_json": {"status": ["ok", "healthy"]}}),
    "key that is there": ("/healthz", {"expect_json_keys": ["checks.database"]}),
    "method not allowed as needed": ("/validate", {"expect_status": [405], "allow": "post"}),
    "redirect as needed": ("/moved", {"expect_status": [307]}),
    "sick body that is asked for": ("/ready", {"expect_json": {"status": "error", "overall_healthy": False}}),
    "a list has no status": ("/list", {}),
}


@pytest.mark.parametrize(("path", "wants"), PASSES.values(), ids=PASSES)
def test_an_answer_that_is_what_was_needed_passes(web: int, path: str, wants: dict[str, Any]) -> None:
    finding = run(Probe("x", "http", url=f"http://127.0.0.1:{web}{path}", **wants))
    assert (finding.ok, finding.cause) == (True, ""), finding.seen


FAILS = {
    "200 with status error": ("/ready", {}, "unhealthy", "200 application/json: the body says status=error"),
    "200 with a flag": ("/flag", {}, "unhealthy", "200 application/json: the body says overall_healthy=false"),
    "stub mode": (
        "/stub",
        {"expect_json": {"configuration.use_stubs": False}},
        "answer",
        "200 application/json: configuration.use_stubs=true",
    ),
    "page on an API path": ("/html", {"expect_content_type": JSON}, "missing", "200 text/html"),
    "JSON asked of a page": ("/html", {"expect_json": {"status": "ok"}}, "answer", "200 text/html: no key status"),
    "redirect": ("/moved", {}, "redirect", "307: a redirect to /healthz"),
    "no such route": ("/none", {}, "missing", "404 application/json: Not Found"),
    "error object": ("/broken", {}, "answer", "500 application/json: validation_internal_error"),
    "error text": ("/gone", {}, "answer", "503 application/json: database_unavailable"),
    "method missing": (
        "/validate",
        {"expect_status": [405], "allow": "PUT"},
        "answer",
        "405 application/json: Allow: POST, OPTIONS",
    ),
    "key missing": ("/healthz", {"expect_json_keys": ["version"]}, "answer", "200 application/json: no key version"),
}


@pytest.mark.parametrize(("path", "wants", "cause", "seen"), FAILS.values(), ids=FAILS)
def test_an_answer_that_is_not_says_what_it_was(
    web: int, path: str, wants: dict[str, Any], cause: str, seen: str
) -> None:
    check = look(Probe("x", "http", url=f"http://127.0.0.1:{web}{path}", **wants), clock=TurnedClock())
    assert (check.status, check.seen, check.facts["cause"]) == (Status.FAIL, seen, cause)
    assert check.next_step
    assert check.needed


def test_the_name_stays_in_the_host_header_when_another_address_is_connected_to(web: int) -> None:
    url = "http://api.trdrhub.rehearsal:81/host"
    finding = run(
        Probe(
            "x",
            "http",
            url=url,
            connect_to=f"127.0.0.1:{web}",
            expect_json={"host": "api.trdrhub.rehearsal:81"},
        )
    )
    assert finding.ok, finding.seen


def hang(stream: socket.socket) -> None:
    time.sleep(3)


def drip(stream: socket.socket) -> None:
    stream.recv(4096)
    stream.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(60):
        stream.sendall(b"a")
        time.sleep(0.05)


def drip_body(stream: socket.socket) -> None:
    stream.recv(4096)
    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n")
    for _ in range(60):
        stream.sendall(b"a")
        time.sleep(0.05)


def close(stream: socket.socket) -> None:
    stream.recv(4096)


def babble(stream: socket.socket) -> None:
    stream.recv(4096)
    stream.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def say(text: bytes) -> Callable[[socket.socket], None]:
    def answer(stream: socket.socket) -> None:
        stream.recv(4096)
        stream.sendall(text)

    return answer


STARTING = b"E" + (0).to_bytes(4, "big") + b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"
NO_ROLE = b"E" + (0).to_bytes(4, "big") + b"SFATAL\0C28000\0Mrole does not exist\0\0"
ILL = {
    "http hangs": ("http", hang, "timeout", "no answer from 127.0.0.1:{port} within 0.4 s"),
    "http headers drip": ("http", drip, "timeout", "no answer from 127.0.0.1:{port} within 0.4 s"),
    "http body drips": ("http", drip_body, "timeout", "no answer from 127.0.0.1:{port} within 0.4 s"),
    "http closes": ("http", close, "closed", "127.0.0.1:{port} closed the connection before it had answered"),
    "http is ssh": ("http", babble, "protocol", "what listens on 127.0.0.1:{port} does not speak HTTP"),
    "redis hangs": ("redis", hang, "timeout", "no answer from 127.0.0.1:{port} within 0.4 s"),
    "redis wants a password": (
        "redis",
        say(b"-NOAUTH Authentication required.\r\n"),
        "credentials",
        "Redis answers NOAUTH Authentication required.",
    ),
    "redis is loading": (
        "redis",
        say(b"-LOADING Redis is loading the dataset in memory\r\n"),
        "starting",
        "Redis answers LOADING Redis is loading the dataset in memory",
    ),
    "redis is ssh": ("redis", babble, "protocol", "no Redis answer"),
    "postgres hangs": ("postgres", hang, "timeout", "no answer from 127.0.0.1:{port} within 0.4 s"),
    "postgres closes": ("postgres", close, "closed", "127.0.0.1:{port} closed the connection before it had answered"),
    "postgres is ssh": ("postgres", babble, "protocol", "an answer that is not PostgreSQL's"),
    "postgres starts": (
        "postgres",
        say(STARTING),
        "starting",
        "PostgreSQL refuses logins: the database system is starting up (57P03)",
    ),
}


@pytest.mark.parametrize(("kind", "answer", "cause", "seen"), ILL.values(), ids=ILL)
def test_a_server_that_does_not_answer_well_is_named_within_the_timeout(
    kind: str, answer: Callable[[socket.socket], None], cause: str, seen: str
) -> None:
    with serving(answer) as port:
        probe = Probe("x", kind, port=port, url=f"http://127.0.0.1:{port}/", timeout=0.4)
        began = time.monotonic()
        finding = run(probe)
        assert time.monotonic() - began < 1.5
    assert (finding.cause, finding.seen) == (cause, seen.format(port=port))


@pytest.mark.parametrize("kind", ["tcp", "http", "redis", "postgres"])
def test_nothing_that_listens_is_a_refused_connection(kind: str) -> None:
    port = free_port()
    finding = run(Probe("x", kind, port=port, url=f"http://127.0.0.1:{port}/", user="u" if kind == "postgres" else ""))
    assert finding.seen == f"nothing listens on 127.0.0.1:{port} (connection refused)"
    assert finding.cause == "refused"


def test_a_login_that_hangs_ends_at_its_timeout() -> None:
    with serving(hang) as port:
        finding = run(Probe("x", "postgres", port=port, user="someone", timeout=0.4))
    assert (finding.cause, finding.seen) == ("timeout", "no answer from PostgreSQL within 0.4 s")


def test_a_server_that_knows_no_such_role_takes_logins() -> None:
    with serving(say(NO_ROLE)) as port:
        assert run(Probe("x", "postgres", port=port)).ok


def test_redis_that_answers_pong_passes_and_an_open_port_is_enough_for_tcp() -> None:
    with serving(say(b"+PONG\r\n")) as port:
        assert run(Probe("x", "redis", port=port)).seen == "PONG"
        assert run(Probe("x", "tcp", port=port)).ok


def test_a_password_file_that_is_not_there_is_named() -> None:
    finding = run(Probe("x", "redis", port=1, password_file="/nonexistent/password"))
    assert (finding.cause, finding.seen) == (
        "credentials",
        "no password: No such file or directory (/nonexistent/password)",
    )


def test_a_name_that_does_not_resolve_is_named() -> None:
    finding = run(Probe("x", "tcp", host="nothing.invalid", port=80, timeout=2))
    assert (finding.cause, finding.seen) == ("dns", "the name nothing.invalid does not resolve")


def test_it_is_tried_until_it_passes_and_says_how_often() -> None:
    answers = iter([b"-LOADING x\r\n", b"-LOADING x\r\n", b"+PONG\r\n"])
    clock = TurnedClock()
    with serving(lambda stream: say(next(answers))(stream)) as port:
        check = look(Probe("redis", "redis", port=port), clock=clock, attempts=5, delay=0.5)
    assert (check.status, check.attempts, clock.elapsed) == (Status.PASS, 3, 1.0)
    assert check.at == "2026-03-01T12:00:01.000000Z"
    assert check.next_step == ""


def test_what_fails_keeps_the_words_owner_and_exit_code_of_its_probe() -> None:
    probe = Probe(
        "api", "tcp", port=free_port(), needed="the API", next_step="call them", owner="Infra Lead", exit_code=12
    )
    check = look(probe, clock=TurnedClock(), attempts=2)
    assert (check.needed, check.next_step, check.owner, check.exit_code, check.attempts) == (
        "the API",
        "call them",
        "Infra Lead",
        12,
        2,
    )


def test_hanging_probes_cost_one_timeout_together_and_keep_their_order() -> None:
    with serving(hang) as port:
        began = time.monotonic()
        checks = look_all([Probe(f"p{n}", "redis", port=port, timeout=0.5) for n in range(6)], clock=TurnedClock())
        assert time.monotonic() - began < 2
    assert [check.id for check in checks] == ["p0", "p1", "p2", "p3", "p4", "p5"]
    assert look_all([], clock=TurnedClock()) == []


def test_a_proxy_of_the_environment_is_not_used(web: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert exchange(f"http://127.0.0.1:{web}/healthz", timeout=2).status == 200


BAD = {
    "no id": ({"type": "tcp", "port": 1}, 'probe "": found no id, need an id of its own'),
    "unknown type": (
        {"id": "a", "type": "udp"},
        "probe \"a\": found type 'udp', need tcp or http or postgres or redis",
    ),
    "unknown key": ({"id": "a", "type": "tcp", "prot": 1}, 'probe "a": found unknown prot, need options of a probe'),
    "no port": ({"id": "a", "type": "redis"}, 'probe "a": found port 0, need a port from 1 to 65535'),
    "port too large": (
        {"id": "a", "type": "redis", "port": 70000},
        'probe "a": found port 70000, need a port from 1 to 65535',
    ),
    "no url": ({"id": "a", "type": "http"}, "probe \"a\": found url '', need http://host… or https://host…"),
    "bad port in url": (
        {"id": "a", "type": "http", "url": "http://h:x/"},
        "probe \"a\": found url 'http://h:x/', need http://host… or https://host…",
    ),
    "bad connect_to": (
        {"id": "a", "type": "http", "url": "http://h/", "connect_to": "here"},
        "probe \"a\": found connect_to 'here', need host:port",
    ),
    "no time": (
        {"id": "a", "type": "tcp", "port": 1, "timeout": 0},
        'probe "a": found timeout 0, need seconds above 0',
    ),
    "no CA file": (
        {"id": "a", "type": "http", "url": "https://h/", "ca_file": "/none"},
        'probe "a": found no file /none, need a CA file',
    ),
}


@pytest.mark.parametrize(("value", "words"), BAD.values(), ids=BAD)
def test_a_probe_that_cannot_be_run_is_refused_in_one_sentence(value: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        Probe.from_dict(value)
    assert str(refused.value).startswith(f"{words}. Next: ")
