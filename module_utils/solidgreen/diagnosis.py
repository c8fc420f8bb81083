"""Names the causes that the evidence at hand speaks for, each with what was seen of it, its owner and the way on.

Causes are data (:mod:`causes`); here their signs are looked for in checks, in the records of runs, in the settings of
those and in logs. What explains more of what was looked at comes first. Nothing here sees a label or repeats what a
document or a person wrote: of a text only what a pattern matched is shown.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import fields, symptoms
from .causes import Cause, Causes, Sign
from .check import Check, Status
from .clock import parse, stamp
from .logs import Text, moment, redact, since_moment
from .symptoms import Record
from .text import plural, visible

OWNER = "Platform/API Lead"
#: Phases that spend runs: a failed run stands for its cycle.
_RUN_PHASES = (3, 4)
#: A line that a service writes when it starts tells of a cause, not how much it explains: it counts as half.
STARTUP_SHARE = 0.5
#: Errors count as one stretch when at least this share of the cases in it had them.
DENSE = 0.8
#: Cases and lines that are named, values of a fact that are shown.
NAMED, SHOWN = 3, 2
_LINE = 2000
_LIMIT = 100
_FILLED = re.compile(r"\w[\w./:@+-]{0,199}", re.ASCII)


@dataclass(frozen=True)
class Run:
    """A run that is looked at: its label (``smoke1``), its facts, its terminal records, which are read twice."""

    label: str
    facts: Mapping[str, Any]
    records: Iterable[Record]
    begun_at: str = ""


@dataclass(frozen=True)
class Log:
    """What was read of a log, and where it lies, as a person would type it."""

    text: Text
    path: str


@dataclass(frozen=True)
class Evidence:
    """What is at hand about a phase.

    :param status: how the phase ended, ``fail`` while it is under way
    :param since: when the phase began; what a log says before that is of earlier phases, but for startup lines
    :param checks: of its verdict file; None of those that passed speaks for a cause
    :param closed: what could not be looked at, and why
    """

    phase: int
    status: str = "fail"
    since: str = ""
    checks: Sequence[Check] = ()
    runs: Sequence[Run] = ()
    logs: Sequence[Log] = ()
    closed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trace:
    """What was seen of a sign: how often, of how many, what share of them that is, where, and when.

    :param text: the same in words
    :param where: cases with their run, ids of checks, or a log; the first few
    :param timing: how the cases lie in the run, one of :data:`causes.TIMINGS`
    """

    place: str
    text: str
    count: int
    of: int
    share: float
    where: tuple[str, ...] = ()
    first_at: str = ""
    last_at: str = ""
    timing: str = ""
    captured: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Finding:
    """A cause that the evidence speaks for; ``share`` is how much of what was looked at its strongest sign explains."""

    id: str
    cause: str
    owner: str
    next_step: str
    share: float
    evidence: tuple[Trace, ...]

    def sentence(self) -> str:
        """Return cause, owner, the strongest of what was seen in each place and the way on in one line."""
        places: dict[str, str] = {}
        for trace in self.evidence:
            places.setdefault(trace.place, trace.text)
        seen = "; ".join(list(places.values())[:SHOWN])
        return f"{self.cause} [{self.owner}] ({seen}). Next: {self.next_step}"


@dataclass(frozen=True)
class Diagnosis:
    """What was seen, counted, and the causes it speaks for, the likeliest first."""

    facts: Mapping[str, Any]
    causes: tuple[Finding, ...]
    unexplained: str = "no known cause fits what was seen"

    @property
    def cause(self) -> str:
        """The likeliest cause with its first piece of evidence."""
        if self.causes:
            return f"{self.causes[0].cause} ({self.causes[0].evidence[0].text})"
        return self.unexplained

    @property
    def next_step(self) -> str:
        """The way on."""
        if self.causes:
            return self.causes[0].next_step
        return "look at the last 120 lines of the API's log, else invoke rollback --point R2"

    @property
    def owner(self) -> str:
        """Whose way it is."""
        return self.causes[0].owner if self.causes else OWNER


# --- the diagnosis -------------------------------------------------------------------------------------------------


@dataclass
class _Track:
    """Records that meet a sign, or are of one class of errors, as they come by."""

    count: int = 0
    first: int = 0
    last: int = 0
    first_at: str = ""
    last_at: str = ""
    cases: list[str] = field(default_factory=list)
    values: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, position: int, label: str, record: Record) -> None:
        at = str(record.get("finished_at") or "")
        if not self.count:
            self.first, self.first_at = position, at
        self.count, self.last, self.last_at = self.count + 1, position, at
        if len(self.cases) < NAMED:
            self.cases.append(f"{label} {record['case_id']}")

    def timing(self, total: int) -> str:
        """Return how the records lie among *total*, one of :data:`causes.TIMINGS`."""
        if self.count == total:
            return "every"
        slack = total * 3 // 100  # answers that overtook each other
        from_start, to_end = self.first <= slack, self.last >= total - 1 - slack
        if self.count < NAMED or self.count < DENSE * (self.last - self.first + 1):
            return "scattered"
        if from_start:
            return "every" if to_end else "at_first"
        return "onward" if to_end else "a_while"

    def when(self, total: int) -> str:
        """Return the same in words."""
        return {
            "every": "" if self.count == total else ", all through",
            "onward": f", from case {self.first + 1} on ({self.first_at})",
            "at_first": f", up to case {self.last + 1} only ({self.last_at})",
            "a_while": f", from case {self.first + 1} ({self.first_at}) to {self.last + 1} ({self.last_at})",
            "scattered": ", here and there" if self.count >= NAMED else "",
        }[self.timing(total)]


def diagnose(evidence: Evidence, causes: Causes) -> Diagnosis:
    """Return what the evidence shows and which causes it speaks for."""
    own = [cause for cause in causes.causes if evidence.phase in cause.phases]
    first = [cause for cause in own if not cause.rest]
    tally = _Tally(evidence)
    tracks = _tracks(evidence, first, tally=tally)
    found = [(cause, finding) for cause in first if (finding := _finding(cause, evidence, tracks, tally.total))]
    explained = [
        sign for cause, _ in found for sign in cause.signs if _of_records(sign, tracks.get(id(sign)), tally.total)
    ]
    others = [cause for cause in own if cause.rest]
    tracks = _tracks(evidence, others, explained=explained)
    found += [(cause, finding) for cause in others if (finding := _finding(cause, evidence, tracks, tally.total))]
    # How much it explains; of two that explain alike the one with more signs, then the one that asks for more at once.
    found.sort(key=lambda pair: (-pair[1].share, -len(pair[1].evidence), -max(sign.terms for sign in pair[0].signs)))
    return Diagnosis(tally.facts(), tuple(finding for _, finding in found))


def _records(evidence: Evidence) -> Iterator[tuple[str, Record]]:
    for run in evidence.runs:
        for record in run.records:
            yield run.label, record


def _tracks(
    evidence: Evidence, causes: Sequence[Cause], *, tally: _Tally | None = None, explained: Sequence[Sign] = ()
) -> dict[int, _Track]:
    """Return the records that meet each sign, by the sign's identity, those apart that are *explained* already."""
    signs = [sign for cause in causes for sign in cause.signs if sign.place == "records"]
    tracks = {id(sign): _Track() for sign in signs}
    if tally is None and not signs:
        return tracks
    for position, (label, record) in enumerate(_records(evidence)):
        facts = _Facts(record)
        if tally is not None:
            tally.add(position, label, record, facts)
        if any(_meets(sign, facts) for sign in explained):
            continue
        for sign in signs:
            if not _meets(sign, facts):
                continue
            track = tracks[id(sign)]
            track.add(position, label, record)
            for name, condition in (sign.conditions or {}).items():
                track.values.setdefault(name, Counter()).update(set(condition.hits(facts[name])))
    return tracks


