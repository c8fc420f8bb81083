"""The record of a run: one JSON object a line, each bound to the one before it by digest, fsynced one by one.

Record types, in ``type``: ``registration`` (first line, once), ``resume`` (a new session goes on), ``attempt`` (one
that is tried again), ``observation`` (the terminal record of a case, once a case), ``end`` (last line, once; nothing
follows). The end record makes a cut-off tail visible, the chain everything else. One writer at a time, by an OS lock
that dies with its process.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from . import jsonio
from .clock import Clock, parse, stamp
from .errors import BadInput, InfrastructureStop, IntegrityError, Refused

SCHEMA = "solidgreen/observation/1"
GENESIS = "0" * 64
Record = dict[str, Any]


@dataclass
class Ledger:
    """What the records of a run say; built by reading them from the first on.

    :param observations: terminal records in their order
    :param pending: attempts of cases that have no terminal record yet, by case id
    :param active_s: seconds of all sessions together, by their first and last records
    :param torn: bytes after the last whole line
    """

    path: Path
    registration: Record = field(default_factory=dict)
    observations: list[Record] = field(default_factory=list)
    pending: dict[str, list[Record]] = field(default_factory=dict)
    resumes: list[Record] = field(default_factory=list)
    end: Record | None = None
    head_sha256: str = GENESIS
    size: int = 0
    torn: bytes = b""
    active_s: float = 0.0
    _seen: set[str] = field(default_factory=set)
    _selected: set[str] = field(default_factory=set)
    _session: tuple[str, float] = ("", 0.0)

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
        return [case_id for case_id in self.selection if case_id not in self._seen]

    @property
    def attempts(self) -> list[Record]:
        """Every attempt, those of cases without a terminal record included."""
        closed = [attempt for record in self.observations for attempt in record["attempts"]]
        return closed + [attempt for records in self.pending.values() for attempt in records]

    def take(self, record: Record) -> None:
        """Take in the next record.

        :raises ValueError: it cannot follow the ones before it; the text says why
        """
        kind = record["type"]
        if (kind == "registration") == bool(self.registration):
            raise ValueError("a registration that is not the first record" if self.registration else "no registration")
        if self.end is not None:
            raise ValueError("a record after the end of the run")
        if kind == "registration":
            self.registration, self._selected = record, set(record["selection"])
        elif kind == "resume":
            self.resumes.append(record)
        elif kind in ("attempt", "observation"):
            self._take_case(record)
        elif kind == "end":
            self.end = record
        else:
            raise ValueError(f"a record of type {kind!r}")
        self._take_time(record)
        self.head_sha256 = record["sha256"]

    def _take_case(self, record: Record) -> None:
        case_id = record["case_id"]
        if case_id not in self._selected or case_id in self._seen:
            raise ValueError(f"case {case_id} {'a second time' if case_id in self._seen else 'that was not selected'}")
        if record["type"] == "attempt":
            self.pending.setdefault(case_id, []).append(record)
            return
        if record["seq"] != len(self.observations) + 1:
            raise ValueError(f"observation {record['seq']} in the place of {len(self.observations) + 1}")
        self._seen.add(case_id)
        self.pending.pop(case_id, None)
        self.observations.append(record)

    def _take_time(self, record: Record) -> None:
        """Sum the time of all sessions: what lies between them was nobody's waiting."""
        moment = record["finished_at"] if record["type"] == "observation" else record["at"]
        if record["type"] in ("registration", "resume"):
            self._session = (moment, self.active_s)
        start, before = self._session
        self.active_s = before + max(0.0, (parse(moment) - parse(start)).total_seconds())


def read(path: Path) -> Ledger:
    """Return what the whole lines of a ledger say; a torn last line is kept apart in ``torn``.

    :raises BadInput: there is no such file
    :raises IntegrityError: a byte was changed, a line taken out or put in; the line is named
    """
    ledger = Ledger(path)
    try:
        with path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                if not line.endswith(b"\n"):
                    ledger.torn = line
                    break
                _follow(ledger, line, number)
    except FileNotFoundError as error:
        raise BadInput(str(path), found="no file", need="the record of a run", next_step="run it: invoke go") from error
    return ledger


