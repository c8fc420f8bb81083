"""A server on loopback that does on each path one thing servers should not do, and what a client must make of it."""

from __future__ import annotations

import contextlib
import gzip
import ipaddress
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

JSON = "Content-Type: application/json"
PASS = b'{"authoritative_verdict": {"label": "pass"}}'
MIB = 1024 * 1024
_CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"

Reply = Callable[[socket.socket, threading.Event], None]


@dataclass(frozen=True)
class Trick:
    """What a path answers, and what that counts as.

    Slow ones last until a timeout, heavy ones take work, early ones answer a request they have not read.
    """

    reply: Reply
    outcome: str
    reason: str
    status: int | None = None
    slow: bool = False
    heavy: bool = False
    early: bool = False


def http(status: int, body: bytes, *headers: str, length: int | str | None = None) -> bytes:
    """Return a response; *length* states another length than the body has."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\nConnection: close\r\n\r\n" + body


def endless(status: int, body: bytes, *headers: str) -> bytes:
    """Return a response that only the end of its connection ends."""
    return "\r\n".join([f"HTTP/1.1 {status} X", *headers]).encode() + b"\r\n\r\n" + body


def chunks(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return a chunked response."""
    return _CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def packed(body: bytes, form: int = 31) -> bytes:
    """Return the body as a gzip (31), zlib (15) or raw deflate (-15) stream."""
    stream = zlib.compressobj(9, zlib.DEFLATED, form)
    return stream.compress(body) + stream.flush()


def _says(*pieces: bytes) -> Reply:
    def reply(connection: socket.socket, closing: threading.Event) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return reply


