"""Metrics: observations joined with their labels, and everything counted over the joined rows.

The join is the first place where a label meets a verdict; by then every observation is on disk. A summary depends on
the set of rows, never on their order.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import jsonio
from .clock import parse, stamp
from .errors import BadInput, IntegrityError
from .stats import LEVEL, wilson
from .text import cell

if TYPE_CHECKING:  # pandas costs most of a second; only the verbs that count pay for it
    import pandas as pd

ROW_SCHEMA = "solidgreen/result/1"
SUMMARY_SCHEMA = "solidgreen/metrics/1"
VERDICTS = ("pass", "warn", "reject", "blocked")
UNKNOWN = "unknown"
#: Outcomes that speak of the stack, not of the verdict.
INFRASTRUCTURE = ("server_error", "transport_error", "malformed", "infra_unavailable")
EXHAUSTED = ("rate_limited", "quota")
#: Fields of a row of ``day3_results.jsonl``; those of the old tool first.
FIELDS = (
    "case_id",
    "scenario",
    "expected_verdict",
    "actual_verdict",
    "status",
    "error",
    "http_status",
    "run_id",
    "run_kind",
    "ordinal",
    "comparable",
    "matched",
    "outcome",
    "attempts",
    "healed_errors",
    "retries_429",
    "duration_seconds",
    "wait_seconds",
    "started_at",
    "finished_at",
    "job_id",
    "body_sha256",
    "content_sha256",
    "verdict_source",
    "disagreements",
    "source_type",
    "language",
    "parent",
)
FAILED_FIELDS = (*FIELDS[:7], "outcome", "attempts", "job_id", "finished_at")


@dataclass(frozen=True)
class Tally:
    """Faults found among *n* things looked at; each fault is a phrase that names it."""

    faults: tuple[str, ...]
    n: int


# --- rows ----------------------------------------------------------------------------------------------------------


def join(records: Iterable[Mapping[str, Any]], labels: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per observation of a run, in the order of its ledger.

    :param records: the ledger's records, the registration first
    :param labels: case id to ``expected``, ``scenario`` and the other columns of ``labels.json``
    :raises BadInput: a case has no label
    :raises IntegrityError: no registration, or a case was recorded twice
    """
    records = iter(records)
    registration = next(records, None)
    if registration is None or registration.get("type") != "registration":
        raise IntegrityError(
            "observations",
            found="no registration as the first record",
            need="the run's registration",
            next_step="restore the run from its snapshot, or invoke go --new-cycle",
        )
    rows: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.get("type") != "observation":
            continue
        case = str(record["case_id"])
        if case in rows:
            raise IntegrityError(
                f"run {registration['run_id']}",
                found=f"case {case} twice",
                need="one terminal record a case",
                next_step="restore the run from its snapshot, or invoke go --new-cycle",
            )
        if case not in labels:
            raise BadInput(
                f"labels for run {registration['run_id']}",
                found=f"no label for case {case}",
                need="a label for every case that was sent",
                next_step="judge the run with the labels of its own cycle",
            )
        rows[case] = _row(registration, record, labels[case])
    return list(rows.values())


def _row(registration: Mapping[str, Any], record: Mapping[str, Any], label: Mapping[str, Any]) -> dict[str, Any]:
    attempts = list(record.get("attempts") or [])
    verdict = record.get("verdict")
    comparable = record.get("outcome") == "answer" and verdict in VERDICTS
    actual = verdict if comparable else UNKNOWN
    return {
        "case_id": record["case_id"],
        "scenario": label.get("scenario", ""),
        "expected_verdict": label["expected"],
        "actual_verdict": actual,
        "status": "ok" if comparable else "error",
        "error": "" if comparable else _error(record),
        "http_status": record.get("http_status"),
        "run_id": registration["run_id"],
        "run_kind": registration["kind"],
        "ordinal": registration["ordinal"],
        "comparable": comparable,
        "matched": comparable and actual == label["expected"],
        "outcome": record.get("outcome", UNKNOWN),
        "attempts": len(attempts),
        "healed_errors": [_error_class(attempt) for attempt in attempts[:-1] if attempt.get("http_status") != 429],
        "retries_429": sum(1 for attempt in attempts if attempt.get("http_status") == 429),
        "duration_seconds": attempts[-1].get("duration_s") if attempts else None,
        "wait_seconds": round(sum(attempt.get("wait_s") or 0.0 for attempt in attempts), 6),
        "started_at": attempts[0].get("started_at") if attempts else None,
        "finished_at": record.get("finished_at"),
        "job_id": record.get("job_id"),
        "body_sha256": record.get("body_sha256"),
        "content_sha256": record.get("content_sha256"),
        "verdict_source": record.get("verdict_source"),
        "disagreements": record.get("disagreements", 0),
        "source_type": label.get("source_type", ""),
        "language": label.get("language", ""),
        "parent": label.get("parent", ""),
    }


