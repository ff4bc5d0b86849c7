"""A picture read a few rows at a time is the picture read as a whole."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from model import rgb_rows
from model.picture_header import LARGE_PIXELS
from model.pictures import decode_picture, resize
from model.rgb_rows import RgbRows
from model.settings import ImageSettings
from tests.model.test_pictures import encoded

LARGE, SMALL, THIN = (2300, 1803), (301, 203), (60, 70_000)
#: Format and mode of a picture, with options of its encoder.
KINDS = [
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "L", {}),
    ("PNG", "LA", {}),
    ("PNG", "1", {}),
    ("PNG", "P", {}),
    ("PNG", "P", {"transparency": 3}),
    ("PNG", "RGB", {"transparency": (10, 20, 30)}),
    ("PNG", "I;16", {}),
    ("TIFF", "F", {}),
    ("TIFF", "CMYK", {}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("WEBP", "RGB", {"quality": 40, "method": 0}),
    ("WEBP", "RGBA", {"lossless": True, "quality": 0, "method": 0}),
]
IDS = ["-".join((kind, mode, *options)) for kind, mode, options in KINDS]


def picture(mode: str, width: int, height: int) -> Image.Image:
    """A slope in every channel with a bright line in every seventh row and eleventh column."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = x / width * 0.7 + y / height * 0.3
    if mode == "I;16":
        return Image.fromarray((slope * 65_535).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(slope * 255)
    pixels = (np.stack([slope, x / width, y / height, 1 - slope], axis=-1) * 255).astype(np.uint8)
    pixels[::7, ::11] = 255
    image = Image.fromarray(pixels)
    return image if mode == "RGBA" else image.convert("RGB").convert(mode)


def plainly(data: bytes, size: int) -> np.ndarray:
    """Decode with Pillow as a whole, then average areas."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode in ("I;16", "F"):
        top = 255 if image.mode == "F" else 65_535
        image = Image.fromarray((np.asarray(image, np.float32) * (255.0 / top)).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    return resize(np.asarray(image.convert("RGB")), size)


@pytest.mark.parametrize(("kind", "mode", "options"), KINDS, ids=IDS)
def test_a_small_picture_is_the_same_to_the_bit(
    kind: str, mode: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rgb_rows, "BLOCK_PIXELS", 97)  # less than a row
    data = encoded(picture(mode, *SMALL), kind, **options)
    np.testing.assert_array_equal(decode_picture(data, ImageSettings(image_size=64)), plainly(data, 64))


@pytest.mark.parametrize("size", [64, 224])
@pytest.mark.parametrize(("kind", "mode", "options"), KINDS, ids=IDS)
def test_a_large_picture_is_the_same_to_a_grey_level(kind: str, mode: str, options: dict, size: int) -> None:
    data = encoded(picture(mode, *LARGE), kind, **options)
    found = decode_picture(data, ImageSettings(image_size=size)).astype(int)
    assert np.abs(found - plainly(data, size)).max() <= 1


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_large_picture_is_turned_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture("RGB", *LARGE), kind, exif=exif)
    found = decode_picture(data, ImageSettings(image_size=64)).astype(int)
    assert np.abs(found - plainly(data, 64)).max() <= 1


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_large_cmyk_jpeg_is_scaled_as_it_is_decoded(options: dict) -> None:
    data = encoded(picture("CMYK", *LARGE), "JPEG", quality=90, **options)
    difference = np.abs(decode_picture(data, ImageSettings(image_size=64)).astype(int) - plainly(data, 64))
    assert difference.mean() <= 1
    assert difference.max() <= 6


def test_a_large_picture_that_is_thinner_than_the_square(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(picture("RGB", *THIN), "PNG")
    assert THIN[0] * THIN[1] > LARGE_PIXELS
    np.testing.assert_array_equal(decode_picture(data, ImageSettings(image_size=64)), plainly(data, 64))


def test_a_picture_of_several_blocks_with_the_white_point_in_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """16-bit grey is scaled by what the whole picture holds, not each block by its own."""
    monkeypatch.setattr(rgb_rows, "BLOCK_PIXELS", 32)
    values = np.zeros((32, 32), np.uint16)
    values[0, 0], values[31, 31] = 200, 60_000
    rows = RgbRows.of_image(Image.fromarray(values)).read(0, 32)
    assert rows[0, 0].tolist() == [0, 0, 0]
    assert rows[31, 31].tolist() == [233, 233, 233]


@pytest.mark.parametrize("size", [1, 7, 64, 224])
def test_shrinking_averages_areas(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a mean of each pixel's own area, with the shares of the pixels on its edges."""
    monkeypatch.setattr(rgb_rows, "BLOCK_PIXELS", 700)
    pixels = np.random.default_rng(0).integers(0, 256, (224 + size, 300, 3), dtype=np.uint8)

    def shares(length: int) -> np.ndarray:
        fine = np.repeat(np.arange(length), size).reshape(size, length)  # each pixel `size` times, cut anew
        return np.stack([np.bincount(row, minlength=length) / length for row in fine])

    expected = np.einsum("ih,hwc,jw->ijc", shares(len(pixels)), pixels.astype(float), shares(300), optimize=True)
    assert np.abs(RgbRows.of_image(Image.fromarray(pixels)).shrink(size) - expected).max() <= 1