def _drips(start: bytes, drop: bytes, pause: float = 0.1) -> Reply:
    """Say *drop* again and again, each too soon for silence to be noticed."""

    def reply(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(start)
        while not closing.wait(pause):
            connection.sendall(drop)

    return reply


def _resets(data: bytes) -> Reply:
    def reply(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(data)
        closing.wait(0.1)
        # Lingering for no time turns the close into a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return reply


def _stays(data: bytes) -> Reply:
    """Say that much, then nothing, on a connection that stays open."""

    def reply(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(data)
        with contextlib.suppress(TimeoutError):
            connection.settimeout(5)
            connection.recv(1)  # comes back when the client hangs up

    return reply


def answer(reply: bytes) -> Trick:
    """Return a trick that is an answer all the same."""
    return Trick(_says(reply), "answer", "ok", 200)


def malformed(reply: bytes, reason: str = "ok", *, heavy: bool = False) -> Trick:
    """Return a trick that is a 200 without an answer."""
    return Trick(_says(reply), "malformed", reason, 200, heavy=heavy)


def lost(*pieces: bytes) -> Trick:
    """Return a trick that leaves nothing to go by."""
    return Trick(_says(*pieces), "transport_error", "reset")


def stalls(reply: Reply) -> Trick:
    """Return a trick that only a timeout ends."""
    return Trick(reply, "transport_error", "timeout", slow=True)


def refusal(status: int, outcome: str, body: bytes, *headers: str, **flags: bool) -> Trick:
    """Return a trick of another status than 200."""
    return Trick(_says(http(status, body, *headers)), outcome, f"http_{status}", status, **flags)


def ok(body: bytes) -> Trick:
    """Return a 200 of type JSON whose body is none."""
    return malformed(http(200, body, JSON))


_BOMB = packed(b" " * (64 * MIB))
_LONG = b'"' + b"x" * (10 * MIB) + b'"'
_GZIP = "Content-Encoding: gzip"

TRICKS: dict[str, Trick] = {
    # answers, however they come
    "/fine": answer(http(200, PASS, JSON, "X-Request-Id: r-1")),
    "/chunked": answer(chunks(PASS[:7], PASS[7:])),
    "/chunk-words": answer(_CHUNKED + b"%x;a=b\r\n" % len(PASS) + PASS + b"\r\n0\r\nTrailer: late\r\n\r\n"),
    "/no-length": answer(endless(200, PASS, JSON)),
    "/http-1.0": answer(http(200, PASS, JSON).replace(b"HTTP/1.1", b"HTTP/1.0")),
    "/gzip": answer(http(200, gzip.compress(PASS), JSON, _GZIP)),
    "/gzip-chunked": answer(chunks(packed(PASS)).replace(b"200 X", b"200 X\r\nContent-Encoding: GZIP")),
    "/deflate": answer(http(200, packed(PASS, 15), JSON, "Content-Encoding: deflate")),
    "/deflate-raw": answer(http(200, packed(PASS, -15), JSON, "Content-Encoding: deflate")),
    "/identity": answer(http(200, PASS, JSON, "Content-Encoding: identity")),
    "/bom": answer(http(200, b"\xef\xbb\xbf" + PASS, JSON)),
    "/spaces": answer(http(200, b"\r\n \t" + PASS + b"\n", JSON)),
    "/surrogate": answer(http(200, b'{"job_id": "\\ud800\\u0000\\u202e"}', JSON)),
    "/wrong-type": answer(http(200, PASS, "Content-Type: text/html")),
    "/cookie": answer(http(200, PASS, JSON, "Set-Cookie: session=abc")),
    "/100": answer(b"HTTP/1.1 100 Continue\r\n\r\n" * 500 + http(200, PASS, JSON)),
    "/103": answer(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\n\r\n" + http(200, PASS, JSON)
    ),
    "/two-answers": answer(http(200, PASS, JSON).replace(b"close", b"keep-alive") * 2),
    "/same-length-twice": answer(http(200, PASS, JSON, f"Content-Length: {len(PASS)}")),
    "/negative-length": answer(http(200, PASS, JSON, length=-5)),
    "/odd-length": answer(http(200, PASS, JSON, length="many")),
    "/odd-headers": answer(http(200, PASS, JSON, "X-Request-Id: a\x00b\x1b[31m\xff", "no colon at all", ": no name")),
    # a 200 that is none
    "/html": malformed(http(200, b"<!doctype html><html>app</html>", "Content-Type: text/html")),
    "/empty": ok(b""),
    "/list": ok(b"[]"),
    "/text": ok(b'"pass"'),
    "/number": ok(b"1"),
    "/null": ok(b"null"),
    "/cut-json": ok(b'{"a":'),
    "/length-too-short": malformed(http(200, PASS, JSON, length=20)),
    "/length-0": malformed(http(200, PASS, JSON, length=0)),
    "/two-documents": ok(PASS + PASS),
    "/nan": ok(b'{"a": NaN}'),
    "/infinity": ok(b'{"a": -Infinity}'),
    "/1e999": ok(b'{"a": 1e999}'),
    "/long-number": ok(b'{"a": ' + b"9" * 400 + b"}"),
    "/twice": ok(b'{"authoritative_verdict": {"label": "pass", "label": "reject"}}'),
    "/deep": ok(b'{"a":' * 100_000),
    "/deep-closed": ok(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "/not-utf-8": ok(b'{"a": "\xff\xfe"}'),
    "/utf-16": ok(PASS.decode().encode("utf-16")),
    "/br": malformed(http(200, b"\x0b\x02\x80{}\x03", JSON, "Content-Encoding: br")),
    "/gzip-twice": malformed(http(200, packed(packed(PASS)), JSON, "Content-Encoding: gzip, gzip")),
    "/many-values": malformed(http(200, b"[" + b"{}," * 600_000 + b"{}]", JSON), heavy=True),
    "/204": refusal(204, "malformed", b""),
    "/206": refusal(206, "malformed", PASS, JSON),
    "/101": Trick(_says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), "malformed", "http_101", 101),
    "/huge": malformed(http(200, _LONG, JSON), "too_large", heavy=True),
    "/huge-chunked": malformed(chunks(*[b" " * MIB] * 10), "too_large", heavy=True),
    "/huge-endless": malformed(endless(200, _LONG, JSON), "too_large", heavy=True),
    "/bomb": malformed(http(200, _BOMB, JSON, _GZIP), "too_large", heavy=True),
    "/bomb-deflate": malformed(
        http(200, packed(b"[" * (64 * MIB), 15), JSON, "Content-Encoding: deflate"), "too_large", heavy=True
    ),
    "/not-gzip": malformed(http(200, PASS, JSON, _GZIP), "undecodable"),
    "/gzip-cut": malformed(http(200, packed(PASS)[:-6], JSON, _GZIP), "undecodable"),
    "/gzip-damaged": malformed(http(200, packed(PASS)[:-8] + b"\0" * 8, JSON, _GZIP), "undecodable"),
    "/gzip-and-more": malformed(http(200, packed(PASS) + b"more", JSON, _GZIP), "undecodable"),
    "/gzip-members": malformed(http(200, packed(b"") * 200_000, JSON, _GZIP), "undecodable", heavy=True),
    "/not-deflate": malformed(http(200, PASS, JSON, "Content-Encoding: deflate"), "undecodable"),
    # nothing to go by
    "/length-too-long": lost(http(200, PASS, JSON, length=len(PASS) + 50)),
    "/length-absurd": lost(http(200, PASS, JSON, length=10**30)),
    "/lengths": lost(http(200, PASS, JSON, "Content-Length: 7")),
    "/chunk-cut": lost(_CHUNKED + b"ff\r\nabc"),
    "/chunk-no-end": lost(chunks(PASS, end=b"")),
    "/chunk-no-size": lost(_CHUNKED + b"size\r\n" + PASS),
    "/chunk-negative": lost(_CHUNKED + b"-5\r\n" + PASS),
    "/chunk-absurd": lost(_CHUNKED + b"f" * 30 + b"\r\n" + PASS),
    "/chunk-long-size": lost(_CHUNKED + b"1" * 70_000),
    "/gone": lost(b""),
    "/gone-in-status": lost(b"HTTP/1.1 2"),
    "/gone-after-100": lost(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "/gone-in-first-header": lost(b"HTTP/1.1 429 X\r\nRetry-Af"),
    "/gone-before-headers": lost(b"HTTP/1.1 200 OK\r\n"),
    "/gone-in-headers": lost(b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\nContent-Ty"),
    "/garbage": lost(b"\x00\x01 not http at all\r\n\r\n"),
    "/http-3": lost(http(200, PASS).replace(b"HTTP/1.1", b"HTTP/3")),
    "/status-99": lost(http(99, PASS)),
    "/status-text": lost(b"HTTP/1.1 OK 200\r\n\r\n"),
    "/long-status": lost(b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n"),
    "/long-header": lost(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
    "/many-headers": lost(http(200, PASS, *(f"X-{number}: x" for number in range(300)))),
    "/reset": Trick(_resets(b""), "transport_error", "reset"),
    "/reset-in-headers": Trick(_resets(b"HTTP/1.1 200 OK\r\nContent-Le"), "transport_error", "reset"),
    "/reset-200": Trick(_resets(http(200, b'{"a"', JSON, length=500)), "transport_error", "reset"),
    # silence, and trickles that never are
    "/silent": stalls(_stays(b"")),
    "/silent-in-headers": stalls(_stays(b"HTTP/1.1 200 OK\r\n")),
    "/silent-in-body": stalls(_stays(http(200, PASS, JSON, length=100))),
    "/drip-status": stalls(_drips(b"HTTP/1.1 200 ", b"x")),
    "/drip-headers": stalls(_drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")),
    "/drip-body": stalls(_drips(http(200, b"", JSON, length=10_000), b" ")),
    "/drip-chunks": stalls(_drips(_CHUNKED, b"1\r\n \r\n")),
    "/drip-trailer": stalls(_drips(chunks(PASS, end=b"0\r\n"), b"X: y\r\n")),
    "/drip-hints": stalls(_drips(b"", b"HTTP/1.1 103 Hints\r\n\r\n")),
    "/flood-100": stalls(_drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 200, pause=0.02)),
    # refusals stay what their status says, whatever becomes of their body
    "/307": refusal(307, "client_error", b"", "Location: http://127.0.0.1:1/elsewhere"),
    "/302-odd": refusal(302, "client_error", b"", "Location: http://[::bad"),
    "/304": refusal(304, "client_error", b""),
    "/400": refusal(400, "client_error", b'{"detail": "type and content disagree"}', JSON),
    "/413": refusal(413, "client_error", b"<html>too large</html>"),
    "/422": refusal(422, "unprocessable", b'{"detail": [{"loc": ["body", "files"], "msg": "Field required"}]}', JSON),
    "/429": refusal(429, "rate_limited", b'{"detail": "later"}', JSON, "Retry-After: 7"),
    "/429-date": refusal(
        429,
        "rate_limited",
        b"{}",
        "Retry-After: Sun, 01 Mar 2026 12:00:40 GMT",
        "Date: Sun, 01 Mar 2026 12:00:00 GMT",
    ),
    "/429-early": refusal(429, "rate_limited", b'{"detail": "later"}', JSON, "Retry-After: 7", early=True),
    "/429-nan": refusal(429, "rate_limited", b"NaN", JSON, "Retry-After: 1e9"),
    "/429-huge": refusal(429, "rate_limited", _LONG, JSON, "Retry-After: 7", heavy=True),
    "/429-bomb": refusal(429, "rate_limited", _BOMB, JSON, _GZIP, "Retry-After: 7"),
    "/429-not-gzip": refusal(429, "rate_limited", b"later", JSON, _GZIP, "Retry-After: 7"),
    "/429-quota": refusal(429, "quota", b'{"detail": {"error_code": "QUOTA_EXCEEDED"}}', JSON),
    "/429-drip": Trick(
        _drips(http(429, b"", JSON, "Retry-After: 7", length=10_000), b" "),
        "rate_limited",
        "http_429",
        429,
        slow=True,
    ),
    "/500-cut": refusal(500, "server_error", b'{"detail"', JSON),
    "/500-short": Trick(_says(http(500, b"{}", JSON, length=99)), "server_error", "http_500", 500),
    "/500-reset": Trick(_resets(http(500, b'{"detail"', JSON, length=500)), "server_error", "http_500", 500),
    "/500-odd": refusal(500, "server_error", b'{"detail": "\\ud800\\u0000\\u001b[31m\\u202e \\ufffe"}', JSON),
    "/500-deep": refusal(500, "server_error", b'{"detail": ' + b'{"error":' * 900 + b"1" + b"}" * 901, JSON),
    "/502": refusal(502, "server_error", b"<html>bad gateway</html>", "Content-Type: text/html"),
    "/503": refusal(503, "infra_unavailable", b'{"error": "database_unavailable", "message": "try later"}', JSON),
    "/999": refusal(999, "server_error", b""),
}


class HostileServer:
    """Serves :data:`TRICKS` until it is closed; ``received`` keeps what arrived, path by path.

    :param tls: what to speak TLS with
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._tls = tls
        self._closing = threading.Event()
        self.port = self._listener.getsockname()[1]
        self.received: list[tuple[str, bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """Stop accepting, and dripping."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The client hangs up first on some of these, as it should.
        with connection, contextlib.suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                data = _head(connection)
                path = data.split(b" ", 2)[1].decode()
                if not TRICKS[path].early:
                    data += _rest(connection, data)
                self.received.append((path, data))
                TRICKS[path].reply(connection, self._closing)


def _head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    return data


def _rest(connection: socket.socket, data: bytes) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))[15:])
    rest = bytearray()
    while len(body) + len(rest) < length:
        rest += _more(connection)
    return bytes(rest)


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise ConnectionResetError("the client left")
    return piece


def certificate(folder: Path, host: str = "127.0.0.1") -> Path:
    """Write a certificate for an address that signs itself, with its key, and return the file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hostile")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = folder / f"{host}.pem"
    path.write_bytes(
        signed.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
