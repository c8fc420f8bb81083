"""Surveys of an edge: one that works, and each way in which one was seen not to."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from clocks import TurnedClock
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from solidgreen.check import Check, Status
from solidgreen.errors import BadInput
from solidgreen.routes import RewriteSpec, RouteSpec, Survey, survey

PAGE = (200, "text/html", "<html>", {})
NOTHING = (404, "application/json", {"error": "not_found"}, {})
API = {
    "/healthz": (200, "application/json", {"status": "ok"}, {}),
    "/health/live": (200, "application/json", {"status": "ok", "uptime_seconds": 1}, {}),
    "/api/validate/": (405, "application/json", {"detail": "Method Not Allowed"}, {"Allow": "POST"}),
}
UNKNOWN = (404, "application/json", {"detail": "Not Found"}, {})


def works(host: str, path: str) -> tuple[int, str, Any, dict[str, str]]:
    if host.startswith("app.") and not path.startswith("/api/"):
        return PAGE
    return API.get(path, UNKNOWN)


def rewrite_is_missing(host: str, path: str) -> tuple[int, str, Any, dict[str, str]]:
    return PAGE if host.startswith("app.") else API.get(path, UNKNOWN)


def only_one_path_is_rewritten(host: str, path: str) -> tuple[int, str, Any, dict[str, str]]:
    return PAGE if host.startswith("app.") and path != "/api/validate/" else API.get(path, UNKNOWN)


def nothing_is_deployed(host: str, path: str) -> tuple[int, str, Any, dict[str, str]]:
    return NOTHING


def page_everywhere(host: str, path: str) -> tuple[int, str, Any, dict[str, str]]:
    return PAGE


class Edge(ThreadingHTTPServer):
    answer = staticmethod(works)
    requests: list[tuple[str, str]]


class Handler(BaseHTTPRequestHandler):
    server: Edge

    def do_GET(self) -> None:
        self.server.requests.append((self.headers["Host"], self.path))
        status, media_type, body, headers = self.server.answer(self.headers["Host"], self.path)
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": media_type, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def edge() -> Iterator[Edge]:
    with Edge(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


def look(edge: Edge, *, scheme: str = "http", **options: Any) -> Survey:
    at = f"127.0.0.1:{edge.server_address[1]}"
    api, app = f"{scheme}://api.site.test", f"{scheme}://app.site.test"
    routes = [
        RouteSpec("api-healthz", f"{api}/healthz", connect_to=at, keys=("status",)),
        RouteSpec("api-validate", f"{api}/api/validate/", connect_to=at, expect_status=(405,), allow="POST"),
        RouteSpec("app", f"{app}/", connect_to=at, kind="html", owner="Frontend/Release Lead"),
    ]
    rewrites = [RewriteSpec("rewrite", f"{app}/api/validate/", f"{api}/api/validate/", connect_to=at)]
    return survey(routes, rewrites, **{"clock": TurnedClock(), "cycles": 2, "timeout": 3, **options})


def by_id(found: Survey) -> dict[str, Check]:
    return {check.id: check for check in found.checks}


def test_an_edge_that_works_passes_in_every_cycle(edge: Edge) -> None:
    clock = TurnedClock()
    found = look(edge, clock=clock, cycles=3, delay=60)
    assert {check.status for check in found.checks} == {Status.PASS}
    assert by_id(found)["api-validate"].seen == "405 application/json (3 of 3 cycles held)"
    assert by_id(found)["rewrite"].seen.startswith("405 application/json, as the API's host")
    assert clock.elapsed == 120
    assert len(found.seen) == len(edge.requests) == 3 * 7
    assert {row.at for row in found.seen} == {f"2026-03-01T12:0{minute}:00.000000Z" for minute in range(3)}
    assert (found.started_at, found.finished_at) == ("2026-03-01T12:00:00.000000Z", "2026-03-01T12:02:00.000000Z")


BROKEN = {
    "no rewrite": (rewrite_is_missing, {"rewrite"}, "rewrite", "200 text/html where the API's host says 405"),
    "one path": (only_one_path_is_rewritten, {"rewrite"}, "rewrite", "200 text/html where the API's host says 404"),
    "nothing deployed": (
        nothing_is_deployed,
        {"api-healthz", "api-validate", "app", "rewrite"},
        "rewrite",
        "the API's host does not answer as the API: 404",
    ),
    "page everywhere": (
        page_everywhere,
        {"api-healthz", "api-validate", "rewrite"},
        "api-healthz",
        "200 text/html: no key status (0 of 2 cycles held)",
    ),
}


@pytest.mark.parametrize(("answer", "failed", "check", "seen"), BROKEN.values(), ids=BROKEN)
def test_an_edge_that_is_broken_fails_by_name(edge: Edge, answer: Any, failed: set[str], check: str, seen: str) -> None:
    edge.answer = answer
    found = by_id(look(edge))
    assert {name for name, item in found.items() if item.status is Status.FAIL} == failed
    assert found[check].seen.startswith(seen)
    assert found[check].next_step == "deploy the route, or correct the rewrite of the edge"


def test_a_route_that_answers_only_sometimes_does_not_hold(edge: Edge) -> None:
    seen = []

    def flaps(host: str, path: str) -> tuple[int, str, Any, dict[str, str]]:
        seen.append(path)
        return (
            (502, "application/json", {"error": "bad_gateway"}, {})
            if seen.count("/healthz") == 2
            else works(host, path)
        )

    edge.answer = flaps
    check = by_id(look(edge, cycles=3))["api-healthz"]
    assert (check.status, check.facts["held"]) == (Status.FAIL, 2)
    assert check.seen == "502 application/json: bad_gateway, no key status (2 of 3 cycles held)"


def test_an_edge_that_is_gone_is_a_refused_connection(edge: Edge) -> None:
    edge.shutdown()
    edge.server_close()
    for check in look(edge).checks:
        assert check.status is Status.FAIL
        assert "connection refused" in check.seen


@pytest.mark.parametrize(
    ("limited", "status", "slept"),
    [(1, Status.PASS, 8.0), (99, Status.INCONCLUSIVE, 8.0 * 14)],
    ids=["once", "always"],
)
def test_a_rate_limit_is_waited_out_once_and_is_no_verdict(
    edge: Edge, limited: int, status: Status, slept: float
) -> None:
    def limits(host: str, path: str) -> tuple[int, str, Any, dict[str, str]]:
        if len(edge.requests) > limited:
            return works(host, path)
        return 429, "application/json", {"detail": "Too many requests."}, {"Retry-After": "7"}

    edge.answer = limits
    clock = TurnedClock()
    checks = look(edge, clock=clock).checks
    assert {check.status for check in checks} == {status}
    assert clock.elapsed == slept


def certificate(folder: Path, days: float) -> Path:
    """Write a self-signed certificate for both hosts with its key, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site.test")])
    now = datetime.now(UTC)
    names = [x509.DNSName("api.site.test"), x509.DNSName("app.site.test")]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "site.pem"
    path.write_bytes(signed.public_bytes(pem) + private)
    return path


