"""Recompute the metrics of a run of run_batch_day3.py from its record and the labels, and print them.

Writes metrics_summary.json, confusion_matrix.csv, failed_cases.csv and rate_limit_stats.json into the folder of the run
and to the top of the results folder, and appends the rows of the run to day3_results.jsonl, once. The same record gives
the same bytes. Exit codes: 0 done, 11 the run has not ended, 13 bad input, 14 evidence is not what was written.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from day3_tool import (
    OBSERVATIONS,
    PREFIX,
    SCRIPTS,
    TEMPLATE,
    Parser,
    alone,
    data_root,
    here,
    load_policy,
    own_runs,
    shown,
    told,
)
from solidgreen import jsonio, judgement, ledger, manifest, metrics, qualify, request
from solidgreen.check import Status
from solidgreen.errors import BadInput, ExitCode, Inconclusive
from solidgreen.ledger import Ledger
from solidgreen.paths import DataRoot
from solidgreen.policy import Policy

Summary = dict[str, Any]


def parted(root: DataRoot, plan: Policy) -> int:
    """Qualify the data set and part it; print one line of JSON for the batch, or each failed check for a person."""
    result = qualify.qualify(
        manifest.load(root.manifest, root.root),
        plan.dataset,
        plan.smoke,
        data_root=root.root,
        template=request.load_template(TEMPLATE),
        near_copy=float(plan.data["qualification"]["near_copy"]),
        correlation=plan.correlation,
    )
    for path, value in {
        root.cases: result.cases,
        root.labels: result.labels,
        root.smoke_selection: result.smoke,
        root.qualified / "probe.json": result.probe,
        root.qualification: result.report,
    }.items():
        if isinstance(value, bytes):
            jsonio.write_bytes(path, value)
        else:
            jsonio.write_json(path, value)
    failed = [check for check in result.checks if check.status is not Status.PASS]
    for check in failed:
        print(here(check.sentence()), file=sys.stderr)
    said = "; ".join(check.seen for check in result.checks[:1])
    print(json.dumps({"data_set": said, "labels_sha256": jsonio.sha256_file(root.labels)}))
    return int(ExitCode.BAD_INPUT) if failed else int(ExitCode.OK)


def find(root: DataRoot, run_id: str) -> Ledger:
    """Return the record of a run of the old command line that has ended, the latest one without an id.

    :raises BadInput: there is none
    :raises Inconclusive: the run has not ended
    """
    for folder, _ in own_runs(root):
        if run_id in ("", folder.name):
            record = ledger.read(folder / OBSERVATIONS)  # the torn last line of a run that was killed is no damage
            if record.end is not None:
                return ledger.verify(folder / OBSERVATIONS)
            if run_id:
                raise Inconclusive(
                    f"run {run_id}",
                    found=f"{record.done} of {len(record.selection)} cases and no end",
                    need="a run that has ended",
                    next_step="go on with it: run the same run_batch_day3.py command again",
                )
    raise BadInput(
        f"run {run_id}" if run_id else f"runs below {root.runs}",
        found="no run of run_batch_day3.py by that name" if run_id else "none of run_batch_day3.py that has ended",
        need=f"one whose name begins with {PREFIX}",
        next_step="name another with --run (a run of the cycle is judged by invoke judge)"
        if run_id
        else "python scripts/run_batch_day3.py --smoke20",
    )


def labels_of(root: DataRoot, run: Ledger) -> Mapping[str, Mapping[str, Any]]:
    """Return the labels the run was registered with.

    :raises BadInput: they are others now
    """
    remarks = run.registration.get("remarks") or {}
    sealed = jsonio.sha256_file(root.labels) if root.labels.is_file() else None
    if sealed is None or sealed != remarks.get("labels_sha256"):
        raise BadInput(
            f"labels of {run.run_id}",
            found="none" if sealed is None else "others than the run was registered with",
            need="the labels of its own data set",
            next_step="put the data set back as it was, or run the batch again",
        )
    labels: Mapping[str, Mapping[str, Any]] = jsonio.read_json(root.labels)["labels"]
    return labels


def recompute(root: DataRoot, plan: Policy, run: Ledger) -> tuple[Summary, Summary, list[Path]]:
    """Write everything that follows from the record of a run; return the metrics, the rate limit's and the files."""
    registration = run.registration
    rows = metrics.join([registration, *run.observations], labels_of(root, run))
    remarks = registration.get("remarks") or {}
    mark = {"decision_grade": remarks.get("decision_grade"), "not_decision_grade": remarks.get("reasons", [])}
    summary = metrics.summarise(rows, plan.level) | mark
    limits = metrics.rate_limit_stats(rows, registration.get("pacing"), run.pace) | mark
    files = {
        judgement.METRICS: judgement.document(summary),
        judgement.CONFUSION: metrics.confusion_csv(summary).encode(),
        judgement.FAILED: metrics.failed_csv(rows).encode(),
        judgement.RATE_LIMIT: judgement.document(limits),
    }
    lines = b"".join(jsonio.canonical(row) + b"\n" for row in rows)
    judgement.append_rows(root.day3_results, run.run_id, lines)
    folder = root.run(run.run_id)
    jsonio.write_bytes(folder / judgement.ROWS, lines)
    for name, data in files.items():
        jsonio.write_bytes(folder / name, data)
        jsonio.write_bytes(root.results / name, data)
    return summary, limits, [*(root.results / name for name in files), root.day3_results, folder / OBSERVATIONS]


