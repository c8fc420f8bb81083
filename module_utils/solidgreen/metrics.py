"""Metrics: observations joined with their labels, and everything counted over the joined rows.

The join is the first place where a label meets a verdict; by then every observation is on disk. A summary depends on
the set of rows, never on their order.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import jsonio
from .clock import parse, stamp
from .columns import BETWEEN, CHUNK, Rows, encoded, plain, table, to_frame
from .columns import FIELDS as FIELDS
from .columns import frame as frame
from .errors import BadInput, IntegrityError, SolidGreenError
from .stats import LEVEL, wilson
from .text import cell

if TYPE_CHECKING:  # pandas costs most of a second; only the verbs that count pay for it
    import numpy as np
    import pandas as pd
    import pyarrow as pa  # type: ignore[import-untyped]

    #: What everything here counts over: a frame (see ``columns``), what holds one, or rows as dicts.
    Counted = pd.DataFrame | Rows | Sequence[Mapping[str, Any]]

ROW_SCHEMA = "solidgreen/result/1"
SUMMARY_SCHEMA = "solidgreen/metrics/1"
VERDICTS = ("pass", "warn", "reject", "blocked")
UNKNOWN = "unknown"
#: Columns of the confusion matrix: what can be seen of a case.
SEEN = (*VERDICTS, UNKNOWN)
#: Outcomes that speak of the stack, not of the verdict.
INFRASTRUCTURE = ("server_error", "transport_error", "malformed", "infra_unavailable")
EXHAUSTED = ("rate_limited", "quota")
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
    found = Join(labels)
    rows = [row for row in map(found.row, records) if row is not None]
    found.require_registration()
    return rows


class Join:
    """Joins the records of a run with their labels as they come, and keeps the rows by column, with their lines."""

    def __init__(self, labels: Mapping[str, Mapping[str, Any]]) -> None:
        self._labels = labels
        self._registration: Mapping[str, Any] = {}
        self._joined: set[str] = set()
        self._waiting: list[dict[str, Any]] = []
        self._tables: list[pa.Table] = []
        self._lines = io.BytesIO()
        self._fault: SolidGreenError | None = None

    def row(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the row of the next record, None where it is no observation; see :func:`join` for the errors."""
        if not self._registration:
            if record.get("type") == "registration":
                self._registration = record
            self.require_registration()
        if record.get("type") != "observation":
            return None
        case = str(record["case_id"])
        if case in self._joined:
            raise IntegrityError(
                f"run {self._registration['run_id']}",
                found=f"case {case} twice",
                need="one terminal record a case",
                next_step="restore the run from its snapshot, or invoke go --new-cycle",
            )
        if case not in self._labels:
            raise BadInput(
                f"labels for run {self._registration['run_id']}",
                found=f"no label for case {case}",
                need="a label for every case that was sent",
                next_step="judge the run with the labels of its own cycle",
            )
        self._joined.add(case)
        return _row(self._registration, record, self._labels[case])

    def require_registration(self) -> None:
        """Pass when the records began with a registration.

        :raises IntegrityError: they did not
        """
        if not self._registration:
            raise IntegrityError(
                "observations",
                found="no registration as the first record",
                need="the run's registration",
                next_step="restore the run from its snapshot, or invoke go --new-cycle",
            )

    def add(self, record: Mapping[str, Any]) -> None:
        """Keep the row of the next record; an error waits for :meth:`rows`, when the whole ledger was verified."""
        try:
            row = None if self._fault else self.row(record)
        except SolidGreenError as error:
            self._fault = error
            return
        if row is not None:
            self._lines.write(jsonio.canonical_plain(row) + b"\n")
            self._waiting.append(row)
        if len(self._waiting) >= CHUNK:
            self._turn()

    def _turn(self) -> None:
        self._tables.append(encoded(table(self._waiting)))
        self._waiting.clear()

    def rows(self) -> Rows:
        """Return all rows that were kept; see :func:`join` for the errors."""
        if self._fault:
            raise self._fault
        self.require_registration()
        self._turn()
        return Rows(to_frame(self._tables))

    def lines(self) -> bytes:
        """Return the rows that were kept as a results file has them."""
        return self._lines.getvalue()


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
        "secrets": record.get("secrets"),
    }