class _Facts(dict[str, Any]):
    """The facts of a record, each looked at when it is first asked for."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def __missing__(self, name: str) -> Any:
        value = self[name] = symptoms.RECORD[name](self._record)
        return value


def _meets(sign: Sign, facts: Mapping[str, Any]) -> bool:
    return all(condition.met(facts[name]) for name, condition in (sign.conditions or {}).items())


def _finding(cause: Cause, evidence: Evidence, tracks: Mapping[int, _Track], total: int) -> Finding | None:
    """Return the cause with what speaks for it, None where nothing does or something required is missing."""
    traces = []
    for sign in cause.signs:
        if sign.place == "records":
            trace = _of_records(sign, tracks.get(id(sign)), total)
        else:
            trace = _ELSEWHERE[sign.place](sign, evidence, total)
        if trace is not None:
            traces.append(trace)
        elif sign.required:
            return None
    # A log repeats itself: it says how much a cause explains only where no record and no check does.
    traces.sort(key=lambda trace: (trace.place == "log", -trace.share))
    share = next((trace.share for trace in traces if trace.share), 0.0)
    if not share:
        return None
    return Finding(cause.id, cause.cause, cause.owner, _filled(cause.next_step, traces, evidence), share, tuple(traces))


def _of_records(sign: Sign, track: _Track | None, total: int) -> Trace | None:
    if track is None or not track.count or track.count < sign.min_share * total:
        return None
    timing = track.timing(total)
    if sign.timing and timing not in sign.timing:
        return None
    shown = ", ".join(
        f"{name.replace('_', ' ')} {_values(track.values.get(name, Counter()))}" for name in sign.conditions or {}
    )
    return Trace(
        place="records",
        text=f"{track.count} of {plural(total, 'case')}: {shown}{track.when(total)}, first {track.cases[0]}",
        count=track.count,
        of=total,
        share=track.count / total,
        where=tuple(track.cases),
        first_at=track.first_at,
        last_at=track.last_at,
        timing=timing,
    )


def _values(counted: Counter[str]) -> str:
    most = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(most) - SHOWN} more" if len(most) > SHOWN else ""
    return " or ".join(_safe(value) for value, _ in most[:SHOWN]) + more


def _of_runs(sign: Sign, evidence: Evidence, _total: int) -> Trace | None:
    """Return what the runs were set to: that explains nothing by itself, so its share is 0."""
    meeting = [run for run in evidence.runs if _meets(sign, run.facts)]
    if not meeting:
        return None
    hits = {name: condition.hits(meeting[0].facts[name]) for name, condition in (sign.conditions or {}).items()}
    text = ", ".join(f"{name.replace('_', ' ')} {', '.join(map(_safe, values))}" for name, values in hits.items())
    labels = tuple(run.label for run in meeting)
    return Trace("run", f"{' and '.join(labels)} ran with {text}", len(meeting), len(evidence.runs), 0.0, labels)


def _of_checks(sign: Sign, evidence: Evidence, _total: int) -> Trace | None:
    """Return the checks that did not pass and are meant; their share is of all that did not pass."""
    failing = [check for check in evidence.checks if check.status is not Status.PASS]
    hits: list[tuple[Check, Mapping[str, str]]] = []
    for check in failing:
        if any(_like(check.id, pattern) for pattern in sign.ids):
            found = sign.pattern.search(check.seen) if sign.pattern else None
            if sign.pattern is None or found:
                hits.append((check, found.groupdict() if found else {}))
    if not hits:
        return None
    check, captured = hits[0]
    more = f", {len(hits) - 1} more like it" if len(hits) > 1 else ""
    return Trace(
        place="check",
        text=f'check "{visible(check.id, 60)}" saw: {_safe(check.seen, 160)}{more}',
        count=len(hits),
        of=len(failing),
        share=len(hits) / len(failing),
        where=tuple(check.id for check, _ in hits[:NAMED]),
        first_at=check.at,
        captured={name: value for name, value in captured.items() if value},
    )


def _like(name: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _of_logs(sign: Sign, evidence: Evidence, total: int) -> Trace | None:
    for log in evidence.logs:
        if sign.service not in ("", log.text.service) or sign.pattern is None:
            continue
        lines = log.text.lines if sign.startup else _recent(log.text.lines, evidence.since)
        hits = [(line, found) for line in lines if (found := sign.pattern.search(line[:_LINE]))]
        share = STARTUP_SHARE if sign.startup or not total else min(1.0, len(hits) / total)
        if not hits or share < sign.min_share:
            continue
        times = [stamp(at) for line, _ in hits if (at := moment(line))]
        return Trace(
            place="log",
            text=f'{plural(len(hits), "line")} of the log of {log.text.service}: "{_safe(hits[0][1][0])}"',
            count=len(hits),
            of=len(lines),
            share=share,
            where=(log.path,),
            first_at=times[0] if times else "",
            last_at=times[-1] if times else "",
            captured={name: value for name, value in hits[0][1].groupdict().items() if value},
        )
    return None


_ELSEWHERE: Mapping[str, Callable[[Sign, Evidence, int], Trace | None]] = {
    "run": _of_runs,
    "check": _of_checks,
    "log": _of_logs,
}


def _recent(lines: Sequence[str], since: str) -> Sequence[str]:
    """Return the lines since the phase began; of a log that tells no times, all."""
    if not since or not any(moment(line) for line in lines):
        return lines
    return since_moment(lines, parse(since))


def _safe(text: object, limit: int = _LIMIT) -> str:
    return visible(redact(str(text), limit), limit)


def _filled(step: str, traces: Sequence[Trace], evidence: Evidence) -> str:
    """Return the next step with what is known put for ``<log>``, ``<since>``, ``<again>`` and what a pattern named."""
    step = step.replace("<again>", again(evidence.phase, evidence.status))
    outside = {"since": traces[0].first_at}
    for trace in reversed(traces):
        outside |= trace.captured
    # It stands in a command that a person may type: only what cannot be read as another word, or as an option.
    known = {name: value for name, value in outside.items() if _FILLED.fullmatch(value)}
    known |= {"log": shlex.quote(evidence.logs[0].path)} if evidence.logs else {}
    return re.sub(r"<(\w+)>", lambda found: known.get(found[1], found[0]), step)


def again(phase: int, status: str) -> str:
    """Return the command that looks again once the cause is gone."""
    if phase not in _RUN_PHASES:
        return f"invoke phase --only {phase}"
    return 'invoke go --new-cycle --fix "what was changed"' if status == Status.FAIL else "invoke go"


# --- what the answers hold, counted --------------------------------------------------------------------------------


class _Tally:
    """Counts what the answers of all runs show, one record at a time."""

    def __init__(self, evidence: Evidence) -> None:
        self.closed = list(evidence.closed)
        self.total = self.answers = self.looked = self.read = self.documents = self.credits = self.hidden = 0
        self.counted: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
        self.keys: dict[str, set[str]] = {}
        self.classes: dict[str, _Track] = {}

    def add(self, position: int, label: str, record: Record, facts: Mapping[str, Any]) -> None:
        self.total += 1
        self._count("outcomes", record["outcome"])
        if record["outcome"] != "answer":
            name = record["error_code"] or record["error_detail"]
            self._count("errors", name)
            reason = facts["reasons"][-1] if facts["reasons"] else ""
            words = (record["outcome"], record["http_status"] or reason, record["error_code"])
            kind = " ".join(str(word) for word in words if word)
            self.classes.setdefault(kind, _Track()).add(position, label, record)
            return
        self.answers += 1
        self._count("verdicts", record["verdict"])
        for path, names in (record["response_keys"] or {}).items():
            self.keys.setdefault(path, set()).update(names)
        answer = symptoms.response(record)
        if not answer:
            self.hidden += not record.get("values_kept", True)
            return
        self._look(answer, facts)

    def _look(self, answer: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        found = symptoms.documents(answer)
        self.looked += 1
        self.documents += bool(found)
        self.read += any(map(symptoms.was_read, found))
        self.credits += any(map(symptoms.is_credit, found))
        self._count("block_reasons", facts["block_reason"])
        self._count("completeness", fields.lookup(answer, "structured_result.extraction_summary.completeness"))
        for name in _LISTS:
            for value in facts[name] or []:
                self._count(name, value)

    def _count(self, name: str, value: Any) -> None:
        if value is not None and value != "":
            self.counted[name][str(value)] += 1

    def facts(self) -> dict[str, Any]:
        """Return the counts, each the most frequent first."""
        closed = [*self.closed]
        if self.hidden:
            closed.append(f"{plural(self.hidden, 'answer')} over personal data, of which no value was kept")
        return {
            "observations": self.total,
            "answers": self.answers,
            **{
                name: dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))
                for name, counter in self.counted.items()
            },
            "keys": {path: sorted(names) for path, names in sorted(self.keys.items())},
            "lc_detected": self.credits,
            "answers_with_documents": self.documents,
            "answers_with_reading": self.read,
            "answers_looked_into": self.looked,
            "not_looked_at": closed,
            "errors_over_time": [
                {
                    "class": kind,
                    "cases": track.count,
                    "of": self.total,
                    "first_case": track.first + 1,
                    "first_at": track.first_at,
                    "last_case": track.last + 1,
                    "last_at": track.last_at,
                    "timing": track.timing(self.total),
                }
                for kind, track in sorted(self.classes.items(), key=lambda item: (-item[1].count, item[0]))
            ],
        }


_LISTS = ("missing_critical", "severities", "rules", "document_types", "extraction_states")
_COUNTED = ("verdicts", "outcomes", "errors", "block_reasons", "completeness", *_LISTS)
