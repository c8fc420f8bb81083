"""Shards: the parts of one run that several machines send, and the one record they make together.

Each worker keeps the ledger of its shard; they are brought home to ``runs/<run_id>/shards/<i>of<n>.jsonl`` and merged
into the ledger of the run, byte for byte the same each time, so that whoever trusts nobody merges them again. Nothing
here sends and nothing sees a label.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from . import cases, cycle, jsonio, ledger
from .check import Check, Status
from .clock import Clock, parse
from .errors import Inconclusive, InfrastructureStop, IntegrityError, Refused
from .ledger import Ledger
from .pacing import Shard
from .paths import OBSERVATIONS, DataRoot
from .runner import EARLY, EXHAUSTED, FINISHED, QUOTA

KIND, ORDINAL, NAME = "full", 1, "full1"
SCHEMA = "solidgreen/shards/1"
FOLDER, PLAN = "shards", "plan.json"
#: Ends of a run from best to worst: a shard that its gates stopped counts as failed, one without budget says nothing.
ENDS = (FINISHED, EXHAUSTED, QUOTA, EARLY)
#: How far two starts may seem closer than they were: the resolution of the clocks they are read from.
TOLERANCE_S = 0.001
#: What a shard's registration has to itself; everything else is that of the whole run.
_OWN = {"at", "selection", "shard", "prev_sha256", "sha256"}
_STARTS = ("registration", "resume")
_AGAIN = "invoke phase --only 4; a shard that ended sends nothing again"
_ANEW = 'invoke go --new-cycle --fix "what was changed"'
Record = dict[str, Any]
_UNKNOWN = "?" * 64
#: The canonical form of what JSON gave: it is plain already, and a run has many records.
_dump = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


@dataclass(frozen=True)
class Plan:
    """A sharded run before its requests; ``ended`` tells that the cycle has nothing left to send."""

    run_id: str
    folder: Path
    shards: Mapping[str, Shard]
    ended: bool

    def home(self, worker: str) -> Path:
        """Where the record of a worker's shard belongs."""
        return self.folder / FOLDER / file_name(self.shards[worker])

    def done(self, worker: str) -> bool:
        """Tell whether the shard of a worker is home and has its end.

        :raises IntegrityError: what is there is broken or of another run
        """
        path = self.home(worker)
        return self.ended or (path.exists() and _part(path, self.run_id, self.shards[worker]).end is not None)


@dataclass(frozen=True)
class Merged:
    """The record of a run made of its shards; ``changed`` tells whether it was written now."""

    ledger: Ledger
    parts: Sequence[Ledger]
    changed: bool

    @property
    def state(self) -> str:
        """How the run ended."""
        return str((self.ledger.end or {})["state"])

    @property
    def in_cycle(self) -> str:
        """The same in the words of the cycle."""
        return ledger.in_cycle(self.state)


def file_name(shard: Shard) -> str:
    """Return how the record of a shard is called: ``1of2.jsonl``."""
    return f"{shard.index}of{shard.of}.jsonl"


# --- before ----------------------------------------------------------------------------------------------------------


def assign(workers: Sequence[tuple[str, str]]) -> dict[str, Shard]:
    """Return the shard of each worker: the one it states, like ``2/3``, else its place in the list.

    :raises Refused: together they are not every shard exactly once
    """
    count = len(workers)
    shards = {
        name: Shard.parse(stated) if stated else Shard(place, count)
        for place, (name, stated) in enumerate(workers, start=1)
    }
    told = ", ".join(f"{name} {shard.index}/{shard.of}" for name, shard in shards.items())
    if sorted(shards.values(), key=lambda shard: shard.index) != [Shard(i, count) for i in range(1, count + 1)]:
        raise Refused(
            "shards of the batch workers",
            found=told,
            need=f"each of 1/{count} to {count}/{count} once",
            next_step="correct batch_shard of these hosts, or leave it out of all of them",
        )
    return shards


def require_one_target(shards: Mapping[str, Shard], targets: int) -> None:
    """Refuse workers in a play over several targets: which of them they serve would be a guess.

    :raises Refused: there are workers and several targets
    """
    if shards and targets > 1:
        raise Refused(
            "shards of the batch workers",
            found=f"{_workers(len(shards))} and {targets} targets in one play",
            need="one target",
            next_step="limit the play to one target and its workers, or empty the group batch_workers",
        )


