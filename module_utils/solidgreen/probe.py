"""Probes: does a service really answer, and if not, why and what to do.

A probe opens one connection, follows no redirect, uses no proxy and ends at its timeout whatever the other side does.
It reads the body: a 200 that says ``"status": "error"`` is not a pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import math
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .check import Check, Status
from .clock import Clock, stamp
from .errors import BadInput

TYPES = ("tcp", "http", "postgres", "redis")
BODY_LIMIT = 1_000_000
PARALLEL = 8

#: What a body says when its 200 is not meant.
SICK_STATUS = frozenset({"error", "fail", "failed", "failing", "unhealthy", "down", "critical"})
HEALTH_FLAGS = ("healthy", "overall_healthy")

NEXT_STEPS = {
    "refused": "start the service, then read its log",
    "timeout": "see whether the service hangs or a firewall drops the packets, restart it and probe again",
    "closed": "read the service's log: it gave up on the connection",
    "dns": "correct the host name, or the resolver of this machine",
    "tls": "renew or correct the certificate of the host",
    "protocol": "see what listens on this port: it is another service",
    "network": "see whether this machine has a route to the host",
    "starting": "wait until the service has started, then probe again",
    "credentials": "correct user and password, or the file they are read from",
    "redirect": "correct the URL: a redirect is not the answer that was asked for",
    "limited": "the rate limit is used up: wait for a minute, then probe again",
    "missing": "deploy the route, or correct the rewrite of the edge",
    "unhealthy": "read what the body names as failing and repair that",
    "answer": "read the service's log for this request",
}


class ProbeFailure(Exception):
    """No answer; *cause* is a key of :data:`NEXT_STEPS`, the message says what was seen."""

    def __init__(self, cause: str, seen: str) -> None:
        self.cause = cause
        super().__init__(seen)


@dataclass(frozen=True)
class Finding:
    """What one try saw; ``cause`` is empty when it is what was wanted."""

    seen: str
    cause: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the try saw what was wanted."""
        return not self.cause


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: header names in lower case, the body up to :data:`BODY_LIMIT` bytes, seconds it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_s: float
    certificate_until: datetime | None = None

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON, or None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Probe:
    """One thing to look at.

    ``expect_status`` defaults to 200. ``expect_json`` maps dotted keys to the value needed, or to a list of allowed
    values; ``expect_json_keys`` need only be there. ``connect_to`` is ``host:port`` to connect to instead of the
    URL's host, which stays in the ``Host`` header and in TLS. ``timeout`` is seconds for the whole call.
    """

    id: str
    type: str
    title: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    url: str = ""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    connect_to: str = ""
    ca_file: str = ""
    expect_status: Sequence[int] = (200,)
    expect_json: Mapping[str, Any] = field(default_factory=dict)
    expect_json_keys: Sequence[str] = ()
    expect_content_type: str = ""
    allow: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    dbname: str = ""
    timeout: float = 5.0
    needed: str = ""
    next_step: str = ""
    owner: str = ""
    exit_code: int | None = None

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Probe:
        """Return the probe a mapping describes; keys whose value is None count as left out.

        :raises BadInput: an unknown type or key, no address, a timeout that is not above zero
        """
        given = {key: item for key, item in value.items() if item is not None}
        name = f'probe "{given.get("id", "")}"'
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(given) - known)
        step = "correct the probe where the role or inventory lists it"
        if not given.get("id"):
            raise BadInput(name, found="no id", need="an id of its own", next_step=step)
        if unknown:
            raise BadInput(name, found=f"unknown {', '.join(unknown)}", need="options of a probe", next_step=step)
        if given.get("type") not in TYPES:
            raise BadInput(name, found=f"type {given.get('type')!r}", need=" or ".join(TYPES), next_step=step)
        probe = cls(**given)
        if probe.type == "http":
            split_url(probe.url, name)
            split_address(probe.connect_to, name)
        elif not 0 < probe.port < 65536:
            raise BadInput(name, found=f"port {probe.port}", need="a port from 1 to 65535", next_step=step)
        if probe.ca_file and not Path(probe.ca_file).is_file():
            raise BadInput(name, found=f"no file {probe.ca_file}", need="a CA file", next_step=step)
        if not (probe.timeout > 0 and math.isfinite(probe.timeout)):
            raise BadInput(name, found=f"timeout {probe.timeout}", need="seconds above 0", next_step=step)
        return probe

    def secret(self) -> str:
        """Return the password, read from ``password_file`` when that is given.

        :raises ProbeFailure: the file cannot be read
        """
        if not self.password_file:
            return self.password
        try:
            return Path(self.password_file).read_text("utf-8").strip()
        except OSError as error:
            raise ProbeFailure("credentials", f"no password: {error.strerror} ({self.password_file})") from error

    def wanted(self) -> str:
        """Return what is needed in words."""
        if self.needed:
            return self.needed
        if self.type == "tcp":
            return f"a listener on {self.host}:{self.port}"
        if self.type == "postgres":
            return f"PostgreSQL answering {'`select 1`' if self.user else ''} on {self.host}:{self.port}".replace(
                "  ", " "
            )
        if self.type == "redis":
            return f"Redis answering PING on {self.host}:{self.port}"
        parts = [" or ".join(str(code) for code in self.expect_status)]
        parts += [self.expect_content_type] if self.expect_content_type else []
        parts += [f"Allow: {self.allow}"] if self.allow else []
        parts += [f"{key}={shown(value)}" for key, value in self.expect_json.items()]
        parts += [f"the key {key}" for key in self.expect_json_keys]
        return ", ".join(parts)


