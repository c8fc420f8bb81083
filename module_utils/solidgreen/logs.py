"""Service logs: what must be in them, what must not, and how far they were read.

A log is what a service says about itself, so no line at all is no evidence: such a check is inconclusive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import jsonio
from .check import Check, Status
from .clock import Clock, parse, stamp
from .errors import BadInput

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,6})\d*)? ?(Z|UTC|[+-]\d{2}:?\d{2})?")
READ_LIMIT = 8_000_000
SAMPLES = 3
#: Longest id that is made of a pattern.
SLUG = 40

#: What must not leave a log, should a service have written it.
SECRETS = (
    (re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@"), r"\1:***@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), r"\1 ***"),
    (
        re.compile(r"(?i)([\w-]*(?:password|passwd|secret|token|api_?key)[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;}&]+"),
        r"\1***",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A log to read: the file of a service, at most its last *tail* lines (0 for all), from *offset* bytes on."""

    service: str
    path: Path
    tail: int = 0
    offset: int = 0


@dataclass(frozen=True)
class Text:
    """What was read: lines without colour codes, the offset to go on from, and why there is nothing where there is."""

    service: str
    lines: tuple[str, ...]
    offset: int
    problem: str = ""
    restarted: bool = False


@dataclass(frozen=True)
class Expectation:
    """A pattern that must (``expect``) or must not (``critical``) be in the logs of a service, or of any ("")."""

    id: str
    pattern: re.Pattern[str]
    service: str = ""
    title: str = ""
    next_step: str = ""
    owner: str = ""

    @classmethod
    def from_value(cls, value: Any, kind: str) -> Expectation:
        """Return the expectation that a pattern, or a mapping with ``pattern``, describes.

        :raises BadInput: no pattern, one that is no regular expression, or an unknown key
        """
        given = {"pattern": value} if isinstance(value, str) else value
        step = f"correct the {kind} list where the role or inventory has it"
        if not isinstance(given, Mapping) or not isinstance(given.get("pattern"), str) or not given["pattern"]:
            raise BadInput(f"{kind} {value!r}", found="no pattern", need="a regular expression", next_step=step)
        name = f'{kind} "{given["pattern"]}"'
        options = {key: str(item) for key, item in given.items() if item is not None and key != "pattern"}
        unknown = sorted(set(options) - {"id", "service", "title", "next_step", "owner"})
        if unknown:
            raise BadInput(name, found=f"unknown {', '.join(unknown)}", need="options of a pattern", next_step=step)
        try:
            pattern = re.compile(given["pattern"])
        except re.error as error:
            raise BadInput(name, found=str(error), need="a regular expression", next_step=step) from error
        slug = re.sub(r"\W+", "-", given["pattern"]).strip("-").lower()
        if len(slug) > SLUG:  # long patterns often begin alike
            slug = f"{slug[: SLUG - 7]}-{jsonio.digest(given['pattern'])[:6]}"
        return cls(**{"id": f"log:{slug}", **options}, pattern=pattern)


def strip_ansi(text: str) -> str:
    """Return *text* without terminal codes; services wrap even redirected lines in colour."""
    return ANSI.sub("", text)


