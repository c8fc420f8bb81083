"""Time what a person waits for: the best of a few rounds, in seconds, on this machine."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from solidgreen import ledger
from solidgreen.errors import SolidGreenError
from solidgreen.jsonio import read_json, read_json_or_none
from solidgreen.paths import DataRoot, find_data_root

ROOT = Path(__file__).resolve().parents[2]

Work = Callable[[], object]


def command(*words: str) -> Work:
    """Return the work of running a command of ours quietly.

    :raises CalledProcessError: it ended with another code than 0
    """
    argv = [str(ROOT / words[0]), *words[1:]]
    return lambda: subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - ours


def works(root: DataRoot) -> Iterator[tuple[str, Work]]:
    """Yield what can be timed here; what needs the results of a run comes only where there are some."""
    yield "the menu: ./run", command("run")
    yield "./run status", command("run", "status")
    if not root.cycle.exists():
        return
    if read_json_or_none(root.decision):
        yield "a finished plan again: ./run go", command("run", "go")
    runs = read_json(root.cycle)["runs"]
    if root.day3_results.exists():
        judge = command(".venv/bin/python", "scripts/judge.py", "--results", str(root.day3_results), "--metrics-only")
        yield "the metrics of every run: judge --metrics-only", judge
    for run in runs:
        path = root.run(run["run_id"]) / "observations.jsonl"
        if run["kind"] == "full" and path.exists():
            yield "the hash chain of the full run", partial(ledger.verify, path, keep=False)


def best(work: Work, rounds: int) -> float:
    """Return the shortest of *rounds* times, in seconds: the machine's noise only ever adds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> int:
    """Print a table; return 0, or 13 where something that was timed did not work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = max(parser.parse_args().rounds, 1)
    table = Table("what", "seconds", box=None)
    try:
        for name, work in works(find_data_root(ROOT)):
            table.add_row(name, f"{best(work, rounds):.3f}")
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip()
        print(f"{error.cmd}: ended with {error.returncode}. {words}", file=sys.stderr)
        return 13
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
