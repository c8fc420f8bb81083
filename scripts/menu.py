"""How the menu of ``tasks.py`` is made: verbs without positional options, and how a verb ends."""

from __future__ import annotations

import inspect
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

from invoke import Exit, Task, task

ROOT = Path(__file__).resolve().parent.parent
PYTHON = str(ROOT / ".venv" / "bin" / "python")
#: Help of the options that several verbs have.
SHARED = {
    "env": "rehearsal, workstation, production, or the path of an inventory directory (default: rehearsal)",
    "extra": "extra variable for Ansible, as in -e name=value; may be repeated (default: none)",
}


class Verb(Task):  # type: ignore[type-arg]
    """A task whose options have the short forms that Ansible's users know, and no others."""

    SHORT: ClassVar[dict[str, str]] = {"env": "i", "extra": "e", "select": "k"}

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """Return invoke's description of an option, with its short form."""
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        options["names"] = [*options["names"][:1], *filter(None, [self.SHORT.get(name)])]
        return options


def verb(**options: Any) -> Callable[[Callable[..., None]], Verb]:
    """Make a task of the menu: nothing positional, the shared options explained once."""

    def made(body: Callable[..., None]) -> Verb:
        names = inspect.signature(body).parameters
        options["help"] = {key: text for key, text in SHARED.items() if key in names} | options.get("help", {})
        options["iterable"] = [key for key in ("extra", *options.get("iterable", ())) if key in names]
        return cast("Verb", task(body, klass=Verb, positional=[], **options))

    return made


def call(*command: str | Path) -> None:
    """Echo *command*, run it from the repository, and end with its code when that is not 0."""
    argv = [str(part) for part in command]
    print(f"+ {shlex.join(argv)}", file=sys.stderr, flush=True)
    code = subprocess.run(argv, cwd=ROOT, check=False).returncode  # noqa: S603 - the menu's own commands
    if code:
        raise Exit(code=code)


def scripted(script: str, options: Mapping[str, Any]) -> None:
    """Run a script that has the verb's options as flags, those that were given."""
    words: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if name == "_c" or not value:
            continue
        if value is True:
            words.append(flag)
        else:
            words += [word for each in (value if isinstance(value, list) else [value]) for word in (flag, str(each))]
    call(PYTHON, f"scripts/{script}.py", *words)


def launched(work: str, options: Mapping[str, Any]) -> None:
    """Run a verb of scripts/verbs.py with its *options*; end with its exit code and, where there is one, a sentence."""
    from scripts import verbs  # not before it is needed: the menu opens without pandas and ansible-runner

    code, sentence = getattr(verbs, work)(**{key: value for key, value in options.items() if key != "_c"})
    if code:
        raise Exit(sentence or None, code)
