"""Count a results file as anybody would: every line by ``json.loads`` into a list, then a loop. Standard library only.

This is what ``judge.py`` beside it measures the judgement against; both must come to the same figures.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

VERDICTS = ("pass", "warn", "reject", "blocked")
INFRASTRUCTURE = {"server_error", "transport_error", "malformed", "infra_unavailable"}


def share(hits: int, n: int) -> float | None:
    """Return hits of n, None for no data."""
    return hits / n if n else None


def figures(counts: list[int]) -> dict[str, Any]:
    """Return total, comparable, matched with their accuracy."""
    total, comparable, matched = counts
    return {"total": total, "comparable": comparable, "matched": matched, "accuracy": share(matched, comparable)}


def quantile(ordered: list[float], q: float) -> float:
    """Return a quantile of sorted numbers, interpolated between the two beside it."""
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (ordered[high] - ordered[low]) * (at - low), 6)


def count(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures under the names that metrics_summary.json has for them."""
    confusion = {expected: dict.fromkeys((*VERDICTS, "unknown"), 0) for expected in VERDICTS}
    outcomes: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    parents: Counter[str] = Counter()
    groups: dict[str, dict[str, list[int]]] = {
        name: defaultdict(lambda: [0, 0, 0]) for name in ("scenario", "source_type")
    }
    tries = {"first": [0, 0, 0], "retried": [0, 0, 0]}
    total = comparable = matched = unprocessable = exhausted = apart = sources = secrets = requests = limited = 0
    critical, latency, waits = [], [], []
    started = finished = None
    for row in rows:
        expected, actual = row["expected_verdict"], row["actual_verdict"]
        answered, right = row["comparable"], row["matched"]
        total += 1
        comparable += answered
        matched += right
        confusion[expected][actual] += 1
        if expected == "reject" and actual == "pass":
            critical.append(row["case_id"])
        outcomes[row["outcome"]] += 1
        status = row["http_status"]
        unprocessable += status == 422
        exhausted += row["outcome"] in ("rate_limited", "quota")
        errors.update(row["healed_errors"])
        if row["outcome"] in INFRASTRUCTURE:
            errors[row["outcome"] if status is None else f"{row['outcome']} {status}"] += 1
        for name, group in groups.items():
            counts = group[row[name]]
            counts[0] += 1
            counts[1] += answered
            counts[2] += right
        counts = tries["first" if row["attempts"] == 1 else "retried"]
        counts[0] += 1
        counts[1] += answered
        counts[2] += right
        if answered:
            parents[row["parent"]] += 1
            latency.append(row["duration_seconds"])
        apart += row["disagreements"] > 0
        sources += row["disagreements"]
        secrets += row["secrets"]
        requests += row["attempts"]
        limited += row["retries_429"]
        waits.append(row["wait_seconds"])
        started = row["started_at"] if started is None else min(started, row["started_at"])
        finished = row["finished_at"] if finished is None else max(finished, row["finished_at"])
    latency.sort()
    expected_of = {name: sum(row.values()) for name, row in confusion.items()}
    predicted = {name: sum(row[name] for row in confusion.values()) for name in VERDICTS}
    return {
        "total": total,
        "comparable": comparable,
        "matched": matched,
        "accuracy": share(matched, comparable),
        "confusion": confusion,
        "classes": {
            name: {
                "expected": expected_of[name],
                "answered": expected_of[name] - confusion[name]["unknown"],
                "predicted": predicted[name],
                "matched": confusion[name][name],
                "recall": share(confusion[name][name], expected_of[name]),
                "precision": share(confusion[name][name], predicted[name]),
                "f1": share(2 * confusion[name][name], expected_of[name] + predicted[name]),
                "blocked": confusion[name]["blocked"],
            }
            for name in VERDICTS
        },
        "critical_false_pass_cases": sorted(critical),
        "http_422": unprocessable,
        "http_429_exhausted": exhausted,
        "outcomes": dict(outcomes),
        "error_classes": dict(errors),
        "by_scenario": {name: figures(counts) for name, counts in groups["scenario"].items()},
        "by_source_type": {name: figures(counts) for name, counts in groups["source_type"].items()},
        "first_try": figures(tries["first"]),
        "retried": figures(tries["retried"]),
        "parents": {
            "count": len(parents),
            "sizes": {str(size): number for size, number in Counter(parents.values()).items()},
        },
        "verdict_disagreements": {"answers": apart, "sources": sources},
        "secrets": secrets,
        "started_at": started,
        "finished_at": finished,
        "latency_seconds": {
            **{f"p{round(100 * q)}": quantile(latency, q) for q in (0.5, 0.9, 0.99)},
            "max": latency[-1],
        },
        "rate_limit": {"total_requests": requests, "http_429": limited, "max_wait_seconds": max(waits)},
    }


if __name__ == "__main__":
    with Path(sys.argv[1]).open(encoding="utf-8") as lines:
        print(json.dumps(count([json.loads(line) for line in lines])))
