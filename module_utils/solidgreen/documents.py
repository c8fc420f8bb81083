"""Looks into documents before they are sent: do they open, do they say anything, does their metadata tell too much?"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pypdfium2  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium  # type: ignore[import-untyped]
from PIL import Image


@dataclass(frozen=True)
class Look:
    """What a document shows; ``error`` says why it does not open, else None."""

    error: str | None
    pages: int = 0
    lines: int = 0
    pictures: int = 0
    metadata: str = ""

    @property
    def stub(self) -> bool:
        """Whether it holds next to nothing: at most one line of text and no picture."""
        return self.error is None and self.lines <= 1 and self.pictures == 0


def look(path: Path, media_type: str) -> Look:
    """Return what the document at *path* shows; one that does not open is told, not raised."""
    try:
        return _pdf(path) if media_type == "application/pdf" else _picture(path)
    except (pypdfium2.PdfiumError, OSError, ValueError, SyntaxError) as error:
        return Look(f"{type(error).__name__}: {' '.join(str(error).split())}"[:200])


def _pdf(path: Path) -> Look:
    document = pypdfium2.PdfDocument(path)
    try:
        lines = pictures = 0
        for page in document:
            text = page.get_textpage()
            lines += sum(bool(line.strip()) for line in text.get_text_bounded().splitlines())
            pictures += sum(1 for _ in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=4))
            text.close()
            page.close()
        metadata = " ".join(str(value) for value in document.get_metadata_dict(skip_empty=True).values())
        return Look(None if len(document) else "no page", len(document), lines, pictures, metadata)
    finally:
        document.close()


def _picture(path: Path) -> Look:
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        picture.load()
        texts = " ".join(str(value) for value in picture.info.values() if isinstance(value, str))
        return Look(None, pages=1, pictures=1, metadata=texts)
