"""The menu: `./run` prints it, `./run VERB --help` explains a verb.

Exit codes of every verb: 0 the asked-for level is reached, 10 NO-GO, 11 INCONCLUSIVE, 12 STOP on infrastructure,
13 bad input or configuration, 14 evidence integrity. `test`, `lint` and `bench` keep the code of the tool they run.
"""

from __future__ import annotations

import os
import sys

from invoke import Collection, Context, Exit

from scripts.menu import PYTHON, ROOT, call, launched, verb


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
        "results": "day3_results.jsonl or observations to judge (default: those of the rehearsal)",
        "gates": "smoke or full (default: full)",
        "against": "results of the first smoke, for consistency (default: none)",
        "policy": "file of the gates (default: policy/day3.yml)",
        "json": "print JSON (default: text)",
        "metrics-only": "stop before the gates (default: judge)",
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
    given = {"--results": results, "--gates": gates, "--against": against, "--policy": policy}
    options = [part for name, value in given.items() if value for part in (name, value)]
    flags = {"--json": json, "--metrics-only": metrics_only}
    call(PYTHON, "scripts/judge.py", *options, *(name for name, on in flags.items() if on))


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


@verb(
    help={
        "select": "only tests that match, as pytest -k (default: all)",
        "workers": "processes that share the tests (default: 2)",
    }
)
def test(_c: Context, select: str = "", workers: int = 2) -> None:  # noqa: PT028 - a verb, not a test
    """Run the tests."""
    call(PYTHON, "-m", "pytest", "-n", str(workers), "--dist", "loadfile", *(["-k", select] if select else []))


@verb(help={"fix": "let ruff repair what it can (default: only look)"})
def lint(_c: Context, fix: bool = False) -> None:
    """Check style, types, roles and YAML."""
    tools: list[list[str]] = [
        ["-m", "ruff", "check", *(["--fix"] if fix else []), "."],
        ["-m", "ruff", "format", *([] if fix else ["--check"]), "."],
        ["-m", "mypy"],
        ["scripts/ansible_lint.py"],
        ["-m", "yamllint", "--strict", "."],
    ]
    failed = []
    for tool in tools:
        try:
            call(PYTHON, *tool)
        except Exit:
            failed.append(" ".join(tool[:3]))
    if failed:
        raise Exit(f"lint failed: {', '.join(failed)}", 1)


@verb(
    help={
        "rounds": "how often each is timed; the best counts (default: 3)",
        "batch": "measure the batch against its limits instead, in about ten minutes (default: no)",
        "kill": "kill a batch 200 times instead and prove that nothing is lost, in about five minutes (default: no)",
    }
)
def bench(_c: Context, rounds: int = 3, batch: bool = False, kill: bool = False) -> None:
    """Time what a person waits for."""
    for asked, script in ((batch, "batch"), (kill, "kill")):
        if asked:
            call(PYTHON, f"scripts/bench/{script}.py")
    if not (batch or kill):
        call(PYTHON, "scripts/bench/waits.py", "--rounds", str(rounds))


os.environ.setdefault("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))
namespace = Collection(setup, go, phase, status, rollback, judge, test, lint, bench)
namespace.add_collection(Collection("stack", up, down, stack_status))