def lines(summary: Summary, limits: Summary, plan: Policy, run: Ledger) -> list[str]:
    """Return what is printed: a line a figure, under the names that metrics_summary.json has for them."""
    level = f"{plan.level:.0%} interval"
    unsent = f", {len(run.missing)} never sent" if run.missing else ""
    text = [
        f"run {run.run_id}: {summary['run_kind'] or run.registration['kind']}, {(run.end or {}).get('state')}{unsent}",
        f"comparable={summary['comparable']}/{summary['total']}",
        f"accuracy={_figure(summary['accuracy'])} matched={summary['matched']} {level}={_span(summary)}",
        f"pass_recall={_figure(summary['pass_recall'])}",
        f"critical_false_pass={summary['critical_false_pass']}"
        + "".join(f" {case}" for case in summary["critical_false_pass_cases"]),
        f"pass_blocked_ratio={_figure(summary['pass_blocked_ratio'])}",
        f"actual_blocked_share={_figure(summary['actual_blocked_share'])}",
        f"http_422={summary['http_422']}",
        f"http_429={limits['http_429']} requests={limits['total_requests']} "
        f"exhausted={limits['exhausted']} exhaustion_rate={_figure(limits['exhaustion_rate'])} "
        f"total_wait_seconds={limits['total_wait_seconds']:.1f}",
    ]
    for gate in plan.gates:
        share = summary["actual_blocked_share"]
        if gate.id == "blocked_share" and share is not None and Fraction(share) > gate.threshold:
            text.append(
                f"ALERT all-blocked signature: {summary['actual_blocked']} of {summary['comparable']} answers are "
                f"blocked, at most {gate.threshold_text} may be"
            )
    if not summary["decision_grade"]:
        text.append(f"decision_grade=false: {'; '.join(summary['not_decision_grade'])}")
    return text


def judging(root: DataRoot, run: Ledger) -> str:
    """Return the command that judges the run by the gates, against the one before it over the same cases."""
    alike = ("kind", "selection")
    before = (
        folder / judgement.ROWS
        for folder, known in own_runs(root)
        if known["at"] < run.registration["at"] and all(known[key] == run.registration[key] for key in alike)
    )
    other = next((path for path in before if path.is_file()), None)
    words = [sys.executable, str(SCRIPTS / "judge.py"), "--results", shown(root.run(run.run_id) / judgement.ROWS)]
    return f"gates: {shlex.join([*words, '--against', shown(other)] if other else words)}"


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _span(summary: Summary) -> str:
    found = summary["accuracy_interval"]
    return "n/a" if found is None else f"{found['lower']:.3f}-{found['upper']:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Recompute, print, and return the exit code."""
    parser = Parser(prog="metrics_day3.py", description=__doc__)
    parser.add_argument("--run", default="", metavar="RUN_ID", help="default: the latest that has ended")
    parser.add_argument("--qualify", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    root, plan = data_root(options.data_root), load_policy()
    if options.qualify:
        return parted(root, plan)
    with alone(root, "metrics_day3", patience_s=30.0):
        run = find(root, options.run)
        summary, limits, files = recompute(root, plan, run)
    print("\n".join(lines(summary, limits, plan, run)))
    print("\n".join(["files:", *(f"  {shown(path)}" for path in files), judging(root, run)]))
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(told(main))
