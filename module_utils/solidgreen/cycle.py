"""The cycle: one decision's worth of phases and runs over inputs that were registered before the first request.

``cycle.json`` is written by this module alone, under an OS lock, always whole. A cycle has exactly two smokes and one
full run; what was registered cannot change inside it; after a failed run the next cycle needs a stated fix and at least
one changed digest.
"""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from . import jsonio
from .clock import Clock, compact, parse, stamp
from .errors import BadInput, IntegrityError, Refused
from .paths import SNAPSHOT_PREFIX, DataRoot

SCHEMA = "solidgreen/cycle/1"
#: The runs of a cycle in their order; there is no third smoke to pick from.
RUNS = (("smoke", 1), ("smoke", 2), ("full", 1))
#: Digests of which at least one must differ after a failed run: the target and its data, not this project's own files.
CHANGEABLE = ("config", "images", "code", "manifest", "labels", "documents")


@dataclass(frozen=True)
class RunEntry:
    """One run of the cycle; times are stamps.

    :param state: ``open``, ``finished``, ``stopped`` (its budget or quota ended it), ``early_stop`` (its gates did)
    :param registration_sha256: digest of the first record, None until the run has one
    :param plan_sha256: digest of the plan of a run that shards send, None for any other
    """

    run_id: str
    kind: str
    ordinal: int
    state: str
    started_at: str
    ended_at: str | None = None
    registration_sha256: str | None = None
    plan_sha256: str | None = None


@dataclass(frozen=True)
class Holder:
    """The process that works on the cycle now: ``user@host``, its pid and its start time in seconds since the epoch."""

    owner: str
    host: str
    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> Holder:
        """Return the holder that the process *pid* of this machine is."""
        host = socket.gethostname()
        return cls(f"{getpass.getuser()}@{host}", host, pid, psutil.Process(pid).create_time())

    def alive(self) -> bool | None:
        """Tell whether the process still runs; None when it is on another machine and nobody here can tell."""
        if self.host != socket.gethostname():
            return None
        try:
            process = psutil.Process(self.pid)
            # A pid is reused; a pid with the same start time is the same process. One that ended keeps both until its
            # parent asks, which may be never.
            same = abs(process.create_time() - self.started) < 1.0
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def load(root: DataRoot) -> dict[str, Any] | None:
    """Return the cycle of the data root, or None when there is none.

    :raises IntegrityError: ``cycle.json`` is not what this module wrote
    """
    cycle = jsonio.read_json_or_none(root.cycle)
    if cycle is not None and cycle.get("schema") != SCHEMA:
        raise IntegrityError(
            str(root.cycle),
            found=f"schema {cycle.get('schema')!r}",
            need=SCHEMA,
            next_step="restore the file from its snapshot",
        )
    return cycle


def require(root: DataRoot) -> dict[str, Any]:
    """Return the cycle of the data root.

    :raises BadInput: no cycle is open
    """
    cycle = load(root)
    if cycle is None:
        raise BadInput(
            f"cycle of {root.root}",
            found="none",
            need="an open cycle",
            next_step="invoke phase --only 0, or the whole plan: invoke go",
        )
    return cycle


def require_env(root: DataRoot, env: str) -> None:
    """Refuse to go on with a cycle that another environment opened over the same data root.

    :raises Refused: the names differ
    """
    cycle = load(root)
    if cycle is not None and env and cycle["env"] and cycle["env"] != env:
        raise Refused(
            f"cycle {cycle['cycle_id']}",
            found=f"environment {env}",
            need=f"{cycle['env']}, which opened it",
            next_step=f"invoke go --env {cycle['env']}, or give {env} a data root of its own",
        )


@contextlib.contextmanager
def _locked(root: DataRoot) -> Iterator[None]:
    """Keep other writers of ``cycle.json`` out; the lock dies with its process."""
    root.root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root.root / ".cycle.lock", timeout=10):
            yield
    except Timeout as error:
        raise Refused(
            f"cycle of {root.root}",
            found="another process writing it for more than 10 s",
            need="one writer",
            next_step="wait for the other command, see invoke status",
        ) from error


