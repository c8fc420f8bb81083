"""Qualifying the data set: counts, copies, stubs, what tells a label, and the drawings."""

from __future__ import annotations

import gc
import json
import random
import tracemalloc
from collections.abc import Callable
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
from solidgreen.jsonio import sha256_file, to_plain, write_bytes, write_json
from solidgreen.manifest import SCENARIOS, Label


def qualified(root: Path, **changes: Any) -> qualify.Qualification:
    options = {"dataset": DATASET, "smoke": SMOKE, **changes}
    data = manifest.load(root / "manifest.csv", root)
    return qualify.qualify(
        data, options["dataset"], options["smoke"], data_root=root, template=request.load_template(TEMPLATE)
    )


def failed(result: qualify.Qualification) -> dict[str, str]:
    return {check.id: check.seen for check in result.checks if check.status is not Status.PASS}


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_a_good_data_set_passes_every_check_and_is_parted(tmp_path: Path) -> None:
    write_all(tmp_path)
    result = qualified(tmp_path)
    assert failed(result) == {}
    assert result.report["status"] == "pass"
    assert {row["case_id"] for row in lines(result.cases)[1:]} == set(result.labels["labels"])
    for text in (*SCENARIOS, "expected", "scenario", "parent"):
        assert f'"{text}"' not in result.cases.decode()


@pytest.mark.parametrize("part", ["cases", "labels", "smoke", "probe", "report"])
def test_each_part_keeps_to_its_schema(tmp_path: Path, part: str) -> None:
    names = {"smoke": "selection", "probe": "selection", "report": "qualification"}
    schema = json.loads((ROOT / "schemas" / f"{names.get(part, part)}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    write_all(tmp_path)
    content = getattr(qualified(tmp_path), part)
    for value in lines(content) if part == "cases" else [to_plain(content)]:
        Draft202012Validator(schema).validate(value)


def test_the_batch_reads_the_cases_back_as_they_were_parted(tmp_path: Path) -> None:
    write_all(tmp_path)
    result = qualified(tmp_path)
    path = tmp_path / "cases.jsonl"
    path.write_bytes(result.cases)
    write_json(tmp_path / "smoke.json", result.smoke)
    source = cases.load(path)
    assert [to_plain(case) for case in source] == lines(result.cases)[1:]
    assert (source.sha256, source.manifest_sha256) == (sha256_file(path), sha256_file(tmp_path / "manifest.csv"))
    assert [source.get(case_id).case_id for case_id in reversed(source.ids)] == list(reversed(source.ids))
    assert len(source) == len(source.ids) == 10
    assert cases.load_selection(tmp_path / "smoke.json", source.ids) == tuple(result.smoke["case_ids"])


def some_cases(count: int = 3, documents: int = 2) -> list[cases.Case]:
    made = []
    for number in range(count):
        of = (
            cases.Document(f"b{number}/{n}.pdf", "lc", "application/pdf", f"{number:060x}{n:04x}", 9)
            for n in range(documents)
        )
        files = tuple(of)
        made.append(cases.Case(f"D3-{number:06d}", cases.content_digest(files), False, files))
    return made


CASES = cases.payload(some_cases(), manifest_sha256="m" * 64)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda data: b"", "found 0 cases, need a head", id="empty"),
        pytest.param(
            lambda data: b'{"schema": "solidgreen/cases/1", "cases": []}', "line 1: found a line of", id="no line"
        ),
        pytest.param(
            lambda data: data.replace(b"cases/2", b"cases/1"), "line 1: found schema 'solidgreen/cases/1'", id="schema"
        ),
        pytest.param(
            lambda data: data.replace(b'"count":3', b'"count":"3"'), "line 1: found a head of", id="count of a form"
        ),
        pytest.param(lambda data: data.replace(b'"count":3', b'"count":4'), "found 3 cases, need 4", id="a count more"),
        pytest.param(lambda data: data[: data[:-1].rindex(b"\n") + 1], "found 2 cases, need 3", id="a case less"),
        pytest.param(lambda data: data + data.splitlines(True)[1], "line 5: found case D3-000000 a second", id="twice"),
        pytest.param(lambda data: data[:-1], "line 4: found a line of another form", id="no line end"),
        pytest.param(lambda data: data[:-9] + b"\n", "line 4: found text that is not JSON", id="cut"),
        pytest.param(lambda data: data + b"[" * 100_000 + b"\n", "line 5: found text that is not JSON", id="depth"),
        pytest.param(lambda data: data + b"[]\n", "line 5: found a line of another form", id="a list"),
        pytest.param(lambda data: data + b"{}\n", "line 5: found a case of another form", id="no keys"),
        pytest.param(
            lambda data: data.replace(b'"contains_pii"', b'"expected":"pass","contains_pii"', 1),
            "line 2: found the key expected",
            id="a label",
        ),
        pytest.param(
            lambda data: data.replace(b'"role":"lc"', b'"role":"lc","scenario":"warn"', 1),
            "line 2: found the key scenario",
            id="a label in a document",
        ),
        pytest.param(
            lambda data: data.replace(b'"role":"lc"', b'"role":"bl"', 1),
            "line 2: found case D3-000000 with another content digest",
            id="another role",
        ),
        pytest.param(
            lambda data: data.replace(b'"bytes":9,', b"", 1), "line 2: found a case of another form", id="a key less"
        ),
        pytest.param(
            lambda data: data.replace(b"D3-000002", b"D3-000001"), "line 4: found case D3-000001 a", id="one id"
        ),
        pytest.param(
            lambda data: data.replace(b'"role":"lc"', b'"role":NaN', 1),
            "line 2: found a case of another form",
            id="NaN",
        ),
        pytest.param(
            lambda data: data.replace(b'"documents":[{', b'"documents":[7,{', 1),
            "line 2: found a case of another form",
            id="a number for a document",
        ),
        pytest.param(
            lambda data: data.replace(b'"D3-000002"', b"[]"), "line 4: found a case of another form", id="no id"
        ),
    ],
)
def test_a_file_of_cases_that_was_touched_or_shows_a_label_is_refused(
    tmp_path: Path, change: Callable[[bytes], bytes], words: str
) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(change(CASES))
    assert path.read_bytes() != CASES
    with pytest.raises(IntegrityError) as caught:
        cases.load(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda path: None, "found no file", id="missing"),
        pytest.param(Path.mkdir, "found no readable file (Is a directory)", id="a folder"),
        pytest.param(lambda path: path.symlink_to(path), "found no readable file (Too many", id="a link to itself"),
    ],
)
def test_no_file_of_cases_is_a_sentence(tmp_path: Path, make: Callable[[Path], Any], words: str) -> None:
    make(tmp_path / "cases.jsonl")
    with pytest.raises(BadInput) as caught:
        cases.load(tmp_path / "cases.jsonl")
    assert words in str(caught.value)


