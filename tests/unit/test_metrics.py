from __future__ import annotations

import csv
import io
import json
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import FULL, ROOT, SMOKE, counts, labels, records, rows
from solidgreen import jsonio, metrics
from solidgreen.columns import Rows
from solidgreen.errors import BadInput, IntegrityError
from solidgreen.text import cell, markdown, plural, visible

from scripts.bench import judge as bench
from scripts.bench import plain


def summary(*moves: str) -> dict[str, Any]:
    return metrics.summarise(rows(counts(SMOKE, *moves)))


def test_a_row_keeps_the_old_names_and_tells_errors_from_answers() -> None:
    found = rows(counts(SMOKE, "warn>server_error 1"))
    old = {"case_id", "scenario", "expected_verdict", "actual_verdict", "status", "error", "http_status"}
    assert all(set(row) == set(metrics.FIELDS) >= old for row in found)
    broken = next(row for row in found if row["outcome"] == "server_error")
    assert (broken["actual_verdict"], broken["status"], broken["comparable"], broken["matched"]) == (
        "unknown",
        "error",
        False,
        False,
    )
    assert broken["error"] == "server_error: it said no"


def test_an_answer_without_a_verdict_cannot_be_compared() -> None:
    made = records(SMOKE, "smoke1-x", "smoke", 1)
    made[1]["verdict"] = "unknown"
    row = metrics.join(made, labels(SMOKE))[0]
    assert (row["comparable"], row["error"]) == (False, "answer: no verdict in the answer")


def test_a_verdict_beside_an_error_does_not_count() -> None:
    made = records(SMOKE, "smoke1-x", "smoke", 1)
    made[1]["outcome"] = "server_error"
    assert metrics.join(made, labels(SMOKE))[0]["actual_verdict"] == "unknown"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        pytest.param(lambda made: made.pop(0), IntegrityError, "no registration", id="no registration"),
        pytest.param(lambda made: made.clear(), IntegrityError, "no registration", id="nothing"),
        pytest.param(lambda made: made.append(made[1]), IntegrityError, "case p-001 twice", id="a case twice"),
        pytest.param(lambda made: made[1].update(case_id="z-9"), BadInput, "no label for case z-9", id="no label"),
    ],
)
def test_records_that_are_no_run_are_refused(change: Any, error: type[Exception], words: str) -> None:
    made = records(SMOKE, "smoke1-x", "smoke", 1)
    change(made)
    with pytest.raises(error, match=words):
        metrics.join(made, labels(SMOKE))


def test_an_error_that_a_retry_healed_is_counted_too() -> None:
    made = records(counts(SMOKE, "warn>server_error 1"), "smoke1-x", "smoke", 1)
    last = made[1]["attempts"][0]
    failed = ({"http_status": 503}, {"http_status": None, "reason": "reset"}, {"http_status": 429})
    made[1]["attempts"] = [*({**last, **status} for status in failed), last]
    found = metrics.join(made, labels(SMOKE))
    assert (found[0]["comparable"], found[0]["healed_errors"]) == (True, ["infra_unavailable 503", "transport_error"])
    assert metrics.summarise(found)["error_classes"] == {
        "infra_unavailable 503": 1,
        "server_error 500": 1,
        "transport_error": 1,
    }


