"""Judge a results file by the gates of the plan: the same engine, the same exit codes, no cycle and no stack needed.

What a results file cannot show (the hash chain, the registration, the pacing) is inconclusive and named, so that a file
alone never ends in 0. The record of a run where it lies in its results folder (runs/RUN/observations.jsonl) is judged
with all that lies beside it, and can. What is suspicious is called out by name and decides with the gates. A policy
that is looser than the shipped one makes a pass inconclusive; --metrics-only shows the numbers without judging.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from solidgreen import gates, jsonio, metrics, policy, results, suspicion
from solidgreen.check import Status
from solidgreen.clock import SystemClock, parse
from solidgreen.errors import (
    ANOTHER_FORM,
    BadInput,
    ExitCode,
    Inconclusive,
    SolidGreenError,
    another_form,
    worst,
)
from solidgreen.paths import OBSERVATIONS, DataRoot
from solidgreen.policy import Policy
from solidgreen.results import Run
from solidgreen.suspicion import Callout
from solidgreen.text import plural, visible

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
SHIPPED, SCHEMA = ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json"
KINDS = ("smoke", "full")
#: What a run's joined rows are called, beside its record.
ROWS = "results.jsonl"


class Parser(argparse.ArgumentParser):
    """Ends with 13 where argparse would end with 2: wrong options are bad input like any other."""

    def error(self, message: str) -> NoReturn:
        """Print the message and end."""
        self.print_usage(sys.stderr)
        self.exit(int(ExitCode.BAD_INPUT), f"{self.prog}: {message}\n")


@dataclass(frozen=True)
class Verdict:
    """What is printed: the numbers, and unless only those were asked for, gates, marks and what they come to."""

    summary: Mapping[str, Any]
    results: Sequence[gates.GateResult] = ()
    conclusion: gates.Conclusion | None = None
    callouts: Sequence[Callout] = ()
    changed: Sequence[policy.Deviation] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    expired: Sequence[str] = ()
    refused: Sequence[str] = ()

    @property
    def waived(self) -> list[str]:
        """What is carried, and by whom."""
        return [result.waiver for result in self.results if result.status is Status.WAIVED]

    @property
    def not_established(self) -> list[str]:
        """Ids of the hard gates that had nothing to look at."""
        return [result.id for result in self.results if result.severity == "hard" and result.n == 0]

    @property
    def caps(self) -> list[str]:
        """What makes a pass inconclusive: numbers looser than the shipped ones, a waiver that is over."""
        return [*(deviation.text for deviation in self.changed if deviation.loosens), *self.expired]

    @property
    def deviations(self) -> list[str]:
        """Everything that is not as in the plan."""
        said = self.conclusion.deviations if self.conclusion else ()
        return [*(deviation.text for deviation in self.changed), *said, *self.waived]

    @property
    def exit_code(self) -> int:
        """What gates, marks and a loosened policy come to."""
        if self.conclusion is None:
            return int(ExitCode.OK)
        codes = [self.conclusion.exit_code, *(int(mark.exit_code) for mark in self.callouts)]
        return worst([*codes, *(int(ExitCode.INCONCLUSIVE) for _ in self.caps)])

    @property
    def status(self) -> Status:
        """The same as a status: what speaks against a pass fails it, what leaves it open is inconclusive."""
        against = {ExitCode.NO_GO, ExitCode.STOP, ExitCode.INTEGRITY}
        return Status.FAIL if self.exit_code in against else Status.INCONCLUSIVE if self.exit_code else Status.PASS

    def document(self) -> dict[str, Any]:
        """Return everything as one document, the keys of ``metrics_summary.json`` at its top."""
        if self.conclusion is None:
            return {**self.summary}
        return {
            **self.summary,
            **self.more,
            "gates": self.results,
            "status": self.status,
            "exit_code": self.exit_code,
            "callouts": [{"id": mark.id, "text": mark.text} for mark in self.callouts],
            "not_established": self.not_established,
            "deviations": self.deviations,
        }


# --- a results file ------------------------------------------------------------------------------------------------


def read(path: Path) -> list[Run]:
    """Return the runs of a results file, in the order in which they begin.

    :raises BadInput: it cannot be read, or holds no rows
    """
    if path.name == OBSERVATIONS:
        raise BadInput(
            str(path),
            found="a record of a run, which holds no labels",
            need=f"its joined rows, or the record where it lies: results/runs/RUN/{OBSERVATIONS} below a cycle.json",
            next_step=f"name {ROWS} beside it with --results",
        )
    runs = results.read(path)
    if not runs:
        raise BadInput(str(path), found="no rows", need="the rows of a run", next_step="run it: invoke go")
    return runs


def kind_of(run: Run, rules: Policy) -> str:
    """Return the kind a run says it is; an old one by its size."""
    if run.kind in KINDS:
        return str(run.kind)
    return "smoke" if len(run.frame) <= rules.smoke["size"] else "full"


def pick(runs: Sequence[Run], kind: str, rules: Policy, source: Path) -> Run:
    """Return the last run of that kind.

    :raises BadInput: there is none
    """
    found = [run for run in runs if kind_of(run, rules) == kind]
    if not found:
        held = ", ".join(sorted({kind_of(run, rules) for run in runs}))
        raise BadInput(str(source), found=f"{held} runs only", need=f"a {kind} run", next_step="choose another --gates")
    return found[-1]


def other_run(options: argparse.Namespace, runs: Sequence[Run], run: Run, rules: Policy) -> Run | None:
    """Return the run to compare with: of ``--against``, else for a second smoke the one before it in the file.

    Of several smokes in ``--against`` it is the first; of the same file, another one than is judged, if it has one.
    """
    kind = kind_of(run, rules)
    if options.against:
        same_file = options.against.exists() and options.against.samefile(options.results)
        there = runs if same_file else read(options.against)
        last = pick(there, kind, rules, options.against)
        return next((each for each in there if kind_of(each, rules) == kind), last) if kind == "smoke" else last
    before = [each for each in runs[: runs.index(run)] if kind_of(each, rules) == kind]
    return before[0] if kind == "smoke" and before and run.ordinal in (None, 2) else None


def judge_file(options: argparse.Namespace, rules: Policy, changed: Sequence[policy.Deviation]) -> Verdict:
    """Return the judgement over a run of a results file, the last one of its kind.

    :raises BadInput: a file cannot be read, or has no such run
    """
    runs = read(options.results)
    run = pick(runs, options.gates or kind_of(runs[-1], rules), rules, options.results)
    kind = options.gates or kind_of(run, rules)
    summary = metrics.summarise(run.frame, rules.level)
    more: dict[str, Any] = {"rate_limit": metrics.rate_limit_stats(run.frame)}
    if options.metrics_only:
        return Verdict({**summary, **more})
    other = other_run(options, runs, run, rules)
    marks = [*suspicion.of_run(run.frame), *suspicion.of_file([(kind_of(each, rules), each.frame) for each in runs])]
    pair = prior = None
    if other:
        marks += suspicion.of_pair(other.frame, run.frame, itself=other is run)
        prior = metrics.summarise(other.frame, rules.level)
        more["drift_matrix"] = metrics.drift_matrix(prior, summary)
    if other and kind == "smoke":
        tally = metrics.dependence(other.frame, run.frame)
        independence = suspicion.independence(tally, other.frame, run.frame, itself=other is run)
        pair = gates.Pair(metrics.consistency(other.frame, run.frame), independence)
        more["consistency"] = pair.consistency
    facts = gates.Facts(
        prior=prior, known_errors=known_errors(runs, rules), verdicts=suspicion.verdict_faults(marks, run.frame)
    )
    ordinal = 2 if pair else run.ordinal or 1
    found = gates.evaluate(rules, kind=kind, ordinal=ordinal, summary=summary, facts=facts, pair=pair)
    return Verdict(summary, found, gates.conclude(found), suspicion.unique(marks), changed, more)


def known_errors(runs: Sequence[Run], rules: Policy) -> set[str] | None:
    """Return the kinds of infrastructure error that the smokes of the file show, None without both."""
    smokes: list[pd.DataFrame] = [run.frame for run in runs if kind_of(run, rules) == "smoke"]
    return {name for frame in smokes for name in metrics.error_classes(frame)} if len(smokes) > 1 else None


# --- the record of a run in its results folder ---------------------------------------------------------------------


def data_root_of(path: Path) -> DataRoot | None:
    """Return the data root of the cycle that a record lies in, None where it lies in none."""
    whole = path.resolve()
    if whole.name != OBSERVATIONS or len(whole.parents) < 4:
        return None
    root = DataRoot(whole.parents[3])
    return root if root.run(whole.parent.name) == whole.parent and root.cycle.is_file() else None


def judge_record(
    options: argparse.Namespace, root: DataRoot, rules: Policy, changed: Sequence[policy.Deviation]
) -> Verdict:
    """Return the judgement over a run of a cycle, with its labels, its registration and the runs beside it.

    :raises SolidGreenError: the run is none of the cycle, or what lies beside it cannot be read
    """
    # They load the whole batch, which a results file can do without.
    from solidgreen import cycle as cycles
    from solidgreen import judgement

    run_id, cycle = options.results.resolve().parent.name, cycles.require(root)
    try:
        entry = next((run for run in cycle["runs"] if run["run_id"] == run_id), None)
        if entry and (entry["kind"], entry["ordinal"]) not in cycles.RUNS:
            entry = None
        ended = entry is None or entry["state"] != "open"
    except ANOTHER_FORM as error:
        raise another_form(str(root.cycle), error) from error
    if not ended:
        raise Inconclusive(
            f"run {run_id}",
            found="one that has not ended",
            need="its end on record",
            next_step="go on with it: invoke go",
        )
    if entry is None or options.against or options.gates not in (None, "", entry["kind"]):
        found = "a run the cycle does not have" if entry is None else f"a {entry['kind']} run of a cycle"
        raise BadInput(
            str(options.results),
            found=found,
            need="a run of the cycle, without --against and with the gates of its kind: the cycle knows both",
            next_step=f"name {ROWS} beside it with --results",
        )
    if not options.results.is_file():
        raise BadInput(
            str(options.results),
            found="a folder" if options.results.is_dir() else "no file",
            need=f"the record of {run_id}",
            next_step="restore it from its snapshot",
        )
    try:
        written = jsonio.read_json_or_none(root.run(run_id) / judgement.GATES) or {}
        judged = judgement.judge_run(
            root,
            rules,
            run_id=run_id,
            kind=entry["kind"],
            ordinal=entry["ordinal"],
            cycle=cycle,
            digests=written.get("digests"),
            rehearsal_pacing=written.get("rehearsal_pacing") is not False,
        )
    except ANOTHER_FORM as error:
        raise another_form(f"evidence of {run_id}", error) from error
    limits = metrics.rate_limit_stats(judged.rows)
    if options.metrics_only:
        return Verdict({**judged.summary, "rate_limit": limits})
    blind = any(result.metric == "verdict_faults" and result.status is Status.PASS for result in judged.results)
    marks = suspicion.of_run(metrics.frame(judged.rows), blind=blind) if judged.rows else []
    held = json.loads(judged.files[judgement.GATES])["waivers"]
    now = SystemClock().now()
    over = [
        f"{waiver['waives']}: its waiver expired at {waiver['expires']}"
        for waiver in held
        if parse(waiver["expires"]) <= now
    ]
    return Verdict(
        judged.summary, judged.results, judged.conclusion, marks, changed, {"rate_limit": limits}, over, judged.refused
    )


def judge(options: argparse.Namespace) -> Verdict:
    """Return what is to be said about the file.

    :raises SolidGreenError: the file or the policy cannot be read, or does not hold what was asked for
    """
    rules = policy.load(options.policy, SCHEMA)
    given = jsonio.digest(rules.data) == policy.SHIPPED
    changed = policy.deviations(rules, rules if given else policy.load(SHIPPED, SCHEMA))
    root = data_root_of(options.results)
    return judge_record(options, root, rules, changed) if root else judge_file(options, rules, changed)


# --- what people read ----------------------------------------------------------------------------------------------


def lines(found: Verdict) -> Iterator[str]:
    """Yield what is printed for people: the run, its confusion matrix, a line a gate, the marks, the verdict."""
    summary = found.summary
    name = f"run {visible(summary['run_id'] or '(unnamed)')}"
    yield f"{name}: {plural(summary['total'], 'record')}, {summary['comparable']} comparable"
    yield ""
    columns = (*metrics.VERDICTS, metrics.UNKNOWN)
    yield f"{'expected / actual':<18}" + "".join(f"{column:>9}" for column in columns)
    for row in metrics.VERDICTS:
        yield f"{row:<18}" + "".join(f"{summary['confusion'][row][column]:>9}" for column in columns)
    if found.conclusion is None:
        return
    yield ""
    yield from (_line(result) for result in found.results)
    if found.callouts or found.changed:
        yield ""
    yield from (f"CALLED OUT    {mark.id}: {mark.text}" for mark in found.callouts)
    for deviation in found.changed:
        yield f"DEVIATION     {visible(deviation.text)}" + (" (caps the decision)" if deviation.loosens else "")
    yield from (f"NOT IN FORCE  {visible(refused)}" for refused in found.refused)
    yield ""
    word = " WITH WAIVER" if found.waived and found.status is Status.PASS else ""
    yield f"{found.status.value.upper()}{word}: {_reason(found, found.conclusion)}"
    if found.not_established:
        yield f"not established from this file: {', '.join(found.not_established)}"


def _line(result: gates.GateResult) -> str:
    status = "FAIL" if result.status is Status.FAIL else result.status.value
    mark = "" if result.severity == "hard" else f" ({result.severity})"
    says = "; ".join(text for text in (result.counterfactual, result.exposure, result.waiver) if text)
    return f"{status:<13} {result.name:<30} {result.seen}, need {result.needed}; {says}{mark}"


def _reason(found: Verdict, conclusion: gates.Conclusion) -> str:
    """Say what decided: the mark or the gate whose exit code it is; otherwise how many gates passed, and what caps."""
    if conclusion.exit_code == found.exit_code and conclusion.status is Status.FAIL:
        return conclusion.sentence
    marks = [mark for mark in found.callouts if mark.exit_code == found.exit_code]
    if marks and found.exit_code != ExitCode.INCONCLUSIVE:
        return f"{marks[0].id}: {marks[0].text}"
    text = f"{sum(result.status is Status.PASS for result in found.results)} gates passed"
    if found.caps:
        why = "but" if found.expired else "by a policy that is looser than the plan:"
        text += f", {why} {visible([*found.expired, *found.caps][0])}"
    if marks:
        text += f"; called out: {', '.join(mark.id for mark in marks)}"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge, print, and return the exit code."""
    parser = Parser(prog="invoke judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--results",
        type=Path,
        required=True,
        help="day3_results.jsonl, ours or the old tool's, or runs/RUN/observations.jsonl in its results folder",
    )
    parser.add_argument("--gates", choices=KINDS, help="default: what the last run of the file is")
    parser.add_argument("--against", type=Path, help="results of the first smoke, for consistency and drift")
    parser.add_argument("--policy", type=Path, default=SHIPPED, help="default: the shipped policy/day3.yml")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--metrics-only", action="store_true", help="show the numbers, judge nothing")
    options = parser.parse_args(arguments)
    try:
        jsonio.require_names(options.results, options.against, options.policy)
        found = judge(options)
        print("\n".join(lines(found)), file=sys.stderr if options.json else sys.stdout)
        if options.json:
            plain = jsonio.to_plain(found.document())
            print(json.dumps(plain, sort_keys=True, indent=2, allow_nan=False))
        sys.stdout.flush()
    except SolidGreenError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output is gone; without this the interpreter complains once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.INCONCLUSIVE)
    return found.exit_code


if __name__ == "__main__":
    sys.exit(main())