def test_cases_are_read_from_the_file_that_was_digested_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(CASES)
    source = cases.load(path)
    write_bytes(path, cases.payload(some_cases(9, 1), manifest_sha256="n" * 64))
    assert [source.get(case.case_id) for case in some_cases()] == list(source) == some_cases()
    with pytest.raises(KeyError):
        source.get("D3-000008")

    again = cases.load(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"D3-000001", b"D3-00000x"))  # in its place, not by another file
    assert again.get("D3-000000").case_id == "D3-000000"
    with pytest.raises(IntegrityError, match="line 3: found case D3-00000x, need case D3-000001"):
        again.get("D3-000001")
    path.write_bytes(b"")
    with pytest.raises(IntegrityError, match="line 2: found text that is not JSON"):
        again.get("D3-000000")


def test_a_file_of_cases_is_closed_with_its_last_user(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(CASES)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        assert len(cases.load(path)) == 3
        path.write_bytes(CASES + b"x")
        with pytest.raises(IntegrityError):
            cases.load(path)
        path.write_bytes(CASES)
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_of_cases_takes_memory_for_ids_alone(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(cases.payload(some_cases(2000, 6), manifest_sha256="m" * 64))
    tracemalloc.start()
    try:
        assert sum(len(case.documents) for case in cases.load(path)) == 12_000
        assert tracemalloc.get_traced_memory()[1] < min(2000 * 300, path.stat().st_size / 2)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"case_ids": []}, "found 0 ids, 0 distinct"),
        ({"case_ids": ["Z"]}, "found unknown case Z"),
        ({"case_ids": ["D3-000001", "D3-000001"]}, "found 2 ids, 1 distinct"),
        ({"case_ids": "D3-000001"}, "ids of another form"),
        ({"case_ids": [["D3-000001"]]}, "ids of another form"),
        ({}, "ids of another form"),
        ({"schema": "other", "case_ids": ["D3-000001"]}, "found schema 'other'"),
    ],
    ids=["none", "unknown", "twice", "a text", "a list of lists", "no ids", "schema"],
)
def test_a_selection_that_does_not_fit_its_cases_is_refused(tmp_path: Path, value: dict[str, Any], words: str) -> None:
    write_json(tmp_path / "s.json", {"schema": "solidgreen/selection/1", **value})
    with pytest.raises(IntegrityError) as caught:
        cases.load_selection(tmp_path / "s.json", [case.case_id for case in some_cases()])
    assert words in str(caught.value)


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
