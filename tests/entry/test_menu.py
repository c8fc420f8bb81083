"""The menu: small, explained, and without traps."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from invoke import Context, Exit, Task
from solidgreen.errors import BadInput

import tasks
from scripts import menu, verbs
from scripts.launcher import Outcome

ROOT = Path(__file__).resolve().parents[2]
VERBS: dict[str, Task] = {name: tasks.namespace[name] for name in tasks.namespace.task_names}  # type: ignore[type-arg]


def test_the_menu_is_the_one_the_plan_asks_for() -> None:
    plain = ["setup", "go", "phase", "status", "rollback", "judge", "qualify", "explain", "replay", "drill"]
    plain += ["test", "lint", "bench"]
    wanted = [*plain, "stack.up", "stack.down", "stack.status"]
    assert sorted(VERBS) == sorted(wanted)


def test_the_menu_stays_a_page() -> None:
    assert len((ROOT / "tasks.py").read_text().splitlines()) <= 200


@pytest.mark.parametrize("name", sorted(VERBS))
def test_every_option_says_what_it_does_and_its_default(name: str) -> None:
    verb = VERBS[name]
    assert verb.__doc__, name
    for argument in verb.get_arguments():
        assert argument.help, f"{name} {argument.name} has no help"
        assert re.search(r"\(default: .+\)$", argument.help), f"{name} {argument.name} does not say its default"


@pytest.mark.parametrize("name", sorted(VERBS))
def test_nothing_is_positional_so_that_help_never_runs_a_verb(name: str) -> None:
    assert [argument.name for argument in VERBS[name].get_arguments() if argument.positional] == []


@pytest.mark.parametrize("name", sorted(VERBS))
def test_the_read_me_names_every_verb(name: str) -> None:
    assert re.search(rf"(\./run|invoke) {re.escape(name)}\b", (ROOT / "README.md").read_text()), name


@pytest.mark.parametrize(
    ("name", "option", "short"),
    [("go", "env", "i"), ("go", "extra", "e"), ("rollback", "env", "i"), ("test", "select", "k")],
)
def test_short_options_are_those_of_the_tools_people_know(name: str, option: str, short: str) -> None:
    (argument,) = [argument for argument in VERBS[name].get_arguments() if argument.name == option]
    assert argument.names == (option, short)


@pytest.mark.parametrize("words", [["--help"], ["--list"]], ids=["help", "list"])
def test_help_is_printed_and_nothing_runs(words: list[str], tmp_path: Path) -> None:
    arguments = ["rollback", *words] if words == ["--help"] else words
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert "rollback" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_command_is_echoed_and_its_code_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as ended:
        menu.call(sys.executable, "-c", "raise SystemExit(14)")
    assert ended.value.code == 14
    assert capfd.readouterr().err == f"+ {shlex.quote(sys.executable)} -c 'raise SystemExit(14)'\n"


@pytest.mark.parametrize(
    ("verb", "options", "words"),
    [
        ("go", {"env": "nowhere"}, "environment 'nowhere': found no such inventory"),
        ("go", {"level": "green"}, "option --level: found 'green', need solid or local"),
        ("phase", {}, "option --only: found none, need a phase, 0 to 5"),
        ("phase", {"only": "x"}, "option --only: found x, need a phase, 0 to 5"),
        ("go", {"min_interval": "abc"}, "option --min-interval: found 'abc', need seconds, more than 0"),
        ("go", {"min_interval": "-1"}, "option --min-interval: found '-1', need seconds, more than 0"),
        ("go", {"min_interval": "0"}, "option --min-interval: found '0', need seconds, more than 0"),
        ("go", {"extra": ["foo"]}, "option --extra: found 'foo', need name=value"),
        ("go", {"extra": ["{bad"]}, "option --extra: found '{bad', need name=value"),
        ("phase", {"only": "6"}, "option --only: found 6, need a phase, 0 to 5"),
        ("phase", {"only": "1", "env": "nowhere"}, "environment 'nowhere'"),
        ("rollback", {"point": "R2", "env": "nowhere"}, "environment 'nowhere'"),
        ("status", {"env": "nowhere"}, "environment 'nowhere'"),
        ("stack.up", {"env": "nowhere"}, "environment 'nowhere'"),
    ],
)
def test_bad_input_ends_with_13_and_a_sentence(verb: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(Exit, match=re.escape(words)) as ended:
        VERBS[verb](Context(), **options)
    assert ended.value.code == 13


@pytest.mark.parametrize(
    ("options", "handed_on"),
    [({}, {}), ({"early_stop": True}, {}), ({"early_stop": False}, {"batch_early_stop": False})],
    ids=["by default", "asked for", "--no-early-stop"],
)
def test_an_early_stop_is_only_switched_off(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, bool], handed_on: dict[str, bool]
) -> None:
    given: dict[str, object] = {}

    def launch(_: object, playbook: str, *, extra: dict[str, object], **__: object) -> Outcome:
        given.update(extra, playbook=playbook)
        return Outcome(decision={"decision": "LOCAL GO", "exit_code": 0})

    monkeypatch.setattr(verbs.Launcher, "launch", launch)
    VERBS["go"](Context(), **options)
    assert given == {"playbook": "go.yml", "evidence_level": "solid", **handed_on}
    (argument,) = [argument for argument in VERBS["go"].get_arguments() if argument.attr_name == "early_stop"]
    assert argument.default is True  # which is what makes --no-early-stop of it


def test_a_rollback_without_an_active_cycle_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verbs, "ACTIVE", tmp_path)
    with pytest.raises(Exit, match="found no active cycle") as ended:
        VERBS["rollback"](Context(), point="R2")
    assert ended.value.code == 13


def write_inventory(root: Path, text: str) -> Path:
    folder = root / "inventory"
    folder.mkdir()
    (folder / "hosts.yml").write_text(text)
    return folder


def test_an_inventory_is_asked_for_its_resolved_values(tmp_path: Path) -> None:
    folder = write_inventory(
        tmp_path,
        "day3_targets:\n  hosts:\n    one:\n      base: /x\n      day3_data_root: '{{ base }}/day3'\n"
        "      pace: {min_interval: 0.5}\n",
    )
    assert verbs.ask(folder, "day3_data_root", "pace") == {"day3_data_root": "/x/day3", "pace": {"min_interval": 0.5}}


@pytest.mark.parametrize(
    "text",
    ["day3_targets:\n  hosts:\n    one:\n", "others:\n  hosts:\n    one:\n", "day3_targets: [\n"],
    ids=["no such variable", "no target", "not YAML"],
)
def test_an_inventory_that_cannot_answer_is_bad_input(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="a host in day3_targets with day3_data_root"):
        verbs.ask(write_inventory(tmp_path, text), "day3_data_root")


def test_every_phase_has_its_playbook() -> None:
    assert list(verbs.NAMES.items()) == list(
        enumerate(("freeze", "infrastructure", "configuration", "smoke", "full", "production"))
    )


@pytest.mark.parametrize(
    ("words", "found"),
    [(["nonsense"], "'nonsense'"), (["go", "--bogus"], "'--bogus'"), (["rollback", "R2"], "'R2'")],
    ids=["a verb", "an option", "a positional word"],
)
def test_a_word_the_menu_does_not_know_is_bad_input_in_one_sentence(words: list[str], found: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "program.py"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 13
    assert found in done.stderr
    assert "Next: ./run --help VERB" in done.stderr
    assert len(done.stderr.splitlines()) == 1
