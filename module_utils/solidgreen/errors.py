"""Errors grouped by whose fault they are; each says what was found, what is needed and what to type next.

The exit codes are those every verb of this project ends with. Where several hold, the order of
:data:`PRECEDENCE` decides.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What a verb ends with; ``ansible-playbook`` itself knows only 0, 2 and 4."""

    OK = 0
    NO_GO = 10
    INCONCLUSIVE = 11
    STOP = 12
    BAD_INPUT = 13
    INTEGRITY = 14


PRECEDENCE = (ExitCode.INTEGRITY, ExitCode.BAD_INPUT, ExitCode.STOP, ExitCode.NO_GO, ExitCode.INCONCLUSIVE)


def worst(codes: list[int]) -> int:
    """Return the exit code that counts where several hold; 0 when none does.

    A code that nobody ends with counts as evidence that was tampered with, never as none.
    """
    if any(code and code not in PRECEDENCE for code in codes):
        return int(ExitCode.INTEGRITY)
    return int(next((code for code in PRECEDENCE if code in codes), ExitCode.OK))


class SolidGreenError(Exception):
    """A refusal in one sentence; its parts stay readable as keys.

    :param subject: what the sentence is about, for example ``manifest data/day3/manifest.csv``
    :param found: what was seen
    :param need: what would have been right
    :param next_step: the command or action that leads on
    :param context: further facts, plain values only
    """

    exit_code: ExitCode = ExitCode.NO_GO

    def __init__(self, subject: str, *, found: str, need: str, next_step: str, **context: Any) -> None:
        self.subject = subject
        self.found = found
        self.need = need
        self.next_step = next_step
        self.context = context
        super().__init__(f"{subject}: found {found}, need {need}. Next: {next_step}")

    def facts(self) -> dict[str, Any]:
        """Return the parts of the sentence as plain values."""
        return {
            "kind": type(self).__name__,
            "exit_code": int(self.exit_code),
            "subject": self.subject,
            "found": self.found,
            "need": self.need,
            "next": self.next_step,
            **({"context": self.context} if self.context else {}),
        }


class BadInput(SolidGreenError):
    """The caller's input or configuration cannot be used (exit 13)."""

    exit_code = ExitCode.BAD_INPUT


class Refused(BadInput):
    """A rule of the plan forbids the request as it stands, for example mixing two cycles (exit 13)."""


class IntegrityError(SolidGreenError):
    """Evidence on disk is not what was written (exit 14)."""

    exit_code = ExitCode.INTEGRITY


class InfrastructureStop(SolidGreenError):
    """Infrastructure failed twice (exit 12)."""

    exit_code = ExitCode.STOP


class Inconclusive(SolidGreenError):
    """There is nothing to decide from (exit 11)."""

    exit_code = ExitCode.INCONCLUSIVE


#: What reading a file raises that has another form than it was written in: changed by a hand, or torn.
ANOTHER_FORM = (
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    RecursionError,
    StopIteration,
    TypeError,
    ValueError,
)


def another_form(subject: str, error: BaseException) -> IntegrityError:
    """Return the error of evidence in which a file has another form than it was written in."""
    return IntegrityError(
        subject,
        found=f"a file of another form than was written ({error!r})",
        need="the files as they were written",
        next_step="restore the results from their snapshot, or invoke go --new-cycle",
    )
