"""``python -m rehearsal.cases --data-root DIR [--seed N]``: write the bundles and the manifest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from solidgreen.errors import SolidGreenError

from .build import DEFAULT_SEED, generate


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.cases", description="Write ninety labelled bundles.")
    parser.add_argument("--data-root", type=Path, required=True, help="folder that gets bundles/ and manifest.csv")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="same seed, same bytes (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    try:
        print(generate(chosen.data_root, chosen.seed).sentence())
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
