"""An API on loopback in a process of its own, so that what it costs is not the sender's.

It answers every POST with one body after a set time, keeps a rate limit as the real API does (a sliding window,
Retry-After in whole seconds rounded down, refused requests not counted), and tells what arrived. It ends with whoever
started it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast

import urllib3

ANSWER = {"job_id": "job", "authoritative_verdict": {"label": "pass"}, "structured_result": {"final_verdict": "SUBMIT"}}
#: What an overload names as the seconds to wait.
OVERLOAD_S = 2
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Arrival(NamedTuple):
    """A request as it arrived: wall time in seconds, the status it got, the digest of its body."""

    at: float
    status: int
    sha256: str


class Loopback:
    """The API from outside, as a context manager; ``url`` is where to send.

    :param latency: seconds before an answer; a refusal comes at once
    :param limit: requests and seconds, as in ``10/60``; empty for none
    :param overload: share of requests that are refused with a 503 that asks to wait
    :param answer: file with a captured answer whose ``body`` is sent
    """

    def __init__(
        self, *, latency: float = 0.0, limit: str = "", overload: float = 0.0, seed: int = 0, answer: Path | None = None
    ) -> None:
        options = {"latency": latency, "limit": limit, "overload": overload, "seed": seed, "answer": answer or ""}
        self._argv = [sys.executable, __file__, *(f"--{name}={value}" for name, value in options.items())]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
        self.url = cast("str", self._process.stdout and self._process.stdout.readline().strip())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def arrivals(self) -> list[Arrival]:
        """Return the requests in the order they arrived."""
        told = urllib3.request("GET", self.url, timeout=60, headers={"Connection": "close"})
        return [Arrival(*row) for row in told.json()]


class _Api:
    """What is common to all connections."""

    def __init__(self, latency: float, limit: str, overload: float, seed: int, answer: bytes) -> None:
        self.latency, self._answer = latency, answer
        requests, _, window = (limit or "0/0").partition("/")
        self._requests, self._window = int(requests), float(window)
        self._overload, self._random = overload, random.Random(seed)  # noqa: S311 - which requests is no secret
        self._counted: deque[float] = deque()
        self.arrived: list[Arrival] = []

    def reply(self, body: bytes) -> tuple[float, bytes]:
        """Return the seconds to wait and what to say to a request."""
        wait = self._limited(time.monotonic())
        status = 429 if wait is not None else 200
        if status == 200 and self._random.random() < self._overload:
            status, wait = 503, OVERLOAD_S
        self.arrived.append(Arrival(time.time(), status, hashlib.sha256(body).hexdigest()))
        if status == 200:
            return self.latency, _http(status, self._answer)
        refusal = json.dumps({"detail": "Too many requests. Please try again later."}).encode()
        return 0.0, _http(status, refusal, f"Retry-After: {wait}\r\n")

    def told(self) -> bytes:
        """Return what arrived."""
        return _http(200, json.dumps(self.arrived).encode())

    def _limited(self, now: float) -> int | None:
        if not self._requests:
            return None
        while self._counted and self._counted[0] <= now - self._window:
            self._counted.popleft()
        if len(self._counted) >= self._requests:
            return int(self._counted[0] + self._window - now)
        self._counted.append(now)
        return None


class _Connection(asyncio.Protocol):
    """One connection; several requests may follow each other on it."""

    def __init__(self, api: _Api) -> None:
        self._api, self._buffer = api, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            head, body = bytes(self._buffer[:end]), bytes(self._buffer[end + 4 : size])
            del self._buffer[:size]
            latency, said = self._api.reply(body) if head.startswith(b"POST ") else (0.0, self._api.told())
            say = partial(self._say, said, last=_CLOSE.search(head) is not None)
            if latency:
                asyncio.get_running_loop().call_later(latency, say)
            else:
                say()

    def _say(self, said: bytes, *, last: bool) -> None:
        if not self._transport.is_closing():  # whoever asked may have been killed
            self._transport.write(said)
            if last:
                self._transport.close()


def _http(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def _leave_with_starter() -> None:
    sys.stdin.read()
    os._exit(0)


async def _serve(api: _Api) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(api), "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/validate/", flush=True)
    await server.serve_forever()


def main() -> None:
    """Listen until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--limit", default="")
    parser.add_argument("--overload", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--answer", default="")
    options = parser.parse_args()
    answer = json.loads(Path(options.answer).read_text())["body"] if options.answer else ANSWER
    threading.Thread(target=_leave_with_starter, daemon=True).start()
    body = answer if isinstance(answer, str) else json.dumps(answer)
    asyncio.run(_serve(_Api(options.latency, options.limit, options.overload, options.seed, body.encode())))


if __name__ == "__main__":
    main()
