"""A run judged from real ledgers on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from clocks import TurnedClock
from judged import FULL, ROOT, RUNS, SMOKE, START, Counts, counts, drawn, labels, rows, shipped, write_root, write_run
from solidgreen import cycle, jsonio, judgement, metrics
from solidgreen.check import Status
from solidgreen.clock import parse
from solidgreen.errors import BadInput, IntegrityError
from solidgreen.ledger import Writer, in_cycle
from solidgreen.paths import OBSERVATIONS, DataRoot


def judge(root: DataRoot, number: int = 0, **options: Any) -> judgement.Judgement:
    run_id, kind, ordinal = RUNS[number]
    found = cycle.load(root)
    return judgement.judge_run(root, shipped(), run_id=run_id, kind=kind, ordinal=ordinal, cycle=found, **options)


def judge_all(root: DataRoot) -> list[judgement.Judgement]:
    found = []
    for number in range(3):
        found.append(judge(root, number))
        judgement.write(root, found[-1])
    return found


def outcome(found: judgement.Judgement, name: str) -> str:
    result = next(result for result in found.results if result.id == name)
    return f"{result.status.value}: {result.seen}"


def test_three_good_runs_pass_every_gate_that_bears_on_them(tmp_path: Path) -> None:
    found = judge_all(write_root(tmp_path))
    assert [(each.conclusion.status, each.conclusion.exit_code) for each in found] == [(Status.PASS, 0)] * 3
    assert outcome(found[1], "consistency") == "pass: 1.000 (20 of 20)"
    assert outcome(found[1], "drift") == "pass: 0"
    assert outcome(found[2], "new_errors") == "pass: 0 of 90"
    assert outcome(found[0], "registration") == "pass: 0 of 11"
    assert {result.id for result in found[0].results if result.status is not Status.PASS} == {"drift", "first_try"}


def test_the_gates_file_follows_its_schema(tmp_path: Path) -> None:
    root = write_root(tmp_path, counts(SMOKE, "warn>server_error 2", "reject>pass 1"))
    schema = json.loads((ROOT / "schemas" / "gates.schema.json").read_text(encoding="utf-8"))
    for found in judge_all(root):
        jsonschema.Draft202012Validator(schema).validate(json.loads(found.files["gates.json"]))


def test_the_same_files_give_the_same_bytes_and_change_nothing(tmp_path: Path) -> None:
    root = write_root(tmp_path, counts(SMOKE, "warn>server_error 2"))
    first = judge(root)
    assert judgement.write(root, first) is True
    before = {path: path.read_bytes() for path in root.results.rglob("*") if path.is_file()}
    again = judge(root)
    assert again.files == first.files
    assert judgement.write(root, again) is False
    assert {path: path.read_bytes() for path in root.results.rglob("*") if path.is_file()} == before


def test_the_top_level_holds_the_latest_runs_figures_and_every_runs_rows(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    judge_all(root)
    found = list(jsonio.read_jsonl(root.day3_results))
    assert [sum(row["run_id"] == run_id for row in found) for run_id, _, _ in RUNS] == [20, 20, 90]
    assert jsonio.read_json(root.results / "metrics_summary.json")["run_id"] == "full1-c"
    for name in ("metrics_summary.json", "confusion_matrix.csv", "failed_cases.csv", "rate_limit_stats.json"):
        assert (root.results / name).read_bytes() == (root.run("full1-c") / name).read_bytes()


@pytest.mark.parametrize("keep", [0, 1, 300, 5000], ids=lambda size: f"{size} bytes left")
def test_rows_that_a_kill_cut_off_are_completed_once(tmp_path: Path, keep: int) -> None:
    root = write_root(tmp_path)
    judgement.write(root, judge(root))
    whole = root.day3_results.read_bytes()
    root.day3_results.write_bytes(whole[:keep])
    assert judgement.write(root, judge(root)) is True
    assert root.day3_results.read_bytes() == whole


def test_rows_that_were_edited_are_not_written_over(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    judgement.write(root, judge(root))
    edited = root.day3_results.read_bytes().replace(b'"actual_verdict":"warn"', b'"actual_verdict":"pass"', 1)
    root.day3_results.write_bytes(edited)
    with pytest.raises(IntegrityError, match="rows of smoke1-a that its observations do not give"):
        judgement.write(root, judge(root))
    assert root.day3_results.read_bytes() == edited


def test_a_damaged_ledger_fails_with_14_and_gives_no_number(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    path = root.run("smoke1-a") / "observations.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"verdict":"warn"', b'"verdict":"pass"', 1))
    found = judge(root)
    assert (found.conclusion.status, found.conclusion.exit_code) == (Status.FAIL, 14)
    assert "line 7" in found.conclusion.sentence
    assert outcome(found, "accuracy").startswith("inconclusive")
    assert [check.exit_code for check in found.checks("QA Lead") if check.status is Status.FAIL] == [14]


def test_a_run_without_a_ledger_is_inconclusive(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    (root.run("smoke1-a") / "observations.jsonl").unlink()
    found = judge(root)
    assert (found.conclusion.status, found.conclusion.exit_code) == (Status.INCONCLUSIVE, 11)
    assert {result.status for result in found.results} == {Status.INCONCLUSIVE}


def test_a_copied_ledger_is_no_second_run(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    first, second = (root.run(name) / "observations.jsonl" for name in ("smoke1-a", "smoke2-b"))
    second.write_bytes(first.read_bytes())
    with pytest.raises(IntegrityError, match=r"the record of smoke run 1 \(smoke1-a\)"):
        judge(root, 1)


def test_the_second_smoke_needs_the_first(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    (root.run("smoke1-a") / "observations.jsonl").unlink()
    found = judge(root, 1)
    assert outcome(found, "consistency") == "inconclusive: nothing to measure (no case)"
    assert found.conclusion.exit_code == 11


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(lambda d: d.update(policy="0" * 64), "policy", id="policy"),
        pytest.param(lambda d: d.update(labels="0" * 64), "labels", id="labels"),
        pytest.param(lambda d: d.update(manifest="0" * 64), "manifest", id="manifest"),
    ],
)
def test_an_input_that_is_not_the_registered_one_fails_with_14(tmp_path: Path, change: Any, named: str) -> None:
    root = write_root(tmp_path)
    found = jsonio.read_json(root.cycle)
    change(found["registration"]["digests"])
    jsonio.write_json(root.cycle, found)
    result = judge(root)
    assert result.conclusion.exit_code == 14
    assert outcome(result, "registration").endswith(f": {named}")


def test_labels_swapped_after_the_registration_fail_with_14(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    found = jsonio.read_json(root.labels)
    found["labels"]["w-001"]["expected"] = "reject"
    jsonio.write_json(root.labels, found)
    assert outcome(judge(root), "registration").endswith(": labels")


def test_a_run_that_began_before_the_registration_fails_with_14(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    found = jsonio.read_json(root.cycle)
    found["registration"]["at"] = "2026-03-01T12:00:01.000000Z"
    jsonio.write_json(root.cycle, found)
    assert "the run began first" in outcome(judge(root), "registration")


def test_a_digest_handed_in_is_compared(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    assert judge(root, digests={"policy": shipped().sha256}).conclusion.exit_code == 0
    assert judge(root, digests={"policy": "f" * 64}).conclusion.exit_code == 14


def test_a_registered_digest_that_nobody_hands_in_counts_as_changed(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    found = jsonio.read_json(root.cycle)
    found["registration"]["digests"] |= {"config": "1" * 64, "images": None}
    jsonio.write_json(root.cycle, found)
    assert outcome(judge(root, digests={}), "registration").endswith(": config (nobody looked); images (nobody looked)")
    assert judge(root, digests={"config": "1" * 64, "images": None}).conclusion.exit_code == 0
    assert outcome(judge(root, digests={"config": None, "images": None}), "registration").endswith(": config")
    extra = {"config": "1" * 64, "images": None, "more": "2" * 64}
    assert outcome(judge(root, digests=extra), "registration").endswith(": more")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"target": {"url": "http://127.0.0.1:9/api/validate/"}}, "target url", id="another target"),
        pytest.param({"target": {}}, "target url", id="a target nobody named"),
        pytest.param({"request_template_sha256": "0" * 64}, "request_template", id="another request template"),
        pytest.param({"verdict_map_sha256": None}, "verdict_map", id="no verdict map"),
        pytest.param({"cases_sha256": "0" * 64}, "cases of the run", id="other cases"),
    ],
)
def test_a_run_over_something_else_than_was_registered_fails_with_14(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    root = write_root(tmp_path)
    (root.run("smoke1-a") / "observations.jsonl").unlink()
    write_run(root, SMOKE, *RUNS[0], minutes=0, **changes)
    found = judge(root)
    assert (found.conclusion.status, found.conclusion.exit_code) == (Status.FAIL, 14)
    assert outcome(found, "registration").endswith(f": {named}")


def handpicked(root: DataRoot, number: int) -> None:
    """Write a run over other cases than the plan has it over: one exchanged in a smoke, one left out of a full run."""
    run_id, kind, _ = RUNS[number]
    path = root.run(run_id) / "observations.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    chosen = lines[0]["selection"]
    swap: dict[str, str] = {}
    if kind == "smoke":
        other = next(case for case in labels(FULL) if case[0] == chosen[0][0] and case not in chosen)
        swap = {chosen[0]: other}
    else:
        lines = [line for line in lines if line.get("case_id") != chosen[-1]]
    path.unlink()
    again = {key: value for key, value in lines[0].items() if key not in ("at", "prev_sha256", "sha256", "type")}
    again["selection"] = [swap.get(case, case) for case in (chosen if swap else chosen[:-1])]
    with Writer(path, again, clock=TurnedClock(parse(lines[0]["at"]))) as writer:
        for line in lines[1:]:
            record = {key: value for key, value in line.items() if key not in ("prev_sha256", "sha256")}
            if "case_id" in record:
                record["case_id"] = swap.get(record["case_id"], record["case_id"])
            writer.append(record)


@pytest.mark.parametrize("number", [0, 2], ids=["smoke", "full"])
def test_a_handpicked_run_fails_with_14(tmp_path: Path, number: int) -> None:
    root = write_root(tmp_path)
    handpicked(root, number)
    found = judge(root, number)
    assert found.conclusion.exit_code == 14
    assert "selection of the run" in outcome(found, "registration")


@pytest.mark.parametrize("end", [None, "exhausted"], ids=["no end", "another end"])
def test_a_run_that_the_cycle_calls_finished_and_its_record_does_not_fails_with_14(
    tmp_path: Path, end: str | None
) -> None:
    root = write_root(tmp_path)
    (root.run("smoke1-a") / "observations.jsonl").unlink()
    write_run(root, SMOKE, *RUNS[0], minutes=0, end=end)
    found = judge(root)
    assert (found.conclusion.status, found.conclusion.exit_code) == (Status.FAIL, 14)
    assert "in the record of a run that the cycle calls finished" in outcome(found, "ledger")
    assert outcome(found, "accuracy").startswith("inconclusive")


def test_a_snapshot_of_the_same_cycle_is_not_its_past(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    first = judge(root)
    snapshot = root.snapshot("20260301T130000Z")
    jsonio.write_json(snapshot / "cycle.json", cycle.load(root))
    write_summary(snapshot / "runs" / "smoke1-a" / "metrics_summary.json", SMOKE)
    assert judge(root).files == first.files


def test_without_a_cycle_the_registration_is_open(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    root.cycle.unlink()
    found = judge(root)
    assert outcome(found, "registration") == "inconclusive: nothing to measure (no registered input)"
    assert found.conclusion.exit_code == 11


@pytest.mark.parametrize(
    ("rehearsal", "asked", "status"),
    [
        pytest.param(True, True, Status.PASS, id="a rehearsal"),
        pytest.param(True, False, Status.FAIL, id="a rehearsal judged as if it were none"),
        pytest.param(False, True, Status.FAIL, id="no rehearsal"),
        pytest.param(None, True, Status.FAIL, id="nobody asked"),
    ],
)
def test_only_a_rehearsal_is_eased(tmp_path: Path, rehearsal: bool | None, asked: bool, status: Status) -> None:
    root = write_root(tmp_path, rehearsal=rehearsal)
    assert judge(root, rehearsal_pacing=asked).conclusion.status is Status.PASS
    (root.run("smoke1-a") / "observations.jsonl").unlink()
    write_run(root, SMOKE, *RUNS[0], minutes=0, pacing={"min_interval": 0.05, "retries_429": 8})
    assert judge(root, rehearsal_pacing=asked).conclusion.status is status


def test_drift_is_taken_against_the_last_cycle_that_ran_the_kind(tmp_path: Path) -> None:
    root = write_root(tmp_path, full=counts(FULL, "warn>pass 8"))
    for name, table in (("20260101T000000Z", FULL), ("20260201T000000Z", None)):
        snapshot = root.snapshot(name)
        runs = [] if table is None else [{"run_id": "full1-old", "kind": "full"}]
        jsonio.write_json(snapshot / "cycle.json", {"runs": runs})
        if table is not None:
            write_summary(snapshot / "runs" / "full1-old" / "metrics_summary.json", table)
    found = judge_all(root)[2]
    assert outcome(found, "drift") == "fail: 0.4: expected warn"
    assert (found.conclusion.status, found.conclusion.exit_code) == (Status.INCONCLUSIVE, 11)


def write_summary(path: Path, table: Counts) -> None:
    jsonio.write_json(path, metrics.summarise(rows(table, kind="full")))


def test_a_full_run_before_both_smokes_cannot_say_what_is_new(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    (root.run("smoke2-b") / "observations.jsonl").unlink()
    assert outcome(judge(root, 2), "new_errors").startswith("inconclusive")


def test_an_error_the_smokes_did_not_show_fails_the_full_run(tmp_path: Path) -> None:
    root = write_root(tmp_path, full=counts(FULL, "warn>server_error 1"))
    assert outcome(judge_all(root)[2], "new_errors") == "fail: 1 of 90: server_error 500"


def test_labels_that_are_none_are_refused(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    jsonio.write_json(root.labels, {"labels": ["pass"]})
    with pytest.raises(IntegrityError, match="no labels in it"):
        judge(root)
    root.labels.unlink()
    with pytest.raises(BadInput, match="no file"):
        judge(root)


# --- a run that was ended before its last case ----------------------------------------------------------------------

#: Records of such a smoke, one false pass among them.
FALSE_PASS = {("pass", "pass"): 3, ("reject", "pass"): 1}


def ended_early(tmp_path: Path, table: Counts, number: int = 0, end: str = "early_stop") -> DataRoot:
    """Return a data root in which that smoke has those records only, all of them as its ledger says."""
    root = write_root(tmp_path)
    (root.run(RUNS[number][0]) / "observations.jsonl").unlink()
    write_run(root, table, *RUNS[number], minutes=5 * number, end=end)
    found = cycle.load(root) or {}
    found["runs"][number]["state"] = in_cycle(end)
    jsonio.write_json(root.cycle, found)
    return root


def test_a_run_ended_early_fails_by_what_is_certain_and_by_that_alone(tmp_path: Path) -> None:
    found = judge(ended_early(tmp_path, FALSE_PASS))
    assert (found.conclusion.status, found.conclusion.exit_code) == (Status.FAIL, 10)
    assert found.conclusion.sentence.startswith('gate "smoke1:critical_false_pass" failed: 1 of 1: r-')
    assert "at best 1 of 7 however the 16 cases without a record end, need == 0" in found.conclusion.sentence
    assert [check.id for check in found.checks("QA Lead") if check.status is not Status.PASS] == [
        "smoke1:critical_false_pass"
    ]
    unsent = json.loads(found.files["gates.json"])["unsent"]
    assert (len(found.rows), len(unsent)) == (4, 16)
    assert not {row["case_id"] for row in found.rows} & set(unsent)


@pytest.mark.parametrize("end", ["exhausted", "quota"])
def test_a_run_that_its_budget_or_quota_ended_fails_all_the_same_where_a_gate_was_lost(
    tmp_path: Path, end: str
) -> None:
    lost = judge(ended_early(tmp_path / "lost", FALSE_PASS, end=end)).conclusion
    assert (lost.status, lost.exit_code) == (Status.FAIL, 10)
    open_yet = judge(ended_early(tmp_path / "open", {("pass", "pass"): 5, ("warn", "warn"): 5}, end=end)).conclusion
    assert (open_yet.status, open_yet.exit_code) == (Status.INCONCLUSIVE, 11)


@pytest.mark.parametrize(
    ("early", "whole"),
    [
        pytest.param(FALSE_PASS, ("reject>pass 1",), id="a false pass"),
        pytest.param({("warn", "reject"): 4}, ("warn>reject 4",), id="a bound out of reach"),
        pytest.param({("pass", "blocked"): 2}, ("pass>blocked 2",), id="blocked"),
        pytest.param({("warn", "server_error"): 3}, ("warn>server_error 3",), id="errors"),
    ],
)
def test_it_leads_where_the_whole_run_would_have_led(
    tmp_path: Path, early: dict[tuple[str, str], int], whole: tuple[str, ...]
) -> None:
    stopped = judge(ended_early(tmp_path / "early", early)).conclusion
    complete = judge(write_root(tmp_path / "whole", counts(SMOKE, *whole))).conclusion
    assert (stopped.status, stopped.exit_code) == (complete.status, complete.exit_code) == (Status.FAIL, 10)


@pytest.mark.parametrize("number", [0, 1], ids=["first smoke", "second smoke"])
@pytest.mark.parametrize(
    "table",
    [{("pass", "pass"): 1}, {("pass", "pass"): 5, ("warn", "reject"): 1}, counts(SMOKE, "blocked -1")],
    ids=["one sent", "one of six wrong", "all but one, all right"],
)
def test_a_forged_mark_makes_no_verdict(tmp_path: Path, table: Counts, number: int) -> None:
    """Whoever puts the mark there without a reason gets a run that counts as failed and says nothing."""
    root = ended_early(tmp_path, table, number)
    jsonio.write_json(root.run(RUNS[number][0]) / "early_stop.json", {"gates": ["smoke1:critical_false_pass"]})
    found = judge(root, number)
    assert (found.conclusion.status, found.conclusion.exit_code) == (Status.INCONCLUSIVE, 11)
    assert cycle.failed_run(root, cycle.require(root)) is not None


def test_a_record_that_is_not_the_one_the_run_was_begun_with_fails_with_14(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    found = cycle.require(root)
    assert judge(root).conclusion.status is Status.PASS
    found["runs"][0]["registration_sha256"] = "0" * 64
    jsonio.write_json(root.cycle, found)
    conclusion = judge(root).conclusion
    assert (conclusion.exit_code, "record the run was begun with" in conclusion.sentence) == (14, True)


def test_what_the_mark_says_is_not_read(tmp_path: Path) -> None:
    root = ended_early(tmp_path, FALSE_PASS)
    without = judge(root).files
    (root.run("smoke1-a") / "early_stop.json").write_text("{nonsense", encoding="utf-8")
    assert judge(root).files == without


def test_a_second_smoke_ended_early_is_independent_of_the_first_and_judged_against_it(tmp_path: Path) -> None:
    found = judge(ended_early(tmp_path, {("warn", "reject"): 2}, 1), 1)
    assert found.conclusion.sentence.startswith('gate "pair:consistency" failed: 0.000 (0 of 2)')
    assert "at best 0.900 (18 of 20) however the 18 cases without a record end" in found.conclusion.sentence
    assert outcome(found, "independent") == "pass: 0 of 5"
    assert len(json.loads(found.files["gates.json"])["flips"]) == 2


def test_a_run_ended_early_is_judged_again_to_the_byte(tmp_path: Path) -> None:
    root = ended_early(tmp_path, FALSE_PASS)
    judgement.write(root, judge(root))
    assert judgement.doubts(root, shipped(), cycle.load(root)) == {}
    path = root.run("smoke1-a") / "gates.json"
    path.write_bytes(path.read_bytes().replace(b'"status": "fail"', b'"status": "pass"'))
    assert "other content than the evidence gives" in judgement.doubts(root, shipped(), cycle.load(root))["smoke1"]


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_a_cycle_that_tells_an_early_end_otherwise_fails_with_14(tmp_path: Path, state: str) -> None:
    root = ended_early(tmp_path, FALSE_PASS)
    found = cycle.load(root) or {}
    found["runs"][0]["state"] = state
    jsonio.write_json(root.cycle, found)
    assert judge(root).conclusion.exit_code == 14
    assert "the end 'early_stop'" in judgement.doubts(root, shipped(), found)["smoke1"]


def test_drift_is_not_taken_against_a_run_that_was_ended_early(tmp_path: Path) -> None:
    root = write_root(tmp_path, full=counts(FULL, "warn>pass 8"))
    snapshot = root.snapshot("20260101T000000Z")
    jsonio.write_json(snapshot / "cycle.json", {"runs": [{"run_id": "old", "kind": "full", "state": "early_stop"}]})
    write_summary(snapshot / "runs" / "old" / "metrics_summary.json", FULL)
    assert outcome(judge_all(root)[2], "drift").startswith("inconclusive")


# --- every verdict follows again from its answer -------------------------------------------------------------------


def resigned(root: DataRoot, run_id: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Write a run's record anew, changed and with a chain that is whole: what a hand that knows how could leave."""
    path = root.run(run_id) / OBSERVATIONS
    first, *rest = (
        {key: value for key, value in record.items() if key not in ("prev", "sha256")}
        for record in jsonio.read_jsonl(path)
    )
    path.unlink()
    with Writer(path, {key: first[key] for key in first if key not in ("type", "at")}, clock=TurnedClock(START)) as new:
        for record in rest:
            change(record)
            new.append(record)


