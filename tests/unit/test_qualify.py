"""Qualifying the data set: counts, copies, stubs, what tells a label, and the drawings."""

from __future__ import annotations

import gc
import io
import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from batch_world import ROOT, TEMPLATE, steady
from dataset import DATASET, SMOKE, pdf, row, rows_of_all, write_all, write_documents, write_manifest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image, ImageDraw
from solidgreen import cases, documents, manifest, qualify, request, selection
from solidgreen.check import Status
from solidgreen.errors import BadInput, IntegrityError
from solidgreen.jsonio import sha256_file, to_plain, write_bytes, write_json
from solidgreen.manifest import SCENARIOS, Label

from rehearsal.cases.build import generate


def qualified(root: Path, **changes: Any) -> qualify.Qualification:
    options = {"dataset": DATASET, "smoke": SMOKE, "data_root": root, "template": request.load_template(TEMPLATE)}
    return qualify.qualify(manifest.load(root / "manifest.csv", root), **{**options, **changes})


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
@given(st.integers(0, 50), st.integers(0, 2**31), st.integers(0, 1000))
def test_a_drawing_is_the_same_in_any_order_and_a_new_row_takes_a_place_only_by_its_rank(
    more: int, shuffle: int, seed: int
) -> None:
    strata = dict.fromkeys(SCENARIOS, 3)
    rows, new = labels(50), labels(more, first=100)
    drawn = selection.draw(rows, strata, seed)
    mixed = random.Random(shuffle).sample([*rows, *new], 50 + more)
    grown = selection.draw(mixed, strata, seed)
    assert grown == selection.draw([*rows, *new], strata, seed)
    assert selection.draw([row for row in mixed if row in rows], strata, seed) == drawn
    scenario = {label.case_id: label.scenario for label in mixed}
    place = {case_id: selection.rank(seed, "draw", case_id) for case_id in scenario}
    for name in SCENARIOS:
        before, after = ({i for i in ids if scenario[i] == name} for ids in (drawn, grown))
        gone, come = before - after, after - before
        assert come <= {label.case_id for label in new}
        assert len(gone) == len(come)
        # Whoever came outranks whoever went, and whoever stayed outranks both.
        assert all(place[i] < place[j] for i in come for j in gone)
        assert all(place[i] < place[j] for i in before & after for j in gone)
        left = {label.case_id for label in new if label.scenario == name} - come
        assert all(place[i] < place[j] for i in after for j in left)
    # A new row may take a place; it moves no old one.
    stayed = [case_id for case_id in drawn if case_id in grown]
    assert [case_id for case_id in grown if case_id in drawn] == stayed


def test_a_drawing_has_its_strata_and_another_seed_draws_another(tmp_path: Path) -> None:
    rows, strata = labels(100), {"pass": 5, "warn": 5, "reject": 4, "sanctions_tbml_shell": 3, "ocr_noise": 3}
    drawn = selection.draw(rows, strata, 1)
    scenario = {label.case_id: label.scenario for label in rows}
    counted = [scenario[case_id] for case_id in drawn]
    assert {name: counted.count(name) for name in strata} == strata
    assert counted != sorted(counted, key=list(strata).index)
    assert selection.draw(rows, strata, 2) != drawn


def test_a_stratum_without_enough_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="smoke stratum warn: found 20 cases, need 21"):
        selection.draw(labels(100), {"warn": 21}, 7)


def test_the_probe_has_one_case_a_verdict_outside_the_smoke(tmp_path: Path) -> None:
    write_all(tmp_path)
    result = qualified(tmp_path)
    expected = [result.labels["labels"][case_id]["expected"] for case_id in result.probe["case_ids"]]
    assert sorted(expected) == ["blocked", "pass", "reject", "warn"]
    assert not set(result.probe["case_ids"]) & set(result.smoke["case_ids"])