def begin(root: DataRoot, shards: Mapping[str, Shard], *, clock: Clock) -> Plan | None:
    """Open the full run of the cycle for these workers, or go on with it; None when one process sends it.

    :raises Refused: the cycle forbids the run, or it was begun by one process or by another number of workers
    """
    entry = next((run for run in (cycle.load(root) or {}).get("runs", []) if run["kind"] == KIND), None)
    folder = root.run(entry["run_id"]) if entry else None
    plan = jsonio.read_json_or_none(folder / FOLDER / PLAN) if folder else None
    if entry and folder and entry["state"] != "open":
        return Plan(entry["run_id"], folder, shards, ended=True) if plan else None
    begun = folder is not None and (plan is not None or (folder / OBSERVATIONS).exists())
    of = int(plan["of"]) if plan else 0
    if entry and folder:
        cycle.require_record(entry, folder / FOLDER / PLAN, jsonio.digest(plan) if plan else None, "plan_sha256")
    if begun and of != len(shards):
        raise Refused(
            f"run {entry['run_id'] if entry else ''}",
            found=f"{_workers(len(shards))} for a run that was begun by {_workers(of)}",
            need="the same number to its end",
            next_step=f"make the group batch_workers {_workers(of)} again, or start over: {_ANEW}",
        )
    if not shards:
        return None
    run_id = cycle.open_run(root, KIND, ORDINAL, clock=clock).run_id
    folder = root.run(run_id)
    plan = {"schema": SCHEMA, "run_id": run_id, "of": len(shards)}
    jsonio.write_json(folder / FOLDER / PLAN, plan)
    cycle.note_run(root, run_id, plan_sha256=jsonio.digest(plan))
    return Plan(run_id, folder, shards, ended=False)


def _workers(count: int) -> str:
    return {0: "one process without workers", 1: "1 worker"}.get(count, f"{count} workers")


def pack(archive: Path, root: DataRoot, shard: Shard, files: Mapping[str, Path]) -> None:
    """Write what a worker needs for its shard into one tar, readable by its owner alone.

    That is the file of all cases, whose digest is registered, the documents of its own, the records of the smokes, from
    which it knows the rate limit and who has just used it, and *files* by the names they get. No label is among them.

    :raises Refused: a document is gone
    :raises InfrastructureStop: the disk does not take it
    """
    source = cases.load(root.cases)
    mine = (source.get(case_id) for case_id in shard.of_run(source.ids))
    documents = {document.path: root.root / document.path for case in mine for document in case.documents}
    smokes = [root.run(run["run_id"]) / OBSERVATIONS for run in cycle.require(root)["runs"] if run["kind"] == "smoke"]
    own = {str(path.relative_to(root.root)): path for path in (root.cases, *smokes)}
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.unlink(missing_ok=True)
        descriptor = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target, tarfile.open(fileobj=target, mode="w") as tar:
            for name, path in sorted({**own, **files, **documents}.items()):
                _add(tar, name, path)
    except OSError as error:
        raise InfrastructureStop(
            f"pack {archive}",
            found=f"a disk that does not take it ({error.strerror})",
            need="a writable disk with free space",
            next_step=f"make room or permit writing, then {_AGAIN}",
        ) from error


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    try:
        handle = path.open("rb")
    except OSError as error:
        raise Refused(
            str(path),
            found=f"no readable file ({error.strerror})",
            need="every document of the data set, and the records of the smokes",
            next_step=f"put it back, or start over: {_ANEW}",
        ) from error
    with handle:
        about, member = os.fstat(handle.fileno()), tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = about.st_size, 0o600, int(about.st_mtime)
        tar.addfile(member, handle)


# --- merging ---------------------------------------------------------------------------------------------------------


def merge(folder: Path, ids: Sequence[str], told: Mapping[int, str] | None = None) -> Merged:
    """Make the ledger of the run from its shards, or see that the one that is there is what they give.

    :param folder: of the run
    :param ids: the cases of the run in their order
    :param told: what the worker of a shard said, by index, for the sentence of one that is missing or did not end
    :raises Inconclusive: a shard is missing or has not ended
    :raises IntegrityError: shards do not belong together, or the ledger says otherwise
    """
    parts = _parts(folder, told or {})
    selection = _selection(parts)
    if selection != list(ids):
        stray = len(set(selection) ^ set(ids))
        found = f"{stray} cases that only one of them has" if stray else "another order of its cases"
        raise _broken(f"shards of run {folder.name}", f"{found}, compared with the data set", "every case of it once")
    path = folder / OBSERVATIONS
    if changed := not path.exists():
        _write(path, _lines(parts))
    else:
        _require_same(path, _lines(parts))
    return Merged(ledger.verify(path, keep=False), parts, changed)


def require_merged(folder: Path) -> None:
    """Refuse a ledger that its shards do not give; a run without shards, or not merged yet, is none of this.

    :raises IntegrityError: shards or ledger are not what was written
    """
    path = folder / OBSERVATIONS
    if not path.exists():
        return
    if not (folder / FOLDER).exists():
        with path.open("rb") as handle:
            if b'"shards":[' in handle.readline():
                raise _broken(str(folder / FOLDER), "nothing", "the records that the ledger of the run was merged from")
        return
    try:
        parts = _parts(folder, {})
    except Inconclusive as error:
        raise _broken(error.subject, error.found, "the shards that the ledger of the run was merged from") from error
    _require_same(path, _lines(parts))


