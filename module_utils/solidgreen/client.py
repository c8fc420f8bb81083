"""Sends one request and reads one answer, within limits of time and size; it decides nothing and repeats nothing."""

from __future__ import annotations

import http.cookiejar
from dataclasses import dataclass

import requests
import urllib3
from requests.adapters import HTTPAdapter

from . import answers
from .answers import Exchange
from .clock import Clock
from .request import Request

MAX_BODY = 8 * 1024 * 1024
_BLOCK = 64 * 1024


@dataclass(frozen=True)
class Target:
    """Where requests go; an empty token sends none, seconds for connecting, for silence and for the whole answer."""

    url: str
    token: str = ""
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 180.0
    total_timeout_s: float = 300.0


class _TooLarge(Exception):
    """The body is larger than any answer."""


class _TooLong(Exception):
    """The answer as a whole took too long."""


def open_session(connections: int) -> requests.Session:
    """Return a session that adds nothing of its own: no netrc login, no proxy of the shell, no cookie, no retry."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class Client:
    """Sends requests to one target; safe to call from several threads."""

    def __init__(self, session: requests.Session, target: Target, clock: Clock) -> None:
        self._session, self._target, self._clock = session, target, clock

    def send(self, request: Request) -> Exchange:
        """Return what became of one request; every failure of transport or answer is an exchange, never an error."""
        started = self._clock.monotonic()
        headers = {"Content-Type": request.content_type, "Accept": "application/json", "User-Agent": "solidgreen"}
        if self._target.token:
            headers["Authorization"] = f"Bearer {self._target.token}"
        try:
            response = self._session.post(
                self._target.url,
                data=request.body,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(self._target.connect_timeout_s, self._target.read_timeout_s),
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return answers.broken(_reason(error), self._since(started), detail=type(error).__name__)
        with response:
            return self._read(response, started)

    def _read(self, response: requests.Response, started: float) -> Exchange:
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            body = self._body(response, started)
        except _TooLarge:
            detail = f"more than {MAX_BODY} bytes"
            return answers.broken("too_large", self._since(started), status=status, detail=detail)
        except urllib3.exceptions.DecodeError:
            return answers.broken("undecodable", self._since(started), status=status, detail="undecodable content")
        except (_TooLong, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if status == 200:
                return answers.broken(_reason(error), self._since(started), detail=f"body lost: {type(error).__name__}")
            body = b""  # a refusal stays the refusal its status says when its body breaks off
        taken, now = self._since(started), self._clock.now()
        return answers.classify(status, headers, body, taken, now=now, secret=self._target.token)

    def _body(self, response: requests.Response, started: float) -> bytes:
        """Return the decoded body; read piece by piece, so that a slow or swollen one is noticed on its way."""
        body = bytearray()
        while block := response.raw.read1(_BLOCK, decode_content=True):
            body += block
            if len(body) > MAX_BODY:
                raise _TooLarge
            if self._since(started) > self._target.total_timeout_s:
                raise _TooLong
        return bytes(body)

    def _since(self, started: float) -> float:
        return self._clock.monotonic() - started


def _reason(error: BaseException) -> str:
    """Return the reason an attempt broke for, by the kind of the error and of those it came from."""
    chain: list[object] = [error, getattr(error, "reason", None), *error.args]
    chain += [getattr(item, "reason", None) for item in error.args]
    for kinds, reason in (
        ((requests.exceptions.SSLError, urllib3.exceptions.SSLError), "tls"),
        ((requests.ConnectTimeout, urllib3.exceptions.NewConnectionError), "connect"),
        ((requests.ReadTimeout, urllib3.exceptions.TimeoutError, TimeoutError, _TooLong), "timeout"),
    ):
        if any(isinstance(item, kinds) for item in chain):
            return reason
    return "reset"