def _error_class(attempt: Mapping[str, Any]) -> str:
    """Return the kind of error of an attempt that was tried again, by the names of the outcomes."""
    status = attempt.get("http_status")
    return f"infra_unavailable {status}" if status == 503 else "transport_error"


def _error(record: Mapping[str, Any]) -> str:
    outcome = str(record.get("outcome", UNKNOWN))
    said = record.get("error_detail") or ("no verdict in the answer" if outcome == "answer" else "")
    return f"{outcome}: {said}" if said else outcome


def answered(counted: pd.DataFrame, verdicts: Sequence[str | None]) -> pd.DataFrame:
    """Return a run whose last rows, as many as there are *verdicts*, got those; None leaves a row as it is."""
    import numpy as np
    import pandas as pd

    given = np.array([VERDICTS.index(verdict) if verdict in VERDICTS else -1 for verdict in verdicts], dtype=int)
    rest, told = len(counted) - len(given), given >= 0
    expected, actual = _coded(counted["expected_verdict"], VERDICTS), _coded(counted["actual_verdict"], SEEN)
    outcomes, names = _codes(counted["outcome"])
    names = [*names, *({"answer"} - {*names})]
    comparable, status = _flags(counted, "comparable").copy(), _numbers(counted, "http_status").copy()
    actual[rest:][told], comparable[rest:][told], status[rest:][told] = given[told], True, 200
    outcomes[rest:][told] = names.index("answer")
    return counted.assign(
        actual_verdict=pd.Categorical.from_codes(actual, dtype=pd.CategoricalDtype([*SEEN])),
        comparable=comparable,
        matched=comparable & (actual == expected),
        outcome=pd.Categorical.from_codes(outcomes, dtype=pd.CategoricalDtype(names)),
        http_status=status,
    )


# --- summary -------------------------------------------------------------------------------------------------------


def summarise(rows: Counted, level: float = LEVEL) -> dict[str, Any]:
    """Return everything counted over the rows of one run, as plain values; shares are None without data."""
    import numpy as np

    counted = frame(rows)
    comparable, matched = _flags(counted, "comparable"), _flags(counted, "matched")
    expected, actual = _coded(counted["expected_verdict"], VERDICTS), _coded(counted["actual_verdict"], SEEN)
    outcome, attempts = _coded(counted["outcome"], EXHAUSTED), _numbers(counted, "attempts")
    total, answered, hits = len(counted), int(comparable.sum()), int(matched.sum())
    confusion = _confusion(expected, actual)
    critical = np.flatnonzero((expected == VERDICTS.index("reject")) & (actual == SEEN.index("pass")))
    rejects, passes = confusion["reject"], confusion["pass"]
    blocked = sum(row["blocked"] for row in confusion.values())
    exhausted = int((outcome >= 0).sum())
    started, finished = _end(counted["started_at"], "min"), _end(counted["finished_at"], "max")
    summary = {
        "schema": SUMMARY_SCHEMA,
        "run_id": _only(counted["run_id"]),
        "run_kind": _only(counted["run_kind"]),
        "ordinal": _only(counted["ordinal"]),
        "total": total,
        "comparable": answered,
        "comparable_rate": _share(answered, total),
        "matched": hits,
        "accuracy": _share(hits, answered),
        "accuracy_interval": wilson(hits, answered, level),
        "accuracy_strict": _share(hits, total),
        "critical_false_pass": len(critical),
        "critical_false_pass_cases": sorted(counted["case_id"].iloc[critical].tolist()),
        "expected_reject_answered": _answered(rejects),
        "pass_recall": _share(passes["pass"], sum(passes.values())),
        "pass_blocked_ratio": _share(passes["blocked"], _answered(passes)),
        "actual_blocked": blocked,
        "actual_blocked_share": _share(blocked, answered),
        "http_422": int((_numbers(counted, "http_status") == 422).sum()),
        "http_429_exhausted": exhausted,
        "http_429_exhaustion_rate": _share(exhausted, total),
        "confusion": confusion,
        "classes": {name: _class(confusion, name) for name in VERDICTS},
        "blocked_share_by_class": {name: _share(row["blocked"], _answered(row)) for name, row in confusion.items()},
        "baseline": _baseline(confusion),
        "by_scenario": _by(counted["scenario"], comparable, matched),
        "by_source_type": _by(counted["source_type"], comparable, matched),
        "parents": _parents(counted["parent"][comparable]),
        "first_try": _figures(attempts == 1, comparable, matched),
        "retried": _figures(attempts > 1, comparable, matched),
        "outcomes": _counts(counted["outcome"]),
        "error_classes": error_classes(counted),
        "verdict_disagreements": _disagreements(_numbers(counted, "disagreements")),
        "secrets": _told(_numbers(counted, "secrets")),
        "started_at": started,
        "finished_at": finished,
        "duration_minutes": _minutes(started, finished) if started and finished else None,
        "latency_seconds": _latency(_numbers(counted, "duration_seconds")[comparable]),
    }
    return plain_values(summary)


