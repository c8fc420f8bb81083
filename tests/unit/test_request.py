"""What leaves: names by role, types by bytes, and not a byte that depends on what a case is called."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import pytest
from batch_world import TEMPLATE
from solidgreen import cases, request
from solidgreen.cases import Case, Document
from solidgreen.errors import BadInput, Refused

TEMPLATE_OF_THE_PLAN = request.load_template(TEMPLATE)
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


def bundle(root: Path, **files: tuple[str, bytes]) -> Case:
    """Write files (role to name and bytes; a trailing digit of the role is dropped) and return their case."""
    documents = []
    for key, (name, data) in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        kind = cases.media_type(data)
        assert kind is not None
        documents.append(Document(name, key.rstrip("0123456789"), kind, hashlib.sha256(data).hexdigest(), len(data)))
    return Case("D3-001", cases.content_digest(documents), False, tuple(documents))


def test_documents_leave_under_the_names_of_their_roles_in_a_fixed_order(tmp_path: Path) -> None:
    case = bundle(
        tmp_path,
        coo=("reject/case7/x-coo.png", PNG),
        invoice1=("reject/case7/i1.pdf", b"%PDF-1.4 one"),
        lc=("reject/case7/l.pdf", b"%PDF-1.4 lc"),
        invoice2=("reject/case7/i2.pdf", b"%PDF-1.4 two"),
    )
    sent = request.build(case, TEMPLATE_OF_THE_PLAN, tmp_path)
    names = re.findall(rb'name="files"; filename="([^"]+)"\r\nContent-Type: ([^\r]+)', sent.body)
    assert names == [
        (b"LC.pdf", b"application/pdf"),
        (b"Invoice.pdf", b"application/pdf"),
        (b"Invoice_2.pdf", b"application/pdf"),
        (b"COO.png", b"image/png"),
    ]
    tags = b'{"LC.pdf": "lc", "Invoice.pdf": "invoice", "Invoice_2.pdf": "invoice", "COO.png": "coo"}'
    for field, value in (
        (b"document_type", b"letter_of_credit"),
        (b"user_type", b"exporter"),
        (b"workflow_type", b"export-lc-upload"),
        (b"metadata", b"{}"),
        (b"document_tags", tags),
    ):
        assert b'name="' + field + b'"\r\n\r\n' + value in sent.body
    for telling in (b"reject", b"case7", b"D3-001", str(tmp_path).encode()):
        assert telling not in sent.body


def test_the_same_documents_give_the_same_bytes_whatever_the_case_is_called(tmp_path: Path) -> None:
    here = bundle(tmp_path, lc=("pass/lc.pdf", b"%PDF-1"), bl=("pass/bl.pdf", b"%PDF-2"))
    there = bundle(tmp_path, lc=("reject/other.pdf", b"%PDF-1"), bl=("reject/b.pdf", b"%PDF-2"))
    there = dataclasses.replace(there, case_id="reject-me", contains_pii=True)
    first, second = (request.build(case, TEMPLATE_OF_THE_PLAN, tmp_path) for case in (here, there))
    assert first == second


@pytest.mark.parametrize(
    ("change", "words"), [(b"%PDF-9", "other bytes than were qualified"), (None, "no readable file")]
)
def test_a_document_that_changed_since_it_was_qualified_is_not_sent(
    tmp_path: Path, change: bytes | None, words: str
) -> None:
    case = bundle(tmp_path, lc=("lc.pdf", b"%PDF-1"))
    (tmp_path / "lc.pdf").unlink()
    if change is not None:
        (tmp_path / "lc.pdf").write_bytes(change)
    with pytest.raises(Refused, match=words):
        request.build(case, TEMPLATE_OF_THE_PLAN, tmp_path)


def test_a_role_without_a_name_in_the_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no name for role draft"):
        request.build(bundle(tmp_path, draft=("d.pdf", b"%PDF-1")), TEMPLATE_OF_THE_PLAN, tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "schema: other/1", "schema: solidgreen/request-template/1", "{schema: [", "schema: 1\nnames: 3"]
)
def test_a_template_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "template.yml"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"request template .*template\.yml: found"):
        request.load_template(path)
