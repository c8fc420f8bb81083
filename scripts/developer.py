"""The verbs of who works on this repository: tests, style, measurements."""

from __future__ import annotations

from invoke import Context, Exit

from scripts.menu import PYTHON, call, verb


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
        "judge": "measure the judgement of a million records instead, in about three minutes (default: no)",
        "study": "simulate instead how intervals cover and what passes the gates, for docs/statistics.md (default: no)",
    }
)
def bench(
    _c: Context, rounds: int = 3, batch: bool = False, kill: bool = False, judge: bool = False, study: bool = False
) -> None:
    """Time what a person waits for."""
    asked = [name for name, on in (("batch", batch), ("kill", kill), ("judge", judge), ("study", study)) if on]
    for name in asked:
        call(PYTHON, f"scripts/bench/{name}.py")
    if not asked:
        call(PYTHON, "scripts/bench/waits.py", "--rounds", str(rounds))