def _error_class(attempt: Mapping[str, Any]) -> str:
    """Return the kind of error of an attempt that was tried again, by the names of the outcomes."""
    status = attempt.get("http_status")
    return f"infra_unavailable {status}" if status == 503 else "transport_error"


def _error(record: Mapping[str, Any]) -> str:
    outcome = str(record.get("outcome", UNKNOWN))
    said = record.get("error_detail") or ("no verdict in the answer" if outcome == "answer" else "")
    return f"{outcome}: {said}" if said else outcome


def adopt(rows: Iterable[Mapping[str, Any]], source: str) -> list[dict[str, Any]]:
    """Return rows of any results file, ours or the old tool's, with every field of ours; what is missing is None.

    :raises BadInput: a row lacks a case id or a usable expected verdict
    """
    adopted = []
    for number, row in enumerate(rows, start=1):
        expected = str(row.get("expected_verdict") or "").strip().lower()
        if not row.get("case_id") or expected not in VERDICTS:
            raise BadInput(
                f"{source} record {number}",
                found=f"case_id {row.get('case_id')!r} and expected_verdict {row.get('expected_verdict')!r}",
                need=f"a case id and one of {', '.join(VERDICTS)}",
                next_step="judge a day3_results.jsonl",
            )
        actual = str(row.get("actual_verdict") or "").strip().lower()
        comparable = actual in VERDICTS and row.get("comparable") is not False and not row.get("error")
        full = {field: row.get(field) for field in FIELDS}
        full |= {
            "case_id": str(row["case_id"]),
            "expected_verdict": expected,
            "actual_verdict": actual if comparable else UNKNOWN,
            "comparable": comparable,
            "matched": comparable and actual == expected,
            "outcome": str(row.get("outcome") or _old_outcome(row, comparable)),
            "http_status": _number(row.get("http_status")),
            "started_at": _stamp(row.get("started_at")),
            "finished_at": _stamp(row.get("finished_at")),
        }
        adopted.append(full)
    return adopted


