"""A clock the tests turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class TurnedClock:
    """Starts at a fixed moment; ``sleep`` moves both its wall time and its monotonic time."""

    def __init__(self, start: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) -> None:
        self.start = start
        self.elapsed = 0.0

    def now(self) -> datetime:
        """Return the wall time."""
        return self.start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        """Return the seconds that were slept."""
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        """Move the time on."""
        self.elapsed += seconds