def test_the_summary_counts_as_the_plan_does() -> None:
    found = summary("warn>pass 1", "reject>pass 1", "pass>blocked 1", "blocked>rate_limited 1", "warn>server_error 1")
    assert (found["total"], found["comparable"], found["matched"]) == (20, 18, 15)
    assert found["accuracy"] == 15 / 18
    assert found["accuracy_strict"] == 15 / 20
    assert (found["critical_false_pass"], found["critical_false_pass_cases"]) == (1, ["r-007"])
    assert found["pass_recall"] == 4 / 5
    assert found["pass_blocked_ratio"] == 1 / 5
    assert found["actual_blocked_share"] == 3 / 18
    assert (found["http_429_exhausted"], found["http_429_exhaustion_rate"]) == (1, 1 / 20)
    assert found["error_classes"] == {"server_error 500": 1}
    assert found["outcomes"] == {"answer": 18, "rate_limited": 1, "server_error": 1}
    assert found["confusion"]["warn"] == {"pass": 1, "warn": 3, "reject": 0, "blocked": 0, "unknown": 1}
    assert found["classes"]["pass"]["precision"] == 4 / 6
    assert found["by_scenario"]["ocr_noise"] == {"total": 3, "comparable": 2, "matched": 2, "accuracy": 1.0}
    assert found["duration_minutes"] == round(39 / 60, 4)


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        pytest.param(
            "blocked_share_by_class", {"pass": 1 / 4, "warn": 0.0, "reject": 0.0, "blocked": 1.0}, id="blocked by class"
        ),
        pytest.param("baseline", {"verdict": "reject", "share": 7 / 18}, id="the majority's share"),
        pytest.param("first_try", {"total": 18, "comparable": 16, "matched": 14, "accuracy": 14 / 16}, id="first try"),
        pytest.param("retried", {"total": 2, "comparable": 2, "matched": 1, "accuracy": 0.5}, id="retried"),
        pytest.param("parents", {"count": 4, "sizes": {"1": 2, "2": 1, "14": 1}}, id="parents"),
        pytest.param(
            "by_source_type",
            {
                "real": {"total": 3, "comparable": 2, "matched": 2, "accuracy": 1.0},
                "synthetic": {"total": 17, "comparable": 16, "matched": 13, "accuracy": 13 / 16},
            },
            id="by source type",
        ),
        pytest.param("secrets", 3, id="secrets"),
        pytest.param("critical_false_pass_cases", ["r-006", "r-007"], id="false passes"),
    ],
)
def test_each_figure_of_a_known_run(figure: str, expected: Any) -> None:
    made = rows(counts(SMOKE, "reject>pass 2", "pass>blocked 1", "pass>server_error 1", "warn>server_error 1"))
    by_case = {row["case_id"]: row for row in made}
    for row in made:
        row |= {"parent": "P1", "source_type": "synthetic", "secrets": 0}
    for case in ("b-001", "b-002", "w-005"):  # the last is not answered
        by_case[case]["source_type"] = "real"
    by_case["w-001"]["attempts"], by_case["r-007"]["attempts"] = 2, 4
    by_case["p-001"]["parent"], by_case["p-002"]["parent"] = "P2", "P3"
    by_case["w-002"]["parent"] = by_case["w-003"]["parent"] = "P4"
    by_case["b-001"]["secrets"], by_case["b-002"]["secrets"] = 1, 2
    assert metrics.summarise(made)[figure] == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param((0, 0, 0), 0, id="none found"),
        pytest.param((0, None, 0), None, id="one does not tell"),
        pytest.param((1, None, 0), 1, id="found, though one does not tell"),
        pytest.param((None, None, None), None, id="nobody tells"),
        pytest.param((), 0, id="no rows"),
        pytest.param((1, -1, 0), 1, id="a number below zero hides none"),
        pytest.param((-1, 0, 0), None, id="a number below zero tells nothing"),
        pytest.param((0.4, 0, 0), None, id="a fraction tells nothing"),
        pytest.param((0.4, 2.0, 0), 2, id="found, though a fraction tells nothing"),
    ],
)
def test_secrets_that_nobody_looked_for_are_not_none(told: tuple[float | None, ...], expected: int | None) -> None:
    made = [{**row, "secrets": number} for row, number in zip(rows(SMOKE), told, strict=False)]
    assert metrics.summarise(made)["secrets"] == expected


@pytest.mark.parametrize("year", ["0001", "1899", "2201", "9999"])
def test_a_time_that_no_run_can_have_had_is_none(year: str) -> None:
    made = [{**row, "finished_at": f"{year}-03-01T00:00:00Z"} for row in rows(SMOKE)]
    assert metrics.summarise(made)["finished_at"] is None


def test_seconds_that_no_case_can_have_taken_are_none() -> None:
    made = [{**row, "wait_seconds": 1e308, "duration_seconds": -1e308} for row in rows(SMOKE)]
    assert metrics.rate_limit_stats(made)["total_wait_seconds"] == 0
    assert metrics.summarise(made)["latency_seconds"] is None


def test_a_row_that_names_no_parent_is_of_none() -> None:
    made = [{**row, "parent": parent} for row, parent in zip(rows(SMOKE), ("", None, "P", "P"), strict=False)]
    assert metrics.summarise(made)["parents"] == {"count": 1, "sizes": {"2": 1}}


def test_sources_of_a_verdict_that_do_not_agree_are_counted() -> None:
    made = records(counts(SMOKE), "smoke1-x", "smoke", 1)
    made[1]["disagreements"], made[2]["disagreements"] = 2, 1
    found = metrics.summarise(metrics.join(made, labels(SMOKE)))
    assert found["verdict_disagreements"] == {"answers": 2, "sources": 3}