def on_case(case: str, **fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda record: record.update(fields) if record.get("case_id") == case else None


@pytest.mark.parametrize(
    ("table", "change", "seen"),
    [
        pytest.param(SMOKE, on_case("none"), "pass: 0 of 20", id="signed anew and unchanged"),
        pytest.param(
            counts(SMOKE, "reject>pass 1"),
            on_case("r-034", verdict="reject", verdict_sources={"authoritative_label": "reject"}),
            "fail: 1 of 20: r-034",
            id="a false pass rewritten",
        ),
        pytest.param(SMOKE, on_case("p-007", response=None), "fail: 1 of 20: p-007", id="the answer taken out"),
        pytest.param(SMOKE, on_case("p-007", http_status=500), "fail: 1 of 20: p-007", id="a verdict of an error"),
        pytest.param(SMOKE, on_case("p-007", verdict_source="signature"), "fail: 1 of 20: p-007", id="another source"),
        pytest.param(
            counts(SMOKE, "warn>server_error 1"),
            lambda record: record.update(verdict="warn") if record.get("http_status") == 500 else None,
            "fail: 1 of 20: ",
            id="a verdict where there was no answer",
        ),
        pytest.param(
            SMOKE,
            on_case("p-007", values_kept=False, response={"authoritative_verdict": {"label": None}}),
            "fail: 1 of 20: p-007",
            id="said to be personal data, which it is not",
        ),
        pytest.param(
            SMOKE,
            on_case("p-008", response={"authoritative_verdict": {}}),
            "fail: 1 of 20: p-008",
            id="personal data: the place is not in the shape",
        ),
        pytest.param(
            SMOKE,
            on_case("p-008", verdict="warn"),
            "fail: 1 of 20: p-008",
            id="personal data: another verdict than its source gave",
        ),
        pytest.param(SMOKE, on_case("p-007", content_sha256="0" * 64), "fail: 1 of 20: p-007", id="other documents"),
        pytest.param(SMOKE, on_case("p-007", outcome="client_error"), "fail: 1 of 20: p-007", id="an answer no more"),
        pytest.param(SMOKE, on_case("p-007", attempts=[]), "fail: 1 of 20: p-007", id="never attempted"),
    ],
)
def test_a_verdict_that_its_answer_does_not_give_is_found(
    tmp_path: Path, table: Counts, change: Callable[[dict[str, Any]], Any], seen: str
) -> None:
    root = write_root(tmp_path, table)
    assert {"p-007", "r-034"} <= set(drawn(root))
    resigned(root, RUNS[0][0], change)
    found = judge(root)
    assert outcome(found, "verdicts_blind").startswith(seen)
    assert outcome(found, "ledger") == "pass: 0 of 21"
    if seen.startswith("fail"):
        assert found.conclusion.exit_code == 14


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        pytest.param(lambda path: path.unlink(), "inconclusive: nothing to measure", id="no map"),
        pytest.param(
            lambda path: path.write_text(path.read_text(encoding="utf-8").replace("SUBMIT: pass", "SUBMIT: warn")),
            "fail: 1 of 1: verdict_map.yml is not the map the run was read by",
            id="another map",
        ),
    ],
)
def test_the_map_is_the_registered_one(tmp_path: Path, change: Callable[[Path], Any], seen: str) -> None:
    root = write_root(tmp_path)
    change(root.verdict_map)
    found = judge(root)
    assert outcome(found, "verdicts_blind").startswith(seen)
    assert found.conclusion.status is not Status.PASS


