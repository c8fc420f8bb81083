"""Sends one request and reads one answer, within limits of time and size; it decides nothing and repeats nothing.

Every request has a connection of its own: on a kept one, what a server or a proxy says late or unasked (a second
answer, the 408 of an idle connection) would be taken for the answer to the next case.
"""

from __future__ import annotations

import http.client
import math
import re
import socket
import ssl
import zlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout, exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from . import answers
from .answers import Exchange
from .clock import Clock
from .errors import BadInput
from .request import Request

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MAX_BODY = 8 * 1024 * 1024
#: What is read of a refusal: its status says what it is, its body only why.
MAX_REFUSAL = 64 * 1024
#: Seconds the body of a refusal may take: a 429 holds everyone, and must not be learnt late.
REFUSAL_S = 10.0
_BLOCK = 64 * 1024
_BROKEN = (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)


@dataclass(frozen=True)
class Target:
    """Where requests go.

    :param token: sent as bearer token, none where it is empty
    :param connect_timeout_s: seconds for reaching an address of the host, and again for TLS
    :param read_timeout_s: seconds of silence, while sending as while reading
    :param total_timeout_s: seconds for the whole attempt, whatever the server does; only the look-up of the host's
        name, which nothing can cut short, may go beyond
    :raises BadInput: a time is not above 0, the token is no header value
    """

    url: str
    token: str = ""
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 180.0
    total_timeout_s: float = 300.0

    def __post_init__(self) -> None:
        for name in ("connect_timeout_s", "read_timeout_s", "total_timeout_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise BadInput(name, found=str(value), need="seconds above 0", next_step=f"correct {name}")
        if not re.fullmatch(r"[!-~]*", self.token):
            raise BadInput(
                "the API token",
                found="a sign that no header can carry (a space, a line end, a letter beyond ASCII)",
                need="the token alone, in ASCII",
                next_step="correct DAY3_API_TOKEN",
            )


class _TooLarge(Exception):
    """The body is larger than any answer."""


class _Attempt:
    """What is left of the time of the attempt that a thread makes."""

    def __init__(self, clock: Clock, target: Target) -> None:
        self._clock, self.target = clock, target
        self.started = clock.monotonic()
        self._until = self.started + target.total_timeout_s

    @property
    def taken(self) -> float:
        """The seconds since it began."""
        return self._clock.monotonic() - self.started

    @property
    def over(self) -> bool:
        """Whether its time is used up."""
        return self._clock.monotonic() >= self._until

    def left(self, most: float) -> float:
        """Return the seconds the next wait may last, *most* at most.

        :raises TimeoutError: the time is used up
        """
        seconds = min(most, self._until - self._clock.monotonic())
        if seconds <= 0:
            raise TimeoutError("the attempt is not over in time")
        return seconds

    def hurry(self, seconds: float) -> None:
        """End it in that many seconds at the latest."""
        self._until = min(self._until, self._clock.monotonic() + seconds)


#: urllib3 hands no deadline down to its sockets; an attempt runs in one thread from its connection to its last byte.
_ATTEMPT: ContextVar[_Attempt] = ContextVar("attempt")


class _Watched(socket.socket):
    """A socket of which each wait ends with the attempt, so that a trickle cannot stretch it."""

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        self._limit()
        return super().recv_into(buffer, nbytes or 0, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        # The timeout of the sendall below counts for the whole body: a slow line is not silence.
        view = memoryview(data).cast("B")
        while view:
            self._limit()
            view = view[self.send(view[:_BLOCK], flags) :]

    def _limit(self) -> None:
        attempt = _ATTEMPT.get()
        self.settimeout(attempt.left(attempt.target.read_timeout_s))


class _WatchedTls(_Watched, ssl.SSLSocket):
    """The same over TLS."""


class _Lines:
    """The lines of a head; none after its last one tells that it did not come whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.close, self.last = stream, stream.close, b""

    def readline(self, limit: int) -> bytes:
        self.last = self._stream.readline(limit)
        return self.last


class _Response(http.client.HTTPResponse):
    """A response that is the last on its connection, and the final one: 100, 102, 103 before it are passed over.

    A head that breaks off is refused: it would pass for a whole one, and a lost connection for an empty answer.
    """

    def begin(self) -> None:
        stream, lines = self.fp, _Lines(self.fp)
        self.fp = lines  # type: ignore[assignment]
        try:
            super().begin()
            while 100 <= self.status < 200 and self.status != http.client.SWITCHING_PROTOCOLS:
                self.headers = self.msg = None  # type: ignore[assignment]
                super().begin()
        finally:
            if self.fp is not None:  # a bad first line has closed it already
                self.fp = stream
        if not lines.last:
            raise http.client.RemoteDisconnected("the connection ended in the headers")
        self.will_close = True


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _TlsConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _watched(plain: socket.socket) -> socket.socket:
    watched, attempt = _Watched(plain.family, plain.type, plain.proto, plain.detach()), _ATTEMPT.get()
    try:
        watched.settimeout(attempt.left(attempt.target.connect_timeout_s))  # what TLS has for its handshake
    except TimeoutError:
        watched.close()
        raise
    return watched


def open_session(connections: int) -> PoolManager:
    """Return a session that adds nothing of its own: no login, no proxy of the shell, no cookie, no retry.

    Certificates are trusted as the machine trusts them.
    """
    trust = ssl.create_default_context()
    trust.sslsocket_class = _WatchedTls
    session = PoolManager(num_pools=1, maxsize=connections, ssl_context=trust)
    session.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return session


class Client:
    """Sends requests to one target; safe to call from several threads."""

    def __init__(self, session: PoolManager, target: Target, clock: Clock) -> None:
        self._session, self._target, self._clock = session, target, clock
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Connection": "close",
            "User-Agent": "solidgreen",
        }
        if target.token:
            self._headers["Authorization"] = f"Bearer {target.token}"

    def send(self, request: Request) -> Exchange:
        """Return what became of one request; every failure of transport or answer is an exchange, never an error."""
        attempt = _Attempt(self._clock, self._target)
        _ATTEMPT.set(attempt)
        try:
            response = self._session.urlopen(
                "POST",
                self._target.url,
                body=request.body,
                headers={**self._headers, "Content-Type": request.content_type},
                timeout=Timeout(connect=attempt.left(self._target.connect_timeout_s), read=self._target.read_timeout_s),
                redirect=False,
                retries=False,
                preload_content=False,
            )
        except _BROKEN as error:
            reason, detail = _failure(error, attempt)
            return answers.broken(reason, attempt.taken, detail=detail)
        try:
            return self._read(response, attempt)
        finally:
            response.close()

    def _read(self, response: BaseHTTPResponse, attempt: _Attempt) -> Exchange:
        status, body, lost = response.status, bytearray(), ""
        headers = {name.lower(): value for name, value in response.headers.itermerged()}
        limit = MAX_BODY
        if status != 200:
            limit = MAX_REFUSAL
            attempt.hurry(REFUSAL_S)
        try:
            _fill(body, response, limit)
            content = _unpacked(body, headers.get("content-encoding", ""), limit)
        except (*_BROKEN, _TooLarge) as error:
            reason, detail = _failure(error, attempt)
            if status == 200:
                came_whole = reason in ("too_large", "undecodable")
                return answers.broken(reason, attempt.taken, status=200 if came_whole else None, detail=detail)
            # A refusal stays the refusal its status says when its body breaks off.
            content, lost = bytes(body[:limit]), detail
        return answers.classify(
            status,
            headers,
            content,
            attempt.taken,
            now=self._clock.now(),
            secret=self._target.token,
            lost=lost,
        )


def _fill(body: bytearray, response: BaseHTTPResponse, limit: int) -> None:
    """Read a body as it is on the line, piece by piece, so that a swollen one is noticed on its way."""
    while block := response.read1(_BLOCK, decode_content=False):
        body += block
        if len(body) > limit:
            raise _TooLarge(f"more than {limit} bytes")


def _unpacked(body: bytearray, coding: str, limit: int) -> bytes:
    """Return the body without its content coding; one we did not ask for is left on: the JSON in it decides.

    It must be one stream, whole and with nothing after it: a cut one must not pass for the answer, and reading on over
    members that unpack to nothing takes time without bound.

    :raises DecodeError: it is not what its coding says, or not all of it
    :raises _TooLarge: it has more than *limit* bytes; no more than that are ever unpacked
    """
    formats = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}.get(coding.strip().lower(), ())
    if not formats or not body:
        return bytes(body)
    for form in formats:  # "deflate" has a zlib header by the standard, and none with some servers
        stream = zlib.decompressobj(form)
        try:
            plain = stream.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise _TooLarge(f"more than {limit} bytes unpacked")
        if stream.eof and not stream.unused_data:
            return plain
    raise exceptions.DecodeError(f"{len(body)} bytes that are not one {coding.strip().lower()} stream")


def _failure(error: BaseException, attempt: _Attempt) -> tuple[str, str]:
    """Return the reason an attempt broke for and what happened, by the kind of the error and of those it came from."""
    chain: list[Any] = [error]
    while inner := next((item for item in (*chain[-1].args, chain[-1].__cause__) if _is_new(item, chain)), None):
        chain.append(inner)
    if isinstance(error, (_TooLarge, exceptions.DecodeError)):
        return ("too_large" if isinstance(error, _TooLarge) else "undecodable"), str(error)
    if attempt.over:
        return "timeout", f"not over after {attempt.taken:.3g} s"
    why = getattr(chain[-1], "verify_message", "")
    detail = type(chain[-1]).__name__ + (f": {why}" if why else "")
    for kinds, reason in (
        ((exceptions.SSLError, ssl.SSLError), "tls"),
        ((exceptions.NewConnectionError, exceptions.ConnectTimeoutError, exceptions.LocationValueError), "connect"),
        ((exceptions.TimeoutError, TimeoutError), "timeout"),
    ):
        if any(isinstance(item, kinds) for item in chain):
            return reason, detail
    return "reset", detail


def _is_new(item: object, chain: list[Any]) -> bool:
    return isinstance(item, BaseException) and all(item is not earlier for earlier in chain)