def test_an_empty_run_has_no_shares() -> None:
    found = metrics.summarise([])
    assert (found["total"], found["accuracy"], found["accuracy_interval"], found["duration_minutes"]) == (
        0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("moves", [(), ("warn>server_error 5",), ("pass -5", "warn -5", "reject -7", "blocked -3")])
def test_the_summary_follows_its_schema(moves: tuple[str, ...]) -> None:
    schema = json.loads((ROOT / "schemas" / "metrics.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(summary(*moves))


def test_the_confusion_matrix_has_the_old_header() -> None:
    lines = metrics.confusion_csv(summary("warn>server_error 1")).splitlines()
    assert lines[0] == "expected\\actual,pass,warn,reject,blocked,unknown"
    assert lines[2] == "warn,0,4,0,0,1"


@pytest.mark.parametrize(
    "hostile", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "|calc", "%0A=1"], ids=lambda text: repr(text)
)
def test_no_cell_of_the_failed_cases_is_a_formula(hostile: str) -> None:
    made = records(counts(SMOKE, "warn>server_error 1"), "smoke1-x", "smoke", 1)
    for record in made[1:]:
        record["error_detail"] = hostile
        record["job_id"] = hostile
    text = metrics.failed_csv(metrics.join(made, labels(SMOKE)))
    header, row = csv.reader(io.StringIO(text))
    assert header[:7] == ["case_id", "scenario", "expected_verdict", "actual_verdict", "status", "error", "http_status"]
    assert not any(field.lstrip().startswith(("=", "+", "-", "@", "\t", "|", "%")) for field in row)


def test_failed_cases_stay_one_line_each() -> None:
    made = records(counts(SMOKE, "warn>server_error 1"), "smoke1-x", "smoke", 1)
    for record in made[1:]:
        record["error_detail"] = "a\nb\u2028c\x1b[31md"
    text = metrics.failed_csv(metrics.join(made, labels(SMOKE)))
    assert len(text.splitlines()) == 2
    assert "\\u000ab\\u2028c\\u001b[31md" in text


def test_the_rate_limit_figures_count_waits_and_retries() -> None:
    made = records(counts(SMOKE, "warn>rate_limited 1"), "smoke1-x", "smoke", 1)
    made[1]["attempts"] = [
        {"http_status": 429, "wait_s": 7.0, "duration_s": 0.1},
        {"http_status": 200, "wait_s": 0.0, "duration_s": 1.0},
    ]
    pace = {"type": "pace", "limit": {"requests": 10, "window_s": 60.0}, "source": "stated", "certain": True}
    found = metrics.rate_limit_stats(metrics.join(made, labels(SMOKE)), pace=pace)
    assert found["rate_limit"] == {"limit": {"requests": 10, "window_s": 60.0}, "source": "stated", "certain": True}
    assert (found["total_requests"], found["http_429"], found["cases_with_429"], found["exhausted"]) == (21, 2, 2, 1)
    assert (found["total_wait_seconds"], found["max_wait_seconds"]) == (7.0, 7.0)


# --- between runs --------------------------------------------------------------------------------------------------

FIRST = rows(SMOKE)


def second(*moves: str, run_id: str = "smoke2-y", minutes: float = 10) -> Any:
    return rows(counts(SMOKE, *moves), run_id, ordinal=2, minutes=minutes)


def test_two_runs_agree_case_by_case() -> None:
    found = metrics.consistency(FIRST, second("warn>pass 1"))
    assert (found["same"], found["total"]) == (19, 20)
    assert found["flips"] == [
        {
            "case_id": "w-005",
            "expected": "warn",
            "scenario": "warn",
            "first": "warn",
            "second": "pass",
            "first_job_id": "smoke1-x/w-005",
            "second_job_id": "smoke2-y/w-005",
        }
    ]


def test_a_case_that_cannot_be_compared_in_both_runs_is_a_disagreement() -> None:
    broken = second("warn>server_error 1")
    assert metrics.consistency(broken, broken)["same"] == 19


def test_a_case_missing_from_one_run_is_a_disagreement() -> None:
    found = metrics.consistency(FIRST, second("warn -1"))
    assert (found["same"], found["flips"][0]["second"], found["flips"][0]["second_job_id"]) == (19, "unknown", None)
    assert metrics.consistency([], FIRST)["same"] == 0
    assert metrics.consistency([], []) == {"same": 0, "total": 0, "flips": []}


def test_two_real_runs_show_no_sign_of_dependence() -> None:
    assert metrics.dependence(FIRST, second()) == metrics.Tally((), 5)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        pytest.param(second(run_id="smoke1-x"), "run id smoke1-x in both", id="one run id"),
        pytest.param(second(minutes=0), "the second started at", id="overlap"),
        pytest.param(second("warn -1"), "1 cases differ", id="other cases"),
        pytest.param(
            [{**row, "job_id": FIRST[i]["job_id"]} for i, row in enumerate(second())], "20 job ids in both", id="jobs"
        ),
        pytest.param(
            [
                {**row, "job_id": FIRST[i]["job_id"], "body_sha256": FIRST[i]["body_sha256"]}
                for i, row in enumerate(second())
            ],
            "20 answers replayed byte for byte",
            id="replay",
        ),
        pytest.param([{**second()[0], "content_sha256": "0"}, *second()[1:]], "1 cases differ", id="edited document"),
        pytest.param(FIRST, "run id smoke1-x in both", id="compared with itself"),
    ],
)
def test_a_second_run_that_is_not_one_is_found(other: Any, words: str) -> None:
    assert any(words in fault for fault in metrics.dependence(FIRST, other).faults)


