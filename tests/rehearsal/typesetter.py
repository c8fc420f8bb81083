"""Turns the hand-written documents of ``documents/`` into PDFs, in layouts of this file's own.

A document starts with its layout: ``@plain`` sets lines as they are, ``@prose`` wraps paragraphs, ``@table`` sets cells
parted by ``|`` in a grid, ``@boxes`` sets the left and right half of a form, a blank line starting the next box. The
layout may change within a document.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageFilter
from reportlab.lib.colors import black
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas
from reportlab.platypus import Flowable, Paragraph, Preformatted, SimpleDocTemplate, Spacer, Table

DOCUMENTS = Path(__file__).parent / "documents"
_STYLES = getSampleStyleSheet()


def bundle(name: str, **changes: tuple[str, str] | None) -> dict[str, bytes]:
    """Return role → PDF of a hand-written set; a change replaces one text in one role, None leaves the role out."""
    roles = [path.stem for path in sorted((DOCUMENTS / name).glob("*.txt")) if changes.get(path.stem, "") is not None]
    return {role: pdf(text_of(name, role, changes.get(role))) for role in roles}


def text_of(name: str, role: str, change: tuple[str, str] | None = None) -> str:
    """Return the text of a document, with one passage replaced; the passage must be there."""
    text = (DOCUMENTS / name / f"{role}.txt").read_text("utf-8")
    if change:
        assert change[0] in text, f"{name}/{role} does not say {change[0]!r}"
        text = text.replace(*change)
    return text


def pdf(text: str) -> bytes:
    """Return the text as a PDF with a text layer."""
    parts: list[Flowable] = []
    for section in text.split("@")[1:] if text.startswith("@") else [f"plain\n{text}"]:
        layout, body = section.split("\n", 1)
        parts += _LAYOUTS[layout](body.rstrip("\n").split("\n"))
        parts.append(Spacer(1, 10))
    target = io.BytesIO()
    SimpleDocTemplate(target, pagesize=A4, leftMargin=50, rightMargin=50, topMargin=45, bottomMargin=45).build(parts)
    return target.getvalue()


def picture(document: bytes, *, blur: float = 0.0, noise: float = 0.0, tilt: float = 0.0) -> Image.Image:
    """Return the first page as a scanner would see it: 150 dpi grey, tilted, noisy, out of focus."""
    page = pdfium.PdfDocument(document)[0].render(scale=150 / 72).to_pil().convert("L")
    page = page.rotate(tilt, fillcolor=255, resample=Image.Resampling.BICUBIC)
    if blur:
        page = page.filter(ImageFilter.GaussianBlur(blur))
    grain = np.random.default_rng(7).normal(0, noise, (page.height, page.width)) if noise else 0.0
    return Image.fromarray((np.asarray(page, dtype=float) + grain).clip(0, 255).astype("uint8"))


def scan(document: bytes, **wear: float) -> bytes:
    """Return the document's first page as a PDF that holds only its picture."""
    target = io.BytesIO()
    sheet = canvas.Canvas(target, pagesize=A4)
    sheet.drawImage(ImageReader(picture(document, **wear).convert("RGB")), 0, 0, *A4)
    sheet.save()
    return target.getvalue()


def _plain(lines: Sequence[str]) -> list[Flowable]:
    return [Preformatted("\n".join(lines), _STYLES["Code"])]


def _prose(lines: Sequence[str]) -> list[Flowable]:
    return [Paragraph(line, _STYLES["BodyText"]) if line else Spacer(1, 6) for line in lines]


def _table(lines: Sequence[str]) -> list[Flowable]:
    normal = _STYLES["BodyText"]
    rows = [[Paragraph(cell.strip(), normal) for cell in line.split("|")] for line in lines]
    return [Table(rows, style=[("GRID", (0, 0), (-1, -1), 0.5, black), ("VALIGN", (0, 0), (-1, -1), "TOP")])]


def _boxes(lines: Sequence[str]) -> list[Flowable]:
    boxes: list[list[str]] = [["", ""]]
    for line in lines:
        if not line.strip():
            boxes.append(["", ""])
            continue
        left, right = line.split("|")
        boxes[-1] = [f"{boxes[-1][0]}\n{left.strip()}".strip("\n"), f"{boxes[-1][1]}\n{right.strip()}".strip("\n")]
    return [
        Table(
            boxes,
            colWidths=[240, 240],
            style=[("BOX", (0, 0), (-1, -1), 1, black), ("VALIGN", (0, 0), (-1, -1), "TOP")],
        )
    ]


_LAYOUTS = {"plain": _plain, "prose": _prose, "table": _table, "boxes": _boxes}

#: Names a client sends the documents under.
NAMES: Mapping[str, str] = {
    "lc": "LC.pdf",
    "invoice": "Invoice.pdf",
    "bl": "Bill_of_Lading.pdf",
    "insurance": "Insurance.pdf",
    "packing_list": "Packing_List.pdf",
    "coo": "COO.pdf",
}
