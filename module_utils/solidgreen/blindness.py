"""Refuses a request that shows more than documents: the last look at the bytes before they leave.

The envelope (the content type and all of the body that is not, byte for byte, a document) may show no word that tells a
label, no column of the manifest, no case id and no piece of a path. A document may say "pass" or "reject", it is full
of words; it may not show what is a word of no language: a scenario's name, its case id, its place on the disk. Ids and
folders too short or too plain to be told from a number or a word are looked for in the envelope alone.

It knows the words as constants and nothing of what a case is expected to earn.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import quopri
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from unicodedata import normalize
from urllib.parse import unquote

from . import cases
from .cases import Case
from .errors import Refused
from .verdict import VERDICTS
from .words import COLUMNS, SCENARIOS

#: Words that tell a verdict; they stand alone or between signs, never inside a word.
_TELLING = re.compile(
    r"(?<![a-z])("
    + "|".join(sorted((word.replace("_", r"[\W_]?") for word in {*VERDICTS, *SCENARIOS}), key=len, reverse=True))
    + r")(e?[ds]|ings?)?(?![a-z])"
)
#: Names of columns that nobody would use for anything else; ``language`` and ``notes`` tell nothing.
_NAMES = {name: name.replace("_", "") for name in COLUMNS if name not in ("language", "notes")}
#: Names that are no text of a document.
_NO_WORDS = tuple(name for name in (*SCENARIOS, "expected_verdict") if "_" in name)
#: What a multipart body is made of whatever it carries, and what a credit is called in banks.
_USUAL = frozenset(
    ["multipart", "form", "data", "boundary", "content", "disposition", "type", "name", "filename", "mt700"]
)

_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}")
_PART_NAME = re.compile(rb'\bname="([^"\r\n]*)"')

#: Folds the case of a document and the slashes of its paths; with NUL left out UTF-16 of either order is its letters.
_FOLD = bytes.maketrans(bytes(range(65, 91)) + b"\\", bytes(range(97, 123)) + b"/")
#: Encodings of text in a document, with what a hex digit before and after looks like.
_ENCODINGS = {
    "utf-8": (rb"(?<![0-9a-f])", rb"(?![0-9a-f])"),
    "utf-16-le": (rb"(?<![0-9a-f]\0)", rb"(?![0-9a-f]\0)"),
    "utf-16-be": (rb"(?<!\0[0-9a-f])", rb"(?!\0[0-9a-f])"),
}
_PDF_PACKED = re.compile(rb"/Type\s*/(?:ObjStm|Metadata)\b")
_PDF_HEX = re.compile(rb"<([0-9a-fA-F\s]{10,})>")
_PDF_OCTAL = re.compile(rb"\\([0-3]?[0-7]{1,2})")
_PACKED_LIMIT = 1 << 20


def tells(text: str) -> bool:
    """Tell whether a text holds a verdict or scenario as a word of its own, in any case and between any signs."""
    return _TELLING.search(text.casefold()) is not None


def words(texts: Collection[str]) -> frozenset[str]:
    """Return the plain words (letters only, case folded) of the texts that a template sends in every request."""
    return frozenset(word for text in texts for word in _WORD.findall(_folded(text)) if word.isalpha()) | _USUAL


def require(case: Case, body: bytes, content_type: str, contents: Mapping[str, bytes], own: Collection[str]) -> None:
    """Raise unless a request shows nothing of its case but the documents.

    :param contents: the bytes of its documents by path
    :param own: the :func:`words` of its template: a folder or file called so shows nothing
    :raises Refused: it shows something, which is named with its place
    """
    leak = next(_envelope_leaks(case, body, content_type, contents, own), None) or next(
        _document_leaks(case, contents), None
    )
    if leak is not None:
        raise Refused(
            f"request for case {case.case_id}",
            found=leak,
            need="constants and documents that tell neither the case nor its label",
            next_step='take it out or rename the case or folder, then invoke go --new-cycle --fix "what was changed"',
        )


def _envelope_leaks(
    case: Case, body: bytes, content_type: str, contents: Mapping[str, bytes], own: Collection[str]
) -> Iterator[str]:
    named = [("case id", case.case_id), *(("path fragment", text) for text in _fragments(contents))]
    sought = [(kind, text, _spaced(_folded(text)), _distinct(text)) for kind, text in named if not _plain(text, own)]
    for place, raw in _envelope(case, body, content_type, contents.values()):
        said = _said(raw)
        if telling := _TELLING.search(said):
            yield f"the word {telling[0]!r} in {place}"
        spaced = _spaced(said)
        joined = spaced.replace(" ", "")
        for name, together in _NAMES.items():
            if together in joined:
                yield f"the column name {name!r} in {place}"
        for kind, text, alone, distinct in sought:
            if alone in spaced or (distinct and alone.replace(" ", "") in joined):
                yield f"the {kind} {text!r} in {place}"


def _envelope(case: Case, body: bytes, content_type: str, documents: Collection[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield each place of a request that is no document, with its bytes."""
    media, _, boundary = content_type.partition("boundary=")
    # Made from the digest of the documents, a boundary shows nothing, though its digits may look like an id.
    yield "the content type", (media if boundary == case.content_sha256[:32] else content_type).encode()
    for part in body.split(b"--" + boundary.encode()):
        head, _, content = part.partition(b"\r\n\r\n")
        name = _PART_NAME.search(head)
        place = f"the part {name[1].decode(errors='replace')}" if name else "the body outside its parts"
        yield place, head if content[:-2] in documents else part


