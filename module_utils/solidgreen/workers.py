"""Requests under way: threads that send, and one place where what came back is collected."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol

from .answers import Exchange
from .request import Request


class Workers(Protocol):
    """Sends requests side by side; only the thread that starts them collects what comes back."""

    def start(self, key: str, request: Request) -> None:
        """Send a request now, without waiting."""

    def wait(self, timeout: float) -> tuple[str, Exchange] | None:
        """Return the key and end of one request, waiting at most that many seconds for it, else None."""


class Threads:
    """A thread a request: as many as the caller lets overlap, none that outlives the process."""

    def __init__(self, send: Callable[[Request], Exchange]) -> None:
        self._send = send
        self._landed: SimpleQueue[tuple[str, Exchange | BaseException]] = SimpleQueue()

    def start(self, key: str, request: Request) -> None:
        """Send a request in a thread of its own."""
        Thread(target=self._run, args=(key, request), name=f"send-{key}", daemon=True).start()

    def wait(self, timeout: float) -> tuple[str, Exchange] | None:
        """Return the key and end of one request; what a thread raised is raised here."""
        try:
            key, landed = self._landed.get(timeout=max(0.0, timeout))
        except Empty:
            return None
        if isinstance(landed, BaseException):
            raise landed
        return key, landed

    def _run(self, key: str, request: Request) -> None:
        try:
            self._landed.put((key, self._send(request)))
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits
            self._landed.put((key, error))
