"""A server on loopback that does on each path one thing servers should not do."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable

Reply = Callable[[socket.socket], None]


def http(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """Return a response; *length* states another length than the body has."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\nConnection: close\r\n\r\n" + body


JSON = "Content-Type: application/json"
PASS = b'{"authoritative_verdict": {"label": "pass"}}'


def _send(*pieces: bytes, pause: float = 0.0) -> Reply:
    def reply(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return reply


def _reset_after(data: bytes) -> Reply:
    def reply(connection: socket.socket) -> None:
        connection.sendall(data)
        time.sleep(0.1)
        # Lingering for no time turns the close into a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return reply


def _bomb() -> bytes:
    return gzip.compress(b" " * (64 * 1024 * 1024))


REPLIES: dict[str, Reply] = {
    "/fine": _send(http(200, PASS, JSON, "X-Request-Id: r-1")),
    "/chunked": _send(
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(PASS) + PASS + b"\r\n0\r\n\r\n"
    ),
    "/gzip": _send(http(200, gzip.compress(PASS), JSON, "Content-Encoding: gzip")),
    "/html": _send(http(200, b"<html>app</html>", "Content-Type: text/html")),
    "/list": _send(http(200, b"[]", JSON)),
    "/cut-json": _send(http(200, b'{"a":', JSON)),
    "/short": _send(http(200, PASS, JSON, length=len(PASS) + 50)),
    "/chunk-cut": _send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"),
    "/huge": _send(http(200, b'"' + b"x" * (10 * 1024 * 1024) + b'"', JSON)),
    "/bomb": _send(http(200, _bomb(), JSON, "Content-Encoding: gzip")),
    "/not-gzip": _send(http(200, b"plain", JSON, "Content-Encoding: gzip")),
    "/silent": _send(b"", pause=2.0),
    "/drip": _send(http(200, b"", JSON, length=100), *[b" "] * 100, pause=0.1),
    "/gone": _send(b""),
    "/garbage": _send(b"\x00\x01 not http at all\r\n\r\n"),
    "/reset": _reset_after(b""),
    "/reset-500": _reset_after(http(500, b'{"detail"', JSON, length=500)),
    "/reset-200": _reset_after(http(200, b'{"a"', JSON, length=500)),
    "/redirect": _send(http(307, b"", "Location: http://127.0.0.1:1/elsewhere")),
    "/odd-redirect": _send(http(302, b"", "Location: http://[::bad")),
    "/cookie": _send(http(200, PASS, JSON, "Set-Cookie: session=abc")),
    "/429": _send(http(429, b'{"detail": "later"}', JSON, "Retry-After: 7")),
    "/429-date": _send(
        http(429, b"{}", "Retry-After: Sun, 01 Mar 2026 12:00:40 GMT", "Date: Sun, 01 Mar 2026 12:00:00 GMT")
    ),
    "/503": _send(http(503, b'{"error": "database_unavailable", "message": "try later"}', JSON)),
    "/empty": _send(http(200, b"", JSON)),
}


class HostileServer:
    """Serves :data:`REPLIES` until it is closed; ``received`` keeps what arrived, path by path."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.received: list[tuple[str, bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """Stop accepting."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                data = self._read(connection)
                path = data.split(b" ", 2)[1].decode()
                self.received.append((path, data))
                REPLIES[path](connection)
            except OSError:
                pass  # the client hung up first, as it should on some of these

    @staticmethod
    def _read(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))[15:])
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body
