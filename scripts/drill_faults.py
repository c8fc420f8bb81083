"""Show that every fault of the rehearsal stops the plan where it must: the phase, the check and the exit code.

Each drill is the real `go` on a copy of this folder, with its own stack, ports and data, and one fault switched on.
Where it must end stands in `scripts/drill_faults.yml`. A fault that ends elsewhere, a fault without a row, a row
without a fault, a secret in an artifact, and a plan that does not pass without a fault, each end this command with 10.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil
import yaml
from rich.console import Console
from rich.table import Table
from solidgreen.errors import BadInput, ExitCode, InfrastructureStop, SolidGreenError
from solidgreen.jsonio import read_json_or_none, to_plain
from solidgreen.paths import DataRoot
from solidgreen.text import plural, visible

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = "solidgreen/drill-faults/1"
TABLE = ROOT / "scripts" / "drill_faults.yml"
CONTROL = "no fault"
WORKERS = 2
#: What a checkout holds beside its sources: it is made anew, or none of our business.
NOT_COPIED = (
    *(".git", ".venv", ".solidgreen", "data", "Data", "collections", "artifacts"),
    *("__pycache__", "*.egg-info", ".*_cache", ".cache", ".hypothesis", ".ansible"),
)
#: Variables of the caller that would decide what the stack or Ansible does.
NOT_INHERITED = ("ANSIBLE_", "DAY3_", "RATE_LIMIT_", "REHEARSAL_", "USE_STUBS", "ENVIRONMENT", "PYTHON")
STOP_S = 30.0
POLL_S = 0.1


class Parser(argparse.ArgumentParser):
    """Ends with 13 where argparse would end with 2: wrong options are bad input like any other."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.print_usage(sys.stderr)
        self.exit(int(ExitCode.BAD_INPUT), f"{self.prog}: {message}\n")


@dataclass(frozen=True)
class Drill:
    """A row of the table: a fault and where it must stop the plan.

    :param faults: as the stack takes them, ``NAME`` or ``NAME@N``; none for the control
    :param phase: the first phase that does not pass; None where all do
    :param check: a check of that phase which does not pass
    :param level: what is asked of the plan, ``local`` or ``solid``
    :param variables: what the inventory says otherwise
    :param canaries: texts that must be in no artifact, beside the stack's own password
    """

    name: str
    faults: str
    phase: int | None
    check: str
    exit_code: int
    level: str = "local"
    variables: Mapping[str, Any] = field(default_factory=dict)
    canaries: tuple[str, ...] = ()

    @property
    def end(self) -> str:
        """Where it must end, in a few words."""
        return words(self.phase, [self.check] if self.check else [], self.exit_code)


@dataclass(frozen=True)
class Came:
    """How a plan ended.

    :param checks: the checks of that phase that did not pass, or those that are inconclusive where none failed
    :param leaks: artifacts that hold a secret
    """

    phase: int | None
    checks: tuple[str, ...]
    exit_code: int
    decision: str
    sentence: str
    seconds: float
    leaks: tuple[str, ...] = ()

    @property
    def end(self) -> str:
        """Where it ended, in a few words."""
        return words(self.phase, self.checks, self.exit_code)

    def wrong(self, drill: Drill) -> str:
        """Say what is not as the drill has it; an empty text where all is."""
        if self.leaks:
            return f"a secret is in {', '.join(self.leaks[:3])}"
        as_told = self.phase == drill.phase and self.exit_code == drill.exit_code
        if as_told and (drill.check in self.checks if drill.check else not self.checks):
            return ""
        return f"expected {drill.end}; came {self.end} ({visible(self.sentence, 300)})"


def words(phase: int | None, checks: Sequence[str], code: int) -> str:
    """Return an end as people read it."""
    place = "no phase stops it" if phase is None else f"phase {phase}, {', '.join(checks) or 'no check'}"
    return f"{place}, exit code {code}"


# --- the table ----------------------------------------------------------------------------------------------------