# --- what a registration must hold ---------------------------------------------------------------------------------


def change_cycle(root: DataRoot, change: Callable[[dict[str, Any]], Any]) -> None:
    document = jsonio.read_json(root.cycle)
    change(document)
    jsonio.write_json(root.cycle, document)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(lambda c: c["registration"].update(digests={}), "policy, manifest, labels", id="no digest at all"),
        pytest.param(lambda c: c["registration"]["digests"].pop("labels"), "labels", id="labels never registered"),
        pytest.param(
            lambda c: c["registration"].update(pacing={"min_interval": 3.0, "retries_429": 6}),
            "pacing (retries_429)",
            id="another pacing than registered",
        ),
        pytest.param(
            lambda c: c.update(snapshot="rollback_prefix_gone"), "snapshot rollback_prefix_gone", id="no past"
        ),
    ],
)
def test_a_registration_that_does_not_hold_fails_with_14(tmp_path: Path, change: Any, named: str) -> None:
    root = write_root(tmp_path)
    change_cycle(root, change)
    found = judge(root)
    assert all(name in outcome(found, "registration").replace(";", ",") for name in named.split(", "))
    assert found.conclusion.exit_code == 14


def test_a_full_run_that_took_answers_from_a_smoke_fails_with_14(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    smoke = {
        record["case_id"]: record
        for record in jsonio.read_jsonl(root.run(RUNS[0][0]) / OBSERVATIONS)
        if "seq" in record
    }
    taken = ("job_id", "body_sha256")
    resigned(
        root,
        RUNS[2][0],
        lambda record: (
            record.update({key: smoke[record["case_id"]][key] for key in taken})
            if record.get("case_id") in smoke
            else None
        ),
    )
    found = judge(root, 2)
    assert "smoke1: 20 job ids in both" in outcome(found, "registration")
    assert found.conclusion.exit_code == 14


def test_the_interval_that_was_kept_counts_and_not_the_one_that_was_said(tmp_path: Path) -> None:
    root = write_root(tmp_path, rehearsal=False)

    def hurry(record: dict[str, Any]) -> None:
        for attempt in record.get("attempts", ()):
            attempt["at_s"] /= 10

    resigned(root, RUNS[0][0], hurry)
    assert outcome(judge(root), "min_interval") == "fail: 0.6 s"


def test_an_earlier_cycle_that_nobody_can_read_is_no_past(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    torn = root.snapshot("20260228T000000Z") / "cycle.json"
    jsonio.write_bytes(torn, b"{")
    assert outcome(judge(root), "drift").startswith("inconclusive")