def redact(line: str, limit: int = 200) -> str:
    """Return a line fit to be kept as evidence: secrets as ``***``, at most *limit* characters."""
    for pattern, replacement in SECRETS:
        line = pattern.sub(replacement, line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def moment(line: str) -> datetime | None:
    """Return the time a line carries near its start, in UTC when it names no zone, or None."""
    found = MOMENT.search(line[:200])
    if not found:
        return None
    day, time, fraction, zone = found.groups()
    offset = "+00:00" if zone in (None, "Z", "UTC") else zone
    try:
        return datetime.fromisoformat(f"{day}T{time}.{(fraction or '0').ljust(6, '0')}{offset}").astimezone(UTC)
    except ValueError:
        return None


def since_moment(lines: Sequence[str], since: datetime) -> list[str]:
    """Return the lines at or after *since*; a line without a time belongs to the one before it."""
    kept: list[str] = []
    keep = False
    for line in lines:
        at = moment(line)
        keep = keep if at is None else at >= since
        if keep:
            kept.append(line)
    return kept


def read(source: Source, since: datetime | None = None) -> Text:
    """Read a log from where the last look ended; a file shorter than that was begun anew and is read whole."""
    try:
        with source.path.open("rb") as handle:
            size = handle.seek(0, 2)
            restarted = source.offset > size
            start = 0 if restarted else source.offset
            handle.seek(max(start, size - READ_LIMIT))
            data = handle.read(READ_LIMIT)
    except OSError as error:
        return Text(source.service, (), 0, f"no log: {error.strerror} ({source.path})")
    lines = [strip_ansi(line).rstrip() for line in data.decode("utf-8", "replace").splitlines()]
    if since is not None:
        lines = since_moment(lines, since)
    lines = lines[-source.tail :] if source.tail else lines
    problem = "" if any(lines) else f"no line in {source.path}"
    return Text(source.service, tuple(lines), max(start, size - READ_LIMIT) + len(data), problem, restarted)


def look(
    texts: Sequence[Text], expect: Sequence[Expectation], critical: Sequence[Expectation], clock: Clock
) -> list[Check]:
    """Return one check an expectation, and one a service for everything critical."""
    at = stamp(clock.now())
    checks = [expected(item, [text for text in texts if item.service in ("", text.service)], at) for item in expect]
    for text in texts if critical else ():
        mine = [item for item in critical if item.service in ("", text.service)]
        if mine:
            checks.append(clean(text, mine, at))
    return checks


def expected(item: Expectation, texts: Sequence[Text], at: str) -> Check:
    """Return whether a pattern is in one of the logs; logs without a line leave it open."""
    hits = [line for text in texts for line in text.lines if item.pattern.search(line)]
    read_lines = sum(len(text.lines) for text in texts)
    problems = [text.problem for text in texts if text.problem]
    if hits:
        status, seen = Status.PASS, f"{len(hits)} of {read_lines} lines, last: {redact(hits[-1])}"
    elif read_lines and not problems:
        status, seen = Status.FAIL, f"none of {read_lines} lines"
    else:
        status, seen = Status.INCONCLUSIVE, "; ".join(problems) or "no log was given"
    return Check(
        id=item.id,
        title=item.title or f"log says {item.pattern.pattern}",
        status=status,
        seen=seen,
        needed=f"a line that matches {item.pattern.pattern}",
        next_step="" if status is Status.PASS else item.next_step or "read the log, restart the service and look again",
        owner=item.owner,
        at=at,
        facts={"hits": len(hits), "lines": read_lines, "services": [text.service for text in texts]},
    )


def clean(text: Text, critical: Sequence[Expectation], at: str) -> Check:
    """Return whether a log is free of everything critical."""
    counts: dict[str, int] = {}
    samples: list[str] = []
    for line in text.lines:
        hits = [item for item in critical if item.pattern.search(line)]
        for item in hits:
            counts[item.id] = counts.get(item.id, 0) + 1
        if hits and len(samples) < SAMPLES:
            samples.append(redact(line))
    first = next((item for item in critical if item.id in counts), critical[0])
    if text.problem:
        status, seen = Status.INCONCLUSIVE, text.problem
    elif counts:
        status, seen = Status.FAIL, f"{sum(counts.values())} critical lines, first: {samples[0]}"
    else:
        status, seen = Status.PASS, f"none in {len(text.lines)} lines"
    return Check(
        id=f"log-clean:{text.service}",
        title=f"nothing critical in the log of {text.service}",
        status=status,
        seen=seen,
        needed="no critical line",
        next_step=""
        if status is Status.PASS
        else first.next_step or "repair what the line names and restart the service",
        owner=first.owner,
        at=at,
        facts={"counts": counts, "samples": samples, "lines": len(text.lines)},
    )


def parse_since(value: str) -> datetime | None:
    """Return the moment of an ISO text, None for an empty one.

    :raises BadInput: it is neither
    """
    if not value:
        return None
    try:
        return parse(value)
    except ValueError as error:
        raise BadInput(
            f"since {value!r}", found="no time", need="an ISO time in UTC", next_step="write 2026-03-01T12:00:00Z"
        ) from error
