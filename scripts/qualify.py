"""Qualify a data set before a request is spent: the same checks that every phase which sends makes.

Nothing is sent, and nothing is written but the report where ``--out`` asks for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from solidgreen import jsonio, manifest, policy, qualify, request
from solidgreen.check import Check, Status
from solidgreen.errors import ExitCode, SolidGreenError, worst
from solidgreen.paths import DataRoot, find_data_root, require_one_data_root
from solidgreen.qualify import Qualification
from solidgreen.text import plural, visible

ROOT = Path(__file__).resolve().parent.parent
#: What a check ends in that names no exit code of its own.
CODES = {Status.PASS: ExitCode.OK, Status.FAIL: ExitCode.NO_GO, Status.INCONCLUSIVE: ExitCode.INCONCLUSIVE}
LIMIT = 1000


class Parser(argparse.ArgumentParser):
    """Ends with 13 where argparse would end with 2: wrong options are bad input like any other."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.print_usage(sys.stderr)
        self.exit(int(ExitCode.BAD_INPUT), f"{self.prog}: {message}\n")


def qualified(options: argparse.Namespace) -> Qualification:
    """Return what the checks of the data set found.

    :raises BadInput: the policy or the manifest cannot be used, or the data set is not the one the policy asks for
    """
    rules = policy.load(options.policy, ROOT / "schemas" / "policy.schema.json")
    root = DataRoot(options.data_root) if options.data_root else find_data_root(ROOT)
    require_one_data_root(root)
    return qualify.qualify(
        manifest.load(options.manifest or root.manifest, root.root),
        rules.dataset,
        rules.smoke,
        data_root=root.root,
        template=request.load_template(ROOT / "policy" / "request_template.yml"),
        near_copy=float(rules.data["qualification"]["near_copy"]),
        correlation=float(rules.data["dependence"]["intra_parent_correlation"]),
    )


def line(check: Check) -> str:
    """Return a check as people read it in a table."""
    status = "FAIL" if check.status is Status.FAIL else check.status.value
    return f"{status:<13} {check.id:<20} {visible(check.seen, LIMIT)}, need {check.needed}"


def code_of(checks: Sequence[Check]) -> int:
    """Return the exit code that counts among those of the checks."""
    return worst([CODES[check.status] if check.exit_code is None else check.exit_code for check in checks])


def sentence(checks: Sequence[Check]) -> str:
    """Return what the checks come to, and how to go on."""
    missed = [check for check in checks if check.status is not Status.PASS]
    if not missed:
        return f"PASS: the data set qualifies, {plural(len(checks), 'check')} passed"
    word = "FAIL" if any(check.status is Status.FAIL for check in missed) else "INCONCLUSIVE"
    ids = ", ".join(check.id for check in missed)
    return f"{word}: {len(missed)} of {plural(len(checks), 'check')} not passed: {ids}. Next: {missed[0].next_step}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Qualify, print, and return the exit code."""
    parser = Parser(prog="invoke qualify", description=__doc__)
    parser.add_argument("--data-root", type=Path, help="folder with the data set (default: data/day3)")
    parser.add_argument("--manifest", type=Path, help="the data set (default: manifest.csv of the data root)")
    parser.add_argument("--policy", type=Path, default=ROOT / "policy" / "day3.yml")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--out", type=Path, help="folder for the report, qualification.json (default: none is written)")
    options = parser.parse_args(arguments)
    try:
        result = qualified(options)
        if options.out:
            jsonio.write_json(options.out / "qualification.json", result.report)
    except SolidGreenError as error:
        print(visible(error, LIMIT), file=sys.stderr)
        return int(error.exit_code)
    people = sys.stderr if options.json else sys.stdout
    for check in result.checks:
        print(line(check), file=people)
    print(f"\n{sentence(result.checks)}", file=people)
    code = code_of(result.checks)
    if options.json:
        print(json.dumps({**jsonio.to_plain(result.report), "exit_code": code}, sort_keys=True, indent=2))
    return code


if __name__ == "__main__":
    sys.exit(main())