def _parts(folder: Path, told: Mapping[int, str]) -> list[Ledger]:
    """Return the ledgers of all shards, verified, without their records."""
    plan = jsonio.read_json_or_none(folder / FOLDER / PLAN) or {}
    counted = type(plan.get("of")) is int and plan["of"] > 0
    if plan.get("schema") != SCHEMA or plan.get("run_id") != folder.name or not counted:
        raise _broken(str(folder / FOLDER / PLAN), "no plan of this run", "the plan as it was written")
    parts: list[Ledger] = []
    for shard in (Shard(index, plan["of"]) for index in range(1, plan["of"] + 1)):
        path = folder / FOLDER / file_name(shard)
        part = _part(path, folder.name, shard) if path.exists() else None
        if part is None or part.end is None:
            said = f" ({told[shard.index]})" if told.get(shard.index) else ""
            how = f"{part.done} of {len(part.selection)} cases" if part and part.registration else "no record"
            raise Inconclusive(
                f"shard {shard.index} of {shard.of} of run {folder.name}",
                found=f"{how}{said}",
                need="the end of every shard",
                next_step=_AGAIN,
            )
        if parts:
            _require_same_run(parts[0], part)
        parts.append(part)
    return parts


def _part(path: Path, run_id: str, shard: Shard) -> Ledger:
    """Return the ledger of a shard without its records; a torn last line is what a kill leaves before the end."""
    part = ledger.read(path, keep=False)
    if not part.registration:
        return part
    named = part.registration.get("run_id"), part.registration.get("shard")
    if named != (run_id, asdict(shard)):
        other = named[1] if isinstance(named[1], dict) else {}
        found = f"the record of shard {other.get('index')} of {other.get('of')} of run {named[0]}"
        raise _broken(str(path), found, f"that of shard {shard.index} of {shard.of} of run {run_id}")
    if part.end is not None and (part.torn or part.end.get("state") not in ENDS):
        found = f"{len(part.torn)} bytes after its end" if part.torn else f"the end {part.end.get('state')!r}"
        raise _broken(str(path), found, "the record as it was written")
    if part.end is not None and part.end["state"] == FINISHED and part.missing:
        raise _broken(str(path), f"{len(part.missing)} cases without a record at its end", "a record a case")
    return part


def _require_same_run(first: Ledger, part: Ledger) -> None:
    one, other = first.registration, part.registration
    differing = sorted(key for key in {*one, *other} - _OWN if one.get(key) != other.get(key))
    if differing:
        raise _broken(str(part.path), f"another {', '.join(differing)} than in shard 1", "shards of one registered run")


def _selection(parts: Sequence[Ledger]) -> list[str]:
    """Return the cases of the whole run in their order: every n-th is of the same shard."""
    whole: list[str] = [""] * sum(len(part.selection) for part in parts)
    for index, part in enumerate(parts):
        if len(whole[index :: len(parts)]) != len(part.selection):
            raise _broken(str(part.path), f"{len(part.selection)} of {len(whole)} cases", "its share of the run")
        whole[index :: len(parts)] = part.selection
    if len(set(whole)) != len(whole):
        raise _broken(
            str(parts[0].path.parent), f"{len(whole) - len(set(whole))} cases twice", "each case in one shard"
        )
    return whole


def _lines(parts: Sequence[Ledger]) -> Iterator[bytes]:
    """Yield the lines of the merged ledger; a record of each shard is in memory at a time."""
    first = min((part.registration for part in parts), key=lambda record: str(record["at"]))
    common = {key: value for key, value in first.items() if key not in _OWN}
    heads = [{**part.registration["shard"], "head_sha256": part.head_sha256, "records": part.lines} for part in parts]
    registration: Record = {**common, "at": first["at"], "selection": _selection(parts), "shards": heads}
    state = max((str((part.end or {})["state"]) for part in parts), key=ENDS.index)
    end = {
        "type": "end",
        "at": max(str((part.end or {})["at"]) for part in parts),
        "state": state,
        "done": sum(part.done for part in parts),
        "unsent": sum(len(part.missing) for part in parts),
    }
    previous, seq, open_place = ledger.GENESIS, itertools.count(1), f'"sha256":"{_UNKNOWN}",'
    for record in itertools.chain([registration], _in_order(parts), [end]):
        if record["type"] == "observation":
            record["seq"] = next(seq)
        # Written out once: the digest is taken over the bytes around its own place.
        before, _, after = _dump({**record, "prev_sha256": previous, "sha256": _UNKNOWN}).partition(open_place)
        previous = jsonio.sha256_bytes((before + after).encode("ascii"))
        yield f'{before}"sha256":"{previous}",{after}\n'.encode("ascii")


