"""Qualifying the data set: counts, copies, stubs, what tells a label, and the drawings."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from batch_world import ROOT, TEMPLATE, steady
from dataset import DATASET, SMOKE, pdf, row, rows_of_all, write_all, write_documents, write_manifest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from solidgreen import cases, manifest, qualify, request
from solidgreen.check import Status
from solidgreen.errors import BadInput, IntegrityError
from solidgreen.jsonio import to_plain, write_json
from solidgreen.manifest import SCENARIOS, Label


def qualified(root: Path, **changes: Any) -> qualify.Qualification:
    options = {"dataset": DATASET, "smoke": SMOKE, **changes}
    data = manifest.load(root / "manifest.csv", root)
    return qualify.qualify(
        data, options["dataset"], options["smoke"], data_root=root, template=request.load_template(TEMPLATE)
    )


def failed(result: qualify.Qualification) -> dict[str, str]:
    return {check.id: check.seen for check in result.checks if check.status is not Status.PASS}


def test_a_good_data_set_passes_every_check_and_is_parted(tmp_path: Path) -> None:
    write_all(tmp_path)
    result = qualified(tmp_path)
    assert failed(result) == {}
    assert result.report["status"] == "pass"
    assert {row["case_id"] for row in result.cases["cases"]} == set(result.labels["labels"])
    for text in (*SCENARIOS, "expected", "scenario", "parent"):
        assert f'"{text}"' not in json.dumps(to_plain(result.cases))


@pytest.mark.parametrize("part", ["cases", "labels", "smoke", "probe", "report"])
def test_each_part_keeps_to_its_schema(tmp_path: Path, part: str) -> None:
    names = {"smoke": "selection", "probe": "selection", "report": "qualification"}
    schema = json.loads((ROOT / "schemas" / f"{names.get(part, part)}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    write_all(tmp_path)
    Draft202012Validator(schema).validate(to_plain(getattr(qualified(tmp_path), part)))


def test_the_batch_reads_the_cases_back_as_they_were_parted(tmp_path: Path) -> None:
    write_all(tmp_path)
    result = qualified(tmp_path)
    for name, value in (("cases", result.cases), ("smoke", result.smoke)):
        write_json(tmp_path / f"{name}.json", value)
    source = cases.load(tmp_path / "cases.json")
    assert to_plain(source.cases) == to_plain(result.cases["cases"])
    chosen = cases.load_selection(tmp_path / "smoke.json", source.cases)
    assert [case.case_id for case in chosen] == result.smoke["case_ids"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "other"}, "schema 'other'"),
        ({"cases": [{"case_id": "A", "expected": "pass", "documents": []}]}, "the key expected"),
        ({"cases": [{"case_id": "A"}]}, "a case of another form"),
        (
            {"cases": [{"case_id": "A", "content_sha256": "0" * 64, "contains_pii": False, "documents": []}]},
            "case A with another content digest",
        ),
    ],
)
def test_a_file_of_cases_that_was_touched_or_shows_a_label_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    write_json(tmp_path / "cases.json", {"schema": "solidgreen/cases/1", "cases": [], **change})
    with pytest.raises(IntegrityError) as caught:
        cases.load(tmp_path / "cases.json")
    assert words in str(caught.value)


@pytest.mark.parametrize("ids", [[], ["Z"], ["D3-001", "D3-001"]], ids=["none", "unknown", "twice"])
def test_a_selection_that_does_not_fit_its_cases_is_refused(tmp_path: Path, ids: list[str]) -> None:
    write_all(tmp_path)
    write_json(tmp_path / "cases.json", qualified(tmp_path).cases)
    write_json(tmp_path / "s.json", {"schema": "solidgreen/selection/1", "case_ids": ids})
    with pytest.raises(IntegrityError):
        cases.load_selection(tmp_path / "s.json", cases.load(tmp_path / "cases.json").cases)


def test_a_case_less_is_refused_with_both_counts(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_manifest(tmp_path, rows_of_all()[:-1])
    with pytest.raises(BadInput) as caught:
        qualified(tmp_path)
    assert "found 9 enabled cases, 1 sanctions_tbml_shell, need 10 cases, 2 sanctions_tbml_shell" in str(caught.value)


def test_a_scenario_with_another_verdict_than_the_policy_has_is_refused(tmp_path: Path) -> None:
    write_all(tmp_path)
    rows = rows_of_all()
    rows[0]["expected_verdict"] = "reject"
    write_manifest(tmp_path, rows)
    with pytest.raises(BadInput, match="case D3-001: found scenario pass with the verdict reject, need pass"):
        qualified(tmp_path)


def test_the_same_bundle_under_two_labels_is_named_with_both(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_documents(tmp_path, 5, lc=pdf("same", "lines", "here"))
    write_documents(tmp_path, 1, lc=pdf("same", "lines", "here"))
    for number in (1, 5):
        (tmp_path / "bundles" / f"b{number}" / "invoice.pdf").unlink()
    seen = failed(qualified(tmp_path))
    assert list(seen) == ["dataset-no-copies"]
    assert "D3-001 (pass) and D3-005 (reject): the same documents under two labels" in seen["dataset-no-copies"]


@pytest.mark.parametrize(
    ("data", "check"),
    [
        pytest.param(pdf("one line"), "dataset-not-stubs", id="a one-line stub"),
        pytest.param(pdf(" "), "dataset-not-stubs", id="an empty page"),
        pytest.param(b"%PDF-1.4 broken", "dataset-readable", id="a broken PDF"),
        pytest.param(
            pdf("first line", "second line", title="Case for REJECT"), "dataset-blind", id="a label in the metadata"
        ),
        pytest.param(
            pdf("first line", "second line", title="sanctions_tbml_shell_3"),
            "dataset-blind",
            id="a scenario in the metadata",
        ),
        pytest.param(
            pdf("first line", "second line", title="d3-003 LC"), "dataset-blind", id="a case id in the metadata"
        ),
    ],
)
def test_a_document_that_cannot_be_trusted_fails_its_check(tmp_path: Path, data: bytes, check: str) -> None:
    write_all(tmp_path)
    write_documents(tmp_path, 3, lc=data)
    seen = failed(qualified(tmp_path))
    assert list(seen) == [check]
    assert "bundles/b3/lc.pdf" in seen[check]


def test_a_label_in_a_path_or_an_id_fails(tmp_path: Path) -> None:
    write_all(tmp_path)
    rows = rows_of_all()
    (tmp_path / "bundles" / "b1").rename(tmp_path / "bundles" / "Pass-1")
    rows[0] |= {"cleaned_path": "bundles/Pass-1", "case_id": "warn_7"}
    write_manifest(tmp_path, rows)
    seen = failed(qualified(tmp_path))["dataset-blind"]
    assert "case id warn_7" in seen
    assert "path bundles/Pass-1/lc.pdf" in seen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bundles/pass/1", True),
        ("REJECTED", True),
        ("ocr_noise", True),
        ("x_ocr_noise_3", True),
        ("early warning", True),
        ("passport", False),
        ("Bypass", False),
        ("unblocked", False),
        ("bundles/3f9a", False),
    ],
)
def test_a_telling_word_stands_alone(text: str, found: bool) -> None:
    assert qualify.tells(text) is found


def labels(count: int, first: int = 1) -> list[Label]:
    return [
        Label(f"D3-{n:03d}", "pass", SCENARIOS[n % len(SCENARIOS)], f"P{n}", "synthetic", "en")
        for n in range(first, first + count)
    ]


@steady
@given(st.integers(0, 50), st.integers(0, 2**31))
def test_a_drawing_is_the_same_in_any_order_and_stays_when_rows_are_added(more: int, shuffle: int) -> None:
    strata = dict.fromkeys(SCENARIOS, 3)
    rows = labels(50)
    drawn = qualify.draw(rows, strata, 7)
    shuffled = random.Random(shuffle).sample(rows, len(rows))
    assert qualify.draw(shuffled, strata, 7) == drawn
    grown = qualify.draw([*rows, *labels(more, first=100)], strata, 7)
    # A new row may take a place; it moves no old one.
    old = [case_id for case_id in grown if case_id < "D3-100"]
    assert old == [case_id for case_id in drawn if case_id in grown]


def test_a_drawing_has_its_strata_and_another_seed_draws_another(tmp_path: Path) -> None:
    rows, strata = labels(100), {"pass": 5, "warn": 5, "reject": 4, "sanctions_tbml_shell": 3, "ocr_noise": 3}
    drawn = qualify.draw(rows, strata, 1)
    scenario = {label.case_id: label.scenario for label in rows}
    counted = [scenario[case_id] for case_id in drawn]
    assert {name: counted.count(name) for name in strata} == strata
    assert counted != sorted(counted, key=list(strata).index)
    assert qualify.draw(rows, strata, 2) != drawn


def test_a_stratum_without_enough_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="smoke stratum warn: found 20 cases, need 21"):
        qualify.draw(labels(100), {"warn": 21}, 7)


def test_the_probe_has_one_case_a_verdict_outside_the_smoke(tmp_path: Path) -> None:
    write_all(tmp_path)
    result = qualified(tmp_path)
    expected = [result.labels["labels"][case_id]["expected"] for case_id in result.probe["case_ids"]]
    assert sorted(expected) == ["blocked", "pass", "reject", "warn"]
    assert not set(result.probe["case_ids"]) & set(result.smoke["case_ids"])


def test_pictures_are_no_stubs(tmp_path: Path) -> None:
    from PIL import Image

    write_all(tmp_path)
    Image.new("RGB", (40, 40), "white").save(tmp_path / "bundles" / "b3" / "coo.png")
    assert failed(qualified(tmp_path)) == {}


def test_a_disabled_row_is_no_case(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_manifest(tmp_path, [*rows_of_all(), row(11, "pass", run_enabled="no", cleaned_path="gone")])
    assert failed(qualified(tmp_path)) == {}