def load(path: Path) -> tuple[list[Drill], dict[str, Any]]:
    """Return the drills of a table, the control first, and the variables that all of them share.

    :raises BadInput: the file is no such table
    """
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
        rows = [{"name": row.get("name", row["faults"]), **row} for row in raw["drills"]]
        drills = [
            Drill(**{**row, "canaries": tuple(row.get("canaries", ()))})
            for row in [{"name": CONTROL, "faults": "", **raw["control"]}, *rows]
        ]
        if raw["schema"] != SCHEMA or len({drill.name for drill in drills}) != len(drills):
            raise ValueError(f"another schema than {SCHEMA}, or a name twice")
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(
            f"table {path}",
            found=" ".join(str(error).split()) or type(error).__name__,
            need="a control and drills with faults, phase, check and exit_code",
            next_step="correct the file",
        ) from error
    return drills, raw.get("variables") or {}


def known_faults() -> set[str]:
    """Return the name of every fault of the rehearsal stack."""
    from rehearsal.api.faults import FAULTS
    from rehearsal.edge import FAULTS as EDGE_FAULTS

    return {*FAULTS, *EDGE_FAULTS}


def gaps(drills: Sequence[Drill], known: set[str]) -> list[str]:
    """Return a sentence for each fault that no row has and each row whose fault there is not."""
    named = {item.partition("@")[0].strip(): drill for drill in drills for item in drill.faults.split(",") if item}
    return [
        *(f'fault "{name}" of the rehearsal: found no row, need one' for name in sorted(known - set(named))),
        *(
            f'row "{named[name].name}": found no fault {name} in the rehearsal, need one of {", ".join(sorted(known))}'
            for name in sorted(set(named) - known)
        ),
    ]


# --- one drill ----------------------------------------------------------------------------------------------------