def change(root: DataRoot, edit: Callable[[dict[str, Any]], None]) -> bool:
    """Apply *edit* to the open cycle and tell whether that changed anything; unchanged files are not rewritten."""
    with _locked(root):
        cycle = require(root)
        before = jsonio.canonical(cycle)
        edit(cycle)
        if jsonio.canonical(cycle) == before:
            return False
        jsonio.write_json(root.cycle, cycle)
        return True


# --- lease ---------------------------------------------------------------------------------------------------------


def _held_by_other(cycle: Mapping[str, Any], holder: Holder, clock: Clock) -> str | None:
    """Return a description of the other holder that keeps the lease, or None when it is free."""
    lease = cycle.get("lease") or {}
    if not lease.get("holder"):
        return None
    other = Holder(**lease["holder"])
    alive = other.alive()
    expired = parse(lease["expires_at"]) <= clock.now()
    if other == holder or alive is False or (alive is None and expired):
        return None  # one that can be seen at work keeps the lease, however long it takes
    where = f"{other.owner}, process {other.pid}"
    return f"held by {where} until {lease['expires_at']}"


def take(root: DataRoot, holder: Holder, *, minutes: float, clock: Clock) -> None:
    """Take or renew the lease for *holder*.

    A holder that died on this machine is replaced; one on another machine when its lease has expired.

    :raises Refused: someone else works on the cycle
    """

    def edit(cycle: dict[str, Any]) -> None:
        _refuse_if_held(cycle, holder, clock)
        cycle["lease"] = _lease(holder, minutes, clock)

    change(root, edit)


def release(root: DataRoot, holder: Holder) -> None:
    """Give the lease back; the cycle stays open for the next phase, whoever runs it."""

    def edit(cycle: dict[str, Any]) -> None:
        lease = cycle.get("lease") or {}
        if lease.get("holder") == asdict(holder):
            cycle["lease"] = {**lease, "holder": None}

    change(root, edit)


def _lease(holder: Holder, minutes: float, clock: Clock) -> dict[str, Any]:
    now = clock.now()
    return {
        "owner": holder.owner,
        "acquired_at": stamp(now),
        "expires_at": stamp(now + timedelta(minutes=minutes)),
        "holder": asdict(holder),
    }


# --- opening -------------------------------------------------------------------------------------------------------


def failed_run(root: DataRoot, cycle: Mapping[str, Any]) -> str | None:
    """Return what went wrong in the runs of the data root's cycle, or None.

    A run that was started and whose phase did not pass counts, whether it was judged, interrupted or left alone:
    walking away from it is the same as disliking it. Only a run that its own budget or quota ended says nothing. One
    that was ended early counts even where the judgement finds no reason for it.
    """
    phases = {
        "smoke": jsonio.read_json_or_none(root.phase(3)) or {},
        "full": jsonio.read_json_or_none(root.phase(4)) or {},
    }
    for kind, verdict in phases.items():
        if verdict.get("status") == "fail":
            return f"failed {kind} run"
    for run in cycle.get("runs", []):
        status = phases[run["kind"]].get("status")
        if status != "pass" and run["state"] != "stopped":
            return f"{run['kind']} run {run['ordinal']} {status or 'without a verdict'}"
    return None


def require_fix(
    previous: Sequence[Mapping[str, Any]], fix: str | None, digests: Mapping[str, str | None], *, final: bool
) -> None:
    """Refuse a new cycle after a failed run unless something was fixed: nobody rerolls until lucky.

    :param previous: earlier cycles, oldest first, as ``cycle.json`` lists them; the last one that had runs counts
    :param digests: what would be registered now; None where it is not known yet
    :param final: at the registration what is unknown counts as unchanged; before, it may still differ
    :raises Refused: no fix is stated, or no digest differs from the failed cycle's
    """
    failed = next((entry for entry in reversed(previous) if entry.get("runs")), None)
    if failed is None or not failed.get("failure"):
        return
    subject = f"new cycle after {failed['cycle_id']} ({failed['failure']})"
    if not (fix or "").strip():
        raise Refused(
            subject,
            found="no --fix",
            need="what was changed since, in words, and at least one changed digest",
            next_step='invoke go --new-cycle --fix "what was changed"',
        )
    before = failed["registration"]["digests"]
    open_yet = not final and any(digests.get(key) is None for key in CHANGEABLE)
    if not open_yet and all(digests.get(key) == before.get(key) for key in CHANGEABLE):
        raise Refused(
            subject,
            found=f"the same digests of {', '.join(CHANGEABLE)}",
            need="at least one that differs from the failed cycle's",
            next_step="change configuration, image, code or data, then start the new cycle",
        )


