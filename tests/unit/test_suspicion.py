"""What gives a results file away: the false GOs of the past as files, and honest files that must not be called out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from judged import FULL, SMOKE, counts, rows
from solidgreen import metrics, suspicion
from solidgreen.clock import parse, stamp
from solidgreen.metrics import Tally

Rows = list[dict[str, Any]]
Edit = Callable[[int, dict[str, Any]], dict[str, Any]]
#: A system that is good, not perfect: its verdicts follow no scenario.
HONEST = counts(SMOKE, "warn>reject 1", "reject>warn 1")


def smoke(table: Any = HONEST, run_id: str = "smoke1-x", minutes: float = 0) -> Rows:
    """Return a smoke with the times of a real one: no two steps between them are the same."""
    ordinal = 2 if minutes else 1
    made: Rows = [dict(row) for row in rows(table, run_id, ordinal=ordinal, minutes=minutes)]
    for number, row in enumerate(made):
        took = 1 + number**2 * (37 + 24 * int(minutes)) % 997 / 1000
        row["duration_seconds"] = took
        row["finished_at"] = stamp(parse(row["started_at"]) + timedelta(seconds=took))
    return made


def second(table: Any = HONEST) -> Rows:
    return smoke(table, "smoke2-y", minutes=10)


def changed(run: Rows, edit: Edit) -> Rows:
    return [row | edit(number, row) for number, row in enumerate(run)]


def set_all(**values: Any) -> Edit:
    return lambda _number, _row: values


def of_run(run: Rows, **options: Any) -> dict[str, int]:
    return {mark.id: int(mark.exit_code) for mark in suspicion.of_run(metrics.frame(run), **options)}


def of_pair(first: Rows, other: Rows, **options: Any) -> dict[str, int]:
    marks = suspicion.of_pair(metrics.frame(first), metrics.frame(other), **options)
    return {mark.id: int(mark.exit_code) for mark in marks}


def text(run: Rows, name: str) -> str:
    return next(mark.text for mark in suspicion.of_run(metrics.frame(run)) if mark.id == name)


# --- honest files --------------------------------------------------------------------------------------------------


def old(run: Rows) -> Rows:
    keys = ("case_id", "scenario", "expected_verdict", "actual_verdict", "status", "error", "http_status")
    return [{key: row[key] for key in keys} | {"comparable": row["comparable"]} for row in run]


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(smoke(), id="a smoke"),
        pytest.param(old(smoke()), id="a smoke of the old tool"),
        pytest.param(smoke(counts(HONEST, "warn>server_error 1", "pass>rate_limited 1")), id="with cases unanswered"),
        pytest.param(rows(counts(FULL, "warn>pass 3"), kind="full"), id="a full run"),
        pytest.param(smoke({("pass", "server_error"): 5, ("reject", "server_error"): 5}), id="nothing answered"),
        pytest.param(
            smoke({("pass", "blocked"): 5, ("warn", "blocked"): 5, ("reject", "blocked"): 10}), id="all blocked"
        ),
        pytest.param(
            changed(smoke(), lambda _, row: {"body_sha256": "b"} if row["actual_verdict"] == "blocked" else {}),
            id="every blocked answer in the same words",
        ),
    ],
)
def test_an_honest_run_has_no_mark(run: Rows) -> None:
    assert of_run(run) == {}


@pytest.mark.parametrize(
    ("first", "other"),
    [
        pytest.param(smoke(), second(), id="two smokes"),
        pytest.param(old(smoke()), old(second()), id="two smokes of the old tool"),
        pytest.param(rows(HONEST), rows(HONEST, "smoke2-y", ordinal=2, minutes=10), id="answers at an even pace"),
        pytest.param(smoke(), second({("pass", "server_error"): 5}), id="the second broke off"),
    ],
)
def test_two_honest_runs_have_no_mark(first: Rows, other: Rows) -> None:
    assert of_pair(first, other) == {}


# --- a run ---------------------------------------------------------------------------------------------------------

#: The calibrating runner: whatever the API said, the verdict is that of the scenario; three scenarios of noise slip.
CALIBRATED = counts(SMOKE, "blocked>warn 3")


@pytest.mark.parametrize(
    ("run", "marks"),
    [
        pytest.param(smoke(SMOKE), {"follows-labels": 11}, id="perfect, with nothing against it"),
        pytest.param(old(smoke(SMOKE)), {"follows-labels": 11}, id="perfect, of the old tool"),
        pytest.param(smoke(CALIBRATED), {"follows-labels": 11}, id="accuracy 0.85, by calibration"),
        pytest.param(
            changed(smoke(CALIBRATED), set_all(status="blocked")),
            {"labels-copied": 14, "status-overruled": 14},
            id="the API answered blocked 20 times of 20",
        ),
        pytest.param(
            changed(smoke(SMOKE), set_all(http_status=500)),
            {"labels-copied": 14, "verdict-of-an-error": 11},
            id="the API broke 20 times of 20",
        ),
        pytest.param(
            changed(smoke(SMOKE), set_all(body_sha256="b" * 64)),
            {"labels-copied": 14, "one-answer-many-verdicts": 14},
            id="one answer 20 times, four verdicts",
        ),
        pytest.param(
            changed(smoke(SMOKE), lambda _, row: {"body_sha256": row["actual_verdict"]}),
            {"labels-copied": 14, "canned-answers": 11},
            id="an answer a label",
        ),
        pytest.param(
            changed(smoke(), lambda n, _: {"http_status": 404} if n == 3 else {}),
            {"verdict-of-an-error": 11},
            id="a verdict on a 404",
        ),
        pytest.param(
            changed(smoke(), lambda n, _: {"body_sha256": "b"} if n in (0, 7) else {}),
            {"one-answer-many-verdicts": 14},
            id="two verdicts on one answer",
        ),
        pytest.param(
            changed(smoke(), lambda n, _: {"error": "timed out", "comparable": False} if n < 2 else {}),
            {"error-in-an-answer": 11},
            id="ok rows with an error",
        ),
        pytest.param(smoke({("pass", "pass"): 20}), {"one-class": 11}, id="the first 20 rows, all pass"),
        pytest.param(
            changed(smoke(), set_all(finished_at="2026-03-01T12:00:00.000000Z")),
            {"one-moment": 11},
            id="written at the end",
        ),
        pytest.param(
            changed(smoke(), lambda n, _: {"content_sha256": "c"} if n in (0, 19) else {}),
            {"conflicting-labels": 13},
            id="one document under two labels",
        ),
        pytest.param(
            changed(smoke(), lambda n, _: {"content_sha256": "c"} if n in (0, 1) else {}),
            {"copied-cases": 13},
            id="a case is a copy",
        ),
        pytest.param(
            changed(smoke(), lambda n, _: {"job_id": "j"} if n in (0, 1) else {}),
            {"job-id-twice": 14},
            id="one job for two cases",
        ),
    ],
)
def test_a_run_is_called_out_for_what_it_gives_away(run: Rows, marks: dict[str, int]) -> None:
    assert of_run(run) == marks


def test_following_the_labels_is_no_mark_where_the_record_proved_the_verdicts_blind() -> None:
    assert of_run(smoke(SMOKE), blind=True) == {}
    assert of_run(changed(smoke(SMOKE), set_all(status="blocked")), blind=True)["labels-copied"] == 14


@pytest.mark.parametrize(
    ("table", "follows"),
    [
        pytest.param({("pass", "pass"): 3, ("warn", "warn"): 3}, True, id="two scenarios of three"),
        pytest.param({("pass", "pass"): 3, ("warn", "warn"): 2}, False, id="one scenario of three"),
        pytest.param({("pass", "warn"): 3, ("warn", "pass"): 3}, True, id="wrong, and by scenario"),
        pytest.param({("pass", "pass"): 3, ("warn", "pass"): 3}, False, id="one verdict for all"),
        pytest.param({("pass", "pass"): 9, ("pass", "warn"): 1, ("warn", "warn"): 9}, False, id="one case otherwise"),
    ],
)
def test_a_verdict_by_scenario_takes_several_of_each(table: Any, follows: bool) -> None:
    assert ("follows-labels" in of_run(smoke(table))) is follows


def test_a_mark_says_in_words_what_was_seen_and_what_would_tell() -> None:
    assert text(smoke(SMOKE), "follows-labels").startswith("the verdicts follow the scenarios perfectly: a file alone")
    assert "the run's observations can (invoke judge --results RUN/observations.jsonl)" in text(
        smoke(SMOKE), "follows-labels"
    )
    blocked = changed(smoke(CALIBRATED), set_all(status="blocked"))
    assert text(blocked, "status-overruled") == (
        "20 rows with another verdict than the status of the answer, the first p-001 (blocked, written as pass)"
    )
    assert "the verdicts are the labels' (20 rows with another" in text(blocked, "labels-copied")
    hostile = changed(smoke(), lambda n, _: {"job_id": "\x1b[31mj"} if n in (0, 1) else {})
    assert text(hostile, "job-id-twice") == "2 rows with the job id of another case, the first \\u001b[31mj"


# --- two runs ------------------------------------------------------------------------------------------------------


def replayed(*keep: str) -> Rows:
    """Return a second run that took these fields from the first."""
    return [row | {key: first[key] for key in keep} for row, first in zip(second(), smoke(), strict=True)]


def moved(run: Rows, minutes: float) -> Rows:
    shift = timedelta(minutes=minutes)
    return changed(run, lambda _, row: {key: stamp(parse(row[key]) + shift) for key in ("started_at", "finished_at")})


@pytest.mark.parametrize(
    ("first", "other", "marks"),
    [
        pytest.param(smoke(), smoke(), {"against-itself": 14, "shared-job-ids": 14, "replayed-run": 14}, id="itself"),
        pytest.param(smoke(), replayed("job_id"), {"shared-job-ids": 14}, id="the job ids of the first"),
        pytest.param(smoke(), replayed("duration_seconds"), {"replayed-run": 14}, id="the durations of the first"),
        pytest.param(smoke(), replayed("finished_at"), {"replayed-run": 14}, id="the times of the first"),
        pytest.param(smoke(), replayed("body_sha256"), {"replayed-run": 14}, id="the answers of the first"),
        pytest.param(
            smoke(), moved(replayed("started_at", "finished_at"), 10), {"replayed-run": 14}, id="its times, moved"
        ),
        pytest.param(
            smoke(), [*smoke()[:1], *second()[1:]],
            {"against-itself": 14, "shared-job-ids": 14, "replayed-run": 14}, id="one row of the first",
        ),
        pytest.param(
            smoke(), changed(second(), lambda n, _: {"expected_verdict": "warn"} if n == 0 else {}),
            {"changed-labels": 11}, id="a label rewritten in between",
        ),
    ],
)  # fmt: skip
def test_a_second_run_is_called_out_for_what_it_took_from_the_first(
    first: Rows, other: Rows, marks: dict[str, int]
) -> None:
    assert of_pair(first, other) == marks


def test_a_file_against_itself_is_called_out_without_a_single_id_in_it() -> None:
    assert of_pair(old(smoke()), old(smoke()), itself=True) == {"against-itself": 14}


def test_replaying_is_a_fault_of_independence_and_so_is_the_same_run() -> None:
    frames = [metrics.frame(run) for run in (old(smoke()), old(smoke()))]
    assert suspicion.independence(Tally((), 0), *frames) == Tally((), 0)
    assert suspicion.independence(Tally((), 0), *frames, itself=True).faults == ("the run is compared with itself",)
    times = [metrics.frame(run) for run in (smoke(), replayed("finished_at"))]
    assert suspicion.independence(Tally((), 5), *times) == Tally(("20 cases with the same end",), 5)


# --- a file --------------------------------------------------------------------------------------------------------


def test_a_file_with_more_runs_than_a_cycle_has_lets_one_pick() -> None:
    runs = [("smoke", metrics.frame(smoke(run_id=f"s{n}", minutes=20 * n))) for n in (1, 2, 3)]
    assert [(mark.id, mark.exit_code) for mark in suspicion.of_file(runs)] == [("runs-to-pick-from", 11)]
    assert suspicion.of_file(runs[:2]) == []


def test_any_two_runs_of_a_file_are_held_against_each_other() -> None:
    late = changed(smoke(run_id="s3", minutes=40), lambda n, _: {"job_id": "smoke1-x/p-001"} if n == 0 else {})
    runs = [("smoke", metrics.frame(run)) for run in (smoke(), second())] + [("full", metrics.frame(late))]
    assert [mark.id for mark in suspicion.of_file(runs)] == ["shared-job-ids"]


def test_only_marks_that_blind_verdicts_cannot_leave_speak_against_the_gate_over_them() -> None:
    honest = metrics.frame(smoke(SMOKE))
    assert suspicion.verdict_faults(suspicion.of_run(honest), honest) is None
    copied = metrics.frame(changed(smoke(SMOKE), set_all(status="blocked")))
    tally = suspicion.verdict_faults(suspicion.of_run(copied), copied)
    assert tally is not None
    assert (len(tally.faults), tally.n) == (2, 20)
