"""The menu: `./run` prints it, `./run VERB --help` explains a verb.

Exit codes of every verb: 0 the asked-for level is reached, 10 NO-GO, 11 INCONCLUSIVE, 12 STOP on infrastructure,
13 bad input or configuration, 14 evidence integrity. `test`, `lint` and `bench` keep the code of the tool they run.
"""

from __future__ import annotations

import os
import sys

from invoke import Collection, Context, Exit

from scripts.developer import bench, lint, test
from scripts.menu import PYTHON, ROOT, call, launched, scripted, verb


@verb(help={"dev": "also what test, lint and bench need (default: no)"})
def setup(_c: Context, dev: bool = False) -> None:
    """Make .venv and the collections what the pinned files say; ./run does it before every verb."""
    call(sys.executable, ROOT / "scripts" / "bootstrap.py", *(["--dev"] if dev else []))
    print(f"ready: {PYTHON}")


@verb(
    help={
        "level": "solid asks for SOLID GREEN PENDING APPROVAL, local for LOCAL GO (default: solid)",
        "new-cycle": "start over; after a failed run --fix is needed as well (default: go on with the open cycle)",
        "fix": "what was changed since the failed run (default: nothing)",
        "min-interval": "seconds between two starts of a request (default: what the environment says)",
        "auto-rollback": "also take R1 or R2 when phase 1 or 2 fails (default: only R3, when 3 or 4 does)",
        "early-stop": "end a run when one of its gates is lost whatever the rest answers (default: yes)",
    },
)
def go(
    _c: Context,
    env: str = "rehearsal",
    level: str = "solid",
    new_cycle: bool = False,
    fix: str = "",
    min_interval: str = "",
    auto_rollback: bool = False,
    early_stop: bool = True,
    extra: list[str] | None = None,
) -> None:
    """Run the whole plan and end in a decision."""
    launched("go", locals())


@verb(
    help={
        "only": "number of the phase, 0 to 5 (default: none, it has to be said)",
    },
)
def phase(_c: Context, only: str = "", env: str = "rehearsal", extra: list[str] | None = None) -> None:
    """Run one phase of the plan alone."""
    launched("phase", locals())


@verb()
def status(_c: Context, env: str = "rehearsal") -> None:
    """Show the open cycle, its phases and the decision; nothing is touched."""
    launched("status", locals())


@verb(
    help={
        "point": "R1, R2 or R3 (default: none, it has to be said)",
        "undo": "go forward again from that rollback (default: roll back)",
        "env": "the same names and paths (default: that of the one active cycle)",
        "check": "only show what would be done (default: do it)",
    },
)
def rollback(
    _c: Context,
    point: str = "",
    undo: bool = False,
    env: str = "",
    check: bool = False,
    extra: list[str] | None = None,
) -> None:
    """Go back to a restore point of the active cycle."""
    launched("rollback", locals())


@verb(
    help={
        "results": "day3_results.jsonl, ours or old, or a run's observations.jsonl (default: those of data/day3)",
        "gates": "smoke or full (default: what the last run of the file is)",
        "against": "results of the first smoke, for consistency and drift (default: the one before in the file)",
        "policy": "file of the gates (default: policy/day3.yml)",
        "json": "one JSON document on standard output (default: text)",
        "metrics-only": "show the numbers, judge nothing (default: judge)",
    }
)
def judge(
    _c: Context,
    results: str = "data/day3/results/day3_results.jsonl",
    gates: str = "",
    against: str = "",
    policy: str = "",
    json: bool = False,
    metrics_only: bool = False,
) -> None:
    """Judge results that are on disk, by the same gates; nothing is sent."""
    scripted("judge", locals())


@verb(
    help={
        "data-root": "folder with the data set (default: data/day3)",
        "manifest": "the data set (default: manifest.csv of the data root)",
        "policy": "file of the gates (default: policy/day3.yml)",
        "json": "one JSON document on standard output (default: text)",
    }
)
def qualify(
    _c: Context, data_root: str = "data/day3", manifest: str = "", policy: str = "", json: bool = False
) -> None:
    """Look whether the data set is worth a request; nothing is sent or written."""
    scripted("qualify", locals())


@verb(
    help={
        "policy": "file of the gates (default: policy/day3.yml)",
        "data-root": "folder with a data set, for its classes and parents (default: the counts of the policy)",
        "json": "one JSON document on standard output (default: text)",
        "plot": "file for the curves, .svg or .png (default: none)",
    }
)
def explain(_c: Context, policy: str = "", data_root: str = "", json: bool = False, plot: str = "") -> None:
    """Say what each gate takes in whole cases, and how likely a system of a known accuracy passes."""
    scripted("explain", locals())


@verb(
    help={
        "data-root": "folder of the cycle (default: data/day3)",
        "policy": "another policy, to show what it would have decided (default: the cycle's own)",
        "json": "one JSON document on standard output (default: text)",
    }
)
def replay(_c: Context, data_root: str = "data/day3", policy: str = "", json: bool = False) -> None:
    """Make every artifact anew from observations, labels and policy and compare them byte for byte."""
    scripted("replay", locals())


@verb(
    help={
        "gates": "turn each gate by the smallest change that must turn it, in a minute or two (default: no)",
        "faults": "run the plan against each fault of the rehearsal, in about ten minutes (default: no)",
        "only": "with --faults: the name of one; may be repeated (default: all)",
        "json": "one JSON document on standard output (default: text)",
    },
    iterable=["only"],
)
def drill(
    _c: Context, gates: bool = False, faults: bool = False, only: list[str] | None = None, json: bool = False
) -> None:
    """Show that whatever must stop the plan does; what stays green ends it."""
    if not (gates or faults):
        raise Exit("drill: found neither --gates nor --faults, need one of them. Next: invoke drill --gates", 13)
    if gates:
        scripted("drill_gates", {"json": json})
    if faults:
        scripted("drill_faults", {"only": only, "json": json})


@verb()
def up(_c: Context, env: str = "rehearsal") -> None:
    """Start the rehearsal stack and wait until it is healthy."""
    launched("stack", {"state": "up", "env": env})


@verb()
def down(_c: Context, env: str = "rehearsal") -> None:
    """Stop the rehearsal stack."""
    launched("stack", {"state": "down", "env": env})


@verb(name="status", default=True)
def stack_status(_c: Context, env: str = "rehearsal") -> None:
    """Show the services of the rehearsal stack."""
    launched("stack", {"state": "status", "env": env})


os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
namespace = Collection(setup, go, phase, status, rollback, judge, qualify, explain, replay, drill, test, lint, bench)
namespace.add_collection(Collection("stack", up, down, stack_status))