def open_cycle(
    root: DataRoot,
    *,
    env: str,
    inventory: str,
    holder: Holder,
    minutes: float,
    snapshot: str | None,
    new: bool,
    fix: str | None,
    digests: Mapping[str, str | None],
    clock: Clock,
) -> bool:
    """Open a cycle, or take the lease of the one that is open; tell whether a cycle was opened.

    :param snapshot: name of the verified snapshot that holds the previous cycle; its files are cleared away then
    :raises Refused: someone else holds the cycle, a fix is missing, or nothing was archived
    """
    with _locked(root):
        current = load(root)
        if current is not None:
            _refuse_if_held(current, holder, clock)
            if current["state"] == "opening":
                _clear_previous(root, current)
                current["state"] = "open"
            if not new:
                current["lease"] = _lease(holder, minutes, clock)
                jsonio.write_json(root.cycle, current)
                return False
        previous = [*current["previous"], summary(root, current)] if current else []
        require_fix(previous, fix, digests, final=False)
        if current is not None and snapshot is None:
            raise Refused(
                f"new cycle after {current['cycle_id']}",
                found="no verified snapshot of it",
                need="its evidence archived first",
                next_step="run phase 0 again: invoke go --new-cycle",
            )
        now = clock.now()
        cycle = {
            "schema": SCHEMA,
            "cycle_id": f"cycle-{compact(now)}-{jsonio.digest([stamp(now), asdict(holder), env])[:8]}",
            "env": env,
            "inventory": inventory,
            "opened_at": stamp(now),
            "state": "opening",
            "rehearsal": None,
            "lease": _lease(holder, minutes, clock),
            "registration": None,
            "runs": [],
            "barred": None,
            "demonstration": None,
            "fix": fix,
            "previous": previous,
            "snapshot": snapshot,
        }
        # Written before the old files go: a kill in between is finished by the next start.
        jsonio.write_json(root.cycle, cycle)
        _clear_previous(root, cycle)
        jsonio.write_json(root.cycle, {**cycle, "state": "open"})
        return True


def _refuse_if_held(cycle: Mapping[str, Any], holder: Holder, clock: Clock) -> None:
    other = _held_by_other(cycle, holder, clock)
    if other:
        raise Refused(
            f"lease of cycle {cycle['cycle_id']}",
            found=other,
            need="one holder at a time",
            next_step="wait for it to end (invoke status shows it)",
        )


