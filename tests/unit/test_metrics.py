from __future__ import annotations

import csv
import io
import json
from typing import Any

import jsonschema
import pytest
from judged import ROOT, SMOKE, counts, labels, records, rows
from solidgreen import jsonio, metrics
from solidgreen.errors import BadInput, IntegrityError
from solidgreen.text import cell, markdown, plural, visible


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
    assert found["flips"] == [{"case_id": "w-005", "first": "warn", "second": "pass"}]


def test_a_case_that_cannot_be_compared_in_both_runs_is_a_disagreement() -> None:
    broken = second("warn>server_error 1")
    assert metrics.consistency(broken, broken)["same"] == 19


def test_a_case_missing_from_one_run_is_a_disagreement() -> None:
    assert metrics.consistency(FIRST, second("warn -1"))["same"] == 19


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


# --- old files -----------------------------------------------------------------------------------------------------


def test_an_old_file_with_bom_and_crlf_is_read(tmp_path: Any) -> None:
    old = [
        {"case_id": "A", "scenario": "pass", "expected_verdict": "PASS", "actual_verdict": "pass ", "status": "ok"},
        {"case_id": "B", "scenario": "warn", "expected_verdict": "warn", "actual_verdict": None, "http_status": 429},
        {"case_id": "C", "expected_verdict": "reject", "actual_verdict": "pass", "http_status": "200"},
        {"case_id": "D", "expected_verdict": "warn", "actual_verdict": "warn", "error": "timeout", "http_status": ""},
    ]
    path = tmp_path / "old.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(jsonio.canonical(row) for row in old) + b"\r\n")
    found = metrics.summarise(metrics.adopt(jsonio.read_jsonl(path), str(path)))
    assert (found["total"], found["comparable"], found["matched"], found["critical_false_pass"]) == (4, 2, 1, 1)
    assert found["outcomes"] == {"answer": 2, "rate_limited": 1, "transport_error": 1}


@pytest.mark.parametrize(
    "row", [{}, {"case_id": "A"}, {"case_id": "A", "expected_verdict": "maybe"}, {"expected_verdict": "pass"}]
)
def test_a_row_without_case_or_label_is_named(row: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"old\.jsonl record 1"):
        metrics.adopt([row], "old.jsonl")


def test_our_own_rows_are_adopted_as_they_are() -> None:
    mine = rows(counts(SMOKE, "warn>server_error 1"))
    assert metrics.summarise(metrics.adopt(mine, "x")) == metrics.summarise(mine)


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
