"""What the verbs of the menu do: each returns its exit code and the sentence that goes with it."""

from __future__ import annotations

import functools
import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text
from solidgreen.cycle import require_one_active
from solidgreen.errors import BadInput, ExitCode, SolidGreenError
from solidgreen.jsonio import read_json_or_none
from solidgreen.paths import DataRoot, require_one_data_root

from scripts import live
from scripts.launcher import ROOT, Launcher, Outcome, concluded, decided, exit_code, find_inventory, finished

End = tuple[int, str]
LEVELS = ("solid", "local")
#: Which data roots have an open cycle, as phase 0 notes it.
ACTIVE = ROOT / ".solidgreen" / "active"
#: The phases by number, as their playbooks are named.
PHASES = {int(path.stem[5]): path for path in sorted((ROOT / "playbooks").glob("phase[0-9]_*.yml"))}
NAMES = {number: path.stem.split("_", 1)[1] for number, path in PHASES.items()}
ASK_TIMEOUT_S = 60


def told(work: Callable[..., End]) -> Callable[..., End]:
    """Turn an error of ours into its exit code and its sentence."""

    @functools.wraps(work)
    def wrapped(**options: Any) -> End:
        try:
            return work(**options)
        except SolidGreenError as error:
            return int(error.exit_code), str(error)

    return wrapped


@told
def go(
    *,
    env: str,
    level: str,
    new_cycle: bool,
    fix: str,
    min_interval: str,
    auto_rollback: bool,
    early_stop: bool,
    extra: Sequence[str] | None,
) -> End:
    """Run the whole plan; where it stopped before a decision, decide from what is there."""
    if level not in LEVELS:
        raise BadInput("option --level", found=repr(level), need="solid or local", next_step="invoke go --help")
    inventory = find_inventory(env)
    paced = {"min_interval": seconds("--min-interval", min_interval)} if min_interval else {}
    variables = {
        "evidence_level": level,
        **({"cycle_new": True} if new_cycle else {}),
        **({"cycle_fix": fix} if fix else {}),
        **({"day3_pacing": ask(inventory, "day3_pacing")["day3_pacing"] | paced} if paced else {}),
        **({"rollback_auto": True} if auto_rollback else {}),
        **({} if early_stop else {"batch_early_stop": False}),
    }
    options: dict[str, Any] = {"inventory": inventory, "extra": variables, "arguments": extra_arguments(extra)}
    with live.view(NAMES) as view:
        launcher = Launcher(view)
        outcome = launcher.launch("go.yml", ident=f"go-{inventory.name}", **options)
        if routes_only(inventory, outcome):
            return routes_end(inventory, outcome)
        if needs_decision(outcome):
            view.say(f"stopped before a decision: {outcome.sentence() or outcome.tail}")
            later = launcher.launch("playbooks/evidence.yml", ident=f"evidence-{inventory.name}", **options)
            outcome.decision, outcome.codes = later.decision, outcome.codes + later.codes
    return ended(outcome, decided)


def routes_only(inventory: Path, outcome: Outcome) -> bool:
    """Tell whether the environment has phase 5 and nothing else, as production does: no decision is taken there."""
    return (
        outcome.decision is None
        and set(outcome.phases) == {5}
        and ask(inventory, "rollback_allowed", "cycle_phases") == {"rollback_allowed": False, "cycle_phases": [5]}
    )


def routes_end(inventory: Path, outcome: Outcome) -> End:
    """Return how ``go`` ends where there is only phase 5: never with 0, because no level can be reached there."""
    code, sentence = ended(outcome, concluded(5))
    if code:
        return code, sentence
    return int(ExitCode.INCONCLUSIVE), (
        f"{inventory.name}: found phase 5 passed and no phases 0 to 4 here, need them for a decision. "
        f"Next: invoke phase --only 5 --env {inventory.name} ends with 0 for the routes alone"
    )


def needs_decision(outcome: Outcome) -> bool:
    """Tell whether a decision is still owed: something ran, the input was good, nobody stopped it."""
    return (
        outcome.decision is None
        and outcome.results > 0
        and not outcome.interrupted
        and ExitCode.BAD_INPUT not in [code for code, _ in outcome.codes]
    )


@told
def phase(*, only: str, env: str, extra: Sequence[str] | None) -> End:
    """Run one phase alone."""
    if only not in map(str, PHASES):
        raise BadInput("option --only", found=only or "none", need="a phase, 0 to 5", next_step="invoke phase --only 3")
    number = int(only)
    inventory = find_inventory(env)
    with live.view({number: NAMES[number]}) as view:
        outcome = Launcher(view).launch(
            f"playbooks/{PHASES[number].name}",
            ident=f"phase{number}-{inventory.name}",
            inventory=inventory,
            extra={"cycle_again": True},
            arguments=extra_arguments(extra),
        )
    return ended(outcome, concluded(number))


@told
def rollback(*, point: str, undo: bool, env: str, check: bool, extra: Sequence[str] | None) -> End:
    """Go back to a restore point, or forward again; the environment is that of the active cycle unless given."""
    variables = {**({"point": point} if point else {}), **({"undo": True} if undo else {})}
    with live.view({}) as view:
        outcome = Launcher(view).launch(
            "rollback.yml",
            ident="rollback",
            inventory=find_inventory(env) if env else Path(require_one_active(ACTIVE).inventory),
            extra=variables,
            arguments=[*(["--check", "--diff"] if check else []), *extra_arguments(extra)],
        )
    code, sentence = ended(outcome, finished)
    if code == 0:
        done = "undone" if undo else "in force"
        print(f"{point} {'was only looked at, nothing was changed' if check else 'is ' + done}. Next: invoke status")
    return code, sentence