def _in_order(parts: Sequence[Ledger]) -> Iterator[Record]:
    """Yield the records of all shards by their time, each with its shard and the digest it has there.

    A session that begins while another shard is at work is part of the run's session; only one that ends a time in
    which none was gets its ``resume``, so that the time of the run is the time somebody worked on it.
    """
    zero = min(parse(part.registration["at"]) for part in parts)
    streams = [_records(part) for part in parts]
    # Of equal moments the lower shard comes first; two entries never compare further than that.
    heap = [(_moment(record), index, record) for index, record in enumerate(map(next, streams), start=1)]
    heapq.heapify(heap)
    begun = False
    while heap:
        _, index, record = heap[0]
        idle = all(entry[2]["type"] in _STARTS for entry in heap)
        following = next(streams[index - 1], None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (_moment(following), index, following))
        if record["type"] == "end":
            continue
        origin = {"shard": index, "shard_sha256": record.pop("sha256")}
        if record["type"] in _STARTS:
            if idle and begun:
                yield {"type": "resume", "at": record["at"], "torn_bytes": record.get("torn_bytes", 0), **origin}
            begun = True
            continue
        for attempt in record["attempts"] if record["type"] == "observation" else [record]:
            if "at_s" in attempt:
                # Each shard counts from its own start; here all count from the run's.
                attempt["at_s"] = round((parse(attempt["started_at"]) - zero).total_seconds(), 6)
        yield {**record, **origin}


def _records(part: Ledger) -> Iterator[Record]:
    """Yield the records of a verified shard; it must still end with the head that was verified."""
    head = ""
    for record in jsonio.read_jsonl(part.path):
        head = str(record["sha256"])
        yield record
    if head != part.head_sha256:
        raise _broken(str(part.path), "a record that changed while it was read", "one that rests")


def _moment(record: Mapping[str, Any]) -> str:
    """Return when a record was written, as a stamp; stamps sort as text."""
    return str(record["finished_at"] if record["type"] == "observation" else record["at"])


def _write(path: Path, lines: Iterator[bytes]) -> None:
    """Write the lines to *path* so that a reader sees all of them or none; fsynced."""
    beside = path.with_name(f".{path.name}.merging")
    try:
        with beside.open("wb") as handle:
            handle.writelines(lines)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
        jsonio.sync_directory(path.parent)
    except OSError as error:
        raise InfrastructureStop(
            f"ledger {path}",
            found=f"a disk that does not take it ({error.strerror})",
            need="a writable disk with free space",
            next_step=f"make room or permit writing, then {_AGAIN}",
        ) from error


def _require_same(path: Path, lines: Iterator[bytes]) -> None:
    """Refuse a file that differs from the lines; the first line that does is named."""
    handle: BinaryIO
    with path.open("rb") as handle:
        for number, (found, need) in enumerate(itertools.zip_longest(handle, lines), start=1):
            if found != need:
                raise _broken(f"{path} line {number}", "another record than its shards give", "the merged record")


def _broken(where: str, found: str, need: str) -> IntegrityError:
    next_step = "restore the runs folder from its snapshot, or start over: invoke go --new-cycle"
    return IntegrityError(where, found=found, need=need, next_step=next_step)


# --- after -----------------------------------------------------------------------------------------------------------


def check(merged: Merged, owner: str) -> Check:
    """Return whether the shards kept the interval of the run between them, by the clocks of their workers."""
    found = merged.ledger
    least, gap = float(found.registration["pacing"]["min_interval"]), found.smallest_gap_s
    apart = gap is None or gap >= least - TOLERANCE_S
    each = " + ".join(str(part.done) for part in merged.parts)
    torn = sum(record["torn_bytes"] for part in merged.parts for record in part.resumes)
    seen = f"{found.done} cases from {_workers(len(merged.parts))} ({each}) in {found.active_s:.0f} s"
    seen += ", no two starts" if gap is None else f", starts {gap:.3f} s apart at the closest"
    return Check(
        id=f"{NAME}:shards",
        title="The shards make one run and kept its interval together",
        status=Status.PASS if apart else Status.INCONCLUSIVE,
        seen=f"{seen}, a torn line of {torn} bytes repaired" if torn else seen,
        needed=f"starts at least {least:g} s apart by the clocks of all workers",
        next_step="" if apart else "set the clocks of the workers (NTP), then invoke go --new-cycle",
        owner=owner,
        facts={
            "run_id": found.run_id,
            "shards": [part.done for part in merged.parts],
            "active_s": round(found.active_s, 6),
            "smallest_gap_s": None if gap is None else round(gap, 3),
            "min_interval": least,
        },
    )
