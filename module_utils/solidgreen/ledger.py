"""The record of a run: one JSON object a line, each bound to the one before it by digest, fsynced one by one.

Record types, in ``type``: ``registration`` (first line, once), ``resume`` (a new session goes on), ``pace`` (what the
run knows of the rate limit from here on), ``attempt`` (one that is tried again), ``observation`` (the terminal record
of a case, once a case), ``end`` (last line, once; nothing follows). The end record makes a cut-off tail visible, the
chain everything else. One writer at a time, by an OS lock that dies with its process.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import stat
from array import array
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from filelock import FileLock, Timeout

from . import jsonio
from .clock import Clock, parse, stamp
from .errors import BadInput, InfrastructureStop, IntegrityError, Refused, SolidGreenError
from .pacing import Pace

SCHEMA = "solidgreen/observation/1"
GENESIS = "0" * 64
#: How many attempts :attr:`Ledger.recent` remembers.
RECENT = 1000
Record = dict[str, Any]

#: What a system call says of a path where something lies that we never put there.
_OCCUPIED = (errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.EEXIST, errno.ENXIO)
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)


class _Step(NamedTuple):
    """What a record that can follow adds: its moment, attempts nobody told yet, and what they say of time.

    ``starts`` and ``ends`` are seconds of the run, ``holds`` the ends of waits on the wall clock.
    """

    at: datetime
    tried: list[Record]
    starts: list[float]
    ends: list[float]
    holds: list[datetime]


@dataclass
class Ledger:
    """What the records of a run say; built by reading them from the first on, in memory that its cases bound.

    :param keep: keep the terminal records as well, in ``observations``; everything else is told without them
    :param sink: is given each record once it was taken in
    :param pending: attempts of cases that have no terminal record yet, by case id
    :param done: number of terminal records
    :param requests: number of attempts, ``http_429`` of those that met the rate limit
    :param held_until: when the last wait ends that an attempt was told or chose
    :param recent: the latest attempts, in the order of the ledger
    :param pace: the latest record of that type
    :param active_s: seconds of all sessions together: by the run's own monotonic count of its attempts, by the wall
        clock where several machines sent it
    :param lines: number of whole lines, ``size`` their bytes, ``torn`` what comes after them
    """

    path: Path
    keep: bool = True
    sink: Callable[[Record], object] | None = None
    registration: Record = field(default_factory=dict)
    observations: list[Record] = field(default_factory=list)
    pending: dict[str, list[Record]] = field(default_factory=dict)
    resumes: list[Record] = field(default_factory=list)
    pace: Record | None = None
    end: Record | None = None
    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    http_429: int = 0
    held_until: datetime | None = None
    recent: deque[Record] = field(default_factory=lambda: deque(maxlen=RECENT))
    active_s: float = 0.0
    head_sha256: str = GENESIS
    lines: int = 0
    size: int = 0
    torn: bytes = b""
    _open: set[str] = field(default_factory=set)
    _starts: array[float] = field(default_factory=lambda: array("d"))
    _session: tuple[datetime, float] | None = None

    @property
    def run_id(self) -> str:
        """The run the records belong to."""
        return str(self.registration["run_id"])

    @property
    def selection(self) -> list[str]:
        """Ids of the cases the run is over, in their order."""
        return list(self.registration["selection"])

    @property
    def missing(self) -> list[str]:
        """Selected cases without a terminal record."""
        return [case_id for case_id in self.registration["selection"] if case_id in self._open]

    @property
    def attempts(self) -> list[Record]:
        """Every attempt of a ledger whose observations were kept, those of cases without a terminal record included."""
        closed = [attempt for record in self.observations for attempt in record["attempts"]]
        return closed + [attempt for records in self.pending.values() for attempt in records]

    @property
    def smallest_gap_s(self) -> float | None:
        """Seconds between the two starts that were closest, None with fewer than two."""
        return min((later - sooner for sooner, later in itertools.pairwise(sorted(self._starts))), default=None)

    def take(self, record: Record) -> None:
        """Take in the next record, or nothing of it.

        :raises ValueError: it cannot follow the ones before it; the text says why
        """
        self.fold(record, self.check(record))

    def check(self, record: Record) -> _Step:
        """Return what the record adds, given that it can follow; nothing is taken in.

        :raises ValueError: it cannot follow the ones before it; the text says why
        """
        kind = record["type"]
        if (kind == "registration") == bool(self.registration):
            raise ValueError("a registration that is not the first record" if self.registration else "no registration")
        if self.end is not None:
            raise ValueError("a record after the end of the run")
        if kind == "registration":
            set(record["selection"])  # a TypeError where it is none
        elif kind in ("attempt", "observation"):
            return self._check_case(kind, record)
        elif kind == "pace":
            Pace.of(record)
        elif kind not in ("resume", "end"):
            raise ValueError(f"a record of type {kind!r}")
        return _Step(parse(record["at"]), [], [], [], [])

    def _check_case(self, kind: str, record: Record) -> _Step:
        case_id = record["case_id"]
        if case_id not in self._open:
            known = case_id in self.registration["selection"]
            raise ValueError(f"case {case_id} {'a second time' if known else 'that was not selected'}")
        tried = [record]
        if kind == "observation":
            if record["seq"] != self.done + 1:
                raise ValueError(f"observation {record['seq']} in the place of {self.done + 1}")
            told = len(self.pending.get(case_id, ()))
            if len(record["attempts"]) < told:
                raise ValueError(f"case {case_id} closed without {told - len(record['attempts'])} of its attempts")
            tried = record["attempts"][told:]
        return _Step(
            parse(record["finished_at"] if kind == "observation" else record["at"]),
            tried,
            [float(attempt["at_s"]) for attempt in tried],
            [float(attempt["at_s"]) + float(attempt["duration_s"]) for attempt in tried],
            [
                parse(attempt["started_at"]) + timedelta(seconds=attempt["duration_s"] + attempt["wait_s"])
                for attempt in tried
                if attempt.get("wait_s")
            ],
        )

    def fold(self, record: Record, step: _Step) -> None:
        """Take in a record that :meth:`check` let pass."""
        kind = record["type"]
        if kind == "registration":
            self.registration, self._open = record, set(record["selection"])
        elif kind == "resume":
            self.resumes.append(record)
        elif kind == "pace":
            self.pace = record
        elif kind == "attempt":
            self.pending.setdefault(record["case_id"], []).append(record)
        elif kind == "observation":
            self._close(record)
        else:
            self.end = record
        self.requests += len(step.tried)
        self.http_429 += sum(attempt.get("reason") == "http_429" for attempt in step.tried)
        self.recent.extend(step.tried)
        self._starts.extend(step.starts)
        for until in step.holds:
            self.held_until = until if self.held_until is None else max(until, self.held_until)
        self._take_time(kind, step)
        self.head_sha256 = record["sha256"]
        if self.sink:
            self.sink(record)

    def _close(self, record: Record) -> None:
        self.done += 1
        self._open.remove(record["case_id"])
        self.pending.pop(record["case_id"], None)
        self.outcomes[str(record.get("outcome"))] += 1
        if record.get("verdict") is not None:
            self.verdicts[str(record["verdict"])] += 1
        if self.keep:
            self.observations.append(record)

    def _take_time(self, kind: str, step: _Step) -> None:
        """Sum the time of all sessions: what lies between them was nobody's waiting.

        Attempts count the seconds of their run on a monotonic clock: a wall clock that is set neither stretches nor
        shrinks it. Only shards have no other clock in common.
        """
        if "shards" not in self.registration:
            self.active_s = max(self.active_s, *step.ends, 0.0)
            return
        if self._session is None or kind == "resume":
            self._session = (step.at, self.active_s)
        start, before = self._session
        self.active_s = max(self.active_s, before + (step.at - start).total_seconds())


def read(path: Path, *, keep: bool = True, sink: Callable[[Record], object] | None = None) -> Ledger:
    """Return what the whole lines of a ledger say; a torn last line is kept apart in ``torn``.

    :param keep: keep the terminal records, which grow with the run
    :param sink: is given each record as it is read, before anything is known of those that follow
    :raises BadInput: there is no such file, or it cannot be read
    :raises IntegrityError: a byte was changed, a line taken out or put in; the line is named
    """
    ledger = Ledger(path, keep, sink)
    try:
        with _opened(path) as handle:
            for line in handle:
                if not line.endswith(b"\n"):
                    ledger.torn = line
                    break
                _follow(ledger, line)
    except OSError as error:
        if error.errno in _OCCUPIED:
            raise _occupied(path, error) from error
        raise BadInput(
            str(path),
            found="no file" if isinstance(error, FileNotFoundError) else f"no readable file ({error.strerror})",
            need="the record of a run",
            next_step="run it: invoke go",
        ) from error
    return ledger


def verify(path: Path, *, keep: bool = True, sink: Callable[[Record], object] | None = None) -> Ledger:
    """Return what a ledger says, given that nothing in it is broken: its chain, its order, its last line.

    :raises BadInput: there is no such file, or it cannot be read
    :raises IntegrityError: something is broken; the line is named
    """
    ledger = read(path, keep=keep, sink=sink)
    if ledger.torn or not ledger.registration:
        found = f"{len(ledger.torn)} bytes after the last whole line" if ledger.torn else "no registration"
        raise _tampered(f"{path} line {ledger.lines + 1}", found, "whole lines, the first a registration")
    return ledger


def in_cycle(end: str) -> str:
    """Return how a run that ended so is called in its cycle: ``finished``, ``early_stop``, else ``stopped``."""
    return end if end in ("finished", "early_stop") else "stopped"


def closed(path: Path, state: str, *, keep: bool = True, sink: Callable[[Record], object] | None = None) -> Ledger:
    """Return what the ledger of a run says that its cycle calls ended: it must be whole and end in the same way.

    :param state: the run's state in the cycle: ``finished``, ``early_stop`` or ``stopped``
    :raises IntegrityError: it is gone, broken, or says otherwise
    """
    try:
        ledger = verify(path, keep=keep, sink=sink)
    except BadInput as error:
        raise _tampered(str(path), f"no record of a run that the cycle calls {state}", "its whole record") from error
    ended = None if ledger.end is None else str(ledger.end.get("state"))
    if ended is None or in_cycle(ended) != state:
        said = "no end" if ended is None else f"the end {ended!r}"
        raise _tampered(str(path), f"{said} in the record of a run that the cycle calls {state}", "one and the same")
    return ledger


def _follow(ledger: Ledger, line: bytes) -> None:
    """Take the record of a line into the ledger, if it is the one that follows."""
    try:
        record = json.loads(line)
        if record["prev_sha256"] != ledger.head_sha256:
            raise ValueError("a record that does not follow the one before it")
        if not _sealed(record, line):
            raise ValueError("a record changed after it was written")
        ledger.take(record)
    except _UNREADABLE as error:
        where = f"{ledger.path} line {ledger.lines + 1}"
        raise _tampered(where, str(error), "the record that was written") from error
    ledger.lines += 1
    ledger.size += len(line)


def _seal(record: Mapping[str, Any], prev_sha256: str) -> tuple[Record, bytes]:
    """Return the record with its place in the chain, and its line."""
    chained = {**jsonio.to_plain(record), "prev_sha256": prev_sha256}
    chained["sha256"] = jsonio.sha256_bytes(jsonio.canonical_plain(chained))
    return chained, jsonio.canonical_plain(chained) + b"\n"


def _sealed(record: Record, line: bytes) -> bool:
    """Tell whether a line is, byte for byte, what :func:`_seal` made.

    The bytes without the digest must give the digest, so none of them changed. The digest itself could only have been
    moved to another place, and then the keys are not in order any more. Nothing needs to be written out anew.
    """
    before, found, after = line[:-1].partition(f'"sha256":"{record["sha256"]}",'.encode())
    return bool(found) and jsonio.sha256_bytes(before + after) == record["sha256"] and list(record) == sorted(record)


class Writer:
    """Appends records to the ledger of one run, as a context manager that holds its lock; keeps no terminal records.

    :param registration: what identifies the run: run_id, kind, ordinal, cases_sha256, selection, target …
    :param lock_timeout_s: how long to wait for a predecessor that is ending
    """

    def __init__(self, path: Path, registration: Mapping[str, Any], *, clock: Clock, lock_timeout_s: float = 0) -> None:
        self._path, self._clock = path, clock
        self._registration = {"type": "registration", "schema": SCHEMA, **jsonio.to_plain(registration)}
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=lock_timeout_s)
        self._descriptor = -1
        self._ragged = False  # bytes may lie after the last record that was taken in
        self.ledger = Ledger(path, keep=False)

    def __enter__(self) -> Self:
        """Lock the ledger, repair a torn last line, and begin or go on; an ended ledger is left as it is.

        :raises Refused: another process writes it, or it was registered over something else
        :raises IntegrityError: it is broken elsewhere than at its end, or something else lies in its place
        :raises InfrastructureStop: the disk does not take it
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.parent.is_symlink():
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            self._lock.acquire()
        except Timeout as error:
            raise Refused(
                f"ledger {self._path}",
                found="another process that is writing it",
                need="one writer at a time",
                next_step="wait for it to end (invoke status shows it), then invoke go",
            ) from error
        except OSError as error:
            raise self._disk(error) from error
        try:
            self._begin()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, record: Mapping[str, Any]) -> None:
        """Append one record: on the disk and taken in when this returns, neither when it raises.

        :raises ValueError: it cannot follow the ones before it
        :raises InfrastructureStop: the disk does not take it; the ledger ends with its last whole record
        """
        chained, line = _seal(record, self.ledger.head_sha256)
        step = self.ledger.check(chained)
        try:
            self._trim()
            self._ragged = True
            self._write(line)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._trim()
            raise self._disk(error) from error
        self.ledger.fold(chained, step)
        self.ledger.lines += 1
        self.ledger.size += len(line)
        self._ragged = False

    def _begin(self) -> None:
        found = os.path.lexists(self._path)
        if found:
            self.ledger = read(self._path, keep=False)
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o644)
            repaired = self._repair()
            if not found:
                jsonio.sync_directory(self._path.parent)
        except OSError as error:
            raise self._disk(error) from error
        now = stamp(self._clock.now())
        if not self.ledger.registration:
            self.append({**self._registration, "at": now})
            return
        self._require_same_run()
        if self.ledger.end is None:
            self.append({"type": "resume", "at": now, "torn_bytes": repaired})

    def _repair(self) -> int:
        """Take off a torn last line and return its length; a record that only lacks its line end is whole."""
        torn, self.ledger.torn = self.ledger.torn, b""
        if not torn:
            return 0
        whole = torn.rstrip(b"\0")  # a power cut can leave zeros where the last block was to be
        self._ragged = True
        try:
            _follow(self.ledger, whole + b"\n")
        except IntegrityError:
            if self.ledger.end is not None or _more_than_a_part(whole):
                raise
            self._trim()  # on the disk with the record that follows
        else:
            os.ftruncate(self._descriptor, self.ledger.size - 1)
            self._write(b"\n")
        self._ragged = False
        return len(torn)

    def _require_same_run(self) -> None:
        known = self.ledger.registration
        differing = sorted(key for key, value in self._registration.items() if known.get(key) != value)
        if differing:
            raise Refused(
                f"run {known.get('run_id')}",
                found=f"{', '.join(differing)} changed since it was registered at {known['at']}",
                need="the run as it was registered",
                next_step='put it back, or start over: invoke go --new-cycle --fix "what was changed"',
                changed=differing,
            )

    def _trim(self) -> None:
        """Take off what a write that did not come to its end may have left."""
        if self._ragged:
            os.ftruncate(self._descriptor, self.ledger.size)
            self._ragged = False

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        os.fsync(self._descriptor)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._lock.release()

    def _disk(self, error: OSError) -> SolidGreenError:
        if error.errno in _OCCUPIED:
            return _occupied(self._path, error)
        return InfrastructureStop(
            f"ledger {self._path}",
            found=f"a disk that does not take it ({error.strerror})",
            need="a writable disk with free space",
            next_step="make room or permit writing, then invoke go; the run goes on where it stood",
        )


def _more_than_a_part(torn: bytes) -> bool:
    """Tell whether a last line without its end holds a whole record and more: no write that was cut off leaves that."""
    try:
        json.JSONDecoder().raw_decode(torn.decode("ascii", "replace"))
    except (ValueError, RecursionError):
        return False
    return True


def _opened(path: Path) -> BinaryIO:
    """Open a plain file to read, nothing that a link, a pipe or a folder put in its place."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR, "not a plain file")
    return os.fdopen(descriptor, "rb")


def _occupied(path: Path, error: OSError) -> IntegrityError:
    return _tampered(
        str(path), f"something else in its place ({error.strerror})", "a plain file in a folder of its run"
    )


def _tampered(where: str, found: str, need: str) -> IntegrityError:
    return IntegrityError(
        where,
        found=found,
        need=need,
        next_step="restore the file from its snapshot, or start over: invoke go --new-cycle",
    )