@told
def status(*, env: str) -> End:
    """Print cycle, phases and decision as they are on disk."""
    inventory = find_inventory(env)
    root = DataRoot(Path(ask(inventory, "day3_data_root")["day3_data_root"]))
    require_one_data_root(root)
    console = Console(highlight=False, soft_wrap=True)
    cycle = read_json_or_none(root.cycle)
    if cycle is None:
        console.print(Text(f"no cycle in {root.results}. Next: invoke go --env {env}"))
        return 0, ""
    console.print(Text(f"cycle {cycle['cycle_id']} of {cycle['env']}, {cycle['state']}, opened {cycle['opened_at']}"))
    for number, name in NAMES.items():
        verdict = read_json_or_none(root.phase(number)) or {}
        state = str(verdict.get("status") or "waiting")
        line = f"{live.SIGNS.get(state, '·')} {number} {name:<15} {state:<13} {verdict.get('sentence', '')}"
        console.print(Text(line.rstrip(), style=live.STYLES.get(state, "dim")))
        for likely in (read_json_or_none(root.triage(number)) or {}).get("lines", []):
            console.print(Text(f"    likely: {likely}", style="dim"))
    for run in cycle.get("runs", []):
        console.print(Text(f"run {run['kind']} {run['ordinal']} {run['state']}: {root.run(run['run_id'])}"))
    decision = read_json_or_none(root.decision)
    if decision is None:
        console.print("no decision yet")
    else:
        console.print(Text(f"{decision['decision']} (exit code {decision['exit_code']}): {root.decision}"))
    return 0, ""


@told
def stack(*, state: str, env: str) -> End:
    """Start, stop or show the rehearsal stack of an environment."""
    driver, folder = ask(find_inventory(env), "stack_driver", "stack_state_dir").values()
    if driver != "embedded":
        raise BadInput(
            f"stack of {env!r}",
            found=f"driver {driver}",
            need="the embedded driver, the only one that is started from here",
            next_step="invoke phase --only 1 --env " + env,
        )
    command = [sys.executable, "-m", "rehearsal", state, "--state-dir", folder]
    print(f"+ {shlex.join(command)}", file=sys.stderr, flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode, ""  # noqa: S603 - our own command


def ask(inventory: Path, *names: str) -> dict[str, Any]:
    """Return variables of the inventory's target by name, templates resolved.

    :raises BadInput: Ansible cannot read the inventory, or it has no target or not all the variables
    """
    values = ", ".join(f"'{name}': {name}" for name in names)
    command = [
        sys.executable,
        "-m",
        "ansible",
        "adhoc",
        "day3_targets",
        "-i",
        str(inventory),
        "-m",
        "ansible.builtin.debug",
    ]
    command += ["-a", "msg={{ {" + values + "} | to_json }}"]
    answer_as = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **answer_as},
        capture_output=True,
        text=True,
        timeout=ASK_TIMEOUT_S,
        check=False,
    )
    _, _, answer = done.stdout.partition("=> ")
    try:
        found: dict[str, Any] = json.loads(json.loads(answer)["msg"])
    except (ValueError, KeyError, TypeError) as error:
        words = " ".join((done.stderr or done.stdout).split())[-300:]
        raise BadInput(
            f"inventory {inventory}",
            found=words or "no answer",
            need=f"a host in day3_targets with {' and '.join(names)}",
            next_step=f"ansible-inventory -i {inventory} --list",
        ) from error
    return found


def extra_arguments(extra: Sequence[str] | None) -> list[str]:
    """Return the person's own extra variables as ``ansible-playbook`` takes them; they come last and win.

    :raises BadInput: one is neither ``name=value`` nor ``@file`` nor a mapping in JSON or YAML
    """
    for value in extra or []:
        try:
            known = value.startswith("@") or "=" in value.split("{")[0] or isinstance(yaml.safe_load(value), dict)
        except yaml.YAMLError:
            known = False
        if not known:
            raise BadInput(
                "option --extra",
                found=repr(value),
                need="name=value, @file, or a mapping in JSON",
                next_step="invoke go -e name=value",
            )
    return [part for value in extra or [] for part in ("-e", value)]


def seconds(option: str, text: str) -> float:
    """Return a positive number of seconds.

    :raises BadInput: it is none
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise BadInput(
            f"option {option}", found=repr(text), need="seconds, more than 0", next_step=f"invoke go {option} 3.0"
        )
    return value


def ended(outcome: Outcome, result: Callable[[Outcome], int | None]) -> End:
    """Print the last screen and return exit code and sentence."""
    if outcome.interrupted:
        return int(
            ExitCode.INCONCLUSIVE
        ), "stopped by hand: found records that are whole. Next: the same command goes on"
    code = exit_code(outcome, result)
    screen: Mapping[str, Any] = outcome.decision or {}
    for line in screen.get("screen") or []:
        print(line)
    if screen:
        for line in (line for _, lines in sorted(outcome.triage.items()) for line in lines):
            print(f"   likely      {line}")
    if code == 0 or (screen and code == screen["exit_code"]):
        return code, ""
    return code, outcome.sentence() or outcome.tail or "nothing was looked at, which proves nothing"
