"""Send the smoke or the whole data set to the validation API, paced, and record every answer.

The old command line over the same core as the plan: the data set is qualified first, answers are recorded blind, and
only when the run has ended a second process joins the labels (metrics_day3.py, which can be run again by itself).

A run that was interrupted goes on with the same command. A run that has ended is never used again: the next --smoke20
is a new, independent one. Such runs belong to no cycle, so that no decision of ./run go rests on them.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from day3_tool import (
    OBSERVATIONS,
    PREFIX,
    SCRIPTS,
    TEMPLATE,
    VERDICT_MAP,
    Parser,
    alone,
    count,
    data_root,
    load_policy,
    own_runs,
    seconds,
    shown,
    told,
)
from solidgreen import batch, cases, cycle, jsonio, ledger, request, runner
from solidgreen.cases import SELECTION_SCHEMA, CaseFile
from solidgreen.client import Client, Target, open_session
from solidgreen.clock import SystemClock, compact, stamp
from solidgreen.errors import BadInput, ExitCode, InfrastructureStop, worst
from solidgreen.interrupt import Interrupt
from solidgreen.ledger import Ledger
from solidgreen.pacing import Forecast, Pace, Pacing
from solidgreen.paths import DataRoot
from solidgreen.policy import Policy
from solidgreen.text import plural, visible
from solidgreen.workers import Threads
from validation_commands import STEM, parts, write

AFTERWORDS = """\
environment:
  DAY3_API_URL    the validation endpoint, for example http://localhost:8000/api/validate/ (required unless dry run)
  DAY3_API_TOKEN  sent as bearer token when it is not empty; none is ever invented or printed
  DAY3_DRY_RUN    1 or true: as --dry-run

exit codes:
  0 done   11 inconclusive: interrupted, budget or quota used up   12 infrastructure   13 bad input
  14 evidence is not what was written
"""
ON, OFF = ("1", "true"), ("", "0", "false")
#: What is found, needed and next where a run did not finish.
INSTEAD = {
    batch.NOT_STARTED: "found a forecast that does not fit the budget, need one that does; nothing was sent. "
    "Next: lower --min-interval as far as the plan allows, or raise pacing.budget_minutes in the policy",
    runner.EXHAUSTED: "found its budget spent, need an end within it. "
    "Next: look at the waits in rate_limit_stats.json, then run the command again; it begins anew",
    runner.QUOTA: "found a used-up quota (429 QUOTA_EXCEEDED), need one that is left; waiting a minute does not help. "
    "Next: have the quota raised or wait until it is back, then run the command again; it begins anew",
}
#: Outcomes of a case that nothing answered.
SILENT = {"transport_error", "infra_unavailable"}


def options_of(arguments: Sequence[str] | None, plan: Policy) -> Any:
    """Return the options; what is not stated is the policy's."""
    parser = Parser(prog="run_batch_day3.py", description=__doc__, epilog=AFTERWORDS)
    pacing = plan.pacing
    parser.add_argument("--smoke20", action="store_true", help="the cases drawn for the smoke (default: all)")
    parser.add_argument("--limit", type=count(1), metavar="N", help="only the first N of them; no decision evidence")
    parser.add_argument("--dry-run", action="store_true", help=f"send nothing, write {STEM}.sh and .ps1")
    parser.add_argument("--no-resume", action="store_true", help="start a new run even if one was interrupted")
    parser.add_argument(
        "--min-interval",
        type=seconds,
        metavar="S",
        default=float(pacing["min_interval"]),
        help="seconds between two starts, at least (default: %(default)s)",
    )
    parser.add_argument(
        "--retries-429",
        type=count(0),
        metavar="N",
        default=int(pacing["retries_429"]),
        help="further attempts of a case after a 429 (default: %(default)s)",
    )
    parser.add_argument(
        "--base-backoff-seconds",
        type=seconds,
        metavar="S",
        default=Pacing.base_backoff_s,
        help="first wait where the API names none; it doubles (default: %(default)s)",
    )
    parser.add_argument(
        "--max-backoff-seconds",
        type=seconds,
        metavar="S",
        default=Pacing.max_backoff_s,
        help="longest such wait (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def is_dry(environ: Mapping[str, str]) -> bool:
    """Return what DAY3_DRY_RUN says.

    :raises BadInput: it says neither yes nor no; to send by mistake is worse than to stop
    """
    said = environ.get("DAY3_DRY_RUN", "").strip().casefold()
    if said not in (*ON, *OFF):
        raise BadInput(
            "DAY3_DRY_RUN", found=repr(said), need="1 or true, 0 or false", next_step="correct it or unset it"
        )
    return said in ON


def target_of(environ: Mapping[str, str]) -> Target:
    """Return where to send, as the environment says it.

    :raises BadInput: no address, or a token that fits no header; the token is not shown
    """
    url, token = environ.get("DAY3_API_URL", "").strip(), environ.get("DAY3_API_TOKEN", "").strip()
    if not url:
        raise BadInput(
            "DAY3_API_URL",
            found="nothing",
            need="the validation endpoint",
            next_step="export DAY3_API_URL=http://localhost:8000/api/validate/",
        )
    if not (token.isascii() and token.isprintable()):
        raise BadInput(
            "DAY3_API_TOKEN",
            found="characters that no header can hold",
            need="printable ASCII, or nothing",
            next_step="set it again or unset it",
        )
    return Target(url, token)


def require_listener(target: Target) -> None:
    """Refuse to begin where nothing listens: every case would be spent on it.

    :raises BadInput: the address has no usable port
    :raises InfrastructureStop: no connection
    """
    parts = urlsplit(target.url)
    try:
        where = (parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80))
        with socket.create_connection(where, timeout=target.connect_timeout_s):
            return
    except (ValueError, OverflowError) as error:
        need = "an address with a port from 1 to 65535"
        raise BadInput("DAY3_API_URL", found=str(error), need=need, next_step="correct it") from error
    except OSError as error:
        raise InfrastructureStop(
            f"API at {where[0]}:{where[1]}",
            found=f"no connection ({error.strerror or error})",
            need="the API listening",
            next_step="start it (docker-compose up -d), or correct DAY3_API_URL",
        ) from error


