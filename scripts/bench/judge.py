"""Measure the judgement of a results file against a plain Python program, and a judgement from cold.

Both are processes of their own over the same file, and must come to the same figures. About three minutes in all.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from solidgreen import jsonio
from solidgreen.clock import stamp

ROOT = Path(__file__).resolve().parents[2]
PLAIN = Path(__file__).with_name("plain.py")
SIZES = (100_000, 1_000_000)
#: What the judgement is to come to: times as fast, share of the memory, seconds from cold.
FASTER, MEMORY, COLD_S = 5.0, 0.5, 2.0
COLD, ROUNDS = 90, 5
#: Exit codes of a file that was judged, whatever came of it.
JUDGED = (0, 10, 11)


@dataclass(frozen=True)
class Ran:
    """What a process took: seconds by the wall and of the processors, MiB at its most, and what it printed."""

    wall_s: float
    cpu_s: float
    peak: float
    printed: bytes


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Yield rows as a full run writes them: nearly all answered, most of them right, three cases a parent."""
    drawn = random.Random(1)  # noqa: S311 - the same rows each time
    scenarios = {"pass": "pass", "warn": "warn", "reject": "sanctions_tbml_shell", "blocked": "ocr_noise"}
    verdicts = (*scenarios,)
    failures = (("server_error", 500), ("rate_limited", 429), ("transport_error", None), ("unprocessable", 422))
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(1, count + 1):
        expected = drawn.choice(verdicts)
        outcome, status = ("answer", 200) if drawn.random() < 0.97 else drawn.choice(failures)
        answered = outcome == "answer"
        actual = (expected if drawn.random() < 0.85 else drawn.choice(verdicts)) if answered else "unknown"
        attempts = 1 if drawn.random() < 0.9 else drawn.randint(2, 4)
        took = round(drawn.random() * 3, 6)
        begun += timedelta(seconds=1 + drawn.random())
        yield {
            "case_id": f"D3-{number:07d}",
            "scenario": scenarios[expected],
            "expected_verdict": expected,
            "actual_verdict": actual,
            "status": "ok" if answered else "error",
            "error": "" if answered else f"{outcome}: it said no",
            "http_status": status,
            "run_id": "full1-20260301T000000Z",
            "run_kind": "full",
            "ordinal": 1,
            "comparable": answered,
            "matched": actual == expected,
            "outcome": outcome,
            "attempts": attempts,
            "healed_errors": ["infra_unavailable 503"] * (attempts > 2),
            "retries_429": int(attempts == 2),
            "duration_seconds": took,
            "wait_seconds": 6.5 * (attempts - 1),
            "started_at": stamp(begun),
            "finished_at": stamp(begun + timedelta(seconds=took)),
            "job_id": f"{drawn.getrandbits(128):032x}" if answered else None,
            "body_sha256": f"{drawn.getrandbits(256):064x}",
            "content_sha256": f"{drawn.getrandbits(256):064x}",
            "verdict_source": "authoritative_label" if answered else None,
            "disagreements": int(drawn.random() < 0.01),
            "source_type": "synthetic" if number % 3 else "real",
            "language": "en",
            "parent": f"P{number // 3:06d}",
            "secrets": 0,
        }


def write(path: Path, count: int) -> Path:
    """Write a results file of that many rows, byte for byte as a run's is."""
    with path.open("wb") as handle:
        handle.writelines(jsonio.canonical_plain(row) + b"\n" for row in rows(count))
    return path


def run(*words: str | Path, codes: tuple[int, ...] = (0,)) -> Ran:
    """Run a program and return what it took.

    :raises CalledProcessError: it ended with another code
    """
    argv, start = [str(word) for word in words], time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=err)  # noqa: S603 - ours
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in codes:
            raise subprocess.CalledProcessError(process.returncode, argv, stderr=err.read())
        return Ran(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, out.read())


def judge(path: Path, *options: str) -> Ran:
    """Judge a file by the command."""
    return run(sys.executable, "scripts/judge.py", "--results", path, *options, codes=JUDGED)


def differing(plain: Mapping[str, Any], judged: Mapping[str, Any], at: str = "") -> list[str]:
    """Return the names of the figures that the two do not have alike."""
    found = []
    for name, value in plain.items():
        if isinstance(value, dict) and isinstance(judged.get(name), dict):
            found += differing(value, judged[name], f"{at}{name}.")
        elif judged.get(name) != value:
            found.append(f"{at}{name}")
    return found


def measure(folder: Path, sizes: tuple[int, ...], table: Table) -> list[str]:
    """Add what was measured to the table; return the figures that differ."""
    wrong = []
    for size in sizes:
        path = write(folder / f"{size}.jsonl", size)
        plain = run(sys.executable, PLAIN, path)
        only = judge(path, "--metrics-only", "--json")
        both = [("judge --metrics-only", only), ("judge, with the gates", judge(path, "--json"))]
        table.add_row(f"{size:,} records", "plain program", *_took(plain))
        for name, took in both:
            faster, memory = plain.wall_s / took.wall_s, took.peak / plain.peak
            ratio = f"{faster:.1f} times as fast, {memory:.2f} of its memory"
            goal = (f">= {FASTER:g} times, <= {MEMORY:g}", _met(faster >= FASTER and memory <= MEMORY))
            # In a small file what a process takes to begin outweighs the rest; it is there to show the growth.
            table.add_row("", name, *_took(took), ratio, *(goal if size == max(SIZES) else ("", "")))
        wrong += [f"{name} of {size}" for name in differing(json.loads(plain.printed), json.loads(only.printed))]
        path.unlink()
    return wrong


def from_cold(folder: Path, table: Table) -> None:
    """Add how long a person waits for a run of the plan's size to be judged, each time by a new process."""
    path = write(folder / "cold.jsonl", COLD)
    took = min((run(ROOT / "run", "judge", "--results", path, codes=JUDGED) for _ in range(ROUNDS)), key=_wall)
    what = f"./run judge, the best of {ROUNDS}"
    table.add_row(f"{COLD} records", what, *_took(took), "", f"<= {COLD_S:g} s", _met(took.wall_s <= COLD_S))


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def _wall(took: Ran) -> float:
    return took.wall_s


def _took(took: Ran) -> tuple[str, str, str]:
    return f"{took.wall_s:.2f}", f"{took.cpu_s:.2f}", f"{took.peak:.0f}"


def main() -> int:
    """Print a table; return 0, or 13 where a program failed or the two do not count alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--records", type=int, action="append", help=f"of a file; again for more (default: {SIZES[0]}, {SIZES[1]})"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".solidgreen", help="for files of 1 GB (default: %(default)s)"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table = Table("file", "program", "seconds", "CPU", "MiB", "against the plain one", "goal", "", box=None)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as made:
            wrong = measure(Path(made), tuple(options.records or SIZES), table)
            from_cold(Path(made), table)
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd}: ended with {error.returncode}. {error.stderr.decode(errors='replace')}", file=sys.stderr)
        return 13
    console = Console()
    Console(width=max(console.width, 150)).print(table)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    if wrong:
        print(f"the programs do not count alike: {', '.join(wrong)}", file=sys.stderr)
    return 13 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
