"""Measure the batch against what it cannot beat: the limit of its pacing, a bare loop, and its own memory.

Every run is a real one: over HTTP to an API in a process of its own, with a record that is fsynced case by case. What
mostly sleeps (limit, serial, window) is measured side by side, the rest alone. About ten minutes in all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests
import setting
import urllib3
from loopback import Loopback
from rich.console import Console
from rich.table import Table
from solidgreen import blindness, request
from solidgreen.client import Client
from solidgreen.ledger import Ledger, Writer
from solidgreen.paths import DataRoot
from solidgreen.progress import Progress

#: A captured answer of 36 KB, with what the measured work reads and keeps of it.
ANSWER = setting.ROOT / "tests" / "fixtures" / "contract" / "200_reject_lc_only.json"
MIB = 1024.0


@dataclass(frozen=True)
class Row:
    """A line of the table; ``ratio`` is measured over compared, as the goal has it, empty where there is no goal."""

    what: str
    measured: str
    compared: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Sent:
    """What a run took.

    :param cpu_s: of the processors, which others at work on the machine do not stretch
    :param resident: MiB in memory before it, ``peak`` the most so far
    :param episodes: 429s that did not fall into the wait after an earlier one
    """

    wall_s: float
    cpu_s: float
    resident: float
    peak: float
    http_429: int
    episodes: int
    parts: dict[str, float]


# --- work, each in a fresh process ------------------------------------------------------------------------------------


def memory(name: str) -> float:
    """Return MiB by the kernel's book (``VmRSS``, ``VmHWM``); rusage's peak would take in the process before exec."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) / MIB if found else float("nan")


def run(folder: Path, url: str, parts: bool, keep: bool, pacing: dict[str, Any]) -> Sent:
    """Send all cases of a data set once.

    :param parts: time the parts of it as well, which costs a little
    :param keep: look at the attempts afterwards
    """
    root, resident, spent = DataRoot(folder), memory("VmRSS"), {}
    with ExitStack() as stack:
        spent = _timed(stack) if parts else {}
        start, cpu = time.monotonic(), time.process_time()
        report = setting.send(setting.order(root, url, **pacing))
        wall, cpu = time.monotonic() - start, time.process_time() - cpu
    peak = memory("VmHWM")
    if report.state != "finished" or report.result is None or report.result.outcomes != {"answer": report.result.total}:
        raise RuntimeError(f"the run ended {report.state}, not with an answer to every case")
    found = setting.record(root) if keep else None
    return Sent(wall, cpu, resident, peak, report.result.http_429, episodes(found) if found else 0, spent)


