"""Looks into documents before they are sent: do they open, do they say anything, and what do they say?"""

from __future__ import annotations

import ctypes
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from statistics import median
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium  # type: ignore[import-untyped]
from PIL import ExifTags, Image, ImageSequence

from . import jsonio
from .cases import SIGNATURES
from .telling import LABEL

_XMP = re.compile(rb"<x:xmpmeta.*?</x:xmpmeta>", re.DOTALL)
_NO_LETTERS = re.compile(r"[\W\d_]+")
#: Metadata that a person wrote is short; profiles, thumbnails and notes of a camera's maker are not.
_METADATA_LIMIT = 1 << 16
#: How much larger than the other letters of its page a word is that stands out.
_LARGE = 1.8


@dataclass(frozen=True)
class Look:
    """What a document shows; ``error`` says why it does not open, else None.

    ``lines`` counts the lines that differ in more than figures, ``pictures`` holds the digests of the pictures,
    ``text`` is that of pages, bookmarks and comments, ``marks`` are label words set apart by their size or angle,
    ``begins`` is the media type that the first bytes stand for.
    """

    error: str | None
    pages: int = 0
    lines: int = 0
    pictures: tuple[str, ...] = ()
    metadata: str = ""
    text: str = ""
    marks: tuple[str, ...] = ()
    begins: str | None = None

    @property
    def stub(self) -> bool:
        """Whether it holds next to nothing: at most one line of text, however often, and no picture."""
        return self.error is None and self.lines <= 1 and not self.pictures


def look(path: Path, media_type: str) -> Look:
    """Return what the document at *path* shows; one that does not open is told, not raised."""
    begins = None
    try:
        data = path.read_bytes()
        begins = next((name for signature, name in SIGNATURES if data.startswith(signature)), None)
        return _pdf(data, begins) if media_type == "application/pdf" else _picture(data, begins)
    except (pypdfium2.PdfiumError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        return Look(f"{type(error).__name__}: {' '.join(str(error).split())}"[:200], begins=begins)


def _pdf(data: bytes, begins: str | None) -> Look:
    document = pypdfium2.PdfDocument(data)
    try:
        texts: list[str] = []
        pictures: list[str] = []
        marks: list[str] = []
        distinct: set[str] = set()
        for page in document:
            letters = page.get_textpage()
            text = letters.get_text_range()
            distinct |= {_NO_LETTERS.sub(" ", line).strip().casefold() for line in text.splitlines()} - {""}
            texts += [text, *_comments(page)]
            marks += _marks(letters, text)
            # To unpack a picture takes time; only where the page says nothing else does it matter whether it is blank.
            shown = [picture for picture in _pictures(page) if len(distinct) > 1 or not _blank(picture)]
            pictures += [jsonio.sha256_bytes(bytes(picture.get_data())) for picture in shown]
            letters.close()
            page.close()
        texts += [bookmark.get_title() for bookmark in document.get_toc()]
        metadata = [str(value) for value in document.get_metadata_dict(skip_empty=True).values()]
        metadata += [found.decode(errors="replace") for found in _XMP.findall(data)]
        # PDFium mends a file that was cut off as well as it can; whoever reads it next need not.
        cut = None if b"%%EOF" in data[-1024:] else "cut off: no %%EOF at its end"
        return Look(
            error=cut if len(document) else "no page",
            pages=len(document),
            lines=len(distinct),
            pictures=tuple(pictures),
            metadata=" ".join(metadata),
            text="\n".join(texts),
            marks=tuple(marks),
            begins=begins,
        )
    finally:
        document.close()


def _pictures(page: Any) -> Iterator[Any]:
    """Return the pictures of a page; of its many other objects none is wrapped, which takes time."""
    count = pdfium.FPDFPage_CountObjects(page)
    kinds = {pdfium.FPDFPageObj_GetType(pdfium.FPDFPage_GetObject(page, index)) for index in range(count)}
    if kinds.isdisjoint((pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM)):
        return iter(())
    return iter(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=4))


def _blank(picture: Any) -> bool:
    """Tell whether all of a picture has one colour; of one that cannot be unpacked nobody knows."""
    try:
        bands = picture.get_bitmap().to_pil().getextrema()
    except (pypdfium2.PdfiumError, ValueError):
        return False
    return _one_colour(bands)


def _one_colour(bands: Any) -> bool:
    """Tell whether the extrema of a picture, of one band or of several, leave it one colour."""
    return all(low == high for low, high in (bands if isinstance(bands[0], tuple) else (bands,)))


def _comments(page: Any) -> Iterator[str]:
    """Yield what comments and form fields of a page say."""
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        note = pdfium.FPDFPage_GetAnnot(page, index)
        for key in (b"Contents", b"V"):
            size = pdfium.FPDFAnnot_GetStringValue(note, key, None, 0)
            buffer = (ctypes.c_ushort * (size // 2))()
            pdfium.FPDFAnnot_GetStringValue(note, key, buffer, size)
            if said := bytes(buffer).decode("utf-16-le", "replace").rstrip("\0"):
                yield said
        pdfium.FPDFPage_CloseAnnot(note)


def _marks(letters: Any, text: str) -> Iterator[str]:
    """Yield the label words that are set apart from their page, much larger than it or at another angle, and alone."""
    found = list(LABEL.finditer(text))
    if not found:
        return
    written = [at for at, sign in enumerate(text) if not sign.isspace()]
    usual = [_set(letters, at) for at in written[:: len(written) // 200 + 1]]
    size, angle = median(size for size, _ in usual), median(angle for _, angle in usual)
    for word in found:
        own = _set(letters, word.start())
        before, after = text[: word.start()].rstrip(" "), text[word.end() :].lstrip(" ")
        beside = [
            *([len(before) - 1] if before[-1:].strip() else []),
            *([len(text) - len(after)] if after[:1].strip() else []),
        ]
        apart = own[0] > _LARGE * size or not _alike(own, (own[0], angle))
        if apart and not any(_alike(own, _set(letters, at)) for at in beside):
            yield word[0]


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(one[0] - other[0]) <= 0.1 * one[0] and abs(one[1] - other[1]) <= 0.1


def _set(letters: Any, at: int) -> tuple[float, float]:
    """Return the size (points) and the angle (radians) that a letter of the text is set in."""
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(letters, at)
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(letters, index, matrix)
    scale = hypot(matrix.c, matrix.d)
    return pdfium.FPDFText_GetFontSize(letters, index) * scale, pdfium.FPDFText_GetCharAngle(letters, index)


def _picture(data: bytes, begins: str | None) -> Look:
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as picture:
        bands, said = [], list(_said(picture))
        for frame in ImageSequence.Iterator(picture):
            frame.load()
            bands.append(frame.getextrema())
        shown = () if all(map(_one_colour, bands)) else (jsonio.sha256_bytes(data),)
        return Look(None, pages=len(bands), pictures=shown, metadata=" ".join(said), begins=begins)


def _said(picture: Image.Image) -> Iterator[str]:
    """Yield the texts in the metadata of a picture: comments, text chunks, XMP, and the tags of EXIF and TIFF."""
    exif = picture.getexif()
    values = [value for key, value in picture.info.items() if key not in ("exif", "icc_profile", "photoshop")]
    values += [*exif.values(), *exif.get_ifd(ExifTags.IFD.Exif).values()]
    for value in values:
        if isinstance(value, bytes) and len(value) <= _METADATA_LIMIT:
            # EXIF writes text as UTF-16 or behind a code of eight bytes; without their NULs both read as ASCII.
            yield value.replace(b"\0", b"").decode("latin-1")
        elif isinstance(value, str):
            yield value