class Range:
    """The folder in which drills are done: a copy of the sources, the cases, and a folder for each drill.

    :param folder: absolute and nobody else's: what still runs in a drill's part of it is ended with the drill
    """

    def __init__(self, folder: Path, shared: Mapping[str, Any]) -> None:
        self.folder, self.shared = folder, shared
        self.sources, self.cases = folder / "sources", folder / "cases"
        self.stopping = threading.Event()

    def prepare(self) -> None:
        """Copy the sources and make the cases.

        :raises InfrastructureStop: the cases cannot be made
        """
        shutil.copytree(ROOT, self.sources, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
        if (ROOT / "collections").is_dir():
            (self.sources / "collections").symlink_to(ROOT / "collections")
        code, said = self._run([*REHEARSAL, "generate", "--data-root", str(self.cases)], self.folder / "generate.log")
        if code:
            raise InfrastructureStop(
                "cases of the drill",
                found=f"code {code}: {said}",
                need="code 0",
                next_step="python -m rehearsal generate",
            )

    def drill(self, drill: Drill) -> Came:
        """Run the plan with the fault switched on and return how it ended; nothing of it runs afterwards."""
        try:
            return self._drill(drill)
        except (OSError, subprocess.SubprocessError) as error:
            said = f"the drill itself broke: {error}"
            return Came(None, (), int(ExitCode.STOP), "none", said, seconds=0)

    def _drill(self, drill: Drill) -> Came:
        home = self.folder / "drills" / drill.name.replace(" ", "_").replace("@", "_at_")
        root, state = DataRoot(home / "data" / "day3"), home / ".solidgreen" / "stack" / "rehearsal"
        shutil.copytree(self.cases, root.root)
        inventory = self._inventory(drill, home)
        began = time.monotonic()
        command = [sys.executable, "scripts/program.py", "go", "--env", str(inventory), "--level", drill.level]
        try:
            code, said = self._run(command, home / "go.log", patience=float(self.shared.get("patience_s", 300)))
            password = (state / "password").read_text("ascii").strip() if (state / "password").exists() else ""
        finally:
            self._end(home, state)
        canaries = [text for text in (*drill.canaries, password) if text]
        hidden = (state / "password", home / "inventory")
        found = [*leaks(home, canaries, hidden), *leaks(self.sources / ".solidgreen", canaries)]
        return came(root, code, said, seconds=time.monotonic() - began, found=found)

    def _inventory(self, drill: Drill, home: Path) -> Path:
        """Write the inventory of a drill: that of the rehearsal, in a folder of its own, with the fault."""
        folder = home / "inventory" / f"drill-{home.name}"
        shutil.copytree(self.sources / "inventories" / "rehearsal", folder)
        shared = {name: value for name, value in self.shared.items() if name != "patience_s"}
        values = {
            **shared,
            **drill.variables,
            "day3_root": str(home),
            "stack_environment": {"REHEARSAL_FAULTS": drill.faults, **drill.variables.get("stack_environment", {})},
        }
        text = yaml.safe_dump(values, sort_keys=True)
        (folder / "group_vars" / "all" / "zz_drill.yml").write_text(text, "utf-8")  # read last, so it counts
        return folder

    def _run(self, command: Sequence[str], log: Path, patience: float = 300.0) -> tuple[int, str]:
        """Run a command to its end and return its code and what it said last.

        It is interrupted, as with ctrl-C, when its time is over or the drill is stopped.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                cwd=self.sources,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # a ctrl-C is ours to pass on
            )
        until = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < until and not self.stopping.is_set():
            time.sleep(POLL_S)
        late = process.poll() is None
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_S)
        if late and not self.stopping.is_set():
            return int(ExitCode.STOP), f"no end after {patience:.0f} s"
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        return int(process.returncode or 0), lines[-1] if lines else "nothing"

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {
            **kept,
            "HOME": str(home),
            "ANSIBLE_CONFIG": str(self.sources / "ansible.cfg"),
            "PYTHONPATH": str(self.sources / "module_utils"),  # the copy's own core, whatever is edited meanwhile
            "COLUMNS": "200",
        }

    def _end(self, home: Path, state: Path) -> None:
        """Stop the stack of a drill, and whatever else of it still runs."""
        command = [*REHEARSAL, "down", "--volumes", "--state-dir", str(state)]
        subprocess.run(  # noqa: S603 - our own command
            command, cwd=self.sources, env=self._environment(), capture_output=True, check=False, timeout=STOP_S * 3
        )
        left = list(processes_of(home))
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        for process in psutil.wait_procs(left, timeout=5)[1]:
            with contextlib.suppress(psutil.Error):
                process.kill()


REHEARSAL = (sys.executable, "-m", "rehearsal")


def processes_of(home: Path) -> Iterator[psutil.Process]:
    """Yield the processes whose command line, working folder or output lies in a folder."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            output = Path(f"/proc/{process.pid}/fd/1")
            places = [*process.cmdline(), process.cwd(), str(output.readlink()) if output.is_symlink() else ""]
            if process.pid != os.getpid() and any(f"{home}/" in f"{place}/" for place in places):
                yield process


def leaks(folder: Path, canaries: Sequence[str], hidden: Sequence[Path] = ()) -> list[str]:
    """Return the files below a folder that hold one of the texts, without those that are *hidden*."""
    wanted = [text.encode() for text in canaries]
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(path == place or place in path.parents for place in hidden):
            data = path.read_bytes()
            if any(text in data for text in wanted):
                found.append(str(path.relative_to(folder)))
    return found


def came(root: DataRoot, code: int, said: str, *, seconds: float, found: Sequence[str]) -> Came:
    """Return how a plan ended, from the verdict files it left and the code it ended with."""
    phase, checks = None, ()
    for number in range(6):
        verdict = read_json_or_none(root.phase(number)) or {}
        if verdict.get("status") not in (None, "pass"):
            phase = number
            checks = tuple(row["id"] for row in verdict["checks"] if row["status"] == verdict["status"])
            said = str(verdict.get("sentence") or said)
            break
    decision = read_json_or_none(root.decision) or {}
    return Came(phase, checks, code, str(decision.get("decision", "none")), said, round(seconds, 1), tuple(found))


# --- all of them --------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace, folder: Path) -> int:
    """Do the drills, print the table or the document, and return the exit code."""
    drills, shared = load(options.table)
    missing = gaps(drills, known_faults())
    names = {drill.name for drill in drills}
    if unknown := sorted(set(options.only) - names):
        raise BadInput(
            f"option --only {unknown[0]}",
            found="no such row",
            need=f"one of {', '.join(sorted(names))}",
            next_step="scripts/drill_faults.py --only NAME",
        )
    chosen = [drill for drill in drills if not options.only or drill.name in options.only]
    for sentence in missing:
        print(sentence, file=sys.stderr)
    began = time.monotonic()
    place = Range(folder, shared)
    ends: dict[str, Came] = {}
    with interruptible(place.stopping), ThreadPoolExecutor(max(1, options.workers)) as pool:
        place.prepare()
        late_first = sorted(chosen, key=lambda drill: 9 if drill.phase is None else drill.phase, reverse=True)
        work = {pool.submit(place.drill, drill): drill for drill in late_first if not place.stopping.is_set()}
        for done in as_completed(work):
            drill = work[done]
            if place.stopping.is_set():
                for other in work:
                    other.cancel()
                continue
            ends[drill.name] = done.result()
            wrong = ends[drill.name].wrong(drill)
            print(f"{drill.name}: {wrong or ends[drill.name].end}", file=sys.stderr, flush=True)
    if place.stopping.is_set():
        print("stopped by hand; everything that was started is stopped. Next: the same command again", file=sys.stderr)
        return int(ExitCode.INCONCLUSIVE)
    seconds = round(time.monotonic() - began, 1)
    astray = [drill.name for drill in chosen if ends[drill.name].wrong(drill)]
    passed = not astray and not missing
    if options.json:
        rows = [
            {**asdict(drill), "came": asdict(ends[drill.name]), "wrong": ends[drill.name].wrong(drill)}
            for drill in chosen
        ]
        document = {"schema": SCHEMA, "passed": passed, "seconds": seconds, "gaps": missing, "drills": rows}
        print(json.dumps(to_plain(document), sort_keys=True))
    else:
        Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table(chosen, ends))
    found = f"{plural(len(astray), 'drill')} that ended elsewhere ({', '.join(astray)})" if astray else "no gap"
    if not passed:
        print(
            f"drill of faults failed: found {found}{f', {len(missing)} without a counterpart' if missing else ''}, "
            "need every fault stopped where the table says. Next: mend what let it through, or correct the table",
            file=sys.stderr,
        )
        return int(ExitCode.NO_GO)
    print(f"{plural(len(chosen), 'drill')} ended where they must, in {seconds:.0f} s", file=sys.stderr)
    return int(ExitCode.OK)


