"""Time as the core sees it: one object to hand in, so that tests can turn the clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic seconds for waits."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return monotonic seconds."""

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        time.sleep(seconds)


def stamp(moment: datetime) -> str:
    """Return ``2026-03-01T12:00:00.000000Z``: UTC, microseconds, sortable as text.

    :raises ValueError: the moment names no zone, or lies before the year 1 or after 9999 in UTC
    """
    return _in_utc(moment).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse(text: str) -> datetime:
    """Return the moment a stamp names, aware, in UTC.

    :raises ValueError: the text is no time, or one that :func:`stamp` refuses
    """
    return _in_utc(datetime.fromisoformat(text.replace("Z", "+00:00")))


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:  # Python would take it as of the machine's zone, and mean another time elsewhere
        raise ValueError(f"{moment.isoformat()} names no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{moment.isoformat()} is no time in UTC") from error


def compact(moment: datetime) -> str:
    """Return ``20260301T120000Z``, for file names."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
