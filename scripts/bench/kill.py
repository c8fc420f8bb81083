"""Kill a batch with SIGKILL at random moments, let it go on, and prove from outside that nothing was lost or repeated.

Half of the kills come at a random time; the others at a random byte of the record, in the middle of a line being
written or between a line and its fsync. What is looked at is the API's own list of what arrived, and the bytes that
were on the disk when the process was dead: the runner's word is taken for nothing. The API keeps a rate limit and is
overloaded now and then, so that kills fall into its pauses too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import signal
import stat
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import setting
from loopback import Arrival, Loopback
from rich.console import Console
from rich.table import Table
from solidgreen import runner
from solidgreen.errors import ExitCode, SolidGreenError
from solidgreen.paths import DataRoot

PACING = {"min_interval": 0.03, "max_in_flight": 4, "retries_429": 20, "retries_other": 20}
LATENCY_S, LIMIT, OVERLOAD = 0.05, "25/10", 0.05
#: The latest time of a kill after the run began or went on, and its latest byte behind what was there.
LATEST_S, FURTHEST = 1.2, 6000
#: Seconds in which what was under way when a pause was recorded has arrived for certain.
UNDER_WAY_S = 0.5
PATIENCE_S = 120.0

Record = dict[str, Any]


@dataclass(frozen=True)
class Kill:
    """What there was when the process was dead: its record's bytes, and how many requests the API had got."""

    by: str
    at: float
    ledger: bytes
    arrived: int


@dataclass(frozen=True)
class Run:
    """A run from its registration to its end with everything that is known of it from outside.

    :param case_of: case ids by the digest of the body their request has
    """

    kills: tuple[Kill, ...]
    ledger: bytes
    arrivals: tuple[Arrival, ...]
    case_of: Mapping[str, str]


@dataclass
class Tally:
    """What was seen over all runs."""

    counts: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)


# --- what has to hold -----------------------------------------------------------------------------------------------


def whole(ledger: bytes) -> bytes:
    """Return the whole lines of a record."""
    return ledger[: ledger.rfind(b"\n") + 1]


def records(ledger: bytes) -> list[Record]:
    """Return the records of its whole lines."""
    return [json.loads(line) for line in whole(ledger).splitlines()]


def closed(ledger: bytes) -> set[str]:
    """Return the cases with a terminal record."""
    return {record["case_id"] for record in records(ledger) if record["type"] == "observation"}


def violations(run: Run) -> Iterator[str]:
    """Yield a sentence for each thing that must not be."""
    sent = [run.case_of.get(arrival.sha256, "") for arrival in run.arrivals]
    if "" in sent:
        yield f"{sent.count('')} requests of no case"
    for number, kill in enumerate(run.kills, start=1):
        if again := closed(kill.ledger) & set(sent[kill.arrived :]):
            yield f"kill {number}: {', '.join(sorted(again))} sent again, with a terminal record at the kill"
        if not run.ledger.startswith(whole(kill.ledger)):
            yield f"kill {number}: a whole line of the record is gone or another one"
    final = records(run.ledger)
    terminal = Counter(record["case_id"] for record in final if record["type"] == "observation")
    for case_id in sorted(set(run.case_of.values()) | set(terminal)):
        if terminal[case_id] != 1:
            yield f"case {case_id} has {terminal[case_id]} terminal records"
    unanswered = sum(record["type"] == "observation" and record["outcome"] != "answer" for record in final)
    if unanswered:
        yield f"{unanswered} cases without the answer the API had for each"
    if (ends := [record["state"] for record in final if record["type"] == "end"]) != [runner.FINISHED]:
        yield f"the run ended {ends or 'never'}"
    yield from _too_early(run, final)


def _too_early(run: Run, final: Sequence[Record]) -> Iterator[str]:
    """Yield the requests that arrived while a pause lasted that the API had asked for and the record knew of."""
    for noted, until in pauses(final):
        early = [arrival for arrival in run.arrivals if noted + UNDER_WAY_S < arrival.at < until]
        if early:
            yield f"{len(early)} requests in a pause, the first {until - early[0].at:.3f} s before its end"


def pauses(final: Sequence[Record]) -> list[tuple[float, float]]:
    """Return each pause that the API asked for, from its record to its end, in seconds of the wall clock."""
    return [
        (_moment(record["at"]), _moment(record["started_at"]) + record["duration_s"] + record["retry_after_s"])
        for record in final
        if record["type"] == "attempt" and record["retry_after_s"] is not None
    ]


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# --- the process that is killed ---------------------------------------------------------------------------------------


def work(folder: Path, url: str, run_id: str, die_at: int | None, begins: Connection) -> None:
    """Carry out the run; with *die_at* the process kills itself when the record has that many bytes."""
    if die_at is not None:
        _die_at(die_at)
    order = setting.order(DataRoot(folder), url, run_id=run_id, **PACING)
    begins.send(True)
    try:
        report = setting.send(order)
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        raise SystemExit(int(error.exit_code)) from error
    raise SystemExit(0 if report.state == runner.FINISHED else 1)


def _die_at(size: int) -> None:
    """From now on, die in the write that brings a plain file to *size*, with no more than that of it written."""
    write = os.write

    def dying(descriptor: int, data: Any) -> int:
        about = os.fstat(descriptor)
        room = size - about.st_size
        if not stat.S_ISREG(about.st_mode) or room > len(data):
            return write(descriptor, data)
        write(descriptor, data[: max(0, room)])
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    os.write = dying