def plain_values(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as builtin values, None for what is no number."""
    values: dict[str, Any] = jsonio.to_plain(summary)
    return values


def _flags(counted: pd.DataFrame, column: str) -> np.ndarray:
    flags: np.ndarray = counted[column].to_numpy(bool)
    return flags


def _numbers(counted: pd.DataFrame, column: str) -> np.ndarray:
    """Return the numbers of a column as floats, NaN for what is missing."""
    numbers: np.ndarray = counted[column].to_numpy(float, na_value=math.nan)
    return numbers


def _codes(values: pd.Series[Any]) -> tuple[np.ndarray, list[str]]:
    """Return values as places in a list of the different ones, -1 for what is missing."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy("int64"), values.cat.categories.tolist()
    codes, names = pd.factorize(values)
    return codes, names.tolist()


def _coded(values: pd.Series[Any], names: Sequence[str]) -> np.ndarray:
    """Return values as places in *names*, -1 for any other."""
    import numpy as np

    codes, known = _codes(values)
    places = np.array([*(names.index(name) if name in names else -1 for name in known), -1])
    found: np.ndarray = places[codes]
    return found


def _confusion(expected: np.ndarray, actual: np.ndarray) -> dict[str, dict[str, int]]:
    """Return expected verdict to actual verdict to count; what is not comparable stands under ``unknown``."""
    import numpy as np

    known = (expected >= 0) & (actual >= 0)
    cells = np.bincount(expected[known] * len(SEEN) + actual[known], minlength=len(VERDICTS) * len(SEEN))
    matrix = cells.reshape(len(VERDICTS), len(SEEN)).tolist()
    return {row: dict(zip(SEEN, counts, strict=True)) for row, counts in zip(VERDICTS, matrix, strict=True)}


def _answered(row: Mapping[str, int]) -> int:
    return sum(row.values()) - row[UNKNOWN]


def _class(confusion: Mapping[str, Mapping[str, int]], name: str) -> dict[str, Any]:
    """Return one class's figures; an unanswered case counts against its class's recall."""
    hits, expected = confusion[name][name], sum(confusion[name].values())
    predicted = sum(row[name] for row in confusion.values())
    return {
        "expected": expected,
        "answered": _answered(confusion[name]),
        "predicted": predicted,
        "matched": hits,
        "recall": _share(hits, expected),
        "precision": _share(hits, predicted),
        "f1": _share(2 * hits, expected + predicted),
        "blocked": confusion[name]["blocked"],
    }


def _baseline(confusion: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Return the verdict that is expected most among the comparable, and the accuracy of always giving it."""
    answered = {name: _answered(row) for name, row in confusion.items()}
    most, total = max(VERDICTS, key=lambda name: answered[name]), sum(answered.values())
    return {"verdict": most if total else None, "share": _share(answered[most], total)}


def _by(values: pd.Series[Any], comparable: np.ndarray, matched: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return the figures of the rows of each value, by value; rows without one are left out."""
    import numpy as np

    codes, names = _codes(values)
    columns = [codes[mask & (codes >= 0)] for mask in (codes >= 0, comparable, matched)]
    counts = [np.bincount(column, minlength=len(names)).tolist() for column in columns]
    return {name: _figure(*found) for name, *found in sorted(zip(names, *counts, strict=True)) if found[0]}


def _figures(mask: np.ndarray, comparable: np.ndarray, matched: np.ndarray) -> dict[str, Any]:
    return _figure(int(mask.sum()), int((mask & comparable).sum()), int((mask & matched).sum()))


def _figure(total: int, comparable: int, matched: int) -> dict[str, Any]:
    return {"total": total, "comparable": comparable, "matched": matched, "accuracy": _share(matched, comparable)}


def _parents(parents: pd.Series[Any]) -> dict[str, Any]:
    """Return how many parents the comparable rows are of, and how many parents have how many of them.

    A row that names no parent is left out. A list of sizes would be as long as the run, where each case has its own.
    """
    import numpy as np

    codes, names = _codes(parents)
    members = np.bincount(codes[codes >= 0], minlength=len(names))
    if "" in names:
        members[names.index("")] = 0
    sizes, families = np.unique(members[members > 0], return_counts=True)
    return {
        "count": int(families.sum()),
        "sizes": {str(size): count for size, count in zip(sizes.tolist(), families.tolist(), strict=True)},
    }


def _counts(values: pd.Series[Any]) -> dict[str, int]:
    import numpy as np

    codes, names = _codes(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    return {name: count for name, count in sorted(zip(names, counts, strict=True)) if count}


def error_classes(rows: Counted) -> dict[str, int]:
    """Return how often each kind of infrastructure error was met, whether it ended its case or a retry healed it."""
    counted = frame(rows)
    met: Counter[str] = Counter()
    for names, count in _counts(counted["healed_errors"]).items():
        for name in filter(None, names.split(BETWEEN)):
            met[name] += count
    ended = _coded(counted["outcome"], INFRASTRUCTURE)
    failed = ended >= 0
    statuses = _numbers(counted, "http_status")[failed].tolist()
    for (place, status), count in Counter(zip(ended[failed].tolist(), statuses, strict=True)).items():
        name = INFRASTRUCTURE[place]
        met[name if math.isnan(status) else f"{name} {status:.0f}"] += count
    return dict(sorted(met.items()))


def _disagreements(apart: np.ndarray) -> dict[str, int]:
    """Return in how many answers the sources of the verdict did not agree, and how many sources stood apart."""
    import numpy as np

    found = np.nan_to_num(apart)
    return {"answers": int(np.count_nonzero(found)), "sources": int(found.sum())}


def _told(numbers: np.ndarray) -> int | None:
    """Return the sum of what rows tell; None where nothing was found and some do not tell.

    A number below zero tells nothing; taken away from the others, it would hide what they tell.
    """
    told = numbers >= 0  # NaN is not
    found = int(numbers[told].sum())
    return found if found or told.all() else None


def _only(values: pd.Series[Any]) -> Any:
    import numpy as np

    codes, names = _codes(values)
    known = np.unique(codes[codes >= 0])
    return names[known[0]] if len(known) == 1 else None


def _share(hits: int, n: int) -> float | None:
    return hits / n if n else None


def _end(moments: pd.Series[Any], which: str) -> str | None:
    """Return the first (``min``) or last (``max``) of some times as our stamp, None without any."""
    found = getattr(moments, which)()
    return None if found != found else stamp(found.to_pydatetime())  # NaT is not itself


def _minutes(start: str, end: str) -> float:
    return round((parse(end) - parse(start)).total_seconds() / 60, 4)


def _latency(values: np.ndarray) -> dict[str, float] | None:
    import numpy as np

    known = values[~np.isnan(values)]
    if not known.size:
        return None
    names = ("p50", "p90", "p99", "max")
    found = np.quantile(known, (0.5, 0.9, 0.99, 1.0)).tolist()
    return {name: round(value, 6) for name, value in zip(names, found, strict=True)}


# --- between runs --------------------------------------------------------------------------------------------------


def consistency(first: Counted, second: Counted) -> dict[str, Any]:
    """Return how many cases have the same verdict in both runs, and every flip, by case id.

    A case that is not comparable in either run, or is missing from one, is a disagreement.
    """
    import numpy as np

    frames = [_a_row_a_case(frame(rows)) for rows in (first, second)]
    names, places = _aligned(*(counted["case_id"] for counted in frames))
    verdicts = []
    for counted, at in zip(frames, places, strict=True):
        seen = np.append(_coded(counted["actual_verdict"], VERDICTS), -1)  # the last stands for a case that is missing
        verdicts.append(seen[at])
    flipped = np.flatnonzero((verdicts[0] != verdicts[1]) | (verdicts[0] < 0))
    told = (
        _at(counted, at[flipped], ("expected_verdict", "scenario", "job_id"))
        for counted, at in zip(frames, places, strict=True)
    )
    flips = [
        {
            "case_id": case,
            "expected": before[0] or after[0],
            "scenario": before[1] or after[1],
            "first": SEEN[was],
            "second": SEEN[now],
            "first_job_id": before[2],
            "second_job_id": after[2],
        }
        for case, was, now, before, after in zip(
            names[flipped].tolist(), *(codes[flipped].tolist() for codes in verdicts), *told, strict=True
        )
    ]
    return {"same": len(names) - len(flips), "total": len(names), "flips": flips}


def _a_row_a_case(counted: pd.DataFrame) -> pd.DataFrame:
    return counted if counted["case_id"].is_unique else counted.drop_duplicates("case_id", keep="last")


def _aligned(first: pd.Series[Any], second: pd.Series[Any]) -> tuple[pd.Index, tuple[np.ndarray, np.ndarray]]:
    """Return the values that either has, sorted, and where each stands in both; -1 where it does not."""
    import pandas as pd

    before, after = pd.Index(first), pd.Index(second)
    names = (before if before.equals(after) else before.union(after, sort=False)).sort_values()
    return names, (before.get_indexer(names), after.get_indexer(names))


def _at(counted: pd.DataFrame, places: np.ndarray, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the texts of some columns in those places, None for what is missing and for the place -1."""
    kept = (counted[column].iloc[places].tolist() if len(counted) else [None] * len(places) for column in columns)
    found = ([text if isinstance(text, str) else None for text in texts] for texts in kept)
    nothing = (None,) * len(columns)
    return [row if at >= 0 else nothing for at, row in zip(places.tolist(), zip(*found, strict=True), strict=True)]


def dependence(first: Counted, second: Counted) -> Tally:
    """Return the signs that the second run is not a run of its own, among the five that can be looked at.

    Looked at are run ids, the cases and their content, times, job ids, and whether answers are replayed byte for byte;
    what a file does not tell is not counted, so that a gate that asks for all five stays inconclusive.
    """
    import pandas as pd

    frames = [frame(rows) for rows in (first, second)]
    faults: list[str] = []
    looked_at = 0
    ids = [{name for name in _counts(counted["run_id"]) if name} for counted in frames]
    if all(ids):
        looked_at += 1
        faults += [f"run id {name} in both" for name in sorted(ids[0] & ids[1])]
    if all(len(counted) and _filled(counted["content_sha256"]).all() for counted in frames):
        looked_at += 1
        differing = _differing(*map(_a_row_a_case, frames))
        faults += [f"{differing} cases differ in id or content"] if differing else []
    ended, began = _end(frames[0]["finished_at"], "max"), _end(frames[1]["started_at"], "min")
    if ended and began:
        looked_at += 1
        if parse(began) <= parse(ended):
            faults.append(f"the second started at {began}, the first ended at {ended}")
    jobs = [counted[_filled(counted["job_id"])].drop_duplicates("job_id", keep="last") for counted in frames]
    if all(len(side) for side in jobs):
        looked_at += 1
        places = pd.Index(jobs[1]["job_id"]).get_indexer(pd.Index(jobs[0]["job_id"]))
        shared = jobs[0][places >= 0]
        faults += [f"{len(shared)} job ids in both, the first {shared['job_id'].min()}"] if len(shared) else []
        if all(_filled(side["body_sha256"]).any() for side in jobs):
            looked_at += 1
            again = jobs[1]["body_sha256"].iloc[places[places >= 0]].to_numpy() == shared["body_sha256"].to_numpy()
            replayed = int((again & _filled(shared["body_sha256"])).sum())
            faults += [f"{replayed} answers replayed byte for byte"] if replayed else []
    return Tally(tuple(faults), looked_at)


def _filled(texts: pd.Series[Any]) -> np.ndarray:
    return (texts.notna() & (texts != "")).to_numpy(bool)


def _differing(first: pd.DataFrame, second: pd.DataFrame) -> int:
    """Return how many cases are not in both, or with other documents."""
    names, (before, after) = _aligned(first["case_id"], second["case_id"])
    both = (before >= 0) & (after >= 0)
    same = (
        first["content_sha256"].iloc[before[both]].to_numpy() == second["content_sha256"].iloc[after[both]].to_numpy()
    )
    return len(names) - int(same.sum())


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


def drift_matrix(prior: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return how the share of each actual verdict among an expected one changed, both confusion matrices by row.

    A positive number is a share that grew; None where the class had no case in one of the two.
    """
    return {row: _shift(prior["confusion"][row], current["confusion"][row]) for row in VERDICTS}


def _shift(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, float | None]:
    totals = sum(before.values()), sum(after.values())
    if not all(totals):
        return dict.fromkeys(SEEN)
    return {name: round(after[name] / totals[1] - before[name] / totals[0], 12) for name in SEEN}


# --- files ---------------------------------------------------------------------------------------------------------


def rate_limit_stats(
    rows: Counted,
    pacing: Mapping[str, Any] | None = None,
    pace: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what the rate limit cost the run; waits in seconds.

    :param pace: the latest record of what the run kept below, None where no limit showed itself
    """
    import numpy as np

    counted = frame(rows)
    waits, requests, limited = (
        np.nan_to_num(_numbers(counted, column)) for column in ("wait_seconds", "attempts", "retries_429")
    )
    exhausted = int((_coded(counted["outcome"], EXHAUSTED) >= 0).sum())
    return plain_values(
        {
            "schema": "solidgreen/rate_limit/1",
            "total_requests": int(requests.sum()),
            "http_429": int(limited.sum()),
            "http_429_rate": _share(int(limited.sum()), int(requests.sum())),
            "cases_with_429": int(np.count_nonzero(limited)),
            "exhausted": exhausted,
            "exhaustion_rate": _share(exhausted, len(counted)),
            "total_wait_seconds": round(math.fsum(waits), 6),  # exact, so that the order of the rows cannot show
            "max_wait_seconds": float(waits.max(initial=0.0)),
            "pacing": dict(pacing or {}),
            "rate_limit": {key: pace[key] for key in ("limit", "source", "certain")} if pace else None,
        }
    )


def confusion_csv(summary: Mapping[str, Any]) -> str:
    """Return the confusion matrix with the header old consumers read."""
    lines = [",".join(("expected\\actual", *SEEN))]
    lines += [",".join((row, *(str(summary["confusion"][row][column]) for column in SEEN))) for row in VERDICTS]
    return "\n".join(lines) + "\n"


def failed_csv(rows: Counted) -> str:
    """Return every case that was not answered as expected, by case id; no cell is a formula."""
    counted = frame(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FAILED_FIELDS)
    failed = plain(counted.loc[~_flags(counted, "matched"), list(FAILED_FIELDS)])
    for row in sorted(failed, key=lambda row: [str(value) for value in row.values()]):
        writer.writerow(["" if value is None else cell(value) for value in row.values()])
    return out.getvalue()