def test_runs_without_job_ids_cannot_be_called_independent() -> None:
    anonymous = [{**row, "job_id": None} for row in second()]
    assert metrics.dependence(FIRST, anonymous) == metrics.Tally((), 3)


def test_drift_is_the_drop_of_a_classs_recall_and_leaves_blocked_out() -> None:
    found = metrics.drift(metrics.summarise(FIRST), metrics.summarise(second("warn>pass 2", "blocked>pass 3")))
    assert found == {"pass": 0.0, "warn": 0.4, "reject": 0.0}


def test_the_drift_matrix_shows_where_the_answers_of_a_class_went() -> None:
    found = metrics.drift_matrix(metrics.summarise(FIRST), metrics.summarise(second("warn>pass 2", "warn>blocked 1")))
    assert found["warn"] == {"pass": 0.4, "warn": -0.6, "reject": 0.0, "blocked": 0.2, "unknown": 0.0}
    assert set(found["pass"].values()) == {0.0}
    nobody = metrics.drift_matrix(metrics.summarise([]), metrics.summarise(FIRST))
    assert set(nobody["pass"].values()) == {None}


# --- rows by column ------------------------------------------------------------------------------------------------


def test_rows_held_by_column_read_as_the_rows_they_were() -> None:
    mine = rows(counts(SMOKE, "warn>server_error 1", "pass>rate_limited 1", "warn>transport_error 1"))
    mine[0]["healed_errors"] = ["transport_error", "infra_unavailable 503"]
    held = Rows(metrics.frame(mine))
    assert (len(held), list(held), held[-1]) == (20, mine, mine[-1])
    assert list(held[3:5]) == mine[3:5]
    with pytest.raises(IndexError):
        held[20]


def test_a_run_joined_as_its_records_come_is_the_run_joined_at_once() -> None:
    made = records(counts(SMOKE, "warn>server_error 1"), "smoke1-x", "smoke", 1)
    joined = metrics.Join(labels(SMOKE))
    for record in made:
        joined.add(record)
    at_once = metrics.join(made, labels(SMOKE))
    assert list(joined.rows()) == at_once
    assert joined.lines() == b"".join(jsonio.canonical(row) + b"\n" for row in at_once)


def test_what_a_joined_run_lacks_is_said_when_its_rows_are_asked_for() -> None:
    joined = metrics.Join({})
    for record in records(SMOKE, "smoke1-x", "smoke", 1):
        joined.add(record)
    with pytest.raises(BadInput, match="no label for case p-001"):
        joined.rows()


@pytest.mark.parametrize("text", ["\ud800", "\x00", "a\u2028b", "=1+1", ""])
def test_no_text_of_an_answer_stops_the_count(text: str) -> None:
    made = rows(counts(SMOKE, "warn>server_error 1"))
    made[0] |= {"job_id": text, "error": text}
    assert metrics.summarise(made)["total"] == 20
    assert metrics.failed_csv(made)


def test_values_that_leave_are_builtin() -> None:
    def types(value: Any) -> set[type]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return {type(value)}.union(*map(types, inner))

    first, other = metrics.frame(FIRST), metrics.frame(second("warn>pass 1", "pass>server_error 1"))
    made = [
        metrics.summarise(other),
        metrics.summarise([]),
        metrics.rate_limit_stats(other),
        metrics.consistency(first, other),
        metrics.drift_matrix(metrics.summarise(first), metrics.summarise(other)),
        metrics.error_classes(other),
    ]
    assert set().union(*map(types, made)) <= {dict, list, str, int, float, bool, type(None)}
    assert "NaN" not in json.dumps(made)