@pytest.mark.parametrize(
    ("days", "trusted", "status", "seen"),
    [
        (90, True, Status.PASS, "89.5 days left"),
        (5, True, Status.FAIL, "4.5 days left"),
        (90, False, Status.FAIL, "no verified TLS connection"),
    ],
    ids=["valid", "ends soon", "not trusted"],
)
def test_a_certificate_must_be_trusted_and_last(
    edge: Edge, tmp_path: Path, days: float, trusted: bool, status: Status, seen: str
) -> None:
    path = certificate(tmp_path, days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    edge.socket = context.wrap_socket(edge.socket, server_side=True)
    edge.handle_error = lambda *_: None  # a client that does not trust us hangs up in the handshake
    clock = TurnedClock(datetime.now(UTC) + timedelta(hours=12))
    found = by_id(look(edge, scheme="https", clock=clock, ca_file=str(path) if trusted else ""))
    for host in ("api.site.test", "app.site.test"):
        assert (found[f"tls:{host}"].status, found[f"tls:{host}"].seen) == (status, seen)
    assert (found["api-healthz"].status is Status.PASS) is trusted
    if not trusted:
        assert "self-signed certificate" in found["api-healthz"].seen
        assert found["api-healthz"].facts["causes"] == ["tls"]


BAD = {
    "no id": (RouteSpec, {"url": "http://h/"}, 'route "": found no id, need options of a route'),
    "unknown kind": (
        RouteSpec,
        {"id": "a", "url": "http://h/", "kind": "xml"},
        "route \"a\": found kind 'xml', need json or html or any",
    ),
    "unknown key": (
        RouteSpec,
        {"id": "a", "uri": "http://h/"},
        'route "a": found unknown uri, need options of a route',
    ),
    "no url": (RouteSpec, {"id": "a", "url": "h"}, "route \"a\": found url 'h', need http://host… or https://host…"),
    "bad rewrite": (
        RewriteSpec,
        {"id": "a", "app_url": "http://h/", "api_url": "/api"},
        "rewrite \"a\": found url '/api', need http://host… or https://host…",
    ),
}


@pytest.mark.parametrize(("kind", "value", "words"), BAD.values(), ids=BAD)
def test_a_route_that_cannot_be_asked_is_refused_in_one_sentence(kind: Any, value: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        kind.from_dict(value)
    assert str(refused.value).startswith(f"{words}. Next: ")
