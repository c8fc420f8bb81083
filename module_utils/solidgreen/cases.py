"""Cases as the batch sees them: documents and digests, never a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from . import jsonio
from .errors import IntegrityError

CASES_SCHEMA = "solidgreen/cases/1"
SELECTION_SCHEMA = "solidgreen/selection/1"

#: First bytes of a file and the media type they stand for.
SIGNATURES = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)


@dataclass(frozen=True)
class Document:
    """One file of a case; ``path`` is relative to the data root, ``media_type`` is told by its bytes."""

    path: str
    role: str
    media_type: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Case:
    """A bundle of documents under a neutral id."""

    case_id: str
    content_sha256: str
    contains_pii: bool
    documents: tuple[Document, ...]


@dataclass(frozen=True)
class CaseFile:
    """The cases a file holds, with the digest of the file."""

    sha256: str
    cases: tuple[Case, ...]


def media_type(head: bytes) -> str | None:
    """Return the media type the first bytes of a file stand for, or None when they stand for none we send."""
    # A PDF may carry a few stray bytes before its signature; readers accept it within the first kilobyte.
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    return next((name for signature, name in SIGNATURES if head.startswith(signature)), None)


def content_digest(documents: Sequence[Document]) -> str:
    """Return the digest of what a case is made of: roles, types and bytes, whatever the files are called."""
    return jsonio.digest(sorted([document.role, document.media_type, document.sha256] for document in documents))


def payload(cases: Sequence[Case], *, manifest_sha256: str) -> dict[str, Any]:
    """Return what a file of cases holds, in the order given."""
    return {"schema": CASES_SCHEMA, "manifest_sha256": manifest_sha256, "cases": [asdict(case) for case in cases]}


def load(path: Path) -> CaseFile:
    """Return the cases of a file that holds a :func:`payload`.

    :raises BadInput: there is no such file
    :raises IntegrityError: it is of another form, holds a key a case does not have (a label, say), or a case whose
        digest is not that of its documents
    """
    value = jsonio.read_json(path)
    _require(path, value.get("schema") == CASES_SCHEMA, f"schema {value.get('schema')!r}", CASES_SCHEMA)
    try:
        cases = tuple(_case(path, row) for row in value["cases"])
    except (KeyError, TypeError) as error:
        raise _broken(path, f"a case of another form ({error})", "cases without a missing key") from error
    _require(path, len({case.case_id for case in cases}) == len(cases), "a case id twice", "each case once")
    return CaseFile(jsonio.sha256_file(path), cases)


def _case(path: Path, row: dict[str, Any]) -> Case:
    for known, found in [(Case, row), *((Document, document) for document in row["documents"])]:
        extra = sorted(set(found) - {field.name for field in fields(known)})
        _require(path, not extra, f"the key {', '.join(extra)}", "only what a case may show the batch")
    case = Case(**{**row, "documents": tuple(Document(**document) for document in row["documents"])})
    same = case.content_sha256 == content_digest(case.documents)
    _require(path, same, f"case {case.case_id} with another content digest", "the digest of its documents")
    return case


def load_selection(path: Path, cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the selected cases in the order of the selection.

    :raises BadInput: there is no such file
    :raises IntegrityError: it is of another form or names a case twice or one that is not there
    """
    value = jsonio.read_json(path)
    _require(path, value.get("schema") == SELECTION_SCHEMA, f"schema {value.get('schema')!r}", SELECTION_SCHEMA)
    ids = list(value.get("case_ids", []))
    known = {case.case_id: case for case in cases}
    unknown = [case_id for case_id in ids if case_id not in known]
    _require(path, not unknown, f"unknown case {', '.join(map(str, unknown[:3]))}", "cases of the same manifest")
    _require(path, len(set(ids)) == len(ids) > 0, f"{len(ids)} ids, {len(set(ids))} distinct", "each case once")
    return tuple(known[case_id] for case_id in ids)


def _require(path: Path, holds: bool, found: str, need: str) -> None:
    if not holds:
        raise _broken(path, found, need)


def _broken(path: Path, found: str, need: str) -> IntegrityError:
    return IntegrityError(str(path), found=found, need=need, next_step="qualify the data set again: invoke go")