def _number(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if text.isdecimal() else None


def _stamp(value: object) -> str | None:
    """Return a time as our stamp, None for what is no time."""
    try:
        return stamp(parse(str(value)))
    except ValueError:
        return None


def _old_outcome(row: Mapping[str, Any], comparable: bool) -> str:
    status = _number(row.get("http_status"))
    if comparable:
        return "answer"
    known = {429: "rate_limited", 422: "unprocessable", 503: "infra_unavailable", 200: "malformed"}
    if status is None:
        return "transport_error"
    return known.get(status, "server_error" if status >= 500 else "client_error")


# --- summary -------------------------------------------------------------------------------------------------------


def summarise(rows: Sequence[Mapping[str, Any]], level: float = LEVEL) -> dict[str, Any]:
    """Return everything counted over the rows of one run, as plain values; shares are None without data."""
    import pandas as pd

    ordered = sorted(rows, key=lambda row: str(row["case_id"]))
    frame = pd.DataFrame(ordered, columns=list(FIELDS))
    comparable = frame["comparable"].astype(bool)
    matched = frame["matched"].astype(bool)
    total, answered, hits = len(frame), int(comparable.sum()), int(matched.sum())
    confusion = _confusion(frame)
    critical = frame.loc[(frame["expected_verdict"] == "reject") & (frame["actual_verdict"] == "pass"), "case_id"]
    rejects, passes = confusion["reject"], confusion["pass"]
    blocked = sum(row["blocked"] for row in confusion.values())
    started, finished = _moments(frame["started_at"]), _moments(frame["finished_at"])
    summary = {
        "schema": SUMMARY_SCHEMA,
        "run_id": _only(frame["run_id"]),
        "run_kind": _only(frame["run_kind"]),
        "ordinal": _only(frame["ordinal"]),
        "total": total,
        "comparable": answered,
        "comparable_rate": _share(answered, total),
        "matched": hits,
        "accuracy": _share(hits, answered),
        "accuracy_interval": wilson(hits, answered, level),
        "accuracy_strict": _share(hits, total),
        "critical_false_pass": len(critical),
        "critical_false_pass_cases": list(critical),
        "expected_reject_answered": sum(rejects.values()) - rejects[UNKNOWN],
        "pass_recall": _share(passes["pass"], sum(passes.values())),
        "pass_blocked_ratio": _share(passes["blocked"], sum(passes.values()) - passes[UNKNOWN]),
        "actual_blocked": blocked,
        "actual_blocked_share": _share(blocked, answered),
        "http_422": int((frame["http_status"] == 422).sum()),
        "http_429_exhausted": int(frame["outcome"].isin(EXHAUSTED).sum()),
        "http_429_exhaustion_rate": _share(int(frame["outcome"].isin(EXHAUSTED).sum()), total),
        "confusion": confusion,
        "classes": {name: _class(confusion, name) for name in VERDICTS},
        "by_scenario": _by_scenario(frame),
        "outcomes": _counts(frame["outcome"]),
        "error_classes": error_classes(ordered),
        "verdict_disagreements": _disagreements(ordered),
        "started_at": min(started) if started else None,
        "finished_at": max(finished) if finished else None,
        "duration_minutes": _minutes(min(started), max(finished)) if started and finished else None,
        "latency_seconds": _latency(frame.loc[comparable, "duration_seconds"]),
    }
    plain: dict[str, Any] = jsonio.to_plain(summary)
    return plain


def _confusion(frame: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return expected verdict to actual verdict to count; what is not comparable stands under ``unknown``."""
    columns = (*VERDICTS, UNKNOWN)
    counted = frame.value_counts(["expected_verdict", "actual_verdict"]).to_dict()
    return {row: {column: int(counted.get((row, column), 0)) for column in columns} for row in VERDICTS}


def _class(confusion: Mapping[str, Mapping[str, int]], name: str) -> dict[str, Any]:
    """Return one class's figures; an unanswered case counts against its class's recall."""
    hits, expected = confusion[name][name], sum(confusion[name].values())
    predicted = sum(row[name] for row in confusion.values())
    return {
        "expected": expected,
        "answered": expected - confusion[name][UNKNOWN],
        "predicted": predicted,
        "matched": hits,
        "recall": _share(hits, expected),
        "precision": _share(hits, predicted),
        "f1": _share(2 * hits, expected + predicted),
        "blocked": confusion[name]["blocked"],
    }


def _by_scenario(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    figures = {}
    for name, group in frame.groupby("scenario", sort=True):
        answered, hits = int(group["comparable"].astype(bool).sum()), int(group["matched"].astype(bool).sum())
        figures[str(name)] = {
            "total": len(group),
            "comparable": answered,
            "matched": hits,
            "accuracy": _share(hits, answered),
        }
    return figures


def _counts(values: pd.Series[Any]) -> dict[str, int]:
    return {str(key): int(count) for key, count in sorted(values.value_counts().items(), key=lambda item: str(item[0]))}


def error_classes(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how often each kind of infrastructure error was met, whether it ended its case or a retry healed it."""
    met: Counter[str] = Counter()
    for row in rows:
        met.update(row.get("healed_errors") or ())
        if row["outcome"] in INFRASTRUCTURE:
            status = row.get("http_status")
            met[row["outcome"] if status is None else f"{row['outcome']} {status}"] += 1
    return dict(sorted(met.items()))


def _disagreements(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return in how many answers the sources of the verdict did not agree, and how many sources stood apart."""
    apart = [int(row.get("disagreements") or 0) for row in rows]
    return {"answers": sum(1 for count in apart if count), "sources": sum(apart)}


def _only(values: pd.Series[Any]) -> Any:
    unique = values.dropna().unique()
    return unique[0] if len(unique) == 1 else None


def _share(hits: int, n: int) -> float | None:
    return hits / n if n else None


def _moments(values: pd.Series[Any]) -> list[str]:
    return [str(value) for value in values.dropna() if value]


def _minutes(start: str, end: str) -> float:
    return round((parse(end) - parse(start)).total_seconds() / 60, 4)


def _latency(values: pd.Series[Any]) -> dict[str, float] | None:
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").dropna()
    if numbers.empty:
        return None
    return {f"p{int(q * 100)}": round(float(numbers.quantile(q)), 6) for q in (0.5, 0.9, 0.99)} | {
        "max": round(float(numbers.max()), 6)
    }


# --- between runs --------------------------------------------------------------------------------------------------


def consistency(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many cases have the same verdict in both runs, and every flip.

    A case that is not comparable in either run, or is missing from one, is a disagreement.
    """
    before, after = ({str(row["case_id"]): str(row["actual_verdict"]) for row in rows} for rows in (first, second))
    cases = sorted({*before, *after})
    flips = [
        {"case_id": case, "first": before.get(case, UNKNOWN), "second": after.get(case, UNKNOWN)}
        for case in cases
        if before.get(case, UNKNOWN) != after.get(case, UNKNOWN) or before.get(case, UNKNOWN) == UNKNOWN
    ]
    return {"same": len(cases) - len(flips), "total": len(cases), "flips": flips}


def dependence(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> Tally:
    """Return the signs that the second run is not a run of its own, among the five that can be looked at.

    Looked at are run ids, the cases and their content, times, job ids, and whether answers are replayed byte for byte;
    what a file does not tell is not counted, so that a gate that asks for all five stays inconclusive.
    """
    faults: list[str] = []
    looked_at = 0
    ids = [{row["run_id"] for row in rows if row.get("run_id")} for rows in (first, second)]
    if all(ids):
        looked_at += 1
        faults += [f"run id {name} in both" for name in sorted(ids[0] & ids[1])]
    content = [{str(row["case_id"]): row.get("content_sha256") for row in rows} for rows in (first, second)]
    if all(content) and all(value for side in content for value in side.values()):
        looked_at += 1
        differing = sum(1 for case in {*content[0], *content[1]} if content[0].get(case) != content[1].get(case))
        faults += [f"{differing} cases differ in id or content"] if differing else []
    ends = [str(row["finished_at"]) for row in first if row.get("finished_at")]
    starts = [str(row["started_at"]) for row in second if row.get("started_at")]
    if ends and starts:
        looked_at += 1
        if parse(min(starts)) <= parse(max(ends)):
            faults.append(f"the second started at {min(starts)}, the first ended at {max(ends)}")
    jobs = [{str(row["job_id"]): row for row in rows if row.get("job_id")} for rows in (first, second)]
    if all(jobs):
        looked_at += 1
        shared = sorted(jobs[0].keys() & jobs[1].keys())
        faults += [f"{len(shared)} job ids in both, the first {shared[0]}"] if shared else []
        bodies = [{job: row.get("body_sha256") for job, row in side.items()} for side in jobs]
        if all(any(side.values()) for side in bodies):
            looked_at += 1
            replayed = sum(1 for job in shared if bodies[0][job] and bodies[0][job] == bodies[1][job])
            faults += [f"{replayed} answers replayed byte for byte"] if replayed else []
    return Tally(tuple(faults), looked_at)


def drift(prior: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, float]:
    """Return the drop of recall per class against a prior run's summary, classes expected blocked left out.

    Rows of both confusion matrices are normalised; a positive number is a drop, a class without cases is left out.
    """
    drops = {}
    for name in VERDICTS:
        before, after = prior["classes"][name]["recall"], current["classes"][name]["recall"]
        if name != "blocked" and before is not None and after is not None:
            drops[name] = round(before - after, 12)
    return drops


# --- files ---------------------------------------------------------------------------------------------------------


def rate_limit_stats(
    rows: Sequence[Mapping[str, Any]],
    pacing: Mapping[str, Any] | None = None,
    pace: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the rate limit cost the run; waits in seconds.

    :param pace: the latest record of what the run kept below, None where no limit showed itself
    """
    waits = [float(row.get("wait_seconds") or 0) for row in rows]
    requests = sum(int(row.get("attempts") or 0) for row in rows)
    limited = sum(int(row.get("retries_429") or 0) for row in rows)
    exhausted = sum(1 for row in rows if row.get("outcome") in EXHAUSTED)
    plain: dict[str, Any] = jsonio.to_plain(
        {
            "schema": "solidgreen/rate_limit/1",
            "total_requests": requests,
            "http_429": limited,
            "http_429_rate": _share(limited, requests),
            "cases_with_429": sum(1 for row in rows if row.get("retries_429")),
            "exhausted": exhausted,
            "exhaustion_rate": _share(exhausted, len(rows)),
            "total_wait_seconds": round(sum(sorted(waits)), 6),
            "max_wait_seconds": max(waits, default=0.0),
            "pacing": dict(pacing or {}),
            "rate_limit": {key: pace[key] for key in ("limit", "source", "certain")} if pace else None,
        }
    )
    return plain


def confusion_csv(summary: Mapping[str, Any]) -> str:
    """Return the confusion matrix with the header old consumers read."""
    columns = (*VERDICTS, UNKNOWN)
    lines = [",".join(("expected\\actual", *columns))]
    lines += [",".join((row, *(str(summary["confusion"][row][column]) for column in columns))) for row in VERDICTS]
    return "\n".join(lines) + "\n"


def failed_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return every case that was not answered as expected, by case id; no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FAILED_FIELDS)
    for row in sorted((row for row in rows if not row["matched"]), key=lambda row: str(row["case_id"])):
        writer.writerow(["" if row.get(field) is None else cell(row[field]) for field in FAILED_FIELDS])
    return out.getvalue()
