"""A check: one thing looked at, with what was seen, what was needed and how to go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .jsonio import to_plain


class Status(StrEnum):
    """Outcome of a check, a gate or a phase; only a gate can be waived, and its check then passes."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    ``next_step`` is empty for a pass. ``facts`` holds plain values only. ``exit_code`` is what this check alone would
    make a verb end with when it does not pass (12 for a second infrastructure failure, 10 for a quality failure, 14 for
    integrity); None leaves it to the status: fail 10, inconclusive 11.
    """

    id: str
    title: str
    status: Status
    seen: str
    needed: str
    next_step: str = ""
    owner: str = ""
    at: str = ""
    attempts: int = 1
    exit_code: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sentence(self) -> str:
        """Return the check as one line a person reads."""
        line = f'check "{self.id}" {self.status.value}: {self.seen}, need {self.needed}.'
        return f"{line} Next: {self.next_step}" if self.next_step else line

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain values."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Check:
        """Return the check that :meth:`to_dict` wrote."""
        known = {key: value[key] for key in cls.__dataclass_fields__ if key in value}
        return cls(**{**known, "status": Status(known["status"])})


def overall(statuses: Iterable[Status]) -> Status:
    """Return the worst status; nothing looked at is inconclusive, never a pass."""
    seen = set(statuses)
    if Status.FAIL in seen:
        return Status.FAIL
    if Status.INCONCLUSIVE in seen or not seen:
        return Status.INCONCLUSIVE
    return Status.PASS
