"""The diagnosis: what recorded answers show when something is wrong with all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_world import SimulatedWorkers, answered, case, job, records, run, sample
from clocks import TurnedClock
from solidgreen import answers, triage
from solidgreen.answers import Exchange
from solidgreen.check import Check, Status
from solidgreen.pacing import Pacing

FAST = Pacing(min_interval=0.0, max_in_flight=1, retries_429=0, budget_minutes=45, retries_other=0)


def observed(folder: Path, *exchanges: Exchange, pii: bool = False) -> list[Any]:
    """Return the observations of a run that got these answers."""
    replies = iter(exchanges)
    cases = [case(number, contains_pii=pii) for number in range(1, len(exchanges) + 1)]
    run(folder, job(0, FAST, cases=cases), SimulatedWorkers(TurnedClock(), lambda *_: (0.0, next(replies))))
    return [record for record in records(folder) if record["type"] == "observation"]


def captured(name: str) -> Exchange:
    return answered(sample(name)["status"], sample(name)["body"])


def read_answer(label: str) -> Exchange:
    documents = [
        {
            "filename": "LC.pdf",
            "document_type": "letter_of_credit",
            "extraction_status": "success",
            "ocr_confidence": 0.9,
        },
        {"filename": "Invoice.pdf", "document_type": "commercial_invoice", "extraction_status": "success"},
    ]
    return answered(200, {"structured_result": {"final_verdict": label, "documents_structured": documents}})


def checked(observations: list[Any]) -> dict[str, Check]:
    return {check.id: check for check in triage.checks(observations)}


def test_answers_that_differ_and_were_read_pass(tmp_path: Path) -> None:
    found = checked(observed(tmp_path, read_answer("SUBMIT"), captured("200_blocked_unreadable_lc")))
    assert {check_id: check.status for check_id, check in found.items()} == dict.fromkeys(
        ["cases-answered", "not-uniformly-blocked", "reading-proven", "verdicts-readable"], Status.PASS
    )
    assert found["reading-proven"].seen == (
        "1 of 2 answers with a document read, types letter_of_credit, commercial_invoice"
    )


@pytest.mark.parametrize(
    ("exchanges", "seen", "step"),
    [
        pytest.param(
            [captured("200_blocked_no_lc_found")] * 2,
            "2 of 2 verdicts blocked: no letter of credit recognised in 2 of 2 answers",
            "policy/request_template.yml",
            id="no LC found",
        ),
        pytest.param(
            [captured("200_blocked_unreadable_lc")] * 4,
            "4 of 4 verdicts blocked: documents recognised but none read (empty_extraction)",
            "check the OCR configuration",
            id="nothing read",
        ),
    ],
)
def test_a_uniformly_blocked_api_fails_with_its_likeliest_cause(
    tmp_path: Path, exchanges: list[Exchange], seen: str, step: str
) -> None:
    check = checked(observed(tmp_path, *exchanges))["not-uniformly-blocked"]
    assert (check.status, check.seen) == (Status.FAIL, seen)
    assert step in check.next_step
    assert check.owner


@pytest.mark.parametrize(
    "exchanges",
    [
        pytest.param([], id="nothing sent"),
        pytest.param([captured("200_blocked_no_lc_found")], id="one blocked case may deserve it"),
        pytest.param([captured("500_internal_error")] * 4, id="errors alone"),
        pytest.param([answers.broken("connect", 0.0)] * 4, id="no connection"),
    ],
)
def test_too_little_to_tell_is_inconclusive(tmp_path: Path, exchanges: list[Exchange]) -> None:
    check = checked(observed(tmp_path, *exchanges) if exchanges else [])["not-uniformly-blocked"]
    assert check.status is Status.INCONCLUSIVE
    assert check.next_step


def test_errors_are_named_in_the_diagnosis(tmp_path: Path) -> None:
    diagnosis = triage.diagnose(observed(tmp_path, captured("500_internal_error"), answered(422)))
    assert diagnosis.facts["outcomes"] == {"server_error": 1, "unprocessable": 1}
    assert diagnosis.facts["errors"] == {"no": 1, "validation_internal_error": 1}
    assert diagnosis.cause.startswith("no answer at all")


def test_the_diagnosis_shows_what_the_plan_asks_to_look_at(tmp_path: Path) -> None:
    facts = triage.diagnose(observed(tmp_path, captured("200_blocked_unreadable_lc"))).facts
    assert {"gate_result", "issues", "extraction_summary"} <= set(facts["keys"]["structured_result"])
    assert facts["severities"] == {"critical": 1}
    assert facts["rules"] == {"LC-GATE-EMPTY-EXTRACTION": 1}
    assert facts["block_reasons"] == {"empty_extraction": 1}
    assert facts["completeness"] == {"0.0": 1}
    assert facts["missing_critical"] == dict.fromkeys(
        ["amount", "applicant", "beneficiary", "currency", "lc_number"], 1
    )
    assert (facts["lc_detected"], facts["answers_with_documents"], facts["answers_with_reading"]) == (1, 1, 0)


def test_reading_is_not_proven_by_one_type_of_document(tmp_path: Path) -> None:
    check = checked(observed(tmp_path, captured("200_reject_lc_only")))["reading-proven"]
    assert check.status is Status.FAIL


def test_answers_whose_values_may_not_be_kept_prove_nothing(tmp_path: Path) -> None:
    found = checked(observed(tmp_path, read_answer("SUBMIT"), read_answer("REJECT"), pii=True))
    assert found["reading-proven"].status is Status.INCONCLUSIVE
    assert "no personal data" in found["reading-proven"].next_step
    assert found["not-uniformly-blocked"].status is Status.PASS


def test_an_answer_whose_verdict_nobody_can_read_fails_by_name(tmp_path: Path) -> None:
    check = checked(observed(tmp_path, answered(200, {"verdict": "fine"}), read_answer("SUBMIT")))["verdicts-readable"]
    assert (check.status, check.seen) == (Status.FAIL, "1 of 2 answers without a readable verdict")
    assert "policy/verdict_map.yml" in check.next_step
