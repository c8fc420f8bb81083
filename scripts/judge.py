"""Judge a results file by the gates of the plan: the same engine, the same exit codes, no cycle and no stack needed.

What a results file cannot show (the hash chain, the registration, the pacing) is inconclusive and named, so that a file
alone never ends in 0 as a cycle does; ``--metrics-only`` shows the numbers without judging.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from solidgreen import gates, jsonio, metrics, policy
from solidgreen.check import Status
from solidgreen.errors import BadInput, ExitCode, SolidGreenError
from solidgreen.judgement import document
from solidgreen.text import plural, visible

ROOT = Path(__file__).resolve().parent.parent
Rows = list[dict[str, Any]]


class Parser(argparse.ArgumentParser):
    """Ends with 13 where argparse would end with 2: wrong options are bad input like any other."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.print_usage(sys.stderr)
        self.exit(int(ExitCode.BAD_INPUT), f"{self.prog}: {message}\n")


def read(path: Path) -> list[Rows]:
    """Return the rows of every run in a results file, in the order in which the runs begin.

    :raises BadInput: the file is missing or holds no rows
    """
    try:
        rows = metrics.adopt(jsonio.read_jsonl(path), str(path))
    except OSError as error:
        need = "a day3_results.jsonl"
        raise BadInput(
            str(path), found=error.strerror or "no file", need=need, next_step="name it with --results"
        ) from error
    if not rows:
        raise BadInput(str(path), found="no rows", need="the rows of a run", next_step="run it: invoke go")
    runs: dict[Any, Rows] = {}
    for row in rows:
        runs.setdefault(row["run_id"], []).append(row)
    return list(runs.values())


def kind_of(run: Rows, rules: policy.Policy) -> str:
    """Return the kind a run says it is; an old one by its size."""
    said = run[0]["run_kind"]
    return said if said in ("smoke", "full") else "smoke" if len(run) <= rules.smoke["size"] else "full"


def pick(runs: Sequence[Rows], kind: str, rules: policy.Policy, source: Path) -> Rows:
    """Return the last run of that kind.

    :raises BadInput: there is none
    """
    found = [run for run in runs if kind_of(run, rules) == kind]
    if not found:
        held = ", ".join(sorted({kind_of(run, rules) for run in runs}))
        raise BadInput(str(source), found=f"{held} runs only", need=f"a {kind} run", next_step="choose another --gates")
    return found[-1]


def first_smoke(options: argparse.Namespace, runs: Sequence[Rows], run: Rows, rules: policy.Policy) -> Rows | None:
    """Return the smoke to compare with: of ``--against``, else the one before in the same file."""
    if options.against:
        return pick(read(options.against), kind_of(run, rules), rules, options.against)
    before = [other for other in runs if kind_of(other, rules) == "smoke" and other[0]["ordinal"] == 1]
    return before[-1] if before and run[0]["ordinal"] == 2 and before[-1] is not run else None


def judge(options: argparse.Namespace) -> tuple[dict[str, Any], list[gates.GateResult], gates.Conclusion | None]:
    """Return the metrics, the gates and what they come to; no gates with ``--metrics-only``."""
    rules = policy.load(options.policy, ROOT / "schemas" / "policy.schema.json")
    runs = read(options.results)
    run = pick(runs, options.gates or kind_of(runs[-1], rules), rules, options.results)
    kind = options.gates or kind_of(run, rules)
    summary = metrics.summarise(run, rules.level) | {"rate_limit": metrics.rate_limit_stats(run)}
    if options.metrics_only:
        return summary, [], None
    other = first_smoke(options, runs, run, rules)
    smokes = [metrics.summarise(each) for each in runs if kind_of(each, rules) == "smoke"]
    facts = gates.Facts(
        prior=metrics.summarise(other) if other else None,
        known_errors={name for smoke in smokes for name in smoke["error_classes"]} if smokes else None,
    )
    paired = kind == "smoke" and other is not None
    pair = gates.Pair(metrics.consistency(other, run), metrics.dependence(other, run)) if paired and other else None
    ordinal = 2 if paired else int(run[0]["ordinal"] or 1)
    results = gates.evaluate(rules, kind=kind, ordinal=ordinal, summary=summary, facts=facts, pair=pair)
    return summary, results, gates.conclude(results)


def lines(summary: Mapping[str, Any], results: Sequence[gates.GateResult]) -> list[str]:
    """Return what is printed for people: the run, its confusion matrix, a line a gate."""
    name = f"run {visible(summary['run_id'] or '(unnamed)')}"
    text = [f"{name}: {plural(summary['total'], 'record')}, {summary['comparable']} comparable", ""]
    columns = (*metrics.VERDICTS, metrics.UNKNOWN)
    text.append(f"{'expected / actual':<18}" + "".join(f"{column:>9}" for column in columns))
    text += [
        f"{row:<18}" + "".join(f"{summary['confusion'][row][column]:>9}" for column in columns)
        for row in metrics.VERDICTS
    ]
    text += ["", *(_line(result) for result in results)]
    return text


def _line(result: gates.GateResult) -> str:
    status = "FAIL" if result.status is Status.FAIL else result.status.value
    mark = "" if result.severity == "hard" else f" ({result.severity})"
    return f"{status:<13} {result.name:<30} {result.seen}, need {result.needed}; {result.counterfactual}{mark}"


def verdict(results: Sequence[gates.GateResult], conclusion: gates.Conclusion) -> str:
    """Return the last line: what the gates come to, and what this file cannot show."""
    word = {Status.PASS: "PASS", Status.FAIL: "FAIL", Status.INCONCLUSIVE: "INCONCLUSIVE"}[conclusion.status]
    unseen = [result.id for result in results if result.severity == "hard" and result.n == 0]
    passed = sum(result.status is Status.PASS for result in results)
    text = f"{word}: {conclusion.sentence if conclusion.status is Status.FAIL else f'{passed} gates passed'}"
    return f"{text}\nnot established from this file: {', '.join(unseen)}" if unseen else text


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, print, and return the exit code."""
    parser = Parser(prog="invoke judge", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="day3_results.jsonl, ours or the old tool's")
    parser.add_argument("--gates", choices=["smoke", "full"], help="default: what the last run of the file is")
    parser.add_argument("--against", type=Path, help="results of the first smoke, for consistency and drift")
    parser.add_argument("--policy", type=Path, default=ROOT / "policy" / "day3.yml")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--metrics-only", action="store_true", help="show the numbers, judge nothing")
    options = parser.parse_args(arguments)
    try:
        summary, results, conclusion = judge(options)
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    people = sys.stderr if options.json else sys.stdout
    print("\n".join(lines(summary, results)), file=people)
    if conclusion:
        print(f"\n{verdict(results, conclusion)}", file=people)
    if options.json:
        judged = (
            {"gates": results, "status": conclusion.status, "exit_code": conclusion.exit_code} if conclusion else {}
        )
        sys.stdout.write(document({**summary, **judged}).decode())
    return conclusion.exit_code if conclusion else int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