def _timed(stack: ExitStack) -> dict[str, float]:
    """Sum the seconds that parts of a run take, from now on."""
    spent: dict[str, float] = {}

    def timed(name: str, owner: object, attribute: str) -> None:
        work: Callable[..., Any] = getattr(owner, attribute)

        @wraps(work)
        def measured(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return work(*arguments, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

        stack.enter_context(patch.object(owner, attribute, measured))

    timed("build", request, "build")
    timed("lint", blindness, "require")
    timed("send", Client, "send")
    timed("record", Writer, "append")
    timed("fsync", os, "fsync")
    timed("progress", Progress, "show")
    return spent


def episodes(found: Ledger) -> int:
    """Return how often the rate limit was met anew."""
    count, until = 0, float("-inf")
    for tried in sorted(found.attempts, key=lambda attempt: float(attempt["at_s"])):
        if tried["reason"] == "http_429":
            count += tried["at_s"] >= until
            until = max(until, tried["at_s"] + tried["duration_s"] + tried["wait_s"])
    return count


def read(folder: Path) -> tuple[float, float, float, int]:
    """Return seconds, MiB before, most MiB and cases of reading the record of a run again, nothing of it kept."""
    resident, start = memory("VmRSS"), time.monotonic()
    found = setting.record(DataRoot(folder), keep=False)
    return time.monotonic() - start, resident, memory("VmHWM"), found.done


def loop(folder: Path, url: str, interval: float, library: str) -> tuple[float, float]:
    """Return the seconds a plain loop takes, and those of the processors.

    It sends, waits for the answer, then for the rest of the interval. The bodies are made before its time begins and
    nothing is recorded.
    """
    ready = list(setting.bodies(DataRoot(folder)).values())
    session, pool = requests.Session(), urllib3.PoolManager()
    session.trust_env = False
    start, cpu = time.monotonic(), time.process_time()
    due = start
    for body, content_type in ready:
        time.sleep(max(0.0, due - time.monotonic()))
        due = time.monotonic() + interval
        headers = {"Content-Type": content_type}
        if library == "requests":
            status = session.post(url, data=body, headers=headers, timeout=60).status_code
        else:
            status = pool.request("POST", url, body=body, headers=headers, timeout=60, retries=False).status
        if status != 200:
            raise RuntimeError(f"a loop without a record got {status}")
    return time.monotonic() - start, time.process_time() - cpu


def ideal(count: int, interval: float, requests_: int, window: float) -> float:
    """Return the moment of the last start of the best schedule: the interval kept and the window never overfull."""
    starts: list[float] = []
    for k in range(count):
        after = starts[-1] + interval if starts else 0.0
        starts.append(max(after, starts[k - requests_] + window) if k >= requests_ else after)
    return starts[-1]


def _alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what the work does in a process that did nothing before."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


# --- benches --------------------------------------------------------------------------------------------------------


def limit(folder: Path) -> Iterator[Row]:
    """Yield wall times against the limit of the pacing, with four under way."""
    count, interval = 20, 3.0
    latencies = (0.05, 1.0, 10.0)

    def one(latency: float) -> Row:
        root = setting.write_cases(folder / f"{latency:g}", count)
        with Loopback(latency=latency) as api:
            sent: Sent = _alone(run, root.root, api.url, False, False, {"min_interval": interval})
        least = (count - 1) * interval + latency
        return _at_most(
            f"{count} cases {interval:g} s apart, answers after {latency:g} s", sent.wall_s, least, "its limit", 1.03
        )

    yield from _together([partial(one, latency) for latency in latencies])


def serial(folder: Path) -> Iterator[Row]:
    """Yield the wall time against a plain loop, at a tenth of 10 s answers and 3 s intervals for both."""
    count, scale = 40, 10.0
    root = setting.write_cases(folder, count)
    with Loopback(latency=10 / scale) as api:
        plain, _ = _alone(loop, root.root, api.url, 3 / scale, "requests")
        sent: Sent = _alone(run, root.root, api.url, False, False, {"min_interval": 3 / scale})
    faster, most = plain / sent.wall_s, count * 10 / ((count - 1) * 3 + 10)
    what = f"{count} cases 3 s apart, answers after 10 s, ten times as fast"
    yield Row(
        what,
        f"{sent.wall_s:.2f} s",
        f"{plain:.2f} s one after the other",
        f"{faster:.2f} times as fast",
        f">= 3 ({most:.2f} possible)",
        faster >= 3,
    )


def window(folder: Path) -> Iterator[Row]:
    """Yield the wall time below a rate limit that nobody told of, against the best schedule for who knows it."""
    count, interval, latency = 40, 3.0, 0.05
    root = setting.write_cases(folder, count)
    with Loopback(latency=latency, limit="10/60") as api:
        sent: Sent = _alone(run, root.root, api.url, False, True, {"min_interval": interval})
    least = ideal(count, interval, 10, 60.0) + latency
    yield _at_most(
        f"{count} cases {interval:g} s apart, 10 in 60 s unknown", sent.wall_s, least, "knowing the limit", 1.10
    )
    yield Row(
        "the same: 429s, in how many episodes",
        f"{sent.http_429}, {sent.episodes}",
        goal="<= 1 episode",
        met=sent.episodes <= 1,
    )


def overhead(folder: Path) -> Iterator[Row]:
    """Yield what a case costs beside its exchange, and where that goes."""
    count, rounds = 500, 3
    roots = [setting.write_cases(folder / f"{n}", count, roles=setting.ROLES, size=20_000) for n in range(2 * rounds)]
    with Loopback(answer=ANSWER) as api:
        loops: dict[str, list[tuple[float, float]]] = {"requests": [], "urllib3": []}
        runs: list[Sent] = []
        timed: list[Sent] = []
        for root, other in zip(roots[:rounds], roots[rounds:], strict=True):
            for library, times in loops.items():
                times.append(_alone(loop, root.root, api.url, 0.0, library))
            runs.append(_alone(run, root.root, api.url, False, False, {"max_in_flight": 1}))
            timed.append(_alone(run, other.root, api.url, True, False, {"max_in_flight": 1}))
    what = f"{count} cases of six 20 KB documents, best of {rounds}"
    wall, cpu = (1000 / count * min(each) for each in zip(*((one.wall_s, one.cpu_s) for one in runs), strict=True))
    for library, times in loops.items():
        bare, bare_cpu = (1000 / count * min(each) for each in zip(*times, strict=True))
        yield Row(
            f"{what}; {library} loop",
            f"{wall:.2f} ms a case, {cpu:.2f} of CPU",
            f"{bare:.2f} ms, {bare_cpu:.2f} of CPU",
            f"{wall - bare:.2f} ms over, {cpu - bare_cpu:.2f} of CPU",
            "<= 10 ms",
            wall - bare <= 10,
        )
    detailed = min(timed, key=lambda one: one.wall_s)
    part = {name: 1000 * seconds / count for name, seconds in detailed.parts.items()}
    total = 1000 * detailed.wall_s / count
    apart = {
        "documents read and digested, body built": part["build"] - part["lint"],
        "all of it looked through for what tells": part["lint"],
        "sent, answer read and classified": part["send"],
        "record sealed and written": part["record"] - part["fsync"],
        "fsync": part["fsync"],
        "progress file": part["progress"],
    }
    apart["threads, pacing, start and end of the run"] = total - sum(apart.values())
    for name, spent in apart.items():
        yield Row(f"  of {total:.2f} ms: {name}", f"{spent:.2f} ms")


def scale(folder: Path) -> Iterator[Row]:
    """Yield throughput and memory over runs of growing size, and of reading their records again."""
    runs: dict[int, Sent] = {}
    again: dict[int, tuple[float, float, float, int]] = {}
    for count in (100, 10_000, 100_000):
        root = folder / str(count)
        _alone(setting.write_cases, root, count)
        with Loopback() as api:
            runs[count] = _alone(run, root, api.url, False, False, {})
        again[count] = _alone(read, root)
        if again[count][3] != count:
            raise RuntimeError(f"{again[count][3]} records of {count} cases")
    few, most = 10_000, 100_000
    for count in (few, most):
        sent, (seconds, resident, peak, _) = runs[count], again[count]
        yield Row(
            f"{count} cases sent, and the most memory",
            f"{count / sent.wall_s:.0f} a second, {sent.peak:.0f} MiB",
            f"{runs[100].peak:.0f} MiB for 100, {sent.resident:.0f} before it",
            f"{sent.peak / runs[100].peak:.2f} times",
        )
        yield Row(
            f"{count} cases: record read again, and the most memory",
            f"{seconds:.2f} s, {peak:.0f} MiB",
            f"{again[100][2]:.0f} MiB for 100, {resident:.0f} before it",
            f"{peak / again[100][2]:.2f} times",
        )
    each = 1024 * 1024 * (runs[most].peak - runs[few].peak) / (most - few)
    yield Row("memory that a further case takes", f"{each:.0f} bytes")
    for name, later, sooner in (
        ("wall time", runs[most].wall_s / most, runs[few].wall_s / few),
        ("CPU time", runs[most].cpu_s / most, runs[few].cpu_s / few),
    ):
        what = f"{name} a case: {most} cases over {few}"
        yield Row(what, f"{1000 * later:.2f} ms", f"{1000 * sooner:.2f} ms", f"{later / sooner:.2f} times")


def _at_most(what: str, measured: float, least: float, than: str, goal: float) -> Row:
    ratio = measured / least
    return Row(what, f"{measured:.2f} s", f"{least:.2f} s {than}", f"{ratio:.4f}", f"<= {goal:.2f}", ratio <= goal)


def _together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Return what works that mostly wait for other processes do, side by side."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]


Bench = Callable[[Path], Iterator[Row]]
SLEEPING: dict[str, Bench] = {"limit": limit, "serial": serial, "window": window}
WORKING: dict[str, Bench] = {"overhead": overhead, "scale": scale}


def measured(name: str, bench: Bench, folder: Path) -> tuple[str, list[Row], float]:
    """Return the rows of a bench with its name and the seconds it took."""
    start = time.monotonic()
    rows = list(bench(folder / name))
    print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return name, rows, time.monotonic() - start


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=[*SLEEPING, *WORKING], help="this one; again for more")
    parser.add_argument(
        "--folder", type=Path, default=setting.ROOT / ".solidgreen", help="on the disk to measure (default: this one's)"
    )
    options = parser.parse_args()
    chosen = options.only or [*SLEEPING, *WORKING]
    start = time.monotonic()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as made:
        folder = Path(made)
        side_by_side = [lambda name=name: measured(name, SLEEPING[name], folder) for name in SLEEPING if name in chosen]
        results = _together(side_by_side) if side_by_side else []
        results += [measured(name, bench, folder) for name, bench in WORKING.items() if name in chosen]
    table = Table("bench", "what", "measured", "compared with", "ratio", "goal", "", box=None)
    for name, rows, seconds in results:
        for number, row in enumerate(rows):
            met = {None: "", True: "met", False: "MISSED"}[row.met]
            first = f"{name} ({seconds:.0f} s)" if number == 0 else ""
            table.add_row(first, row.what, row.measured, row.compared, row.ratio, row.goal, met)
    console = Console()
    Console(width=max(console.width, 190)).print(table)
    print(
        f"all of it: {(time.monotonic() - start) / 60:.1f} min, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
