"""Reading verdicts: the captured answers, the order of authority, and answers no release has given yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_world import VERDICT_MAP, sample, steady
from hypothesis import given
from hypothesis import strategies as st
from solidgreen import verdict
from solidgreen.errors import BadInput
from solidgreen.verdict import Reading

MAP = verdict.load_map(VERDICT_MAP)


@pytest.mark.parametrize(
    ("name", "expected", "source"),
    [
        ("200_reject_lc_only", "reject", "authoritative_label"),
        ("200_blocked_unreadable_lc", "blocked", "structured_authoritative_label"),
        ("200_blocked_no_lc_found", "blocked", "body_blocked"),
        ("429_rate_limited", None, None),
        ("500_internal_error", None, None),
    ],
)
def test_a_captured_answer_has_the_verdict_it_states(name: str, expected: str | None, source: str | None) -> None:
    captured = sample(name)
    reading = verdict.read(captured["body"], captured["status"], MAP)
    assert (reading.verdict, reading.source, reading.disagreements) == (expected, source, 0)


def result(**fields: Any) -> dict[str, Any]:
    return {"structured_result": fields}


@pytest.mark.parametrize(
    ("answer", "expected", "source"),
    [
        pytest.param({"authoritative_verdict": {"class": "warn"}}, "warn", "authoritative_class", id="class"),
        pytest.param(
            result(verdict_signature={"verdict_class": "PASS"}), "pass", "signature", id="signature, capitals"
        ),
        pytest.param(
            result(bank_verdict={"verdict_signature": {"verdict_class": "reject"}}),
            "reject",
            "bank_signature",
            id="bank",
        ),
        pytest.param(result(validation_blocked=True), "blocked", "validation_blocked", id="validation blocked"),
        pytest.param(result(gate_result={"status": "blocked"}), "blocked", "gate_blocked", id="gate blocked"),
        pytest.param(result(gate_result={"can_proceed": False}), "blocked", "gate_cannot_proceed", id="cannot proceed"),
        pytest.param(result(bank_verdict={"verdict": "SUBMIT"}), "pass", "bank_verdict", id="SUBMIT"),
        pytest.param(result(bank_verdict={"verdict": "CAUTION"}), "warn", "bank_verdict", id="CAUTION"),
        pytest.param(result(final_verdict="HOLD"), "warn", "final_verdict", id="HOLD"),
        pytest.param(result(final_verdict="REJECT"), "reject", "final_verdict", id="REJECT"),
        pytest.param({"status": "blocked", "block_reason": "no_lc_found"}, "blocked", "body_blocked", id="whole body"),
        pytest.param({"status": "blocked"}, "unknown", None, id="blocked without a reason"),
        pytest.param(result(gate_result={"status": "passed"}), "unknown", None, id="a passed gate is no pass"),
        pytest.param(result(validation_blocked=False), "unknown", None, id="not blocked is no pass"),
        pytest.param(result(validation_blocked=1), "unknown", None, id="a number is no truth value"),
        pytest.param(result(ruleset_verdict="reject", compliance_score=14), "unknown", None, id="evidence only"),
        pytest.param({"authoritative_verdict": "pass"}, "unknown", None, id="a text where an object was"),
        pytest.param({"authoritative_verdict": {"label": None}}, "unknown", None, id="null"),
        pytest.param({"authoritative_verdict": {"label": "approve"}}, "unknown", None, id="a word nobody knows"),
        pytest.param({}, "unknown", None, id="nothing"),
    ],
)
def test_a_verdict_is_read_where_it_is_stated_and_nowhere_else(
    answer: dict[str, Any], expected: str, source: str | None
) -> None:
    reading = verdict.read(answer, 200, MAP)
    assert (reading.verdict, reading.source) == (expected, source)


def test_the_highest_authority_counts_and_each_other_opinion_is_a_disagreement() -> None:
    answer = {
        "authoritative_verdict": {"label": "warn"},
        **result(verdict_signature={"verdict_class": "reject"}, final_verdict="CAUTION", validation_blocked=True),
    }
    assert verdict.read(answer, 200, MAP) == Reading(
        "warn",
        "authoritative_label",
        {
            "authoritative_label": "warn",
            "signature": "reject",
            "validation_blocked": "blocked",
            "final_verdict": "warn",
        },
        2,
    )


def test_a_word_nobody_knows_counts_as_a_disagreement_only_above_the_source_that_counted() -> None:
    above = {"authoritative_verdict": {"label": "refer"}, **result(final_verdict="SUBMIT")}
    below = {"authoritative_verdict": {"label": "pass"}, **result(final_verdict="REFER")}
    assert verdict.read(above, 200, MAP).disagreements == 1
    assert verdict.read(below, 200, MAP).disagreements == 0


@pytest.mark.parametrize("status", [None, 201, 204, 400, 422, 429, 500, 503])
def test_only_a_200_can_have_a_verdict(status: int | None) -> None:
    assert verdict.read({"authoritative_verdict": {"label": "pass"}}, status, MAP).verdict is None


JSON = st.recursive(
    st.sampled_from([None, True, False, 0, 1, "", "pass", "BLOCKED", "refer", "x" * 300]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "structured_result",
                    "authoritative_verdict",
                    "label",
                    "gate_result",
                    "status",
                    "block_reason",
                    "issues",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@steady
@given(st.dictionaries(st.sampled_from(["structured_result", "authoritative_verdict", "status"]), JSON))
def test_what_is_kept_of_any_answer_reads_the_same(answer: dict[str, Any]) -> None:
    assert verdict.read(verdict.kept(answer, MAP), 200, MAP) == verdict.read(answer, 200, MAP)


def test_no_document_text_is_kept() -> None:
    kept = repr(verdict.kept(sample("200_reject_lc_only")["body"], MAP))
    assert "letter_of_credit" in kept
    for text in ("EXP2026BD001", "Global Trade Corp", "Cotton", "125000"):
        assert text not in kept


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema: [", "found text that is not YAML"),
        ("schema: other/1", "need schema: solidgreen/verdict-map/1"),
        ("schema: solidgreen/verdict-map/1", "found 0 sources"),
        ("{schema: solidgreen/verdict-map/1, sources: [{name: a}]}", "name, path and either words or equals"),
        ("{schema: solidgreen/verdict-map/1, sources: [{name: a, path: b, words: no}]}", "the source a"),
        ("{schema: solidgreen/verdict-map/1, sources: [{name: a, path: b, equals: x, verdict: go}]}", "['go']"),
        ("{schema: solidgreen/verdict-map/1, sources: [{name: a, path: b}]}", "either words or equals"),
    ],
)
def test_a_map_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "map.yml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        verdict.load_map(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no readable file"):
        verdict.load_map(tmp_path / "none.yml")