def split_url(url: str, subject: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and request target of an http or https URL.

    :raises BadInput: it is none
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(subject, found=f"url {url!r}", need="http://host… or https://host…", next_step="correct the url")
    return parts.scheme, parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def split_address(text: str, subject: str) -> tuple[str, int] | None:
    """Return host and port of ``host:port``, or None for an empty text.

    :raises BadInput: it is something else
    """
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadInput(subject, found=f"connect_to {text!r}", need="host:port", next_step="correct connect_to")
    return host.strip("[]"), int(port)


def shown(value: Any, limit: int = 120) -> str:
    """Return a value as short text on one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


# --- connections -----------------------------------------------------------------------------------------------------


def resolve(host: str, port: int, timeout: float) -> tuple[Any, ...]:
    """Return family and address of a host, IPv4 first; the resolver is given *timeout* seconds.

    :raises ProbeFailure: the name does not resolve in time
    """
    found: list[Any] = []

    def work() -> None:
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    # getaddrinfo knows no timeout; a daemon thread that outlives the call does no harm.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout)
    if not found:
        raise ProbeFailure("dns", f"the name {host} does not resolve")
    family, _, _, _, address = min(found, key=lambda item: item[0] != socket.AF_INET)
    return family, address


@contextlib.contextmanager
def connection(host: str, port: int, timeout: float) -> Iterator[socket.socket]:
    """Yield a TCP connection that is cut off after *timeout* seconds, however slowly the other side talks.

    :raises ProbeFailure: for every way in which a connection fails, there and inside the ``with``
    """
    place = f"{host}:{port}"
    cut = threading.Event()
    stream: socket.socket | None = None
    try:
        started = time.monotonic()
        family, address = resolve(host, port, timeout)
        stream = socket.socket(family, socket.SOCK_STREAM)
        stream.settimeout(timeout)
        stream.connect(address)
        guard = stream.dup()  # TLS takes the first descriptor over

        def stop() -> None:
            cut.set()
            with contextlib.suppress(OSError):
                guard.shutdown(socket.SHUT_RDWR)

        watchdog = threading.Timer(max(0.0, started + timeout - time.monotonic()), stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield stream
            if cut.is_set():  # a body without a length ends here as if it were whole
                raise EOFError
        finally:
            watchdog.cancel()
            guard.close()
    except ProbeFailure:
        if cut.is_set():
            raise ProbeFailure("timeout", f"no answer from {place} within {timeout:g} s") from None
        raise
    except ConnectionRefusedError as error:
        raise ProbeFailure("refused", f"nothing listens on {place} (connection refused)") from error
    except ssl.SSLCertVerificationError as error:
        raise ProbeFailure("tls", f"the certificate of {place} is not valid: {error.verify_message}") from error
    except (TimeoutError, OSError, http.client.HTTPException, EOFError) as error:
        if cut.is_set() or isinstance(error, TimeoutError):
            raise ProbeFailure("timeout", f"no answer from {place} within {timeout:g} s") from error
        if isinstance(error, ssl.SSLError):
            raise ProbeFailure("tls", f"no TLS on {place}: {error.reason or error}") from error
        if isinstance(error, (ConnectionError, EOFError, http.client.RemoteDisconnected, http.client.IncompleteRead)):
            raise ProbeFailure("closed", f"{place} closed the connection before it had answered") from error
        if isinstance(error, http.client.HTTPException):
            raise ProbeFailure("protocol", f"what listens on {place} does not speak HTTP") from error
        raise ProbeFailure("network", f"no connection to {place}: {error.strerror or error}") from error
    finally:
        if stream is not None:
            stream.close()


def receive(stream: socket.socket, count: int) -> bytes:
    """Return up to *count* bytes, at least one.

    :raises EOFError: the other side closed
    """
    data = stream.recv(count)
    if not data:
        raise EOFError
    return data


# --- the four kinds --------------------------------------------------------------------------------------------------


def tcp(probe: Probe) -> Finding:
    """Connect, nothing more."""
    with connection(probe.host, probe.port, probe.timeout):
        return Finding(f"{probe.host}:{probe.port} accepts connections")


def redis(probe: Probe) -> Finding:
    """Send PING, after AUTH when there is a password."""
    secret = probe.secret()
    words = [["AUTH", secret]] if secret else []
    with connection(probe.host, probe.port, probe.timeout) as stream:
        for command in [*words, ["PING"]]:
            stream.sendall(
                b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(w.encode()), w.encode()) for w in command)
            )
            line = b""
            while not line.endswith(b"\r\n") and len(line) < 512:
                line += receive(stream, 512)
            answer = line.split(b"\r\n")[0].decode("utf-8", "replace")
            if answer not in ("+OK", "+PONG"):
                break
    if answer == "+PONG":
        return Finding("PONG")
    kind = {"-NOAUTH": "credentials", "-WRONGPASS": "credentials", "-ERR": "credentials", "-LOADING": "starting"}
    cause = kind.get(answer.split(" ")[0], "answer" if answer[:1] == "-" else "protocol")
    return Finding(f"Redis answers {shown(answer[1:])}" if cause != "protocol" else "no Redis answer", cause)


def postgres(probe: Probe) -> Finding:
    """Log in and run ``select 1`` when a user is given, else see whether the server takes logins."""
    return postgres_login(probe) if probe.user else postgres_ready(probe)


def postgres_ready(probe: Probe) -> Finding:
    """Send a startup message: a request for a password, or a refusal of this user, means that logins are taken."""
    words = b"user\x00probe\x00database\x00postgres\x00application_name\x00probe\x00\x00"
    with connection(probe.host, probe.port, probe.timeout) as stream:
        stream.sendall(struct.pack("!II", len(words) + 8, 196608) + words)
        reply = receive(stream, 2048)
    if reply[:1] == b"R":
        return Finding("PostgreSQL takes logins")
    if reply[:1] != b"E":
        return Finding("an answer that is not PostgreSQL's", "protocol")
    parts = {item[:1]: item[1:].decode("utf-8", "replace") for item in reply[5:].split(b"\x00") if item}
    state, message = parts.get(b"C", ""), shown(parts.get(b"M", ""))
    if state.startswith(("28", "3D")):  # unknown role, no such database: the server is up, as pg_isready sees it
        return Finding("PostgreSQL takes logins", facts={"sqlstate": state})
    cause = "starting" if state == "57P03" else "answer"
    return Finding(f"PostgreSQL refuses logins: {message} ({state})", cause, {"sqlstate": state})


def postgres_login(probe: Probe) -> Finding:
    """Log in and run ``select 1``."""
    import psycopg  # it takes a quarter of a second to load, and not every probe needs it

    secret = probe.secret()

    async def ask() -> int:
        async with await psycopg.AsyncConnection.connect(
            host=probe.host,
            port=probe.port,
            user=probe.user,
            password=secret,
            dbname=probe.dbname or probe.user,
            connect_timeout=math.ceil(probe.timeout) + 1,
            application_name="probe",
        ) as session:
            cursor = await session.execute("select 1")
            row = await cursor.fetchone()
            if row != (1,):
                raise ProbeFailure("answer", f"`select 1` gave {row!r}")
            return session.info.server_version // 10000

    with connection(probe.host, probe.port, probe.timeout):
        pass  # the reasons of a refused connection are told in one place
    try:
        version = asyncio.run(asyncio.wait_for(ask(), probe.timeout))
    except TimeoutError as error:
        raise ProbeFailure("timeout", f"no answer from PostgreSQL within {probe.timeout:g} s") from error
    except psycopg.Error as error:
        state, message = error.sqlstate or "", shown(str(error).split("FATAL:")[-1])
        if state == "57P03" or "starting up" in message or "shutting down" in message:
            raise ProbeFailure("starting", f"PostgreSQL refuses logins: {message}") from error
        known = ("password", "role", "pg_hba", "database")
        cause = "credentials" if any(word in message for word in known) else "answer"
        raise ProbeFailure(cause, f"PostgreSQL refuses: {message}") from error
    return Finding(f"PostgreSQL {version} answers `select 1`", facts={"server_version": version})


def http_probe(probe: Probe) -> Finding:
    """Send one request and judge status, type, headers and body."""
    answer = exchange(
        probe.url,
        method=probe.method,
        headers=probe.headers,
        body=probe.body.encode(),
        timeout=probe.timeout,
        connect_to=split_address(probe.connect_to, probe.id),
        ca_file=probe.ca_file,
    )
    return judge(answer, probe)


def exchange(
    url: str,
    *,
    timeout: float,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    connect_to: tuple[str, int] | None = None,
    ca_file: str = "",
) -> Answer:
    """Send one HTTP request and return the answer.

    A session of ``requests`` would follow proxies of the environment and can neither be cut off as a whole nor tell
    the certificate's end; so this stands on ``http.client``.

    :raises ProbeFailure: no answer
    """
    scheme, host, port, target = split_url(url, f"url {url}")
    place, at = connect_to or (host, port)
    started = datetime.now(UTC)
    until: datetime | None = None
    with connection(place, at, timeout) as stream:
        if scheme == "https":
            context = ssl.create_default_context(cafile=ca_file or None)
            stream = context.wrap_socket(stream, server_hostname=host)
            certificate = stream.getpeercert() or {}
            until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        try:
            client = http.client.HTTPConnection(host, port, timeout=timeout)
            client.sock = stream
            client.request(
                method, target, body or None, {"Host": urlsplit(url).netloc.rpartition("@")[2], **(headers or {})}
            )
            response = client.getresponse()
            data = response.read(BODY_LIMIT)
            kept = {name.lower(): value for name, value in response.getheaders()}
            status = response.status
            response.close()
        finally:
            stream.close()
    return Answer(status, kept, data, (datetime.now(UTC) - started).total_seconds(), until)


def judge(answer: Answer, probe: Probe) -> Finding:
    """Return what an answer is worth to a probe; the first thing that is wrong gives the cause."""
    body = answer.json() if "json" in answer.media_type else None
    wrong: list[tuple[str, str]] = []
    if answer.status not in probe.expect_status:
        if 300 <= answer.status < 400:
            wrong.append(("redirect", f"a redirect to {shown(answer.headers.get('location', 'nowhere'))}"))
        else:
            causes = {404: "missing", 429: "limited"}
            wrong.append((causes.get(answer.status, "answer"), detail(body)))
    if probe.expect_content_type and answer.media_type != probe.expect_content_type.lower():
        wrong.append(("missing" if answer.media_type == "text/html" else "answer", ""))
    if probe.allow:
        methods = {word.strip().upper() for word in answer.headers.get("allow", "").split(",")}
        if not {word.strip().upper() for word in probe.allow.split(",")} <= methods:
            wrong.append(("answer", f"Allow: {answer.headers.get('allow', 'missing')}"))
    wrong += [("answer", f"no key {key}") for key in probe.expect_json_keys if pick(body, key) is MISSING]
    for key, value in probe.expect_json.items():
        actual = pick(body, key)
        if actual != value and not (isinstance(value, list) and actual in value):
            wrong.append(("answer", f"no key {key}" if actual is MISSING else f"{key}={shown(actual)}"))
    if not wrong and answer.status < 300 and (ill := illness(body, probe.expect_json)):
        wrong.append(("unhealthy", ill))
    facts = {
        "http_status": answer.status,
        "content_type": answer.media_type,
        "elapsed_ms": round(answer.elapsed_s * 1000),
    }
    seen = " ".join(word for word in (str(answer.status), answer.media_type) if word)
    reasons = [text for _, text in wrong if text]
    return Finding(f"{seen}: {', '.join(reasons)}" if reasons else seen, wrong[0][0] if wrong else "", facts)


MISSING = object()


def pick(body: Any, path: str) -> Any:
    """Return what a dotted key leads to in a JSON value, or :data:`MISSING`."""
    for key in path.split("."):
        if not isinstance(body, Mapping) or key not in body:
            return MISSING
        body = body[key]
    return body


def illness(body: Any, asked: Mapping[str, Any]) -> str:
    """Return what a JSON body of a 2xx says against itself, or an empty text; keys the probe asks for are its own."""
    if not isinstance(body, Mapping):
        return ""
    status = body.get("status")
    if "status" not in asked and isinstance(status, str) and status.lower() in SICK_STATUS:
        return f"the body says status={status}"
    flags = [flag for flag in HEALTH_FLAGS if flag not in asked and body.get(flag) is False]
    return f"the body says {flags[0]}=false" if flags else ""


def detail(body: Any) -> str:
    """Return the reason an error body gives: ``detail`` is a text or an object, ``error`` stands in older answers."""
    if not isinstance(body, Mapping):
        return ""
    reason = body.get("detail") or body.get("error") or ""
    if isinstance(reason, Mapping):
        reason = reason.get("error_code") or reason.get("message") or ""
    return shown(reason)


# --- running ---------------------------------------------------------------------------------------------------------

KINDS = {"tcp": tcp, "http": http_probe, "postgres": postgres, "redis": redis}


def run(probe: Probe) -> Finding:
    """Return what one try sees; it never raises for what the other side does."""
    try:
        return KINDS[probe.type](probe)
    except ProbeFailure as failure:
        return Finding(str(failure), failure.cause)


def look(probe: Probe, *, clock: Clock, attempts: int = 1, delay: float = 0.0) -> Check:
    """Try until the probe passes, at most *attempts* times, *delay* seconds apart, and return the check."""
    for attempt in range(1, max(1, attempts) + 1):
        if attempt > 1:
            clock.sleep(delay)
        finding = run(probe)
        if finding.ok:
            break
    return Check(
        id=probe.id,
        title=probe.title or probe.id,
        status=Status.PASS if finding.ok else Status.FAIL,
        seen=finding.seen,
        needed=probe.wanted(),
        next_step="" if finding.ok else probe.next_step or NEXT_STEPS[finding.cause],
        owner=probe.owner,
        at=stamp(clock.now()),
        attempts=attempt,
        exit_code=probe.exit_code,
        facts={**finding.facts, **({"cause": finding.cause} if finding.cause else {})},
    )


def look_all(probes: Sequence[Probe], *, clock: Clock, attempts: int = 1, delay: float = 0.0) -> list[Check]:
    """Return one check a probe, in their order; they run side by side, so that one hanging host costs one timeout."""
    if not probes:
        return []
    with ThreadPoolExecutor(min(PARALLEL, len(probes))) as pool:
        return list(pool.map(lambda probe: look(probe, clock=clock, attempts=attempts, delay=delay), probes))