@dataclass(frozen=True)
class Wanted:
    """The run that was asked for.

    :param reasons: why it is no decision evidence, empty where it may be
    """

    kind: str
    ids: tuple[str, ...]
    seed: int
    reasons: tuple[str, ...]
    labels_sha256: str
    source: CaseFile
    pacing: Pacing
    target: Target

    @property
    def remarks(self) -> dict[str, Any]:
        """What the registration holds beside the facts of every run."""
        return {
            "decision_grade": not self.reasons,
            "reasons": list(self.reasons),
            "labels_sha256": self.labels_sha256,
        }

    def identity(self) -> dict[str, Any]:
        """Return what a run must have been registered with to be this one."""
        plain: dict[str, Any] = jsonio.to_plain(
            {
                "kind": self.kind,
                "ordinal": 0,
                "selection": list(self.ids),
                "cases_sha256": self.source.sha256,
                "request_template_sha256": jsonio.sha256_file(TEMPLATE),
                "verdict_map_sha256": jsonio.sha256_file(VERDICT_MAP),
                "target": {"url": self.target.url, "authenticated": bool(self.target.token)},
                "pacing": asdict(self.pacing),
                "remarks": self.remarks,
            }
        )
        return plain


def shortfalls(options: Any, plan: Policy, root: DataRoot, cut: bool) -> list[str]:
    """Return why the run is no decision evidence, in words."""
    floor, least = plan.pacing["min_interval_floor"], plan.pacing["retries_429_floor"]
    mark = (cycle.load(root) or {}).get("demonstration")
    found = {
        f"--min-interval {options.min_interval:g}, the plan needs {floor:g} or more": options.min_interval < floor,
        f"--retries-429 {options.retries_429}, the plan needs {least} or more": options.retries_429 < least,
        f"--limit {options.limit} cuts the selection": cut,
        f"demonstration mode since {(mark or {}).get('at')} (rollback R2)": mark is not None,
    }
    return [reason for reason, holds in found.items() if holds]


