"""Recompute everything a cycle wrote from its evidence, compare it byte for byte, and write nothing.

With --policy FILE: what that policy would have decided over the same evidence; nothing is compared then, and the exit
code is that of its decision. Exit codes: 0 everything is the same (or the level asked for would have been reached),
13 no cycle, 14 something differs or is missing; with --policy 10, 11, 12 and 14 as the decision has them.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from solidgreen import jsonio, policy, replay
from solidgreen.errors import ExitCode, IntegrityError, SolidGreenError
from solidgreen.judgement import document
from solidgreen.paths import DataRoot, find_data_root
from solidgreen.policy import Policy
from solidgreen.text import plural, visible

ROOT = Path(__file__).resolve().parent.parent
SHIPPED, SCHEMA = ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json"


class Parser(argparse.ArgumentParser):
    """Ends with 13 where argparse would end with 2: wrong options are bad input like any other."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.print_usage(sys.stderr)
        self.exit(int(ExitCode.BAD_INPUT), f"{self.prog}: {message}\n")


def registered(root: DataRoot) -> Policy:
    """Return the policy that the cycle was registered with: ours, else the file it was registered from."""
    path, digest = replay.registered_policy(root)
    if path and path.is_file() and digest == jsonio.sha256_file(path) != jsonio.sha256_file(SHIPPED):
        return policy.load(path, SCHEMA)
    return policy.load(SHIPPED, SCHEMA)


def told(found: replay.Replay) -> list[str]:
    """Return a line an artifact, how many are the same, and the decision that the evidence gives."""
    width = max((len(each.name) for each in found.artifacts), default=0)
    lines = [f"{each.state:<8} {visible(each.name):<{width}}  {visible(each.detail)}" for each in found.artifacts]
    counts = Counter(each.state for each in found.artifacts)
    return [
        *(line.rstrip() for line in lines),
        "",
        f"{visible(found.cycle_id)}: {counts[replay.SAME]} of {plural(len(found.artifacts), 'artifact')} the same",
        f"=> {visible(found.decision.sentence(), 600)}",
        f"   as of {found.as_of}",
    ]


def told_other(other: replay.Other) -> list[str]:
    """Return what the other policy differs in, the gates it turns, and its decision beside the one taken."""
    lines = [f"deviation  {visible(each.text)}" for each in other.deviations] or [
        "no deviation from the shipped policy"
    ]
    lines += [
        f"turned     {each.name}: {each.before or 'not judged'} -> {each.after or 'left out'} "
        f"({visible(each.seen)}, need {visible(each.needed)})"
        for each in other.turned
    ] or ["no gate turned"]
    return [
        *lines,
        "",
        f"decided       {visible(other.decided or 'nothing yet')}",
        f"would have    {visible(other.decision.sentence(), 600)}",
    ]


def told_json(found: replay.Replay | replay.Other) -> dict[str, Any]:
    """Return the result as one plain document."""
    plain: dict[str, Any] = jsonio.to_plain(found)
    if isinstance(found, replay.Replay):
        counts = Counter(each.state for each in found.artifacts)
        return {**plain, "counts": dict(counts), "exit_code": found.exit_code}
    return {**plain, "exit_code": found.decision.exit_code}


def work(options: argparse.Namespace) -> tuple[int, list[str], Mapping[str, Any]]:
    """Return the exit code, what people read and the document.

    :raises SolidGreenError: there is no cycle, or what is taken as given cannot be read
    """
    root = DataRoot(options.data_root.resolve()) if options.data_root else find_data_root(ROOT)
    shipped = policy.load(SHIPPED, SCHEMA)
    if options.policy:
        other = replay.what_if(root, policy.load(options.policy, SCHEMA), shipped=shipped)
        return other.decision.exit_code, told_other(other), told_json(other)
    found = replay.replay(root, registered(root), shipped=shipped)
    return found.exit_code, told(found), told_json(found)


def apart(found: Mapping[str, Any], data_root: Path | None) -> IntegrityError:
    """Return the one sentence about artifacts that are not what the evidence gives."""
    names = [visible(each["name"]) for each in found["artifacts"] if each["state"] != replay.SAME]
    version = (
        f"replay it with the version that wrote it (commit {visible(found['commit'])[:12]}), "
        if found["commit"]
        else ""
    )
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return IntegrityError(
        f"replay of {data_root or 'the data root'}",
        found=f"{plural(len(names), 'artifact')} other than the evidence gives ({', '.join(names[:3])}{more})",
        need="every one the same",
        next_step=f"{version}restore the results from their snapshot, or invoke go --new-cycle",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay, print, and return the exit code."""
    parser = Parser(prog="invoke replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, help="default: data/day3 of this repository")
    parser.add_argument("--policy", type=Path, help="show what this policy would have decided")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    options = parser.parse_args(arguments)
    try:
        jsonio.require_names(options.data_root, options.policy)
        code, lines, found = work(options)
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    print("\n".join(lines), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        sys.stdout.write(document(found).decode())
    if code and not options.policy:
        print(apart(found, options.data_root), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
