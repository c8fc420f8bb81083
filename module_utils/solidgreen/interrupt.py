"""Tells whether somebody wants this process to stop: by a signal, or by having gone away."""

from __future__ import annotations

import select
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """As a context manager it turns the first SIGINT or SIGTERM into an answer; a second one ends the process.

    Called, it returns whether to stop. A process whose starter is gone, or whose output nobody can read any more, is
    asked to stop as well: a module goes on after the playbook it belongs to was killed, and requests would leave that
    nobody knows of.

    :param gone: tells whether whoever started the work is gone
    :param output: descriptor of the output somebody should be reading
    """

    def __init__(self, gone: Callable[[], bool] = lambda: False, output: int = 1) -> None:
        self._gone = gone
        self._asked = False
        self._before: dict[int, Any] = {}
        self._poll = select.poll()
        self._poll.register(output, 0)

    def __call__(self) -> bool:
        """Return whether somebody wants the process to stop."""
        unread = any(event & (select.POLLERR | select.POLLHUP) for _, event in self._poll.poll(0))
        self._asked = self._asked or unread or self._gone()
        return self._asked

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