def _said(raw: bytes) -> str:
    """Return what bytes of an envelope say, as they stand and under the encodings that HTTP and MIME have for text."""
    raw = raw.replace(b"\0", b"")
    text = raw.decode(errors="replace")
    texts = [text]
    if "%" in text:
        texts.append(unquote(text))
    if "=" in text:
        texts.append(quopri.decodestring(raw).decode(errors="replace"))
    if "\\" in text:
        texts.append(_JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text))
    texts += filter(None, map(_unpacked, _BASE64.findall(text)))
    return _folded("\n".join(texts))


def _unpacked(token: str) -> str:
    """Return the printable text that a token is the base64 of, else nothing."""
    digits = token.rstrip("=")
    try:
        text = base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


def _folded(text: str) -> str:
    return normalize("NFKC", text).casefold()


def _spaced(folded: str) -> str:
    """Return the words of a text, each between blanks, whatever signs were between them."""
    return f" {' '.join(_WORD.findall(folded))} "


def _fragments(paths: Iterable[str]) -> list[str]:
    """Return the folder names and stems of the paths, and the words in them, the longest first."""
    parts = {part for path in paths for part in [*path.split("/")[:-1], path.rsplit("/", 1)[-1].rsplit(".", 1)[0]]}
    return sorted(parts | {word for part in parts for word in _WORD.findall(part)}, key=lambda text: (-len(text), text))


def _plain(text: str, own: Collection[str]) -> bool:
    """Tell whether a name shows nothing: words that leave in every request, short numbers, or next to nothing."""
    return len(text) < 3 or all(
        word in own or all(piece in own or (piece.isdecimal() and len(piece) < 3) for piece in _PIECE.findall(word))
        for word in _WORD.findall(_folded(text))
    )


def _distinct(text: str) -> bool:
    """Tell whether a name is no word, no number, and too long to be there by chance."""
    return len(text) >= 5 and any(map(str.isdecimal, text)) and any(map(str.isalpha, text))


def _document_leaks(case: Case, contents: Mapping[str, bytes]) -> Iterator[str]:
    needles = {needle: mark for mark in _marks(case, contents) for needle in _needles(mark[1])}
    for path, data in contents.items():
        for said in _pdf_texts(data) if cases.media_type(data) == "application/pdf" else (data,):
            folded = said.translate(_FOLD, b"\0")
            for needle, (kind, text) in needles.items():
                if needle in folded and (text in _NO_WORDS or _stands(text, said)):
                    yield f"the {kind} {text!r} in document {path}"


def _marks(case: Case, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield what no document may show, each with what it is."""
    yield from (("name", name) for name in _NO_WORDS)
    if _distinct(case.case_id):
        yield "case id", case.case_id
    for folder, path in {path.rpartition("/")[0]: path for path in paths if "/" in path}.items():
        yield "path", folder if "/" in folder else path
        bundle = folder.rsplit("/", 1)[-1]
        if _distinct(bundle):
            yield "folder", bundle


def _forms(text: str) -> set[str]:
    """Return a text in the cases and with the slashes it may have; ASCII letters are folded later, at no cost."""
    return {form.replace("/", slash) for form in (text, text.lower(), text.upper()) for slash in "/\\"}


@functools.lru_cache(maxsize=1024)
def _needles(text: str) -> frozenset[bytes]:
    """Return the bytes that show a text in a folded document."""
    forms = {form.encode(code, "replace") for form in _forms(text) for code in _ENCODINGS}
    return frozenset(form.translate(_FOLD, b"\0") for form in forms)


def _stands(text: str, said: bytes) -> bool:
    """Tell whether a text stands anywhere but inside a longer number or digest: D3-001 is not in 7ad3-0012."""
    return any(
        re.search(before + re.escape(form.encode(code, "replace")) + after, said, re.IGNORECASE)
        for form in _forms(text)
        for code, (before, after) in _ENCODINGS.items()
    )


def _pdf_texts(data: bytes) -> Iterator[bytes]:
    """Yield what can be read in a PDF: open text, packed objects and metadata, strings in hex and with octal signs.

    Streams with a filter say nothing as they stand, and an id may be in their letters by chance.
    """
    *chunks, rest = data.split(b"endstream")
    texts, unpacked = [], []
    for chunk in chunks:
        head, _, stream = chunk.partition(b"stream")
        texts.append(head)
        about = head[head.rfind(b" obj") + 1 :]
        if b"/Filter" not in about:
            texts.append(stream)
        elif _PDF_PACKED.search(about):
            with contextlib.suppress(zlib.error):  # packed in a way that metadata hardly ever is
                unpacked.append(zlib.decompressobj().decompress(stream.lstrip(b"\r\n"), _PACKED_LIMIT))
    for text in (b"\n".join([*texts, rest]), *unpacked):
        yield text
        if strings := _PDF_HEX.findall(text):
            yield b"\n".join(map(_unhexed, strings))
        if _PDF_OCTAL.search(text):
            yield _PDF_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), text)


def _unhexed(digits: bytes) -> bytes:
    """Return what hex digits stand for, blanks left out; a missing last digit is 0, as in PDF."""
    text = digits.translate(None, b" \t\r\n\f\v")
    return binascii.unhexlify(text + b"0" * (len(text) % 2))
