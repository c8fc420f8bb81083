"""Cases as the batch sees them: documents and digests, never a label.

A file of cases is JSONL: a head with their count, then one case a line. Ids and byte offsets are kept, not cases, so
that the memory a run takes does not grow with its documents.
"""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from . import jsonio
from .errors import BadInput, IntegrityError

CASES_SCHEMA = "solidgreen/cases/2"
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


_HEAD_KEYS = {"schema", "manifest_sha256", "count"}
_CASE_KEYS = {field.name for field in fields(Case)}
_DOCUMENT_KEYS = {field.name for field in fields(Document)}


class CaseFile:
    """The cases of a file, read one by one from the file as it was when it was opened, even if it is replaced since.

    :param sha256: digest of the file
    :param manifest_sha256: digest of the manifest the cases came from
    :param ids: of its cases, in their order
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        # Closed with the object: it is handed around and lives as long as its run.
        self._path, self._descriptor = path, descriptor
        weakref.finalize(self, os.close, descriptor)
        self._starts = array("Q")
        digest = hashlib.sha256()
        places: dict[str, int] = {}
        count = place = number = 0
        with os.fdopen(os.dup(descriptor), "rb") as handle:
            for number, line in enumerate(handle, start=1):
                digest.update(line)
                place += len(line)
                self._starts.append(place)
                if number == 1:
                    self.manifest_sha256, count = _head(path, line)
                    continue
                case_id = _case(path, number, line).case_id
                if places.setdefault(case_id, number) != number:
                    raise _broken(path, number, f"case {case_id} a second time", "each case once")
        if len(places) != count or not number:
            raise _broken(path, number, f"{len(places)} cases", f"{count or 'a head and the'} cases as it was written")
        self.sha256, self._places = digest.hexdigest(), places
        self.ids = tuple(places)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Case]:
        return map(self.get, self.ids)

    def get(self, case_id: str) -> Case:
        """Return the case of that id.

        :raises KeyError: it is not in the file
        :raises IntegrityError: the file was written over in its place
        """
        number = self._places[case_id]
        start, end = self._starts[number - 2], self._starts[number - 1]
        case = _case(self._path, number, os.pread(self._descriptor, end - start, start))
        if case.case_id != case_id:
            raise _broken(self._path, number, f"case {case.case_id}", f"case {case_id}, which stood there")
        return case


def media_type(head: bytes) -> str | None:
    """Return the media type the first bytes of a file stand for, or None when they stand for none we send."""
    # A PDF may carry a few stray bytes before its signature; readers accept it within the first kilobyte.
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    return next((name for signature, name in SIGNATURES if head.startswith(signature)), None)


def content_digest(documents: Sequence[Document]) -> str:
    """Return the digest of what a case is made of: roles, types and bytes, whatever the files are called."""
    parts = sorted([document.role, document.media_type, document.sha256] for document in documents)
    return jsonio.sha256_bytes(jsonio.canonical_plain(parts))


def payload(cases: Iterable[Case], *, manifest_sha256: str) -> bytes:
    """Return what a file of cases holds, in the order given."""
    rows = ({**vars(case), "documents": [vars(document) for document in case.documents]} for case in cases)
    lines = [jsonio.canonical_plain(row) for row in rows]
    head = jsonio.canonical({"schema": CASES_SCHEMA, "manifest_sha256": manifest_sha256, "count": len(lines)})
    return b"\n".join([head, *lines, b""])


def load(path: Path) -> CaseFile:
    """Return the cases of a file that holds a :func:`payload`, every line of it looked at.

    :raises BadInput: there is no such file, or it cannot be read
    :raises IntegrityError: it is of another form, holds a key a case does not have (a label, say), or a case whose
        digest is not that of its documents; the line is named
    """
    try:
        return CaseFile(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise BadInput(
            str(path),
            found="no file" if isinstance(error, FileNotFoundError) else f"no readable file ({error.strerror})",
            need="the cases that the qualification wrote",
            next_step="qualify the data set: invoke go",
        ) from error


def load_selection(path: Path, known: Collection[str]) -> tuple[str, ...]:
    """Return the ids of the selected cases in the order of the selection.

    :param known: ids of the cases there are
    :raises BadInput: there is no such file
    :raises IntegrityError: it is of another form or names a case twice or one that is not there
    """
    value = jsonio.read_json(path)
    schema, ids = value.get("schema"), value.get("case_ids")
    if schema != SELECTION_SCHEMA or not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise _broken(path, 0, f"schema {schema!r} or ids of another form", f"a list of ids in {SELECTION_SCHEMA}")
    there = set(known)
    if unknown := [name for name in ids if name not in there]:
        raise _broken(path, 0, f"unknown case {', '.join(unknown[:3])}", "cases of the same manifest")
    if not len(set(ids)) == len(ids) > 0:
        raise _broken(path, 0, f"{len(ids)} ids, {len(set(ids))} distinct", "each case once")
    return tuple(ids)


def _head(path: Path, line: bytes) -> tuple[str, int]:
    """Return the digest of the manifest and the count that the first line tells."""
    head = _object(path, 1, line)
    schema, manifest, count = head.get("schema"), head.get("manifest_sha256"), head.get("count")
    if schema != CASES_SCHEMA:
        raise _broken(path, 1, f"schema {schema!r}", CASES_SCHEMA)
    if set(head) != _HEAD_KEYS or not isinstance(manifest, str) or not isinstance(count, int):
        raise _broken(path, 1, "a head of another form", "digest of the manifest and count of the cases")
    return manifest, count


def _case(path: Path, number: int, line: bytes) -> Case:
    row = _object(path, number, line)
    try:
        extra = row.keys() - _CASE_KEYS
        extra |= {key for document in row["documents"] for key in document.keys() - _DOCUMENT_KEYS}
        if extra:
            raise _broken(path, number, f"the key {', '.join(sorted(extra))}", "only what a case may show the batch")
        case = Case(**{**row, "documents": tuple(Document(**document) for document in row["documents"])})
        plain = isinstance(case.case_id, str) and isinstance(case.contains_pii, bool)
        if not plain or not all(isinstance(document.path, str) for document in case.documents):
            raise TypeError("a value of another type")
        same = case.content_sha256 == content_digest(case.documents)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _broken(
            path, number, f"a case of another form ({error})", "a case as the qualification wrote it"
        ) from error
    if not same:
        raise _broken(path, number, f"case {case.case_id} with another content digest", "the digest of its documents")
    return case


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """Return the object of a line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _broken(path, number, "text that is not JSON", "one JSON object a line") from error
    if not isinstance(value, dict) or not line.endswith(b"\n"):
        raise _broken(path, number, "a line of another form", "one JSON object a line, each with its line end")
    return value


def _broken(path: Path, number: int, found: str, need: str) -> IntegrityError:
    where = f"{path} line {number}" if number else str(path)
    return IntegrityError(where, found=found, need=need, next_step="qualify the data set again: invoke go")
