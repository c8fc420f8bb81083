"""Bad scans: a page drawn as a picture, damaged the way photocopiers, fax lines and coffee do it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .sheet import HEIGHT, WIDTH, Box, picture_page

DPI = 120
Pixels = NDArray[np.float32]


def _grain(image: Image.Image, rng: random.Random, sigma: float) -> Image.Image:
    """Add the noise of a sensor; *sigma* in grey levels."""
    noise = np.random.default_rng(rng.getrandbits(64)).standard_normal((image.height, image.width), dtype=np.float32)
    pixels = np.asarray(image, dtype=np.float32) + noise * np.float32(sigma)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _contrast(image: Image.Image, dark: int, light: int) -> Image.Image:
    """Squeeze black and white into *dark* … *light*."""
    return image.point([dark + (light - dark) * level // 255 for level in range(256)])


def _skew(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=image.getpixel((3, 3)))


def _blots(image: Image.Image, rng: random.Random, count: int) -> Image.Image:
    """Drop stains anywhere on the page."""
    stain = Image.new("L", image.size, 255)
    pen = ImageDraw.Draw(stain)
    for _ in range(count):
        x, y, r = rng.randrange(image.width), rng.randrange(image.height), rng.randint(25, 120)
        pen.ellipse((x - r, y - r * 0.8, x + r, y + r * 0.8), fill=rng.randint(120, 200))
    stain = stain.filter(ImageFilter.GaussianBlur(9))
    return Image.fromarray(np.minimum(np.asarray(image), np.asarray(stain)))


def out_of_focus(image: Image.Image, rng: random.Random, boxes: Sequence[Box]) -> Image.Image:
    """Photograph the page without focus."""
    del boxes
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(4.2, 6.0)))
    return _grain(_skew(_contrast(image, 60, 225), rng.uniform(-3, 3)), rng, 9)


def fax(image: Image.Image, rng: random.Random, boxes: Sequence[Box]) -> Image.Image:
    """Send the page over a bad line: few dots, black or white."""
    del boxes
    share = rng.uniform(0.27, 0.33)
    small = image.resize((int(image.width * share), int(image.height * share)), Image.Resampling.BILINEAR)
    small = _grain(small, rng, 34).point([0 if level < 178 else 255 for level in range(256)])
    return _skew(small.resize(image.size, Image.Resampling.NEAREST), rng.uniform(-2, 2))


def faded(image: Image.Image, rng: random.Random, boxes: Sequence[Box]) -> Image.Image:
    """Print with an empty cartridge, copy the copy."""
    del boxes
    image = _contrast(image.filter(ImageFilter.GaussianBlur(1.6)), 206, 222)
    return _blots(_grain(_skew(image, rng.uniform(-2, 2)), rng, rng.uniform(17, 24)), rng, 3)


def moved_page(image: Image.Image, rng: random.Random, boxes: Sequence[Box]) -> Image.Image:
    """Pull the page away under the lamp."""
    del boxes
    length, slope = rng.randint(16, 26), rng.uniform(0.3, 0.9)
    pixels = np.asarray(image, dtype=np.float32)
    shifted = [np.roll(pixels, (int(step * slope), step), axis=(0, 1)) for step in range(0, length, 2)]
    blurred = Image.fromarray(np.mean(shifted, axis=0).astype(np.uint8))
    return _grain(_contrast(blurred, 40, 232), rng, 8)


def spilt(image: Image.Image, rng: random.Random, boxes: Sequence[Box]) -> Image.Image:
    """Spill ink over number, amount and expiry; the rest can still be read."""
    stain = Image.new("L", image.size, 255)
    pen = ImageDraw.Draw(stain)
    scale = image.width / WIDTH
    for box in boxes or (Box(0, HEIGHT * 0.48, WIDTH, HEIGHT * 0.5),):
        left, top = box.x * scale, (HEIGHT - box.y - box.height) * scale
        width, height = box.width * scale, box.height * scale
        for _ in range(14):
            x, y, r = rng.uniform(left, left + width), rng.uniform(top, top + height), rng.uniform(14, 60)
            pen.ellipse((x - r * 2, y - min(r, height), x + r * 2, y + min(r, height)), fill=rng.randint(14, 60))
        pen.rounded_rectangle(
            (left - 20, top - 4, left + width + 20, top + height + 6), radius=9, fill=rng.randint(16, 60)
        )
    stain = stain.filter(ImageFilter.GaussianBlur(2))
    image = Image.fromarray(np.minimum(np.asarray(image), np.asarray(stain)))
    return _grain(_skew(image.filter(ImageFilter.GaussianBlur(0.9)), rng.uniform(-1, 1)), rng, 10)


def worn(image: Image.Image, rng: random.Random, boxes: Sequence[Box]) -> Image.Image:
    """Fold, copy and skew the page so little that a patient reader still makes it out."""
    del boxes
    image = _contrast(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.7, 1.0))), 70, 214)
    return _blots(_grain(_skew(image, rng.uniform(-1.2, 1.2)), rng, 8), rng, 2)


Damage = Callable[[Image.Image, random.Random, Sequence[Box]], Image.Image]


def scan(pdf: bytes, damage: Damage, boxes: Sequence[Box], rng: random.Random) -> bytes:
    """Return the first page of *pdf* as a damaged picture in a document of its own, without a text layer."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        image = document[0].render(scale=DPI / 72, grayscale=True).to_pil().convert("L")
    finally:
        document.close()
    return picture_page(damage(image, rng, boxes))
