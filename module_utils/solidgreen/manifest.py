"""The data set as its owner states it: one CSV row a case, with the verdict each case must earn.

This is where labels live. Nothing that sends a request or reads an answer imports this module.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from . import jsonio
from .cases import Case, Document, content_digest, media_type
from .errors import BadInput
from .verdict import VERDICTS
from .words import COLUMNS as COLUMNS
from .words import SCENARIOS as SCENARIOS

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
#: What a file name says about the role of its document: letters only, lower case.
_ROLES = {
    "lc": ("lc", "letterofcredit", "mt700", "documentarycredit"),
    "invoice": ("invoice", "commercialinvoice", "inv"),
    "bl": ("bl", "billoflading", "transportdocument"),
    "insurance": ("insurance", "insurancecertificate", "insurancepolicy"),
    "packing_list": ("packinglist", "packing", "pl"),
    "coo": ("coo", "certificateoforigin", "origin"),
}
_ROLE_OF = {name: role for role, variants in _ROLES.items() for name in variants}


@dataclass(frozen=True)
class Label:
    """What a case must earn, and where it comes from."""

    case_id: str
    expected: str
    scenario: str
    parent: str
    source_type: str
    language: str


@dataclass(frozen=True)
class Manifest:
    """The enabled rows of a manifest: cases and labels in its order, side by side; ``disabled`` counts the others."""

    path: Path
    sha256: str
    cases: tuple[Case, ...]
    labels: tuple[Label, ...]
    disabled: int

    def per_scenario(self) -> dict[str, int]:
        """Return how many cases each scenario has, absent ones as 0."""
        counted = Counter(label.scenario for label in self.labels)
        return {scenario: counted[scenario] for scenario in SCENARIOS}

    def per_verdict(self) -> dict[str, int]:
        """Return how many cases must earn each verdict, absent ones as 0."""
        counted = Counter(label.expected for label in self.labels)
        return {verdict: counted[verdict] for verdict in VERDICTS}


@dataclass(frozen=True)
class _Row:
    """One line of the file and where it stands, for its sentence."""

    subject: str
    cells: dict[str, str]

    def refuse(self, found: str, need: str, next_step: str = "correct the row") -> BadInput:
        return BadInput(self.subject, found=found, need=need, next_step=next_step)

    def truth(self, column: str) -> bool:
        text = self.cells[column].casefold()
        if text not in _TRUTH:
            raise self.refuse(f"{column} {text!r}", "true or false")
        return _TRUTH[text]

    def one_of(self, column: str, known: tuple[str, ...]) -> str:
        text = self.cells[column]
        if text not in known:
            raise self.refuse(f"{column} {text!r}", f"one of {', '.join(known)}")
        return text


def load(path: Path, data_root: Path) -> Manifest:
    """Return the manifest, every document found, digested and typed.

    A byte-order mark, CRLF and any order of the columns are accepted; rows with ``run_enabled`` false are left out.

    :raises BadInput: one sentence naming the line: file missing or empty, a column or value wrong, a case twice, a path
        outside the data root, a document missing or of no known role or type
    """
    data, rows = _rows(path)
    cases: list[Case] = []
    labels: list[Label] = []
    seen: set[str] = set()
    disabled = 0
    for row in rows:
        case_id = row.cells["case_id"]
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", case_id):
            raise row.refuse(f"case_id {case_id!r}", "1 to 64 letters, digits, dots, dashes or underscores")
        if case_id in seen:
            raise row.refuse(f"case_id {case_id} a second time", "each case once")
        seen.add(case_id)
        label = _label(row)
        if not row.truth("run_enabled"):
            disabled += 1
            continue
        cases.append(_case(row, data_root))
        labels.append(label)
    if not cases:
        raise BadInput(
            f"manifest {path}",
            found="no enabled row",
            need="one row a case",
            next_step="generate or restore the data set",
        )
    return Manifest(path, jsonio.sha256_bytes(data), tuple(cases), tuple(labels), disabled)


def _rows(path: Path) -> tuple[bytes, Iterator[_Row]]:
    """Return the bytes of the file and its rows, the header already checked."""
    subject = f"manifest {path}"
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        found = f"no readable file ({error.strerror})"
        raise BadInput(subject, found=found, need="a CSV file", next_step="generate or restore the data set") from error
    except UnicodeDecodeError as error:
        raise BadInput(
            subject, found=f"bytes that are not UTF-8 at {error.start}", need="UTF-8", next_step="save it as UTF-8"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [cell.strip() for cell in next(reader, [])]
    if not any(header):
        raise BadInput(subject, found="an empty file", need="a header and one row a case", next_step="restore it")
    missing = [column for column in COLUMNS if column not in header]
    unknown = [column for column in header if column not in COLUMNS]
    if missing or unknown or len(set(header)) != len(header):
        parts = [
            f"{word} {', '.join(columns)}"
            for word, columns in (("no column", missing), ("the column", unknown))
            if columns
        ]
        raise BadInput(
            subject,
            found=" and ".join(parts) or "a column twice",
            need=f"the columns {', '.join(COLUMNS)}",
            next_step="correct the header",
        )
    return data, _body(subject, header, reader)


def _body(subject: str, header: list[str], reader: Iterator[list[str]]) -> Iterator[_Row]:
    number = 1
    try:
        for number, cells in enumerate(reader, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            row = _Row(f"{subject} row {number}", dict(zip(header, (cell.strip() for cell in cells), strict=False)))
            if len(cells) != len(header):
                raise row.refuse(f"{len(cells)} cells", f"{len(header)}, as many as columns")
            yield row
    except csv.Error as error:
        raise BadInput(
            f"{subject} row {number + 1}", found=f"no CSV ({error})", need="a CSV row", next_step="correct the row"
        ) from error


def _label(row: _Row) -> Label:
    cells = row.cells
    return Label(
        case_id=cells["case_id"],
        expected=row.one_of("expected_verdict", VERDICTS),
        scenario=row.one_of("scenario", SCENARIOS),
        # A case without a parent is its own.
        parent=cells["synthetic_parent_id"] or cells["bundle_id"] or cells["case_id"],
        source_type=cells["source_type"],
        language=cells["language"],
    )


def _case(row: _Row, data_root: Path) -> Case:
    documents = tuple(_document(row, data_root, path, role) for path, role in _files(row, data_root))
    return Case(row.cells["case_id"], content_digest(documents), row.truth("contains_pii"), documents)


def _files(row: _Row, data_root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a row with their roles; a single file that names none is the letter of credit."""
    stated = row.cells["cleaned_path"].replace("\\", "/")
    if not stated:
        raise row.refuse("no cleaned_path", "a file or folder below the data root")
    root = data_root.resolve()
    place = (root / stated).resolve()
    if not place.is_relative_to(root) or place == root:
        raise row.refuse(f"cleaned_path {stated} outside the data root", f"a path below {data_root}")
    if place.is_file():
        yield place, role_of(place.name) or "lc"
        return
    files = sorted(path for path in place.iterdir() if not path.name.startswith(".")) if place.is_dir() else []
    if not files:
        raise row.refuse(f"no document at {stated}", "the file or the folder of documents", "restore the documents")
    for path in files:
        role = role_of(path.name)
        if role is None or not path.is_file() or not path.resolve().is_relative_to(root):
            found = f"{PurePosixPath(stated) / path.name}, whose name tells no role"
            raise row.refuse(found, f"documents named {', '.join(_ROLES)}", "rename it or take it out")
        yield path, role


def role_of(name: str) -> str | None:
    """Return the role a file name tells, for example ``invoice`` for ``Commercial_Invoice_1.pdf``, else None."""
    letters = re.sub(r"[^a-z]", "", name.rsplit(".", 1)[0].casefold())
    return _ROLE_OF.get(letters)


def _document(row: _Row, data_root: Path, path: Path, role: str) -> Document:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise row.refuse(f"no readable file {path.name} ({error.strerror})", "its document", "restore it") from error
    kind = media_type(data)
    relative = path.relative_to(data_root.resolve()).as_posix()
    if kind is None:
        raise row.refuse(f"{relative}, which is no PDF, PNG, JPEG or TIFF", "a document of one of these types")
    return Document(relative, role, kind, jsonio.sha256_bytes(data), len(data))
