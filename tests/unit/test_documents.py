"""Looking into documents: which open, which say anything, what they say."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from dataset import pdf
from PIL import Image, ImageDraw, PngImagePlugin
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from solidgreen import documents

PROSE = ("Commercial invoice no. 4711", "Goods may be rejected", "Amount USD 1000")


def seen(tmp_path: Path, data: bytes, media_type: str = "application/pdf") -> documents.Look:
    (tmp_path / "document").write_bytes(data)
    return documents.look(tmp_path / "document", media_type)


def drawn(draw: Callable[[Canvas], Any], **options: Any) -> bytes:
    """Return a PDF with three lines of prose and what *draw* adds."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=True, **options)
    for number, line in enumerate(PROSE):
        canvas.drawString(72, 700 - 14 * number, line)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def page(*lines: str) -> Image.Image:
    """Return a scanned page with those lines."""
    scan = Image.new("L", (300, 200), 255)
    for number, line in enumerate(lines):
        ImageDraw.Draw(scan).text((20, 20 + 20 * number), line, fill=0)
    return scan


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scanned(image: Image.Image, *lines: str) -> bytes:
    """Return a PDF whose page is a picture, with a text layer of those lines."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=True)
    canvas.drawImage(ImageReader(image), 0, 0, 595, 842)
    for number, line in enumerate(lines):
        canvas.drawString(72, 700 - 14 * number, line)
    canvas.save()
    return buffer.getvalue()


def no_page() -> bytes:
    buffer = io.BytesIO()
    pypdfium2.PdfDocument.new().save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "media_type", "words"),
    [
        pytest.param(b"%PDF-1.4 broken", "application/pdf", "PdfiumError", id="a broken PDF"),
        pytest.param(
            drawn(lambda canvas: None, encrypt=StandardEncryption("secret")),
            "application/pdf",
            "password",
            id="an encrypted PDF",
        ),
        pytest.param(no_page(), "application/pdf", "", id="a PDF without a page"),
        pytest.param(pdf(*PROSE)[:-6], "application/pdf", "cut off: no %%EOF", id="a PDF that is cut off"),
        pytest.param(pdf(*PROSE)[:200], "application/pdf", "", id="the head of a PDF"),
        pytest.param(b"", "application/pdf", "", id="an empty PDF"),
        pytest.param(encoded(page("a", "b"), "PNG")[:150], "image/png", "Error", id="a PNG that is cut off"),
        pytest.param(encoded(page("a", "b"), "JPEG")[:900], "image/jpeg", "truncated", id="a JPEG that is cut off"),
        pytest.param(b"II*\x00no tiff", "image/tiff", "Error", id="a broken TIFF"),
    ],
)
def test_what_does_not_open_is_told(tmp_path: Path, data: bytes, media_type: str, words: str) -> None:
    look = seen(tmp_path, data, media_type)
    assert look.error
    assert words in look.error
    assert "\n" not in look.error
    assert not look.stub


def test_a_document_that_is_gone_is_told(tmp_path: Path) -> None:
    assert "No such file" in str(documents.look(tmp_path / "gone.pdf", "application/pdf").error)


def test_a_picture_of_a_size_meant_to_exhaust_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "DecompressionBombError" in str(seen(tmp_path, encoded(page("a"), "PNG"), "image/png").error)


def test_a_pdf_that_opens_without_its_owners_password_is_read(tmp_path: Path) -> None:
    guarded = drawn(lambda canvas: None, encrypt=StandardEncryption("", ownerPassword="owner"))
    look = seen(tmp_path, guarded)
    assert (look.error, look.lines) == (None, 3)


@pytest.mark.parametrize(
    ("data", "media_type", "stub"),
    [
        pytest.param(pdf(*PROSE), "application/pdf", False, id="a page of text"),
        pytest.param(pdf("one line"), "application/pdf", True, id="one line"),
        pytest.param(pdf(*["Letter of credit"] * 30), "application/pdf", True, id="one line, thirty times"),
        pytest.param(pdf(*[f"Line {n}" for n in range(9)]), "application/pdf", True, id="one line, numbered"),
        pytest.param(pdf("LETTER OF CREDIT", "Letter of Credit"), "application/pdf", True, id="one line, in two cases"),
        pytest.param(pdf("17", "4711 / 9", "--"), "application/pdf", True, id="figures and signs"),
        pytest.param(pdf(" "), "application/pdf", True, id="an empty page"),
        pytest.param(scanned(page("Letter of credit", "USD")), "application/pdf", False, id="a scanned page"),
        pytest.param(scanned(page("Credit"), "one line"), "application/pdf", False, id="a scan with a line of text"),
        pytest.param(scanned(page()), "application/pdf", True, id="a scan of nothing"),
        pytest.param(scanned(page(), "one line"), "application/pdf", True, id="a scan of nothing with a line"),
        pytest.param(encoded(page("Invoice"), "PNG"), "image/png", False, id="a picture"),
        pytest.param(encoded(page(), "PNG"), "image/png", True, id="a picture of nothing"),
        pytest.param(encoded(Image.new("RGB", (9, 9), "red"), "PNG"), "image/png", True, id="one colour"),
        pytest.param(
            encoded(page(), "TIFF", save_all=True, append_images=[page("Page 2")]),
            "image/tiff",
            False,
            id="a fax whose first page is empty",
        ),
    ],
)
def test_a_document_that_says_next_to_nothing_is_a_stub(
    tmp_path: Path, data: bytes, media_type: str, stub: bool
) -> None:
    look = seen(tmp_path, data, media_type)
    assert (look.error, look.stub) == (None, stub)


def test_all_pages_are_counted(tmp_path: Path) -> None:
    fax = encoded(page("1"), "TIFF", save_all=True, append_images=[page("2"), page("3")])
    assert seen(tmp_path, fax, "image/tiff").pages == 3
    assert seen(tmp_path, drawn(lambda canvas: canvas.showPage() or canvas.drawString(9, 9, "x"))).pages == 2


def watermark(canvas: Canvas) -> None:
    canvas.translate(300, 400)
    canvas.rotate(45)
    canvas.setFont("Helvetica-Bold", 60)
    canvas.drawCentredString(0, 0, "REJECT")


def small_and_turned(canvas: Canvas) -> None:
    canvas.translate(580, 400)
    canvas.rotate(90)
    canvas.drawString(0, 0, "warn")


def scaled(canvas: Canvas) -> None:
    canvas.scale(4, 4)
    canvas.drawString(20, 40, "Blocked")


def heading(canvas: Canvas) -> None:
    canvas.setFont("Helvetica-Bold", 30)
    canvas.drawString(72, 780, "BLOCKED FUNDS NOTICE")


def turned_sentence(canvas: Canvas) -> None:
    canvas.translate(580, 400)
    canvas.rotate(90)
    canvas.drawString(0, 0, "Goods that pass inspection")


def same_size(canvas: Canvas) -> None:
    canvas.drawString(72, 600, "We pass")


@pytest.mark.parametrize(
    ("draw", "marks"),
    [
        pytest.param(watermark, ("REJECT",), id="a watermark"),
        pytest.param(small_and_turned, ("warn",), id="small and turned"),
        pytest.param(scaled, ("Blocked",), id="scaled"),
        pytest.param(heading, (), id="a word of a heading"),
        pytest.param(turned_sentence, (), id="a word of a turned sentence"),
        pytest.param(same_size, (), id="a word of a sentence"),
    ],
)
def test_a_label_set_apart_by_its_size_or_angle_is_a_mark(
    tmp_path: Path, draw: Callable[[Canvas], Any], marks: tuple[str, ...]
) -> None:
    assert seen(tmp_path, drawn(draw)).marks == marks


def commented(canvas: Canvas) -> None:
    canvas.textAnnotation("expected: reject", Rect=[100, 100, 120, 120])


def bookmarked(canvas: Canvas) -> None:
    canvas.bookmarkPage("top")
    canvas.addOutlineEntry("expected: warn", "top")


def field(canvas: Canvas) -> None:
    canvas.acroForm.textfield(name="note", value="expected: pass", x=100, y=100)


@pytest.mark.parametrize(
    ("draw", "said"),
    [(commented, "expected: reject"), (bookmarked, "expected: warn"), (field, "expected: pass")],
    ids=["a comment", "a bookmark", "a form field"],
)
def test_what_stands_beside_the_page_is_text_too(tmp_path: Path, draw: Callable[[Canvas], Any], said: str) -> None:
    look = seen(tmp_path, drawn(draw))
    assert said in look.text.splitlines()
    assert PROSE[0] in look.text


def text_of_png() -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Comment", "for reject", zip=True)
    return encoded(page("a"), "PNG", pnginfo=chunks)


def exif(tag: int, value: Any, inner: bool = False) -> Image.Exif:
    tags = Image.Exif()
    (tags.get_ifd(0x8769) if inner else tags)[tag] = value
    return tags


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        pytest.param(text_of_png(), "image/png", id="a packed text of a PNG"),
        pytest.param(encoded(page("a"), "PNG", exif=exif(0x010E, "for reject")), "image/png", id="EXIF of a PNG"),
        pytest.param(encoded(page("a"), "JPEG", comment=b"for reject"), "image/jpeg", id="a comment of a JPEG"),
        pytest.param(
            encoded(page("a"), "JPEG", exif=exif(0x9286, b"ASCII\0\0\0for reject", inner=True)),
            "image/jpeg",
            id="a user comment of EXIF",
        ),
        pytest.param(
            encoded(page("a"), "JPEG", exif=exif(0x9C9B, "for reject\0".encode("utf-16-le"))),
            "image/jpeg",
            id="a title of EXIF in UTF-16",
        ),
        pytest.param(encoded(page("a"), "JPEG", xmp=b"<x:xmpmeta>for reject</x:xmpmeta>"), "image/jpeg", id="XMP"),
        pytest.param(encoded(page("a"), "TIFF", description="for reject"), "image/tiff", id="a tag of a TIFF"),
        pytest.param(
            drawn(lambda canvas: canvas.setSubject("for reject")), "application/pdf", id="the subject of a PDF"
        ),
        pytest.param(
            pdf(*PROSE).replace(b"%%EOF", b"%<x:xmpmeta>for reject</x:xmpmeta>\n%%EOF"),
            "application/pdf",
            id="XMP of a PDF",
        ),
    ],
)
def test_metadata_is_read_wherever_it_stands(tmp_path: Path, data: bytes, media_type: str) -> None:
    look = seen(tmp_path, data, media_type)
    assert look.error is None
    assert "for reject" in look.metadata


def test_pictures_are_told_by_their_bytes(tmp_path: Path) -> None:
    one, again, other = (
        seen(tmp_path, scanned(page(text), *PROSE)).pictures for text in ("signed", "signed", "unsigned")
    )
    assert one == again != other
    assert len(one) == 1


@pytest.mark.parametrize(
    ("data", "begins"),
    [
        (pdf(*PROSE), "application/pdf"),
        (encoded(page("a"), "PNG"), "image/png"),
        (b"\n" + pdf(*PROSE), None),
        (b"\x89PNG\r\n\x1a\n" + pdf(*PROSE), "image/png"),
    ],
    ids=["a PDF", "a PNG", "a PDF behind a blank", "a PDF behind the head of a PNG"],
)
def test_the_first_bytes_tell_a_type(tmp_path: Path, data: bytes, begins: str | None) -> None:
    assert seen(tmp_path, data).begins == begins