def picture(*lines: str) -> bytes:
    """Return a PNG of a page with those lines."""
    scan, data = Image.new("L", (300, 200), 255), io.BytesIO()
    for number, line in enumerate(lines):
        ImageDraw.Draw(scan).text((20, 20 + 20 * number), line, fill=0)
    scan.save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "missed"),
    [(picture("Certificate of origin"), []), (picture(), ["dataset-not-stubs"])],
    ids=["a page", "a blank page"],
)
def test_pictures_are_no_stubs_unless_they_are_blank(tmp_path: Path, data: bytes, missed: list[str]) -> None:
    write_all(tmp_path)
    (tmp_path / "bundles" / "b3" / "coo.png").write_bytes(data)
    assert list(failed(qualified(tmp_path))) == missed


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("coo.pdf", picture("Certificate"), "bundles/b3/coo.pdf holds image/png"),
        ("coo.png", pdf("Certificate of origin", "Country Chile"), "bundles/b3/coo.png holds application/pdf"),
        ("coo.doc", pdf("Certificate of origin", "Country Chile"), "bundles/b3/coo.doc holds application/pdf"),
        (
            "coo.pdf",
            picture()[:8] + pdf("Certificate of origin", "Country Chile"),
            "bundles/b3/coo.pdf holds application/pdf and begins as image/png",
        ),
    ],
    ids=["a picture as PDF", "a PDF as a picture", "a PDF as something else", "two types in one"],
)
def test_a_document_of_another_type_than_its_name_says_is_named(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    write_all(tmp_path)
    (tmp_path / "bundles" / "b3" / name).write_bytes(data)
    seen = failed(qualified(tmp_path))
    assert list(seen) == ["dataset-types"]
    assert seen["dataset-types"] == f"20 of 21 documents are what their name says: {words}"


@pytest.mark.parametrize("name", ["coo", "COO.PNG"])
def test_a_name_without_a_type_or_in_capitals_is_no_fault(tmp_path: Path, name: str) -> None:
    write_all(tmp_path)
    (tmp_path / "bundles" / "b3" / name).write_bytes(picture("Certificate"))
    assert failed(qualified(tmp_path)) == {}


def credit(number: int = 0, **changes: str) -> bytes:
    """Return a letter of credit of 120 words; *changes* replace whole lines."""
    drawn = random.Random(number)
    lines = {f"line{n}": " ".join("".join(drawn.choices("abcdefghij", k=8)) for _ in range(10)) for n in range(12)}
    return pdf(*{**lines, **changes}.values(), title=f"{number} {sorted(changes)}")


def kinds(result: qualify.Qualification, check_id: str) -> Any:
    return next(check for check in result.checks if check.id == check_id)


def one_parent(*numbers: int) -> list[dict[str, Any]]:
    rows = rows_of_all()
    for number in numbers:
        rows[number - 1]["synthetic_parent_id"] = "P-one"
    return rows


#: Near copies under one label are allowed and make one parent of two: here the only one of their verdict.
ONE = "all 2 pass cases come from one parent"


# Cases 1 and 2 must pass, 5 must be rejected; each has a parent of its own unless said otherwise.
@pytest.mark.parametrize(
    ("first", "second", "cases", "related", "missed"),
    [
        pytest.param(credit(1), credit(2), (1, 5), False, "", id="two credits"),
        pytest.param(
            credit(1),
            credit(1) + b"\n%%EOF",
            (1, 5),
            False,
            "D3-001 (pass) and D3-005 (reject): the same words under two labels",
            id="the same words under two labels",
        ),
        pytest.param(
            credit(1),
            credit(1) + b"\n%%EOF",
            (1, 5),
            True,
            "D3-001 (pass) and D3-005 (reject): the same words under two labels",
            id="the same words of one parent under two labels",
        ),
        pytest.param(
            credit(1),
            credit(1, line3="USD 148200"),
            (1, 5),
            False,
            "",
            id="nine of a hundred words apart",
        ),
        pytest.param(
            credit(1),
            credit(1, more="Revised"),
            (1, 5),
            False,
            "D3-001 (pass) and D3-005 (reject): near copies under two labels and two parents",
            id="a word apart under two labels and parents",
        ),
        pytest.param(credit(1), credit(1, more="Revised"), (1, 5), True, "", id="a word apart of one parent"),
        pytest.param(credit(1), credit(1, more="Revised"), (1, 2), False, ONE, id="a word apart under one label"),
        pytest.param(credit(1), credit(1) + b"\n%%EOF", (1, 2), False, ONE, id="the same words under one label"),
    ],
)
def test_what_reads_the_same_under_two_labels_is_named_with_both(
    tmp_path: Path, first: bytes, second: bytes, cases: tuple[int, int], related: bool, missed: str
) -> None:
    write_all(tmp_path)
    for number, data in zip(cases, (first, second), strict=True):
        write_documents(tmp_path, number, lc=data)
        (tmp_path / "bundles" / f"b{number}" / "invoice.pdf").unlink()
    write_manifest(tmp_path, one_parent(*cases) if related else rows_of_all())
    seen = failed(qualified(tmp_path))
    check = "dataset-parents" if missed == ONE else "dataset-near-copies"
    assert list(seen) == ([check] if missed else [])
    assert missed in "".join(seen.values())


def test_bundles_of_one_parent_that_a_figure_tells_apart_are_shown_with_it(tmp_path: Path) -> None:
    write_all(tmp_path)
    for number, amount in ((1, "148200"), (5, "184200")):
        write_documents(tmp_path, number, lc=credit(1, more=f"USD {amount}"))
        (tmp_path / "bundles" / f"b{number}" / "invoice.pdf").unlink()
    write_manifest(tmp_path, one_parent(1, 5))
    check = kinds(qualified(tmp_path), "dataset-near-copies")
    assert check.status is Status.PASS
    assert check.seen == "1 of 10 bundles near copies of another"
    assert check.facts["near_copies"] == [["D3-001", "D3-005"]]
    assert check.facts["told_apart_by"] == [{"cases": ["D3-001", "D3-005"], "words": ["148200", "184200"]}]


@pytest.mark.parametrize(
    ("cases", "related", "missed"),
    [
        pytest.param((1, 5), True, "", id="of one parent"),
        pytest.param((1, 2), False, ONE, id="of two parents under one label"),
        pytest.param(
            (1, 5),
            False,
            "D3-001 (pass) and D3-005 (reject): one letter of credit under two labels and two parents",
            id="of two parents under two labels",
        ),
    ],
)
def test_a_credit_in_two_bundles_is_that_of_one_parent(
    tmp_path: Path, cases: tuple[int, int], related: bool, missed: str
) -> None:
    write_all(tmp_path)
    for number in cases:
        write_documents(tmp_path, number, lc=credit(1))
    write_manifest(tmp_path, one_parent(*cases) if related else rows_of_all())
    seen = failed(qualified(tmp_path))
    check = "dataset-parents" if missed == ONE else "dataset-near-copies"
    assert list(seen) == ([check] if missed else [])
    assert missed in "".join(seen.values())


def test_another_document_may_belong_to_several_parents(tmp_path: Path) -> None:
    write_all(tmp_path)
    for number in (1, 5):
        (tmp_path / "bundles" / f"b{number}" / "insurance.pdf").write_bytes(credit(1))
    result = qualified(tmp_path)
    assert failed(result) == {}
    assert kinds(result, "dataset-parents").facts["parents"] == 10


def test_scans_with_one_text_layer_are_told_by_their_pictures(tmp_path: Path) -> None:
    write_all(tmp_path)
    for number, shown in ((1, "signed"), (5, "not signed")):
        write_documents(tmp_path, number, invoice=credit(number))
        (tmp_path / "bundles" / f"b{number}" / "lc.pdf").unlink()
        (tmp_path / "bundles" / f"b{number}" / "lc.png").write_bytes(picture(shown))
    assert failed(qualified(tmp_path)) == {}


def test_parents_with_near_copies_count_as_one(tmp_path: Path) -> None:
    write_all(tmp_path)
    for number in (1, 2, 3):
        write_documents(tmp_path, number, lc=credit(1, more=f"Reference {number}"), invoice=credit(number + 10))
    write_manifest(tmp_path, one_parent(1, 2, 3))
    related = kinds(qualified(tmp_path), "dataset-parents").facts
    rows = rows_of_all()
    rows[2] |= {"scenario": "pass", "expected_verdict": "pass"}
    write_manifest(tmp_path, rows)
    dataset = {"scenarios": DATASET["scenarios"] | {"pass": {"count": 3, "expected": "pass"}}}
    dataset["scenarios"]["warn"] = {"count": 1, "expected": "warn"}
    result = qualified(tmp_path, dataset=dataset)
    facts = kinds(result, "dataset-parents").facts
    assert (related["parents"], related["parents_stated"]) == (8, 8)
    assert (facts["parents"], facts["parents_stated"], facts["largest"]) == (8, 10, 3)
    # 10 cases: Σm²/n = (9 + 7)/10; 10 / (1 + 0.6 · 0.3)
    assert facts["effective_n"] == related["effective_n"] == round(10 / 1.18, 1)


def test_a_verdict_that_comes_from_one_parent_is_inconclusive(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_manifest(tmp_path, one_parent(1, 2))
    result = qualified(tmp_path)
    check = kinds(result, "dataset-parents")
    assert list(failed(result)) == ["dataset-parents"]
    assert (check.status, check.exit_code, result.report["status"]) == (Status.INCONCLUSIVE, None, "inconclusive")
    assert "all 2 pass cases come from one parent" in check.seen
    assert check.facts["verdicts"]["pass"] == {"cases": 2, "parents": 1, "largest": 2, "effective_n": 1.5}


def test_the_correlation_and_the_likeness_are_those_that_are_given(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_manifest(tmp_path, one_parent(1, 3))
    worth = [
        kinds(qualified(tmp_path, correlation=given), "dataset-parents").facts["effective_n"] for given in (0.0, 1.0)
    ]
    assert worth == [10.0, 8.3]
    assert kinds(qualified(tmp_path, near_copy=0.7), "dataset-near-copies").status is Status.FAIL


def test_a_smoke_without_a_verdict_of_the_data_set_fails(tmp_path: Path) -> None:
    write_all(tmp_path)
    smoke = SMOKE | {"size": 4, "strata": {"pass": 2, "warn": 2}}
    seen = failed(qualified(tmp_path, smoke=smoke))
    assert list(seen) == ["dataset-smoke"]
    assert seen["dataset-smoke"] == (
        "4 cases of 4 parents, 2 pass, 2 warn, 0 reject, 0 blocked: no reject case; no blocked case"
    )


def test_the_smoke_is_counted_by_scenario_verdict_and_parent(tmp_path: Path) -> None:
    write_all(tmp_path)
    facts = kinds(qualified(tmp_path), "dataset-smoke").facts
    assert facts["scenarios"] == dict.fromkeys(SCENARIOS, 1)
    assert facts["verdicts"] == {"pass": 1, "warn": 1, "reject": 2, "blocked": 1}
    assert facts["parents"] == 5


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("expected: reject", "text of bundles/b3/lc.pdf: 'expected: reject'"),
        ("REJECT", "text of bundles/b3/lc.pdf: the line 'REJECT'"),
        ("Set of ocr_noise", "text of bundles/b3/lc.pdf: the name 'ocr_noise'"),
        ("Presentation D3-003", "text of bundles/b3/lc.pdf: D3-003"),
    ],
    ids=["a value", "a line", "a scenario", "the case id"],
)
def test_a_label_or_an_id_in_packed_text_is_quoted(tmp_path: Path, line: str, told: str) -> None:
    write_all(tmp_path)
    packed = pdf("Letter of credit number 3", line, "Amount USD 1000", packed=True)
    assert line.encode() not in packed
    write_documents(tmp_path, 3, lc=packed)
    seen = failed(qualified(tmp_path))
    assert list(seen) == ["dataset-blind"]
    assert told in seen["dataset-blind"]


def test_each_document_is_opened_once_however_many_cases_have_it(tmp_path: Path) -> None:
    write_all(tmp_path)
    for number in (1, 3):
        (tmp_path / "bundles" / f"b{number}" / "coo.pdf").write_bytes(pdf("Certificate of origin", "Country Chile"))
    opened: list[Path] = []

    def look(path: Path, media_type: str) -> documents.Look:
        opened.append(path)
        return documents.look(path, media_type)

    assert failed(qualified(tmp_path, look=look)) == {}
    assert len(opened) == 21


def test_the_defaults_are_the_numbers_of_the_shipped_policy() -> None:
    shipped = yaml.safe_load((ROOT / "policy" / "day3.yml").read_text())
    assert shipped["qualification"]["near_copy"] == qualify.NEAR_COPY
    assert shipped["dependence"]["intra_parent_correlation"] == qualify.CORRELATION


@pytest.fixture(scope="module", name="generated")
def generated_fixture(tmp_path_factory: pytest.TempPathFactory) -> qualify.Qualification:
    root = tmp_path_factory.mktemp("rehearsal") / "day3"
    generate(root)
    rules = yaml.safe_load((ROOT / "policy" / "day3.yml").read_text())
    return qualified(root, dataset=rules["dataset"], smoke=rules["smoke"])


def test_the_rehearsals_own_cases_qualify_without_a_false_alarm(generated: qualify.Qualification) -> None:
    assert failed(generated) == {}
    facts = kinds(generated, "dataset-parents").facts
    assert (facts["cases"], facts["parents"]) == (90, facts["parents_stated"])
    assert facts["parents"] < facts["effective_n"] < 90
    assert kinds(generated, "dataset-near-copies").facts["near_copies"] == []


def test_a_disabled_row_is_no_case(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_manifest(tmp_path, [*rows_of_all(), row(11, "pass", run_enabled="no", cleaned_path="gone")])
    assert failed(qualified(tmp_path)) == {}
