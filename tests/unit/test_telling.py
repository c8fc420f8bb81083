"""What in the text of a document tells its label, and what prose may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch_world import ROOT
from hypothesis import given
from hypothesis import strategies as st
from solidgreen.telling import holds, tellings
from solidgreen.verdict import VERDICTS
from solidgreen.words import SCENARIOS

SWIFT = """46A: DOCUMENTS REQUIRED
+ FULL SET OF CLEAN ON BOARD OCEAN BILLS OF LADING MADE OUT TO ORDER WHICH
THE ISSUING BANK, IN CASE OF ANY DISCREPANCY, MAY AT ITS SOLE OPTION
REJECT
+ SIGNED COMMERCIAL INVOICE IN THREE COPIES, GOODS TO WHICH TITLE SHALL
PASS
"""
PROSE = "We confirm that all documents were examined"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("scenario sanctions_tbml_shell", "the name 'sanctions_tbml_shell'", id="a scenario"),
        pytest.param("Sanctions TBML Shell", "the name 'sanctions tbml shell'", id="a scenario in words"),
        pytest.param("made by OCR_NOISE v2", "the name 'ocr_noise'", id="a scenario in capitals"),
        pytest.param("ocrnoise", "the name 'ocrnoise'", id="a scenario in one"),
        pytest.param("sanctions_\u200btbml_shell", "the name 'sanctions_tbml_shell'", id="parted by what nobody sees"),
        pytest.param("ｏｃｒ＿ｎｏｉｓｅ", "the name 'ocr_noise'", id="in wide letters"),
        pytest.param("expected_verdict", "the name 'expected_verdict'", id="a column"),
        pytest.param("synthetic_parent_id T07", "the name 'synthetic_parent_id'", id="the column of the parent"),
        pytest.param("Bank of Genoa\nexpected: reject\nAmount", "'expected: reject'", id="expected"),
        pytest.param("Expected verdict = PASS", "'expected verdict = pass'", id="expected verdict"),
        pytest.param("expected outcome blocked.", "'expected outcome blocked'", id="expected outcome"),
        pytest.param('{"label": "warn", "n": 1}', "'label\": \"warn'", id="JSON"),
        pytest.param("Label: REJECT", "'label: reject'", id="label"),
        pytest.param("verdict -> blocked", "'verdict -> blocked'", id="an arrow"),
        pytest.param("ground truth: pass", "'ground truth: pass'", id="ground truth"),
        pytest.param("Scenario: warn (3)\nScenario: warn", "'scenario: warn'", id="scenario"),
        pytest.param("Invoice 17\nREJECT\nTotal USD 9", "the line 'REJECT'", id="a line"),
        pytest.param("Invoice 17\n*** PASS ***\nTotal USD 9", "the line '*** PASS ***'", id="a line with signs"),
        pytest.param("[blocked]", "the line '[blocked]'", id="a line in brackets"),
        pytest.param("Invoice 17\nR E J E C T", "the line 'R E J E C T'", id="a line of letters"),
        pytest.param("Invoice 17\nsanctions tbml-shell\n", "the name 'sanctions tbml-shell'", id="a line of a name"),
        pytest.param("OCR noise", "the line 'OCR noise'", id="a scenario in two words alone"),
        pytest.param("Warn", "the line 'Warn'", id="the first line"),
        pytest.param(f"{PROSE} which\nREJECT", "the line 'REJECT'", id="capitals behind a sentence without an end"),
        pytest.param(f"{PROSE} which\nBlocked", "the line 'Blocked'", id="a capital behind it"),
        pytest.param(f"{PROSE.upper()} 17\nPASS\n{PROSE * 3}", "the line 'PASS'", id="behind a short line"),
        pytest.param(f"{PROSE}.\nwarn", "the line 'warn'", id="behind the end of a sentence"),
    ],
)
def test_a_label_that_somebody_left_is_quoted(text: str, told: str) -> None:
    assert told in list(tellings(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("The bank may reject the documents or pass them on.", id="verbs"),
        pytest.param("Warning: keep dry. Payment blocked by court order.", id="a warning"),
        pytest.param("WARNING", id="a hazard label"),
        pytest.param("PASSED", id="a stamp of an inspector"),
        pytest.param("REJECTED", id="a stamp of a buyer"),
        pytest.param("Result: PASS", id="a result of an inspection"),
        pytest.param("Account status: blocked", id="a status"),
        pytest.param("Pass No. 4711", id="a pass"),
        pytest.param("Brenner Pass", id="a mountain"),
        pytest.param("Title and risk shall pass to the buyer as expected: pass the goods to the carrier", id="a colon"),
        pytest.param("The expected verdict of the arbitrators blocked the shipment", id="a verdict"),
        pytest.param("Label: warn operators before lifting", id="an instruction"),
        pytest.param("On the label: passport numbers", id="a longer word"),
        pytest.param("subject to OCR noise and scanning artefacts", id="noise of a scan"),
        pytest.param("sanctions: no bank is liable; TBML controls apply; shell companies excluded", id="a clause"),
        pytest.param("expected time of arrival: 3 March; passing of documents", id="expected"),
        pytest.param("In the worst scenario, blocked funds are released", id="a scenario in prose"),
        pytest.param(SWIFT, id="words that a line in capitals was wrapped before"),
        pytest.param(f"{PROSE} or that they may\npass\nwithout a word", id="a word that a line was wrapped before"),
        pytest.param("ocr noisette, bypass, unblocked, rejection, forewarn", id="words within words"),
        pytest.param("", id="nothing"),
    ],
)
def test_prose_tells_nothing(text: str) -> None:
    assert list(tellings(text)) == []


def test_the_rehearsals_written_documents_tell_nothing() -> None:
    documents = sorted((ROOT / "tests" / "rehearsal" / "documents").rglob("*.txt"))
    assert len(documents) > 20
    assert {path.name: told for path in documents if (told := list(tellings(Path(path).read_text("utf-8"))))} == {}


@given(st.text(), st.sampled_from([*VERDICTS, *SCENARIOS]), st.sampled_from([str.upper, str.lower, str.title]))
def test_a_label_on_a_line_of_its_own_is_found_after_a_short_line(before: str, label: str, form: object) -> None:
    first = before.replace("\r", " ").splitlines()[:1]
    head = first[0][:20] if first else ""
    text = "\n".join([f"{head}.", form(label), "x" * 60])  # type: ignore[operator]
    assert any(label in told.casefold() for told in tellings(text))


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("Case D3-001, credit 7", "D3-001", True),
        ("case d3-001.", "D3-001", True),
        ("(D3-001)", "D3-001", True),
        ("7aD3-0012", "D3-001", False),
        ("D3-0012", "D3-001", False),
        ("bundle 03cc1d3ec6b1", "03cc1d3ec6b1", True),
        ("b1 b1", "b1", False),
        ("invoice invoice", "invoice", False),
        ("20260301", "20260301", False),
    ],
    ids=["an id", "folded", "in brackets", "in a digest", "in a longer one", "a folder", "short", "a word", "a number"],
)
def test_a_name_is_held_where_it_stands_by_itself(text: str, name: str, found: bool) -> None:
    assert holds(text, name) is found
