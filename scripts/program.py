"""What ``./run`` starts: invoke's menu, with a word it does not know ending in one sentence and exit code 13."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from invoke import Exit, Program
from invoke.exceptions import ParseError

ROOT = Path(__file__).resolve().parent.parent
BAD_INPUT = 13  # solidgreen.errors.ExitCode.BAD_INPUT; the menu opens without importing the core


class Menu(Program):
    """Invoke's program; what it cannot parse is bad input like any other."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the program's own options."""
        self._told(lambda: super(Menu, self).parse_core(argv))

    def parse_tasks(self) -> None:
        """Parse the verbs and their options."""
        self._told(super().parse_tasks)

    def _told(self, parse: Callable[[], None]) -> None:
        try:
            parse()
        except (ParseError, ValueError) as error:
            said = " ".join(str(error).split()).rstrip("!.")
            raise Exit(
                f"command line: found {said}, need a verb and its options. Next: ./run --help VERB", BAD_INPUT
            ) from error


def main() -> None:
    """Run the menu of this repository."""
    sys.path.insert(0, str(ROOT))
    Menu(name="run", binary="run").run(["run", "--search-root", str(ROOT), *sys.argv[1:]])


if __name__ == "__main__":
    main()