def test_a_plain_program_that_loops_over_the_rows_comes_to_the_same_figures() -> None:
    made = list(bench.rows(500))
    judged = metrics.summarise(made) | {"rate_limit": metrics.rate_limit_stats(made)}
    counted = plain.count(made)
    assert bench.differing(counted, judged) == []
    assert bench.differing({**counted, "matched": 0, "confusion": {"pass": {"pass": 0}}}, judged) == [
        "matched",
        "confusion.pass.pass",
    ]


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_of_the_rows(random: Random) -> None:
    moves = ("warn>pass 1", "reject>pass 2", "pass>blocked 1", "blocked>rate_limited 1", "warn>server_error 1")
    ordered = rows(counts(SMOKE, *moves))
    for row in ordered:
        row |= {
            "attempts": random.randint(1, 4),
            "duration_seconds": random.random() * 3,
            "wait_seconds": random.random(),
        }
    shuffled = random.sample(ordered, len(ordered))
    held = metrics.frame(ordered).sample(frac=1, random_state=random.randrange(2**32))
    for other in (shuffled, held, Rows(held)):
        assert jsonio.canonical(metrics.summarise(other)) == jsonio.canonical(metrics.summarise(ordered))
        assert metrics.rate_limit_stats(other) == metrics.rate_limit_stats(ordered)
        assert metrics.failed_csv(other) == metrics.failed_csv(ordered)
        assert metrics.consistency(FIRST, other) == metrics.consistency(FIRST, ordered)
        assert metrics.dependence(FIRST, other) == metrics.dependence(FIRST, ordered)


@settings(max_examples=25, deadline=None)
@given(st.permutations(metrics.VERDICTS), st.randoms(use_true_random=False))
def test_other_names_for_the_classes_only_move_the_figures(names: list[str], random: Random) -> None:
    """What knows no class by name stays; what is told class by class moves with the name."""
    to = dict(zip(metrics.VERDICTS, names, strict=True))
    mine = rows(FULL, kind="full")
    for row in mine:
        row["actual_verdict"] = random.choice([row["expected_verdict"], *metrics.VERDICTS])
        row["matched"] = row["actual_verdict"] == row["expected_verdict"]
    renamed = [
        {**row, "expected_verdict": to[row["expected_verdict"]], "actual_verdict": to[row["actual_verdict"]]}
        for row in mine
    ]
    before, after = metrics.summarise(mine), metrics.summarise(renamed)
    symmetric = {"total", "comparable", "matched", "accuracy", "accuracy_interval", "accuracy_strict", "parents"}
    symmetric |= {"by_scenario", "by_source_type", "first_try", "retried", "outcomes", "latency_seconds"}
    assert {key: after[key] for key in symmetric} == {key: before[key] for key in symmetric}
    assert after["baseline"]["share"] == before["baseline"]["share"]
    for name in metrics.VERDICTS:
        moved = after["confusion"][to[name]]
        assert {seen: moved[to.get(seen, seen)] for seen in metrics.SEEN} == before["confusion"][name]
        kept = {"expected", "answered", "predicted", "matched", "recall", "precision", "f1"}
        assert {key: after["classes"][to[name]][key] for key in kept} == {
            key: before["classes"][name][key] for key in kept
        }
    first = rows(FULL, "full0-w", kind="full")
    first_renamed = [{**row, "actual_verdict": to[row["actual_verdict"]]} for row in first]
    assert metrics.consistency(first, mine)["same"] == metrics.consistency(first_renamed, renamed)["same"]


# --- text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – text", "plain – text"),
        ("\x1b[2J", "\\u001b[2J"),
        ("a\r\nb", "a\\u000d\\u000ab"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
    ids=["plain", "escape", "newline", "right to left", "surrogate", "tag"],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_long_text_is_cut() -> None:
    assert visible("x" * 400, 10) == "xxxxxxx..."


def test_markdown_shows_text_letter_by_letter() -> None:
    assert markdown("[a](javascript:b) | <img src=x> *c* `d` &amp;") == (
        "\\[a\\](javascript:b) \\| &lt;img src=x&gt; \\*c\\* \\`d\\` &amp;amp;"
    )


def test_small_words() -> None:
    assert [plural(1, "false pass"), plural(2, "false pass"), plural(0, "answer")] == [
        "1 false pass",
        "2 false passes",
        "0 answers",
    ]
    assert cell("fine") == "fine"