def summary(root: DataRoot, cycle: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a later cycle keeps of this one: its identity, its decision and what it had registered."""
    decision = jsonio.read_json_or_none(root.decision) or {}
    registration = cycle.get("registration")
    return {
        "cycle_id": cycle["cycle_id"],
        "opened_at": cycle["opened_at"],
        "decision": decision.get("decision"),
        "failure": failed_run(root, cycle),
        "fix": cycle.get("fix"),
        "runs": [run["run_id"] for run in cycle.get("runs", [])],
        "registration": {"at": registration["at"], "digests": registration["digests"]} if registration else None,
    }


def _clear_previous(root: DataRoot, cycle: Mapping[str, Any]) -> None:
    """Remove the files of the previous cycle; only those that its verified snapshot holds with the same digest.

    What is there and not in the snapshot was written by somebody else and stays.
    """
    name = cycle.get("snapshot")
    if not name:
        return
    archive = jsonio.read_json(root.results / name / "snapshot.json")
    for relative, expected in archive["files"].items():
        path = root.results / relative
        if path == root.cycle or not path.is_file() or path.is_symlink():
            continue
        if jsonio.sha256_file(path) == expected["sha256"]:
            path.unlink()
    for folder in sorted((p for p in root.results.rglob("*") if p.is_dir()), reverse=True):
        if not folder.relative_to(root.results).parts[0].startswith(SNAPSHOT_PREFIX):
            with contextlib.suppress(OSError):
                folder.rmdir()


# --- registration --------------------------------------------------------------------------------------------------


def register(root: DataRoot, *, digests: Mapping[str, str | None], facts: Mapping[str, Any], clock: Clock) -> bool:
    """Register what the cycle decides over; tell whether that happened now.

    :param digests: name to SHA-256, every input of the decision
    :param facts: readable companions: git, target, pacing, tool version, image ids
    :raises Refused: something changed since the registration; each is named
    """

    def edit(cycle: dict[str, Any]) -> None:
        if cycle["registration"] is None:
            require_fix(cycle["previous"], cycle["fix"], digests, final=True)
            cycle["rehearsal"] = bool(facts.get("rehearsal"))
            cycle["registration"] = {"at": stamp(clock.now()), "digests": dict(digests), **facts}
            return
        changed = drifted(cycle, digests)
        if changed:
            raise Refused(
                f"cycle {cycle['cycle_id']}",
                found=f"{', '.join(changed)} changed since the registration at {cycle['registration']['at']}",
                need="the inputs as they were registered",
                next_step='put them back, or start over: invoke go --new-cycle --fix "what was changed"',
                changed=changed,
            )

    return change(root, edit)


def drifted(cycle: Mapping[str, Any], digests: Mapping[str, str | None]) -> list[str]:
    """Return the names of the digests that differ from the registered ones, sorted."""
    registered = (cycle.get("registration") or {}).get("digests", {})
    return sorted(key for key in {*registered, *digests} if registered.get(key) != digests.get(key))


# --- runs ----------------------------------------------------------------------------------------------------------


def open_run(root: DataRoot, kind: str, ordinal: int, *, clock: Clock) -> RunEntry:
    """Return the run of that kind and ordinal: the finished one, the one to resume, or a new one.

    :raises Refused: the cycle has no such run, is not registered, is barred or in demonstration mode, or the run
        before it has not finished
    """
    if (kind, ordinal) not in RUNS:
        raise Refused(
            f"{kind} run {ordinal}",
            found="a run the cycle does not have",
            need="smoke 1, smoke 2 or full 1",
            next_step="a further try is a new cycle: invoke go --new-cycle",
        )
    entries: list[RunEntry] = []

    def edit(cycle: dict[str, Any]) -> None:
        known = next((run for run in cycle["runs"] if (run["kind"], run["ordinal"]) == (kind, ordinal)), None)
        if known is None or known["state"] == "open":
            _require_startable(cycle, kind, ordinal)
        if known is None:
            now = clock.now()
            known = asdict(
                RunEntry(
                    run_id=f"{kind}{ordinal}-{compact(now)}-{jsonio.digest([cycle['cycle_id'], kind, ordinal])[:6]}",
                    kind=kind,
                    ordinal=ordinal,
                    state="open",
                    started_at=stamp(now),
                )
            )
            cycle["runs"].append(known)
        entries.append(RunEntry(**known))

    change(root, edit)
    return entries[0]


def _require_startable(cycle: Mapping[str, Any], kind: str, ordinal: int) -> None:
    subject = f"{kind} run {ordinal} of cycle {cycle['cycle_id']}"
    if cycle["registration"] is None:
        raise Refused(
            subject,
            found="a cycle that is not registered",
            need="its inputs registered before the first request",
            next_step="invoke phase --only 3",
        )
    if cycle["demonstration"]:
        raise Refused(
            subject,
            found=f"demonstration mode since {cycle['demonstration']['at']} (rollback R2)",
            need="the real extraction pipeline",
            next_step="invoke rollback --point R2 --undo",
        )
    if cycle["barred"]:
        raise Refused(
            subject,
            found=f"runs barred since {cycle['barred']['at']}: {cycle['barred']['reason']}",
            need="a cycle without a failed run",
            next_step='fix it, then invoke go --new-cycle --fix "what was changed"',
        )
    finished = {(run["kind"], run["ordinal"]) for run in cycle["runs"] if run["state"] == "finished"}
    missing = [f"{k} {o}" for k, o in RUNS[: RUNS.index((kind, ordinal))] if (k, o) not in finished]
    if missing:
        raise Refused(
            subject,
            found=f"{' and '.join(missing)} not finished",
            need="the runs before it finished",
            next_step="invoke phase --only 3",
        )


def note_run(root: DataRoot, run_id: str, **digests: str) -> None:
    """Note what a run of the cycle was begun with, once: whoever takes its record away cannot begin it anew."""

    def edit(cycle: dict[str, Any]) -> None:
        for run in cycle["runs"]:
            if run["run_id"] == run_id:
                run.update({name: value for name, value in digests.items() if not run.get(name)})

    change(root, edit)


def require_record(run: Mapping[str, Any], path: Path, found: str | None, noted: str = "registration_sha256") -> None:
    """Refuse a run whose record is not the one it was begun with, or is gone.

    :param found: digest of the registration (or, by *noted*, of the plan) that lies there, None where nothing does
    :raises IntegrityError: it is another one
    """
    if run.get(noted) and found != run[noted]:
        another = "another registration than it was begun with"
        raise IntegrityError(
            str(path),
            found="nothing, though the run was begun" if found is None else another,
            need=f"the record of {run['run_id']} as it was begun at {run['started_at']}",
            next_step='restore the runs folder from its snapshot, or invoke go --new-cycle --fix "what was changed"',
        )


def finish_run(root: DataRoot, run_id: str, *, clock: Clock, state: str = "finished") -> None:
    """Close a run of the cycle; a finished one is never opened again."""

    def edit(cycle: dict[str, Any]) -> None:
        for run in cycle["runs"]:
            if run["run_id"] == run_id and run["state"] == "open":
                run["state"] = state
                run["ended_at"] = stamp(clock.now())

    change(root, edit)


# --- marks ---------------------------------------------------------------------------------------------------------


def mark(root: DataRoot, name: str, reason: str | None, *, clock: Clock) -> bool:
    """Set (or, without a reason, clear) the mark ``barred`` or ``demonstration``; tell whether that changed anything.

    A mark that is set keeps its first time and reason.
    """

    def edit(cycle: dict[str, Any]) -> None:
        if reason is None:
            cycle[name] = None
        elif cycle[name] is None:
            cycle[name] = {"reason": reason, "at": stamp(clock.now())}

    return change(root, edit)


def is_barred(root: DataRoot) -> bool:
    """Tell whether a rollback has barred the runs of the open cycle; a run under way stops for it."""
    return bool((load(root) or {}).get("barred"))


# --- active cycles -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActiveCycle:
    """A cycle somebody opened from this repository: where it lies and which inventory it belongs to."""

    data_root: str
    env: str
    inventory: str
    cycle_id: str


def announce(registry: Path, root: DataRoot) -> bool:
    """Note in *registry* that the data root has a cycle, so that a rollback finds it without being told."""
    cycle = require(root)
    path = registry / f"{jsonio.digest(str(root.root.resolve()))[:16]}.json"
    entry = ActiveCycle(str(root.root.resolve()), cycle["env"], cycle["inventory"], cycle["cycle_id"])
    if jsonio.read_json_or_none(path) == asdict(entry):
        return False
    jsonio.write_json(path, entry)
    return True


def active(registry: Path) -> list[ActiveCycle]:
    """Return the cycles that are still open, by environment name; notes about removed data roots are passed over."""
    found = []
    for path in sorted(registry.glob("*.json")):
        entry = ActiveCycle(**jsonio.read_json(path))
        cycle = load(DataRoot(Path(entry.data_root)))
        if cycle is not None and cycle["cycle_id"] == entry.cycle_id:
            found.append(entry)
    return sorted(found, key=lambda entry: entry.env)


def require_one_active(registry: Path) -> ActiveCycle:
    """Return the one active cycle.

    :raises BadInput: there is none, or there are several; each is named
    """
    cycles = active(registry)
    if len(cycles) == 1:
        return cycles[0]
    if not cycles:
        raise BadInput(
            "rollback",
            found="no active cycle",
            need="one, or an inventory named with -i (ansible-playbook) or --env (invoke)",
            next_step="invoke status, then invoke rollback --point R2 --env rehearsal",
        )
    names = ", ".join(f"{entry.env} ({entry.data_root})" for entry in cycles)
    raise BadInput(
        "rollback",
        found=f"{len(cycles)} active cycles: {names}",
        need="to know which stack is meant",
        next_step=f"name it: invoke rollback --point R2 --env {cycles[0].env}",
    )
