"""Writes the inputs of each role's README from its argument spec; ``--check`` only tells which differ."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(<!-- inputs: [^>]*-->\n).*?(<!-- /inputs -->)", re.DOTALL)


def table(role: Path) -> str:
    """Return the inputs of *role* as a Markdown table."""
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text("utf-8"))["argument_specs"]
    options = {name: option for entry in spec.values() for name, option in entry.get("options", {}).items()}
    rows = [
        f"| `{name}` | {option['type']} | {'yes' if option.get('required') else ''} | {option['description']} |"
        for name, option in options.items()
    ]
    entries = ", ".join(f"`{name}`" for name in spec)
    head = ["| input | type | required | what it does |", "|---|---|---|---|"]
    return "\n".join([f"Entry points: {entries}.", "", *head, *rows, ""])


def main() -> int:
    """Write or check every README."""
    differing = []
    for role in sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir()):
        page = role / "README.md"
        text = page.read_text("utf-8")
        filled = table(role)
        new = MARKED.sub(lambda match, filled=filled: match[1] + filled + match[2], text)
        if new != text:
            differing.append(role.name)
            if "--check" not in sys.argv[1:]:
                page.write_text(new, "utf-8")
    if "--check" in sys.argv[1:] and differing:
        print(f"README of {', '.join(differing)} differs; run scripts/role_readme.py")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