def labelled(root: DataRoot, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script that may see labels, in a process of its own, so that this one never holds any."""
    command = [sys.executable, str(SCRIPTS / "metrics_day3.py"), "--data-root", str(root.root), *arguments]
    pipe = subprocess.PIPE if "--qualify" in arguments else None
    sys.stdout.flush()  # what it prints comes after what was printed here
    # In a session of its own: a Ctrl-C is answered here, with one sentence.
    return subprocess.run(command, check=False, stdout=pipe, text=True, start_new_session=True)  # noqa: S603


def last_one(root: DataRoot, wanted: Wanted) -> Ledger | None:
    """Return the record of the latest such run if it is unfinished, and say so when an unfinished one is another.

    :raises IntegrityError: its record is broken
    """
    identity = wanted.identity()
    for folder, known in own_runs(root):
        if known.get("kind") != wanted.kind:
            continue
        found = ledger.read(folder / OBSERVATIONS, keep=False)
        differing = [key for key, value in identity.items() if known.get(key) != value]
        if found.end is None and not differing:
            return found
        if found.end is None:
            done = f"{found.done} of {len(found.selection)} cases"
            print(f"{folder.name} ({done}) is left as it is, {', '.join(differing)} changed: a new run begins")
        return None
    return None


class Watch:
    """Prints a line for each record of a run as it lands on the disk; no line tells whether a verdict was right."""

    def __init__(self, path: Path, total: int, *, start: int = 0, done: int = 0) -> None:
        self._path, self._total, self._at, self._done = path, total, start, done
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        try:
            while not self._over.wait(0.2):
                self._show()
            self._show()
        except BrokenPipeError:
            return  # nobody reads any more; the run hears of it from elsewhere

    def _show(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as handle:
            handle.seek(self._at)
            data = handle.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            for text in self.lines(json.loads(line)):
                print(text, flush=True)

    def lines(self, record: Mapping[str, Any]) -> list[str]:
        """Return what a record is worth."""
        kind = record["type"]
        if kind == "attempt":
            return [_pause(record["case_id"], record, again=True)]
        if kind == "pace":
            pace = Pace.of(record)
            return [f"pace   from here on below {pace.limit} ({pace.source})"]
        if kind != "observation":
            return []
        self._done += 1
        tried = record["attempts"]
        status = "no answer" if record["http_status"] is None else f"HTTP {record['http_status']}"
        verdict = record["verdict"] or f"no verdict ({record['outcome']})"
        said = visible(record["error_detail"] or "", 100)
        place = f"{self._done:>{len(str(self._total))}}/{self._total}"
        text = f"{place}  {record['case_id']}  {status}  {verdict}  {plural(len(tried), 'attempt')}"
        paused = [_pause(record["case_id"], tried[-1], again=False)] if tried and tried[-1]["wait_s"] else []
        return [*paused, f"{text}  {said}" if said else text]


def _pause(case_id: str, tried: Mapping[str, Any], *, again: bool) -> str:
    """Return the line for a wait: everybody's after a 429, the case's own after anything else."""
    asked = tried["retry_after_s"]
    why = "429" if tried["http_status"] == 429 else str(tried["http_status"] or tried["reason"])
    who = "everyone waits" if tried["http_status"] == 429 or asked is not None else "it waits"
    told = "back-off, no Retry-After" if asked is None else f"Retry-After {asked:g} s and a guard"
    end = "" if again else "; the case is given up"
    return f"pause  {case_id} got {why} on attempt {tried['n']}: {who} {tried['wait_s']:.1f} s ({told}){end}"


def send(root: DataRoot, wanted: Wanted, *, resume: bool) -> tuple[str, int]:
    """Begin the run or go on with it; return its id, empty where none was begun, and an exit code."""
    clock = SystemClock()
    known = last_one(root, wanted) if resume else None
    now = clock.now()
    fresh = f"{PREFIX}{wanted.kind}-{compact(now)}-{jsonio.digest([stamp(now), os.getpid()])[:6]}"
    run_id = known.run_id if known else fresh
    chosen = root.qualified / "batch_selection.json"
    jsonio.write_json(chosen, {"schema": SELECTION_SCHEMA, "seed": wanted.seed, "case_ids": list(wanted.ids)})
    order = batch.Order(
        root=root,
        kind=wanted.kind,
        ordinal=0,
        cases=root.cases,
        template=TEMPLATE,
        verdict_map=VERDICT_MAP,
        target=wanted.target,
        pacing=wanted.pacing,
        selection=chosen,
        run_id=run_id,
        early_stop=False,
        remarks={"remarks": wanted.remarks},
    )
    begun = f"goes on, {known.done} of {len(wanted.ids)} cases are recorded" if known else "begins"

    def say(outlook: Forecast) -> None:
        foresee(outlook)
        if outlook.cases:
            require_listener(wanted.target)
        print(f"run {run_id}: {begun}", flush=True)

    workers = Threads(Client(open_session(wanted.pacing.max_in_flight), wanted.target, clock).send)
    at = {"start": known.size, "done": known.done} if known else {}
    with Interrupt() as stop, Watch(root.run(run_id) / OBSERVATIONS, len(wanted.ids), **at):
        report = batch.execute(order, workers, clock=clock, random=random.random, stop=stop, say=say)
    return (run_id if report.result else ""), ended(report)


def foresee(outlook: Forecast) -> None:
    """Say what the run takes before it takes it."""
    print(f"forecast: {outlook.sentence()}", flush=True)


def ended(report: batch.Report) -> int:
    """Say how a run ended, if it was begun at all, and return its exit code."""
    result = report.result
    if result is None:
        foresee(report.forecast)
        print(f"run {report.run_id}: {INSTEAD[report.state]}", file=sys.stderr)
        return int(ExitCode.INCONCLUSIVE)
    print(
        f"{result.state}: {result.done} of {plural(result.total, 'case')} recorded, "
        f"{plural(result.requests, 'request')} sent, {result.http_429} times 429, {result.active_s:.0f} s"
    )
    if result.state != runner.FINISHED:
        print(f"run {report.run_id}: {INSTEAD[result.state]}", file=sys.stderr)
        return int(ExitCode.INCONCLUSIVE)
    if set(result.outcomes) <= SILENT:
        print(
            f"API: found no answer to any of {plural(result.done, 'case')}, need one. "
            "Next: read the API's log, then run the command again",
            file=sys.stderr,
        )
        return int(ExitCode.STOP)
    return int(ExitCode.OK)


def write_commands(root: DataRoot, wanted: Wanted) -> int:
    """Write the commands of the run and say where they are."""
    template = request.load_template(TEMPLATE)
    found = ((name, parts(wanted.source.get(name), template, root.root)) for name in wanted.ids)
    paths = write(root.results, found, target=wanted.target, interval=wanted.pacing.min_interval)
    print(f"dry run: nothing was sent. {plural(len(wanted.ids), 'case')} as commands in:")
    print("\n".join(f"  {shown(path)}" for path in paths))
    return int(ExitCode.OK)


def join(root: DataRoot, run_id: str) -> int:
    """Have the labels joined to a run that has ended; return an exit code."""
    try:
        return labelled(root, "--run", run_id).returncode
    except KeyboardInterrupt:
        print(
            f"metrics of {run_id}: found a Ctrl-C, need its files; the run itself is whole. "
            f"Next: python scripts/metrics_day3.py --run {run_id}",
            file=sys.stderr,
        )
        return int(ExitCode.INCONCLUSIVE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Qualify, send, recompute the metrics, and return the exit code."""
    plan = load_policy()
    options = options_of(arguments, plan)
    dry = is_dry(os.environ) or options.dry_run
    target = Target("") if dry else target_of(os.environ)
    pacing = Pacing(
        min_interval=options.min_interval,
        max_in_flight=int(plan.pacing["max_in_flight"]),
        retries_429=options.retries_429,
        budget_minutes=float(plan.pacing["budget_minutes"]),
        base_backoff_s=options.base_backoff_seconds,
        max_backoff_s=options.max_backoff_seconds,
    )
    root = data_root(options.data_root)
    with alone(root, "run_batch_day3"):
        done = labelled(root, "--qualify")
        if done.returncode:
            return done.returncode
        qualified = json.loads(done.stdout)
        source = cases.load(root.cases)
        every = cases.load_selection(root.smoke_selection, source.ids) if options.smoke20 else source.ids
        ids = every[: options.limit]
        reasons = shortfalls(options, plan, root, cut=len(ids) < len(every))
        for reason in reasons:
            print(f"warning: {reason}; the run is marked as no decision evidence", file=sys.stderr)
        wanted = Wanted(
            kind="smoke" if options.smoke20 else "full",
            ids=ids,
            seed=int(plan.smoke["seed"]),
            reasons=tuple(reasons),
            labels_sha256=qualified["labels_sha256"],
            source=source,
            pacing=pacing,
            target=target,
        )
        print(f"data set: {qualified['data_set']}")
        if dry:
            return write_commands(root, wanted)
        run_id, code = send(root, wanted, resume=not options.no_resume)
        return worst([code, join(root, run_id)]) if run_id else code


if __name__ == "__main__":
    sys.exit(told(main))
