"""Reading: the text layer of a PDF where there is one, OCR where a page is only an image."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageSequence

#: First bytes of what may be sent, by declared content type.
SIGNATURES = {
    "application/pdf": (b"%PDF-",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
}
#: A page whose text layer has fewer letters than this is taken for an image.
MIN_LETTERS = 20
#: Below this mean recognition score at least one character in forty is wrong: words look right, figures are not.
MIN_CONFIDENCE = 0.97
_OCR_DPI = 150
_MAX_PAGES = 12

_pdfium_lock = threading.Lock()  # pdfium is not thread-safe
_ocr_lock = threading.Lock()  # one engine: it uses all cores itself


@dataclass(frozen=True)
class Segment:
    """A run of text on one line; coordinates in points, downwards from the top of its page."""

    text: str
    left: float
    right: float
    top: float
    bottom: float
    page: int = 0

    @property
    def height(self) -> float:
        """Height of the line in points."""
        return self.bottom - self.top

    def beside(self, other: Segment) -> bool:
        """Tell whether both stand on one line."""
        overlap = min(self.bottom, other.bottom) - max(self.top, other.top)
        return self.page == other.page and overlap > 0.5 * min(self.height, other.height)


@dataclass(frozen=True)
class Reading:
    """What could be read of a document; ``confidence`` is None when nothing was read, 1.0 for a text layer."""

    segments: tuple[Segment, ...] = ()
    confidence: float | None = None
    ocr: bool = False
    failure: str | None = None

    @cached_property
    def text(self) -> str:
        """The text in the order of the document, one line a row, two spaces where a gap is."""
        parts: list[str] = []
        for before, segment in zip((None, *self.segments), self.segments, strict=False):
            gap = "" if before is None else "  " if before.beside(segment) and segment.left >= before.left else "\n"
            parts += (gap, segment.text)
        return "".join(parts)

    @cached_property
    def rows(self) -> list[list[Segment]]:
        """The segments as rows of the page, each from left to right."""
        return _rows(self.segments)

    @property
    def status(self) -> str:
        """The API's word for how the extraction went."""
        if not self.segments:
            return "empty"
        return "success" if self.legible else "partial"

    @property
    def legible(self) -> bool:
        """Whether the reading can be relied on."""
        return bool(self.segments) and (self.confidence or 0.0) >= MIN_CONFIDENCE


def matches_declared_type(content_type: str, data: bytes) -> bool:
    """Tell whether the bytes are what the part declares."""
    return data.startswith(SIGNATURES.get(content_type, ())) if content_type in SIGNATURES else False


def read(content_type: str, data: bytes) -> Reading:
    """Return what the document says; unreadable input gives an empty reading with its reason, never an error."""
    try:
        if content_type == "application/pdf":
            return _read_pdf(data)
        with Image.open(io.BytesIO(data)) as image:
            pages = [
                frame.convert("RGB") for _, frame in zip(range(_MAX_PAGES), ImageSequence.Iterator(image), strict=False)
            ]
        return _combine([_recognise(page, index, 72 / _OCR_DPI) for index, page in enumerate(pages)], ocr=True)
    except (pdfium.PdfiumError, OSError, ValueError) as error:
        return Reading(failure=f"{type(error).__name__}: the file cannot be opened")


def _read_pdf(data: bytes) -> Reading:
    pages: list[tuple[list[Segment], list[float]]] = []
    images: dict[int, Image.Image] = {}
    with _pdfium_lock:
        document = pdfium.PdfDocument(data)
        try:
            for index in range(min(len(document), _MAX_PAGES)):
                page = document[index]
                segments = list(_text_layer(page, index))
                if sum(len(segment.text) for segment in segments) < MIN_LETTERS:
                    segments = []
                    images[index] = page.render(scale=_OCR_DPI / 72).to_pil().convert("RGB")
                pages.append((segments, [1.0] * len(segments)))
        finally:
            document.close()
    for index, image in images.items():
        pages[index] = _recognise(image, index, 72 / _OCR_DPI)
    return _combine(pages, ocr=bool(images))


def _combine(pages: Sequence[tuple[list[Segment], list[float]]], *, ocr: bool) -> Reading:
    segments = [segment for found, _ in pages for segment in found]
    scores = [score for _, found in pages for score in found]
    lengths = [len(segment.text) for segment in segments]
    if not segments:
        return Reading(ocr=ocr, failure="no text on any page")
    return Reading(tuple(segments), float(np.average(scores, weights=lengths)), ocr)


def _text_layer(page: Any, index: int) -> Iterator[Segment]:
    """Yield the runs of a page in content order; runs that touch (a bold word in a sentence) become one."""
    layer, height = page.get_textpage(), page.get_height()
    pending: Segment | None = None
    for position in range(layer.count_rects()):
        left, bottom, right, top = layer.get_rect(position)
        text = " ".join(layer.get_text_bounded(left, bottom, right, top).split())
        if not text:
            continue
        run = Segment(text, left, right, height - top, height - bottom, index)
        if pending and pending.beside(run) and -1 <= run.left - pending.right <= 0.6 * max(pending.height, run.height):
            space = "" if text[0] in ",.;:)" else " "
            pending = Segment(
                pending.text + space + text,
                pending.left,
                right,
                min(pending.top, run.top),
                max(pending.bottom, run.bottom),
                index,
            )
        else:
            if pending:
                yield pending
            pending = run
    if pending:
        yield pending


def _recognise(image: Image.Image, index: int, scale: float) -> tuple[list[Segment], list[float]]:
    """Return the lines OCR sees on a page, row by row, and their scores."""
    with _ocr_lock:
        seen = _engine()(np.asarray(image))
    if seen.boxes is None:
        return [], []
    found = []
    for box, text, score in zip(seen.boxes, seen.txts, seen.scores, strict=True):
        (left, top), (right, bottom) = box.min(axis=0) * scale, box.max(axis=0) * scale
        if text.strip():
            found.append(
                (Segment(text.strip(), float(left), float(right), float(top), float(bottom), index), float(score))
            )
    scores = {id(segment): score for segment, score in found}
    ordered = [segment for row in _rows([segment for segment, _ in found]) for segment in row]
    return ordered, [scores[id(segment)] for segment in ordered]


def _rows(segments: Sequence[Segment]) -> list[list[Segment]]:
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda one: (one.page, one.top + one.bottom)):
        if rows and rows[-1][-1].beside(segment):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    return [sorted(row, key=lambda one: one.left) for row in rows]


def ocr_available() -> bool:
    """Tell whether an OCR engine with its models is installed."""
    try:
        import rapidocr  # noqa: F401 - looked for, not used
    except ImportError:
        return False
    return True


@lru_cache(maxsize=1)
def _engine() -> Any:
    """Return the one OCR engine; its models come with the wheel and take a second to load."""
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={
            "Global.text_score": 0.0,  # every line is kept: a mean over the good ones would hide a bad scan
            "Global.use_cls": False,  # pages stand upright
            "Global.log_level": "error",
            "Det.limit_type": "max",
            "Det.limit_side_len": 1280,  # lines are found on a smaller picture and read on the full one
            "Rec.rec_batch_num": 1,  # no padding to the longest line of a batch
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,  # more threads spin more than they read
        }
    )
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return engine
