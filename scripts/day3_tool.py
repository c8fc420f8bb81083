"""What the old command lines share: where things lie, how words are read, how an error ends. No label is read here."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

# Somebody used to the old tool starts it with whatever Python is first on the path; a traceback would be no help.
try:
    from filelock import FileLock, Timeout
    from solidgreen import cycle, policy
    from solidgreen.clock import SystemClock, parse
    from solidgreen.cycle import Holder
    from solidgreen.errors import BadInput, ExitCode, InfrastructureStop, IntegrityError, Refused, SolidGreenError
    from solidgreen.paths import DataRoot, find_data_root, require_one_data_root
except ModuleNotFoundError as missing:
    print(
        f"Python {sys.executable}: found no module {missing.name}, need the environment of this repository. "
        f"Next: ./run setup, then start it with {Path(__file__).resolve().parent.parent / '.venv/bin/python'}",
        file=sys.stderr,
    )
    sys.exit(13)

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
POLICY, POLICY_SCHEMA = ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json"
TEMPLATE, VERDICT_MAP = ROOT / "policy" / "request_template.yml", ROOT / "policy" / "verdict_map.yml"
#: What the runs of the old command line are called after; no cycle lists them.
PREFIX = "batch-"
OBSERVATIONS = "observations.jsonl"


class Parser(argparse.ArgumentParser):
    """Ends with 13 where argparse would end with 2, and takes no shortened option: a typo must never send."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)
        self.add_argument(
            "--data-root",
            type=Path,
            help="folder of the data set (default: data/day3 or Data/day3 below the current one)",
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.exit(int(ExitCode.BAD_INPUT), f"{self.prog}: {message}. Next: {self.prog} --help shows every option\n")


def seconds(text: str) -> float:
    """Return the seconds an option gives."""
    with contextlib.suppress(ValueError):
        value = float(text)
        if math.isfinite(value) and value >= 0:
            return value
    raise argparse.ArgumentTypeError(f"found {text!r}, need a number of seconds, 0 or more")


def count(least: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least *least*."""

    def read(text: str) -> int:
        with contextlib.suppress(ValueError):
            value = int(text)
            if value >= least:
                return value
        raise argparse.ArgumentTypeError(f"found {text!r}, need a whole number, {least} or more")

    return read


def load_policy() -> policy.Policy:
    """Return the policy of this repository."""
    return policy.load(POLICY, POLICY_SCHEMA)


def data_root(stated: Path | None) -> DataRoot:
    """Return the data root that was stated, or the one below the current directory.

    :raises BadInput: there is no such folder, or both spellings of it
    """
    root = find_data_root(Path.cwd()) if stated is None else DataRoot(stated.absolute())
    if stated is None:
        require_one_data_root(root)
    if not root.root.is_dir():
        raise BadInput(
            f"data root {root.root}",
            found="no such folder",
            need="the folder that holds manifest.csv",
            next_step="change into the directory above data/day3, or name the folder with --data-root",
        )
    return root


@contextlib.contextmanager
def alone(root: DataRoot, name: str, *, patience_s: float = 0.0) -> Iterator[None]:
    """Keep other processes of that name off the data root, and refuse where a cycle is at work on it.

    :raises Refused: another process is there first
    :raises InfrastructureStop: the folder cannot be written
    """
    try:
        lock = FileLock(root.root / f".{name}.lock", timeout=patience_s).acquire()
    except Timeout as error:
        raise Refused(
            f"data root {root.root}",
            found=f"another {name}.py at work on it",
            need="one at a time: two would send faster than either is told to",
            next_step="wait for it to end, then run the same command again",
        ) from error
    except OSError as error:
        raise InfrastructureStop(
            f"data root {root.root}",
            found=f"a folder that cannot be written ({error.strerror})",
            need="a writable disk with free space",
            next_step="permit writing, then run the same command again",
        ) from error
    with lock:
        _refuse_if_held(root)
        yield


def _refuse_if_held(root: DataRoot) -> None:
    """Refuse a data root whose cycle somebody works on: in another process here, or elsewhere by an open lease."""
    found = cycle.load(root)
    lease = (found or {}).get("lease") or {}
    if not found or not lease.get("holder"):
        return
    holder = Holder(**lease["holder"])
    alive = holder.alive()
    if alive or (alive is None and parse(lease["expires_at"]) > SystemClock().now()):
        raise Refused(
            f"cycle {found['cycle_id']}",
            found=f"{holder.owner}, process {holder.pid}, at work on it",
            need="a data root that nobody works on",
            next_step="wait for it to end (invoke status shows it), or name another folder with --data-root",
        )


def registration_of(folder: Path) -> dict[str, Any] | None:
    """Return the registration of the run in *folder*, None where none was written whole: nothing was sent then.

    :raises IntegrityError: a whole first line is there, and it is no registration
    """
    path = folder / OBSERVATIONS
    try:
        with path.open("rb") as handle:
            first = next(iter(handle), b"")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _broken(path, f"no readable file ({error.strerror})") from error
    if not first.endswith(b"\n"):
        return None
    with contextlib.suppress(ValueError):
        record = json.loads(first)
        if isinstance(record, dict) and record.get("type") == "registration":
            return record
    raise _broken(path, "bytes that are not as they were written")


def _broken(path: Path, found: str) -> IntegrityError:
    return IntegrityError(
        f"{path} line 1",
        found=found,
        need="the registration of the run",
        next_step="restore the file, or move its folder away, then run the same command again",
    )


def own_runs(root: DataRoot) -> list[tuple[Path, dict[str, Any]]]:
    """Return folder and registration of every run of the old command line, the latest first."""
    found = [(folder, registration_of(folder)) for folder in root.runs.glob(f"{PREFIX}*")]
    whole = [(folder, record) for folder, record in found if record is not None]
    return sorted(whole, key=lambda entry: (str(entry[1].get("at")), entry[0].name), reverse=True)


def shown(path: Path) -> str:
    """Return a path as the reader would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def here(text: str) -> str:
    """Return a sentence of the core, which speaks to users of the menu, with the way on that these commands have."""
    over = re.sub(r'invoke go --new-cycle(?: --fix "what was changed")?', "run_batch_day3.py --no-resume", text)
    return over.replace("invoke go", "the same command")


def told(work: Callable[[], int]) -> int:
    """Return the exit code of *work*; an error of ours and an interruption are one sentence each."""
    try:
        code = work()
        sys.stdout.flush()
    except SolidGreenError as error:
        print(here(str(error)), file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: found a Ctrl-C, need the end of the run. Next: run the same command again", file=sys.stderr)
        return int(ExitCode.INCONCLUSIVE)
    except BrokenPipeError:
        # Whoever read the output is gone; without this the interpreter complains once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.INCONCLUSIVE)
    return code
