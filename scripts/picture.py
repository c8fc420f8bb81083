"""Draw the last screen of a real run as ``docs/images/decision.svg``, the picture of the README."""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text
from solidgreen import bundle, policy
from solidgreen.clock import parse
from solidgreen.errors import SolidGreenError
from solidgreen.jsonio import read_json
from solidgreen.paths import DataRoot, find_data_root

ROOT = Path(__file__).resolve().parent.parent
#: Columns of the drawn terminal: at least, at most.
WIDTHS = (90, 140)
#: Words of the screen that carry the eye, with the style they get.
STYLES = {
    r"\b(passed|pass)\b": "green",
    r"\b(failed|fail|not run)\b": "bold red",
    r"^=> .*$": "bold",
    r"^   \w+ ": "dim",
}


def screen(root: DataRoot) -> list[str]:
    """Return the last screen of the decision that lies below *root*, as of the moment it was taken.

    :raises BadInput: no decision was taken
    """
    decision = read_json(root.decision)
    rules = policy.load(ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json")
    made = bundle.make(
        root, rules, shipped=rules, level_asked=str(decision["level_asked"]), now=parse(str(decision["at"]))
    )
    return made.screen(str(Path("data", "day3") / root.signoff.relative_to(root.root)))


def draw(lines: list[str], command: str = "./run go") -> str:
    """Return *lines* under the command that printed them, as an SVG of a terminal."""
    width = min(max(WIDTHS[0], *(len(line) for line in lines)), WIDTHS[1])
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}", style="bold cyan"))
    for line in lines:
        text = Text(line)
        for pattern, style in STYLES.items():
            text.highlight_regex(pattern, style)
        console.print(text)
    svg = console.export_svg(title="Solid Green")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # the picture loads nothing from anywhere


def main() -> int:
    """Draw the picture; return 0, or the exit code of what was wrong after a sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, help="default: data/day3 of this repository")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "decision.svg")
    options = parser.parse_args()
    try:
        lines = screen(DataRoot(options.data_root) if options.data_root else find_data_root(ROOT))
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(draw(lines), encoding="utf-8")
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
