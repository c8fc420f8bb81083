"""The one way a verb starts a playbook: ansible-runner, the live view, and the exit code that counts.

``ansible-playbook`` itself ends with 0 when no host matched, when a tag was unknown and when a ``rescue`` swallowed the
failure. So nothing here trusts its code: a verb ends with 0 only after its result was seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import ansible_runner
import psutil
from filelock import FileLock, Timeout
from solidgreen.errors import BadInput, ExitCode, Refused, worst

ROOT = Path(__file__).resolve().parent.parent
#: Every process of a launch carries this, so that one whose launcher was killed is found again.
MARK = "SOLIDGREEN_LAUNCH"
STATUS_CODES = {"pass": ExitCode.OK, "fail": ExitCode.NO_GO, "inconclusive": ExitCode.INCONCLUSIVE}
FAILED_EVENTS = ("runner_on_failed", "runner_item_on_failed", "runner_on_unreachable")
SPEC_ACTIONS = ("validate_argument_spec", "ansible.builtin.validate_argument_spec")


class View(Protocol):
    """What shows a run while it works."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Take an event of ansible-runner."""

    def say(self, text: str) -> None:
        """Print one line."""


@dataclass
class Outcome:
    """What was seen of one or more playbooks: the codes and sentences, the phases, and the decision.

    ``codes`` holds ``(exit code, sentence)`` of every failure that was not ignored; a failure that names no code is 11,
    because it proves nothing. ``triage`` holds, by phase, a line a likely cause of its failure.
    """

    rc: int = 0
    codes: list[tuple[int, str]] = field(default_factory=list)
    phases: dict[int, dict[str, Any]] = field(default_factory=dict)
    decision: dict[str, Any] | None = None
    triage: dict[int, list[str]] = field(default_factory=dict)
    results: int = 0
    interrupted: bool = False
    tail: str = ""

    def see(self, event: Mapping[str, Any]) -> None:
        """Take what counts from an event of ansible-runner."""
        data = event.get("event_data") or {}
        result = data.get("res")
        if not isinstance(result, dict):
            return
        short = result.get("day3")
        if isinstance(short, dict) and "phase" in short:
            self.phases.setdefault(int(short["phase"]), {}).update(short)
        likely = result.get("triage")
        if isinstance(likely, dict) and "phase" in likely:
            self.triage[int(likely["phase"])] = [str(line) for line in likely.get("lines") or []]
        if isinstance(result.get("decision"), str) and "exit_code" in result:
            self.decision = result
        if event.get("event") == "runner_on_ok":
            self.results += 1
        elif event.get("event") in FAILED_EVENTS and not data.get("ignore_errors"):
            self._failed(str(event["event"]), data, result)

    def _failed(self, kind: str, data: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        code, text = result.get("exit_code"), result.get("msg")
        if kind == "runner_on_failed" and code is None and "results" in result:
            return  # a loop: its items were seen one by one
        for check in result.get("checks") or []:
            if code is None and check.get("status") != "pass":
                code = check.get("exit_code") or STATUS_CODES.get(check.get("status"))
                text = (
                    f'check "{check.get("id")}" {check.get("status")}: {check.get("seen")}, need {check.get("needed")}'
                )
        if code is None:
            if kind == "runner_on_unreachable":
                code = ExitCode.STOP
            elif data.get("task_action") in SPEC_ACTIONS:
                code = ExitCode.BAD_INPUT
            else:
                code = ExitCode.INCONCLUSIVE
        self.codes.append((int(code), " ".join(str(text or f"task {data.get('task')!r} failed").split())))

    @property
    def worst(self) -> int:
        """The exit code that counts among the failures and the phases' verdicts; 0 when there was none."""
        verdicts = [
            int(short.get("exit_code") or STATUS_CODES.get(str(short["status"]), ExitCode.INCONCLUSIVE))
            for short in self.phases.values()
            if "status" in short
        ]
        return worst([code for code, _ in self.codes] + verdicts)

    def sentence(self) -> str:
        """Return the sentence of the failure that counts, or of the phase that did not pass."""
        for code, text in self.codes:
            if code == self.worst:
                return text
        for short in self.phases.values():
            if short.get("status") not in (None, "pass"):
                return str(short.get("sentence") or f"phase {short['phase']} {short['status']}")
        return ""


def exit_code(outcome: Outcome, result: Callable[[Outcome], int | None]) -> int:
    """Return what the verb ends with: *result* tells the code of what it was to bring, None when that was not seen.

    A failure after the result, or a result that was never seen, can not end as 0.
    """
    code = result(outcome)
    if code is None:
        return outcome.worst or (ExitCode.BAD_INPUT if outcome.rc in (1, 4, 5) else ExitCode.INCONCLUSIVE)
    if code == 0 and outcome.rc != 0:
        return outcome.worst or int(ExitCode.INCONCLUSIVE)
    return int(code)


def decided(outcome: Outcome) -> int | None:
    """Exit code of the decision; None when none was taken."""
    return None if outcome.decision is None else int(outcome.decision["exit_code"])


def concluded(number: int) -> Callable[[Outcome], int | None]:
    """Return a function for the verdict of one phase: it passed now, or an earlier pass still holds."""

    def code(outcome: Outcome) -> int | None:
        short = outcome.phases.get(number, {})
        if "status" in short:
            return outcome.worst
        return 0 if short.get("due") is False and not outcome.codes else None

    return code


def finished(outcome: Outcome) -> int | None:
    """0 when tasks ran and none failed; None when no host was matched."""
    return outcome.worst if outcome.results else None


def find_inventory(name: str, *, root: Path = ROOT, base: Path | None = None) -> Path:
    """Return the inventory directory that a name or a path (relative to *base*, else to where we are) means.

    :raises BadInput: there is no such directory
    """
    known = root / "inventories"
    places = [known / name] if name and Path(name).name == name else []
    for place in [*places, (base or Path.cwd()) / Path(name).expanduser()]:
        if name and place.is_dir() and any(place.glob("hosts*")):
            return place.resolve()
    names = (
        sorted(path.name for path in known.iterdir() if path.is_dir() and not path.is_symlink())
        if known.is_dir()
        else []
    )
    raise BadInput(
        f"environment {name!r}",
        found="no such inventory",
        need=f"one of {', '.join(names) or 'the folders below inventories'}, or the path of a folder with a hosts file",
        next_step="invoke go --env rehearsal",
    )


@dataclass(frozen=True)
class Launcher:
    """Starts playbooks of one repository; one at a time for each ident."""

    view: View
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        """Where ansible-runner keeps its own records."""
        return self.root / ".solidgreen" / "runner"

    def launch(
        self,
        playbook: str,
        *,
        ident: str,
        inventory: Path | None = None,
        extra: Mapping[str, Any] | None = None,
        arguments: Sequence[str] = (),
    ) -> Outcome:
        """Run *playbook* (relative to the repository) and return what was seen.

        *extra* become extra vars; *arguments* are handed to ``ansible-playbook`` as they are, after them. The first
        interrupt is passed on and waited for, so that records are whole; the second kills.

        :raises Refused: the same ident is at work in another process
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        arguments = [*(["-e", json.dumps(dict(extra), sort_keys=True)] if extra else []), *arguments]
        place = [] if inventory is None else ["-i", str(inventory)]
        self.view.say(shlex.join(["ansible-playbook", *arguments, *place, playbook]))
        lock = FileLock(self.folder / f"{ident}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise Refused(
                f"{ident}",
                found="another process that runs it from this folder",
                need="one at a time",
                next_step="wait for it, or stop it with ctrl-C where it runs",
            ) from error
        try:
            return self._run(playbook, ident, inventory, arguments)
        finally:
            lock.release()

    def _run(self, playbook: str, ident: str, inventory: Path | None, arguments: Sequence[str]) -> Outcome:
        mark = f"{self.root}:{ident}"
        self._end_left_over(mark)
        artifacts = self.folder / "artifacts" / ident
        shutil.rmtree(artifacts, ignore_errors=True)
        outcome = Outcome()

        def event(value: dict[str, Any]) -> bool:
            outcome.see(value)
            self.view.event(value)
            return True

        def status(value: dict[str, Any], **_: Any) -> None:
            if value["status"] == "running":  # ansible-runner has just written the whole environment in clear text
                (artifacts / "command").unlink(missing_ok=True)

        with interrupts(mark, self.view.say) as interrupted:
            runner = ansible_runner.run(
                private_data_dir=str(self.folder),
                project_dir=str(self.root),
                playbook=playbook,
                ident=ident,
                cmdline=shlex.join(arguments) or None,
                inventory=None if inventory is None else str(inventory),
                envvars={
                    "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"),
                    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
                    MARK: mark,
                },
                settings={"pexpect_timeout": 1},
                suppress_env_files=True,
                quiet=True,
                event_handler=event,
                status_handler=status,
                cancel_callback=lambda: interrupted.count > 1,
            )
            outcome.rc = runner.rc
            wait_for(mark, kill=lambda: interrupted.count > 1)
        outcome.interrupted = interrupted.count > 0
        outcome.tail = last_words(artifacts / "stdout")
        return outcome

    def _end_left_over(self, mark: str) -> None:
        """End what a killed launcher of this ident left at work: it may still be writing records."""
        if marked(mark):
            self.view.say("an earlier launcher was killed; its playbook is being stopped first")
            interrupt(mark)
            wait_for(mark, kill=lambda: False)


@dataclass
class Interrupts:
    """How often the person asked to stop."""

    count: int = 0


@contextlib.contextmanager
def interrupts(mark: str, say: Callable[[str], None]) -> Iterator[Interrupts]:
    """Pass the first interrupt on to the playbook and count the others, instead of dying of them."""
    state = Interrupts()

    def handler(_number: int, _frame: FrameType | None) -> None:
        state.count += 1
        if state.count == 1:
            say("stops after the requests in flight; ctrl-C again kills")
            interrupt(mark)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield state
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def marked(mark: str) -> list[psutil.Process]:
    """Return the playbook and the modules of a launch; services that a module started are not among them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and any(
                Path(part).name == "ansible-playbook" or "AnsiballZ_" in part for part in process.cmdline()[:3]
            ):
                found.append(process)
    return found


def interrupt(mark: str) -> None:
    """Send SIGINT to the playbook, which passes it on to its workers; without a playbook, to all that is left."""
    processes = marked(mark)
    ids = {process.pid for process in processes}
    playbooks = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.ppid() not in ids and any(Path(part).name == "ansible-playbook" for part in process.cmdline()):
                playbooks.append(process)
    for process in playbooks or processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT)


def wait_for(mark: str, *, kill: Callable[[], bool], poll_s: float = 0.2) -> None:
    """Wait until the processes of a launch are gone; when *kill* says so, end them at once."""
    while processes := marked(mark):
        if kill():
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        time.sleep(poll_s)


def last_words(path: Path, lines: int = 5) -> str:
    """Return the last lines that are not empty of a file, or nothing."""
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