def verify(path: Path) -> Ledger:
    """Return what a ledger says, given that nothing in it is broken: its chain, its order, its last line.

    :raises BadInput: there is no such file
    :raises IntegrityError: something is broken; the line is named
    """
    ledger = read(path)
    if ledger.torn or not ledger.registration:
        found = f"{len(ledger.torn)} bytes after the last whole line" if ledger.torn else "no registration"
        raise _tampered(f"{path}", found, "whole lines, the first a registration")
    return ledger


def closed(path: Path, state: str) -> Ledger:
    """Return what the ledger of a run says that its cycle calls ended: it must be whole and end in the same way.

    :param state: the run's state in the cycle, ``finished`` or ``stopped``
    :raises IntegrityError: it is gone, broken, or says otherwise
    """
    try:
        ledger = verify(path)
    except BadInput as error:
        raise _tampered(str(path), f"no record of a run that the cycle calls {state}", "its whole record") from error
    ended = "no end" if ledger.end is None else f"the end {ledger.end.get('state')!r}"
    if ledger.end is None or (ledger.end.get("state") == "finished") is not (state == "finished"):
        raise _tampered(str(path), f"{ended} in the record of a run that the cycle calls {state}", "one and the same")
    return ledger


def _follow(ledger: Ledger, line: bytes, number: int) -> None:
    """Take the record of a line into the ledger, if it is the one that follows."""
    where = f"{ledger.path} line {number}"
    try:
        record = json.loads(line)
        if jsonio.canonical(record) + b"\n" != line:
            raise ValueError("bytes that are not as they were written")
        if record["prev_sha256"] != ledger.head_sha256:
            raise ValueError("a record that does not follow the one before it")
        if record["sha256"] != jsonio.digest({key: value for key, value in record.items() if key != "sha256"}):
            raise ValueError("a record changed after it was written")
        ledger.take(record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _tampered(where, str(error), "the record that was written") from error
    ledger.size += len(line)


class Writer:
    """Appends records to the ledger of one run, as a context manager that holds its lock.

    :param registration: what identifies the run: run_id, kind, ordinal, cases_sha256, selection, target …
    :param lock_timeout_s: how long to wait for a predecessor that is ending
    """

    def __init__(self, path: Path, registration: Mapping[str, Any], *, clock: Clock, lock_timeout_s: float = 0) -> None:
        self._path, self._clock = path, clock
        self._registration = {"type": "registration", "schema": SCHEMA, **jsonio.to_plain(registration)}
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=lock_timeout_s)
        self._descriptor = -1
        self.ledger = Ledger(path)

    def __enter__(self) -> Self:
        """Lock the ledger, repair a torn last line, and begin or go on; an ended ledger is left as it is.

        :raises Refused: another process writes it, or it was registered over something else
        :raises IntegrityError: it is broken elsewhere than at its end
        :raises InfrastructureStop: the disk does not take it
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
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
        """Append one record, on the disk when this returns.

        :raises InfrastructureStop: the disk does not take it; the ledger ends with its last whole record
        """
        chained = {**jsonio.to_plain(record), "prev_sha256": self.ledger.head_sha256}
        chained["sha256"] = jsonio.digest(chained)
        line = jsonio.canonical(chained) + b"\n"
        self.ledger.take(chained)
        try:
            self._write(line)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.ledger.size)
            raise self._disk(error) from error
        self.ledger.size += len(line)

    def _begin(self) -> None:
        found = read(self._path) if self._path.exists() else None
        if found is not None:
            self.ledger = found
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            repaired = self._repair()
            if found is None:
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
        try:
            _follow(self.ledger, torn + b"\n", 0)
        except IntegrityError:
            os.ftruncate(self._descriptor, self.ledger.size)
            os.fsync(self._descriptor)
        else:
            self._write(b"\n")
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

    def _disk(self, error: OSError) -> InfrastructureStop:
        return InfrastructureStop(
            f"ledger {self._path}",
            found=f"a disk that does not take it ({error.strerror})",
            need="a writable disk with free space",
            next_step="make room or permit writing, then invoke go; the run goes on where it stood",
        )


def _tampered(where: str, found: str, need: str) -> IntegrityError:
    return IntegrityError(
        where,
        found=found,
        need=need,
        next_step="restore the file from its snapshot, or start over: invoke go --new-cycle",
    )
