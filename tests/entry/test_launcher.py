"""One launcher over ansible-runner: what it ends with, what it leaves on disk, how it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from solidgreen.errors import BadInput, Refused

from scripts import verbs
from scripts.launcher import Launcher, Outcome, concluded, decided, exit_code, find_inventory, finished

ROOT = Path(__file__).resolve().parents[2]

#: A module that answers what it is told, so that small playbooks can behave like the plan's.
ANSWER = """
import os, signal, time
from ansible.module_utils.basic import AnsibleModule

options = {"result": {"type": "dict", "default": {}}, "fail": {"type": "bool"}, "hold": {"type": "path"}}
module = AnsibleModule(options)
if module.params["hold"]:
    stopped = []
    signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
    open(module.params["hold"] + ".begun", "w").close()
    while not stopped:
        time.sleep(0.05)
    time.sleep(1)  # the requests in flight
    open(module.params["hold"] + ".whole", "w").close()
(module.fail_json if module.params["fail"] else module.exit_json)(**{"msg": "answered", **module.params["result"]})
"""


class Lines:
    """A view that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def event(self, event: Mapping[str, Any]) -> None:
        """Events are the launcher's business here."""

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository as small as can be, in a path with a space."""
    root = tmp_path / "a project"
    (root / "library").mkdir(parents=True)
    (root / "library" / "answer.py").write_text(ANSWER)
    (root / "ansible.cfg").write_text("[defaults]\nlibrary = library\nretry_files_enabled = False\n")
    inventory = root / "inventories" / "here"
    inventory.mkdir(parents=True)
    (inventory / "hosts.yml").write_text(
        "day3_targets:\n  hosts:\n    target:\n      ansible_connection: local\n"
        "      ansible_python_interpreter: '{{ ansible_playbook_python }}'\n"
    )
    return root


def play(root: Path, tasks: str, hosts: str = "day3_targets") -> str:
    (root / "play.yml").write_text(
        f"- hosts: {hosts}\n  gather_facts: false\n  tasks:\n" + textwrap.indent(textwrap.dedent(tasks), "    ")
    )
    return "play.yml"


def launch(root: Path, playbook: str, **options: Any) -> Outcome:
    options.setdefault("inventory", root / "inventories" / "here")
    return Launcher(Lines(), root).launch(playbook, ident="test", **options)


DECISION = "{decision: REHEARSAL NO-GO, exit_code: 10, screen: [one, two]}"


@pytest.mark.parametrize(
    ("tasks", "hosts", "code", "words"),
    [
        pytest.param(f"- answer: {{result: {DECISION}}}", "day3_targets", 10, "", id="the decision's own code"),
        pytest.param("- answer:", "day3_targets", 11, "", id="nothing failed and nothing was decided"),
        pytest.param("- answer:", "nobody_here", 11, "", id="no host matched, where ansible ends with 0"),
        pytest.param(
            "- answer: {fail: true, result: {msg: 'manifest: found 89 rows', exit_code: 13}}",
            "day3_targets",
            13,
            "manifest: found 89 rows",
            id="bad input",
        ),
        pytest.param(
            """
            - block:
                - answer: {fail: true, result: {msg: chain broken, exit_code: 14}}
              rescue:
                - answer:
            """,
            "day3_targets",
            14,
            "chain broken",
            id="a rescue, where ansible ends with 0",
        ),
        pytest.param(
            """
            - answer: {fail: true, result: {msg: odd}}
              ignore_errors: true
            - answer: {result: {decision: X, exit_code: 0}}
            """,
            "day3_targets",
            0,
            "",
            id="an ignored failure",
        ),
        pytest.param(
            "- answer: {fail: true, result: {exit_code: '{{ item }}'}}\n  loop: [11, 12]",
            "day3_targets",
            12,
            "answered",
            id="a loop",
        ),
        pytest.param("- no_such_module_anywhere:", "day3_targets", 13, "no_such_module_anywhere", id="no such module"),
    ],
)
def test_the_exit_code_is_what_was_seen(project: Path, tasks: str, hosts: str, code: int, words: str) -> None:
    outcome = launch(project, play(project, tasks, hosts))
    assert exit_code(outcome, decided) == code
    assert words in (outcome.sentence() or outcome.tail)


def failed(
    code: int | None = None, action: str = "answer", event: str = "runner_on_failed", **data: Any
) -> dict[str, Any]:
    result = {"msg": f"said {code}", **({} if code is None else {"exit_code": code})}
    return {"event": event, "event_data": {"task": "t", "task_action": action, "res": result, **data}}


def ok(**result: Any) -> dict[str, Any]:
    return {"event": "runner_on_ok", "event_data": {"task": "t", "res": result}}


def verdict(number: int, status: str, code: int) -> dict[str, Any]:
    return ok(day3={"phase": number, "status": status, "sentence": f"phase {number} {status}", "exit_code": code})


@pytest.mark.parametrize(
    ("events", "rc", "code"),
    [
        pytest.param([failed(10), failed(12), failed(11)], 2, 12, id="stop before no-go before inconclusive"),
        pytest.param([failed(13), failed(14)], 2, 14, id="integrity first"),
        pytest.param([failed(None)], 2, 11, id="a failure that names no code proves nothing"),
        pytest.param([failed(None, event="runner_on_unreachable")], 4, 12, id="unreachable"),
        pytest.param([failed(None, "ansible.builtin.validate_argument_spec")], 2, 13, id="arguments of a role"),
        pytest.param([failed(10, ignore_errors=True)], 0, 11, id="an ignored failure and no decision"),
        pytest.param([ok(decision="GO", exit_code=0), failed(14)], 2, 14, id="a failure after the decision"),
        pytest.param([ok(decision="GO", exit_code=0)], 2, 11, id="ansible failed, nothing says why"),
        pytest.param([failed(12), ok(decision="NO-GO", exit_code=10)], 2, 10, id="the decision weighed it"),
        pytest.param([verdict(3, "fail", 10)], 2, 10, id="a phase failed before a decision"),
        pytest.param([], 4, 13, id="ansible could not start"),
        pytest.param([], 0, 11, id="nothing at all"),
    ],
)
def test_no_code_but_the_documented_ones(events: list[dict[str, Any]], rc: int, code: int) -> None:
    outcome = Outcome(rc=rc)
    for event in events:
        outcome.see(event)
    assert exit_code(outcome, decided) == code


@pytest.mark.parametrize(
    ("events", "code"),
    [
        pytest.param([verdict(3, "pass", 0)], 0, id="passed"),
        pytest.param([verdict(1, "fail", 12)], 12, id="stopped"),
        pytest.param([verdict(3, "inconclusive", 11)], 11, id="inconclusive"),
        pytest.param([ok(day3={"phase": 3, "due": False, "reason": "passed"})], 0, id="an earlier pass holds"),
        pytest.param([ok(day3={"phase": 3, "due": True, "reason": "new"})], 11, id="begun and never concluded"),
        pytest.param([], 11, id="no such phase in this environment"),
    ],
)
def test_one_phase_ends_with_its_own_verdict(events: list[dict[str, Any]], code: int) -> None:
    outcome = Outcome()
    for event in events:
        outcome.see(event)
    number = next(iter(outcome.phases), 3)
    assert exit_code(outcome, concluded(number)) == code


def test_a_task_that_failed_over_its_checks_says_which() -> None:
    checks = [
        {"id": "api", "status": "pass", "seen": "200", "needed": "200"},
        {"id": "stub-mode", "status": "fail", "seen": "use_stubs=false", "needed": "use_stubs=true", "exit_code": 12},
    ]
    outcome = Outcome(rc=2)
    outcome.see({"event": "runner_on_failed", "event_data": {"task": "t", "res": {"msg": "odd", "checks": checks}}})
    assert outcome.codes == [(12, 'check "stub-mode" fail: use_stubs=false, need use_stubs=true')]


def test_a_rollback_that_touched_nothing_is_no_success() -> None:
    assert exit_code(Outcome(), finished) == 11
    outcome = Outcome()
    outcome.see(ok(changed=True))
    assert exit_code(outcome, finished) == 0


@pytest.mark.parametrize(
    ("events", "interrupted", "owed"),
    [
        pytest.param([ok(), failed(12)], False, True, id="it stopped before"),
        pytest.param([ok(), failed(13)], False, False, id="bad input writes nothing"),
        pytest.param([ok(decision="X", exit_code=10)], False, False, id="it was taken"),
        pytest.param([ok(), failed(11)], True, False, id="stopped by hand"),
        pytest.param([], False, False, id="nothing ran"),
    ],
)
def test_a_decision_is_owed_only_after_good_input(events: list[dict[str, Any]], interrupted: bool, owed: bool) -> None:
    outcome = Outcome(interrupted=interrupted)
    for event in events:
        outcome.see(event)
    assert verbs.needs_decision(outcome) is owed


def test_neither_the_environment_nor_a_secret_is_left_on_disk(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAY3_API_TOKEN", "canary-7f3a")
    playbook = play(project, "- answer: {result: {token: \"{{ lookup('env', 'DAY3_API_TOKEN') }}\"}}\n  no_log: true")
    assert launch(project, playbook, extra={"cycle_new": True}).results == 1
    records = [path for path in (project / ".solidgreen").rglob("*") if path.is_file()]
    assert any(path.parent.name == "job_events" for path in records)
    assert [path for path in records if b"canary-7f3a" in path.read_bytes()] == []
    assert [path for path in records if path.name in ("command", "envvars", "extravars")] == []
    assert (project / ".solidgreen" / "runner").stat().st_mode & 0o077 == 0


def test_the_command_is_shown_as_a_person_would_type_it(project: Path) -> None:
    view = Lines()
    playbook = play(project, "- answer: {result: {decision: '{{ asked }}', exit_code: 0}}")
    inventory = project / "inventories" / "here"
    outcome = Launcher(view, project).launch(
        playbook, ident="test", inventory=inventory, extra={"asked": "one"}, arguments=["-e", "asked=two words"]
    )
    assert view.lines == [
        f"""ansible-playbook -e '{{"asked": "one"}}' -e 'asked=two words' -i '{inventory}' play.yml""",
    ]
    assert outcome.decision is not None
    assert outcome.decision["decision"] == "two"  # what the person typed comes last; Ansible splits it at the space


def test_the_same_work_is_not_started_twice(project: Path) -> None:
    folder = project / ".solidgreen" / "runner"
    folder.mkdir(parents=True)
    with FileLock(folder / "test.lock"), pytest.raises(Refused, match="need one at a time"):
        launch(project, "play.yml")


@pytest.mark.parametrize(
    ("name", "words"),
    [("nowhere", "one of here"), ("", "no such inventory"), ("inventories/nowhere", "no such inventory")],
)
def test_an_unknown_environment_is_bad_input(project: Path, name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        find_inventory(name, root=project, base=project)


@pytest.mark.parametrize("name", ["here", "inventories/here", "{root}/inventories/here"])
def test_an_environment_is_a_name_or_a_path(project: Path, name: str) -> None:
    found = find_inventory(name.format(root=project), root=project, base=project)
    assert found == (project / "inventories" / "here").resolve()


START = """
import sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from scripts.launcher import Launcher

