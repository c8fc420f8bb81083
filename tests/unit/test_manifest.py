"""Reading the manifest: what is accepted, and one sentence for everything that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dataset import pdf, row, write_all, write_documents, write_manifest
from solidgreen import manifest
from solidgreen.errors import BadInput


def test_a_manifest_is_read_into_cases_and_labels_side_by_side(tmp_path: Path) -> None:
    data = manifest.load(write_all(tmp_path), tmp_path)
    assert len(data.cases) == len(data.labels) == 10
    assert data.per_scenario() == {"pass": 2, "warn": 2, "reject": 2, "ocr_noise": 2, "sanctions_tbml_shell": 2}
    assert data.per_verdict() == {"pass": 2, "warn": 2, "reject": 4, "blocked": 2}
    first = data.cases[0]
    assert [(document.role, document.path) for document in first.documents] == [
        ("invoice", "bundles/b1/invoice.pdf"),
        ("lc", "bundles/b1/lc.pdf"),
    ]
    assert not hasattr(first, "expected")


@pytest.mark.parametrize(
    ("newline", "bom"), [("\n", ""), ("\r\n", "\ufeff")], ids=["ours", "as a spreadsheet saves it"]
)
def test_line_ends_and_a_byte_order_mark_do_not_matter(tmp_path: Path, newline: str, bom: str) -> None:
    write_documents(tmp_path, 1)
    path = write_manifest(tmp_path, [row(1, "pass", cleaned_path="bundles\\b1")], newline=newline, bom=bom)
    assert manifest.load(path, tmp_path).cases[0].case_id == "D3-001"


def test_a_row_that_is_not_enabled_is_left_out(tmp_path: Path) -> None:
    write_documents(tmp_path, 1)
    path = write_manifest(tmp_path, [row(1, "pass"), row(2, "warn", run_enabled="False", cleaned_path="gone")])
    data = manifest.load(path, tmp_path)
    assert ([case.case_id for case in data.cases], data.disabled) == (["D3-001"], 1)


def test_a_single_file_is_the_letter_of_credit_unless_its_name_says_otherwise(tmp_path: Path) -> None:
    for name in ("scan.pdf", "Invoice_1.pdf"):
        (tmp_path / name).write_bytes(pdf(name, "second line"))
    rows = [row(1, "pass", cleaned_path="scan.pdf"), row(2, "pass", cleaned_path="Invoice_1.pdf")]
    data = manifest.load(write_manifest(tmp_path, rows), tmp_path)
    assert [case.documents[0].role for case in data.cases] == ["lc", "invoice"]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("lc.pdf", "lc"),
        ("LC.PDF", "lc"),
        ("Letter_of_Credit.pdf", "lc"),
        ("MT700.pdf", None),
        ("Invoice_1.pdf", "invoice"),
        ("commercial-invoice.pdf", "invoice"),
        ("Bill_of_Lading.pdf", "bl"),
        ("bl.tiff", "bl"),
        ("Insurance.pdf", "insurance"),
        ("Packing_List.pdf", "packing_list"),
        ("COO.pdf", "coo"),
        ("certificate of origin.pdf", "coo"),
        ("notes.txt", None),
    ],
)
def test_the_role_of_a_document_comes_from_its_name(name: str, role: str | None) -> None:
    assert manifest.role_of(name) == role


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "found no readable file (No such file or directory), need a CSV file", id="missing"),
        pytest.param(b"", "found an empty file", id="empty"),
        pytest.param(b"\n", "found an empty file", id="a blank line"),
        pytest.param(b"\xff\xfea", "found bytes that are not UTF-8", id="another encoding"),
        pytest.param(b"case_id,verdict\n", "the column verdict", id="a wrong column"),
        pytest.param(
            (",".join(manifest.COLUMNS[:-1]) + "\n").encode(), "found no column run_enabled", id="a column less"
        ),
        pytest.param((",".join(manifest.COLUMNS) + "\n").encode(), "found no enabled row", id="a header alone"),
        pytest.param(
            (",".join(manifest.COLUMNS) + "\na,b\n").encode(), "row 2: found 2 cells, need 13", id="a short row"
        ),
        pytest.param((",".join(manifest.COLUMNS) + '\n"a\n').encode(), "row 2: found no CSV", id="an open quote"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "manifest.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        manifest.load(path, tmp_path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"case_id": ""}, "case_id ''", id="no id"),
        pytest.param({"case_id": "../x"}, "case_id '../x'", id="an id that is a path"),
        pytest.param({"case_id": "D3-001"}, "case_id D3-001 a second time", id="an id twice"),
        pytest.param({"scenario": "good"}, "scenario 'good', need one of pass, warn", id="an unknown scenario"),
        pytest.param({"expected_verdict": "PASS"}, "expected_verdict 'PASS'", id="an unknown verdict"),
        pytest.param({"contains_pii": "perhaps"}, "contains_pii 'perhaps', need true or false", id="an unclear truth"),
        pytest.param({"run_enabled": ""}, "run_enabled ''", id="no truth"),
        pytest.param({"cleaned_path": ""}, "found no cleaned_path", id="no path"),
        pytest.param({"cleaned_path": "../other"}, "../other outside the data root", id="a path outside"),
        pytest.param({"cleaned_path": "/etc/passwd"}, "/etc/passwd outside the data root", id="an absolute path"),
        pytest.param({"cleaned_path": "way-out"}, "way-out outside the data root", id="a link that leads outside"),
        pytest.param({"cleaned_path": "bundles/none"}, "no document at bundles/none", id="a missing document"),
        pytest.param({"cleaned_path": "bundles/empty"}, "no document at bundles/empty", id="an empty folder"),
        pytest.param({"cleaned_path": "bundles/odd"}, "bundles/odd/notes.pdf, whose name tells no role", id="no role"),
        pytest.param({"cleaned_path": "bundles/text"}, "lc.pdf, which is no PDF, PNG, JPEG or TIFF", id="another type"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_by_its_number(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    root = tmp_path / "root"
    write_documents(root, 1)
    for name, file, data in (("odd", "notes.pdf", pdf("a")), ("text", "lc.pdf", b"hello"), ("empty", ".hidden", b"")):
        (root / "bundles" / name).mkdir()
        (root / "bundles" / name / file).write_bytes(data)
    (tmp_path / "elsewhere").mkdir()
    (root / "way-out").symlink_to(tmp_path / "elsewhere")
    path = write_manifest(root, [row(1, "pass"), row(2, "warn") | {"cleaned_path": "bundles/b1"} | changes])
    with pytest.raises(BadInput) as caught:
        manifest.load(path, root)
    assert words in str(caught.value)
    assert "row 3: found" in str(caught.value)
