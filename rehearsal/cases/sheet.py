"""A sheet of paper: headings, labelled values, tables and prose on A4; its bytes depend on nothing but the content."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4
LEFT, RIGHT, TOP, BOTTOM = 50.0, WIDTH - 50.0, HEIGHT - 48.0, 46.0
FONTS = {
    "Helvetica": "Helvetica-Bold",
    "Times-Roman": "Times-Bold",
    "Courier": "Courier-Bold",
}


def _canvas(buffer: io.BytesIO) -> Canvas:
    """Return a canvas whose metadata is the same for every document: no date, no host, no name."""
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle("Document")
    canvas.setAuthor("Trade documents")
    canvas.setSubject("Presentation")
    canvas.setCreator("Trade documents")
    canvas.setProducer("Trade documents")
    return canvas


@dataclass(frozen=True)
class Box:
    """Where a value stands on a page, in points from the lower left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass
class Sheet:
    """Draws from top to bottom and turns the page when it is full; ``space`` is left after each labelled value."""

    font: str = "Helvetica"
    size: float = 9.5
    space: float = 4.0
    pages: int = 1
    boxes: dict[str, Box] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._buffer = io.BytesIO()
        self._canvas = _canvas(self._buffer)
        self._y = TOP
        self.bold = FONTS[self.font]

    @property
    def leading(self) -> float:
        """Distance between two lines."""
        return self.size * 1.28

    def _need(self, height: float) -> None:
        if self._y - height < BOTTOM:
            self._canvas.showPage()
            self.pages += 1
            self._y = TOP

    def _line(self, x: float, text: str, font: str, size: float) -> None:
        self._canvas.setFont(font, size)
        self._canvas.drawString(x, self._y, text)

    def _write(self, text: str, x: float, width: float, font: str, size: float) -> None:
        for part in text.split("\n"):
            for line in simpleSplit(part, font, size, width) or [""]:
                self._need(size * 1.28)
                self._y -= size * 1.28
                self._line(x, line, font, size)

    def gap(self, height: float = 6.0) -> None:
        """Leave some room."""
        self._y -= height

    def rule(self) -> None:
        """Draw a line across the page."""
        self._need(8)
        self._y -= 5
        self._canvas.setLineWidth(0.6)
        self._canvas.line(LEFT, self._y, RIGHT, self._y)
        self._y -= 3

    def title(self, text: str, centred: bool = True, scale: float = 1.5) -> None:
        """Write a heading."""
        size = self.size * scale
        while stringWidth(text, self.bold, size) > RIGHT - LEFT:
            size *= 0.93
        self._need(size * 1.6)
        self._y -= size * 1.4
        x = (LEFT + RIGHT - stringWidth(text, self.bold, size)) / 2 if centred else LEFT
        self._line(x, text, self.bold, size)
        self._y -= size * 0.4

    def prose(self, text: str, bold: bool = False) -> None:
        """Write a paragraph."""
        self._write(text, LEFT, RIGHT - LEFT, self.bold if bold else self.font, self.size)
        self._y -= self.size * 0.5

    def mono(self, text: str) -> None:
        """Write lines as a teleprinter does."""
        self._write(text, LEFT, RIGHT - LEFT, "Courier", self.size)

    def fields(self, pairs: Sequence[tuple[str, str]], how: str) -> None:
        """Write labelled values: ``lines``, ``columns``, ``stacked`` or ``boxes`` (two boxes side by side)."""
        if how == "boxes":
            for at in range(0, len(pairs), 2):
                self._boxes(pairs[at : at + 2])
            return
        for label, value in pairs:
            top = self._y
            if how == "lines":
                self._write(f"{label}: {value}", LEFT, RIGHT - LEFT, self.font, self.size)
            elif how == "stacked":
                self._need(self.leading * 2)
                self._write(label, LEFT, RIGHT - LEFT, self.bold, self.size * 0.92)
                self._write(value, LEFT + 14, RIGHT - LEFT - 14, self.font, self.size)
            else:
                self._columns(label, value)
            self._y -= self.space
            self.boxes[label] = Box(LEFT, self._y - 3, RIGHT - LEFT, top - self._y)

    def _columns(self, label: str, value: str) -> None:
        at = 210.0
        lines = [
            line for part in value.split("\n") for line in simpleSplit(part, self.font, self.size, RIGHT - LEFT - at)
        ]
        labels = simpleSplit(label, self.bold, self.size, at - 8)
        for index in range(max(len(lines), len(labels))):
            self._need(self.leading)
            self._y -= self.leading
            if index < len(labels):
                self._line(LEFT, labels[index], self.bold, self.size)
            if index < len(lines):
                self._line(LEFT + at, lines[index], self.font, self.size)

    def _boxes(self, pairs: Sequence[tuple[str, str]]) -> None:
        width = (RIGHT - LEFT) / len(pairs)
        small, lead = self.size * 0.74, self.size * 1.18
        cells = [
            [line for part in value.split("\n") for line in simpleSplit(part, self.font, self.size, width - 10)]
            for _, value in pairs
        ]
        height = small * 1.5 + lead * max(len(cell) for cell in cells) + 6
        self._need(height)
        top = self._y
        for index, ((label, _), lines) in enumerate(zip(pairs, cells, strict=True)):
            x = LEFT + index * width
            self._canvas.setLineWidth(0.5)
            self._canvas.rect(x, top - height, width, height)
            self._y = top - small * 1.3
            self._line(x + 5, label, self.font, small)
            for line in lines:
                self._y -= lead
                self._line(x + 5, line, self.font, self.size)
            self.boxes[label] = Box(x, top - height, width, height)
        self._y = top - height

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], shares: Sequence[float]) -> None:
        """Write a ruled table; *shares* are the columns' parts of the width."""
        whole = RIGHT - LEFT
        widths = [whole * share / sum(shares) for share in shares]
        self.gap(3)
        for number, row in enumerate([header, *rows]):
            font = self.bold if number == 0 else self.font
            size = self.size * 0.9
            cells = [simpleSplit(text, font, size, width - 6) for text, width in zip(row, widths, strict=True)]
            height = size * 1.25 * max(len(cell) for cell in cells) + 6
            self._need(height)
            top, x = self._y, LEFT
            for lines, width in zip(cells, widths, strict=True):
                self._canvas.setLineWidth(0.4)
                self._canvas.rect(x, top - height, width, height)
                self._y = top - 1
                for line in lines:
                    self._y -= size * 1.25
                    self._line(x + 3, line, font, size)
                x += width
            self._y = top - height
        self.gap(4)

    def finish(self) -> bytes:
        """Return the document."""
        self._canvas.showPage()
        self._canvas.save()
        return self._buffer.getvalue()


def picture_page(image: Image.Image, quality: int = 62) -> bytes:
    """Return a document of one page that holds nothing but the picture, as a scanner makes it."""
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=quality)
    jpeg.seek(0)
    buffer = io.BytesIO()
    canvas = _canvas(buffer)
    canvas.drawImage(ImageReader(jpeg), 0, 0, WIDTH, HEIGHT)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()