def table(drills: Sequence[Drill], ends: Mapping[str, Came]) -> Table:
    """Return the table that is printed: the fault, where it stopped the plan, and whether that is right."""
    shown = Table("fault", "phase", "check", "code", "decision", "seconds", "as it must", box=None)
    for drill in drills:
        end = ends[drill.name]
        checks = drill.check if drill.check in end.checks else ", ".join(end.checks[:3])
        more = len(end.checks) - 1 if drill.check in end.checks else 0
        shown.add_row(
            drill.name,
            "none" if end.phase is None else str(end.phase),
            (checks or "none") + (f" and {more} more" if more else ""),
            str(end.exit_code),
            end.decision,
            f"{end.seconds:.0f}",
            "NO: " + drill.end if end.wrong(drill) else "yes",
        )
    return shown


@contextlib.contextmanager
def interruptible(stopping: threading.Event) -> Iterator[None]:
    """Have ctrl-C and SIGTERM ask for the end instead of leaving processes behind."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        if not stopping.is_set():
            print("stopping what was started", file=sys.stderr, flush=True)
        stopping.set()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the drills in a folder that is removed, or kept, and return the exit code."""
    parser = Parser(prog="invoke drill --faults", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this row; repeatable (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--workers", type=int, default=WORKERS, metavar="N", help="at once (default: %(default)s)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="leave every drill's files there (default: remove them)"
    )
    parser.add_argument("--table", type=Path, default=TABLE, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT))
    try:
        if options.keep is None:
            with tempfile.TemporaryDirectory(prefix="drill of faults ", ignore_cleanup_errors=True) as folder:
                Path(folder).chmod(0o711)  # the database of a stack may be another user's
                return run(options, Path(folder).resolve())
        if options.keep.exists() and (not options.keep.is_dir() or any(options.keep.iterdir())):
            need = "a new or an empty folder"
            raise BadInput(f"folder {options.keep}", found="something in it", need=need, next_step="name another")
        options.keep.mkdir(parents=True, exist_ok=True)
        return run(options, options.keep.resolve())
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