class Victim:
    """A run over its own API that is killed again and again."""

    def __init__(self, root: DataRoot, run_id: str, api: Loopback, drawn: random.Random) -> None:
        self._root, self._run_id, self._api, self._drawn = root, run_id, api, drawn
        self.path = root.run(run_id) / runner.OBSERVATIONS

    def kill(self) -> Kill | None:
        """Begin or go on, and kill it on the way; return None when it came to its end before.

        :raises RuntimeError: it ended in another way
        """
        at_byte = self._drawn.random() < 0.5
        die_at = len(self._ledger()) + self._drawn.randint(1, FURTHEST) if at_byte else None
        process = self._start(die_at)
        process.join(PATIENCE_S if at_byte else self._drawn.uniform(0.0, LATEST_S))
        if process.exitcode is None and not at_byte:
            process.kill()
            process.join()
        if process.exitcode == -signal.SIGKILL:
            return Kill("byte" if at_byte else "time", time.time(), self._ledger(), arrived=len(self._api.arrivals()))
        self._require_end(process)
        return None

    def end(self) -> None:
        """Let it come to its end."""
        process = self._start(None)
        process.join(PATIENCE_S)
        self._require_end(process)

    def _start(self, die_at: int | None) -> BaseProcess:
        context = multiprocessing.get_context("spawn")
        heard, told = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(self._root.root, self._api.url, self._run_id, die_at, told))
        process.start()
        told.close()
        heard.recv()  # its time begins when the run does, not while Python starts
        return process

    def _require_end(self, process: BaseProcess) -> None:
        if process.exitcode == 0:
            return
        seen = f"exit code {process.exitcode}"
        if process.exitcode is None:
            process.kill()
            seen = f"no end in {PATIENCE_S:g} s"
        raise RuntimeError(f"run {self._run_id}: {seen} after {len(records(self._ledger()))} records")

    def _ledger(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""


# --- many runs --------------------------------------------------------------------------------------------------------


def one_run(folder: Path, cases: int, seed: int, most: int) -> Run:
    """Return a run that was killed until it ended, or *most* times.

    :raises RuntimeError: it did not go on
    :raises SolidGreenError: its record is broken
    """
    root = setting.write_cases(folder, cases, size=1)
    case_of = {hashlib.sha256(body).hexdigest(): name for name, (body, _) in setting.bodies(root).items()}
    with Loopback(latency=LATENCY_S, limit=LIMIT, overload=OVERLOAD, seed=seed) as api:
        victim = Victim(root, setting.RUN_ID, api, random.Random(seed))  # noqa: S311 - drawn again from the same seed
        kills: list[Kill] = []
        while len(kills) < most and (kill := victim.kill()):
            kills.append(kill)
        if len(kills) == most:
            victim.end()
        setting.record(root)  # the chain, by the product's own reader
        return Run(tuple(kills), victim.path.read_bytes(), tuple(api.arrivals()), case_of)


def count(run: Run) -> Counter[str]:
    """Return what happened in a run."""
    final = records(run.ledger)
    requests = [record for record in final if record["type"] == "attempt"]
    requests += [record["attempts"][-1] for record in final if record["type"] == "observation"]
    resumes = [record for record in final if record["type"] == "resume"]
    seen = Counter(kill.by for kill in run.kills)
    spans = pauses(final)
    return Counter(
        {
            "runs": 1,
            "kills": len(run.kills),
            "kills at a random time": seen["time"],
            "kills at a random byte of the record": seen["byte"],
            "kills before the registration was whole": sum(not whole(kill.ledger) for kill in run.kills),
            "kills that left a torn line": sum(kill.ledger != whole(kill.ledger) for kill in run.kills),
            "kills in a pause the API had asked for": sum(
                any(noted < kill.at < until for noted, until in spans) for kill in run.kills
            ),
            "torn lines repaired": sum(record["torn_bytes"] > 0 for record in resumes),
            "cases": len(run.case_of),
            "requests that arrived": len(run.arrivals),
            "requests with a record": len(requests),
            "requests lost with a process": len(run.arrivals) - len(requests),
            "429s": sum(arrival.status == 429 for arrival in run.arrivals),
            "503s": sum(arrival.status == 503 for arrival in run.arrivals),
        }
    )


def torture(folder: Path, kills: int, cases: int, seed: int) -> Tally:
    """Return what that many kills, over as many runs as they take, came to."""
    tally = Tally()
    while tally.counts["kills"] < kills:
        number = tally.counts["runs"]
        name = f"run {number + 1} (seed {seed + number})"
        try:
            run = one_run(folder / str(number), cases, seed + number, kills - tally.counts["kills"])
        except (RuntimeError, SolidGreenError) as error:
            tally.found.append(f"{name}: {error}")
            break
        tally.counts += count(run)
        tally.found += [f"{name}: {found}" for found in violations(run)]
        print(f"{name}: {len(run.kills)} kills, {tally.counts['kills']} of {kills}", file=sys.stderr, flush=True)
    return tally


def main() -> int:
    """Print a table; return 0, or 14 where something was lost, repeated or early."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cases", type=int, default=30, help="of each run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-") as made:
        tally = torture(Path(made), options.kills, options.cases, options.seed)
    table = Table("what", "number", box=None)
    for what, number in tally.counts.items():
        table.add_row(what, str(number))
    table.add_row("violations", str(len(tally.found)))
    Console().print(table)
    print("\n".join([*tally.found, f"seed {options.seed}, {time.monotonic() - start:.0f} s"]))
    return int(ExitCode.INTEGRITY) if tally.found else 0


if __name__ == "__main__":
    sys.exit(main())