class View:
    def event(self, event): pass
    def say(self, text): print(text, flush=True)

root = Path({project!r})
outcome = Launcher(View(), root).launch("play.yml", ident="test", inventory=root / "inventories" / "here")
print("interrupted", outcome.interrupted, flush=True)
"""


def started(project: Path) -> subprocess.Popen[str]:
    """Start a launcher of its own whose playbook holds, and wait until it does."""
    hold = project / "held"
    play(project, f"- answer: {{hold: '{hold}'}}")
    code = START.format(repository=str(ROOT), project=str(project))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(hold.with_name("held.begun").exists)
    return process


def wait_until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_an_interrupt_waits_for_whole_records(project: Path) -> None:
    process = started(project)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert (project / "held.whole").exists()
    assert output.splitlines()[1:] == ["stops after the requests in flight; ctrl-C again kills", "interrupted True"]


def test_what_a_killed_launcher_left_is_ended_before_the_next_start(project: Path) -> None:
    process = started(project)
    process.kill()
    process.communicate(timeout=30)
    play(project, f"- answer: {{result: {DECISION}}}")
    view = Lines()
    outcome = Launcher(view, project).launch("play.yml", ident="test", inventory=project / "inventories" / "here")
    assert view.lines[1] == "an earlier launcher was killed; its playbook is being stopped first"
    assert (project / "held.whole").exists()
    assert decided(outcome) == 10
