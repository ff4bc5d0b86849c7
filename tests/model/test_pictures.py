"""Every format in, one square of RGB out; and every way a picture can be broken."""

import contextlib
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

from model.errors import PictureError
from model.pictures import decode_picture, resize
from model.settings import ImageSettings

SETTINGS = ImageSettings(image_size=32)
register_heif_opener()  # for `encoded`; what is tested opens HEIC by itself
RED, WHITE = (255, 0, 0), (255, 255, 255)


def scene(width: int = 32, height: int = 32) -> Image.Image:
    """Smooth and different in every corner, so that a turned or mirrored picture is noticed."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    channels = (x / width * 255, y / height * 255, (x + 2 * y) / (width + 2 * height) * 255)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def decoded(data: bytes, settings: ImageSettings = SETTINGS) -> np.ndarray:
    pixels = decode_picture(data, settings)
    assert pixels.shape == (settings.image_size, settings.image_size, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    return pixels


def assert_close(found: np.ndarray, expected: Image.Image, grey_levels: float) -> None:
    """Mean difference over all pixels and channels."""
    difference = np.abs(found.astype(np.float32) - np.asarray(expected.convert("RGB"), dtype=np.float32))
    assert difference.mean() <= grey_levels


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "AVIF", "HEIF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_promised_format(file_format: str, mode: str) -> None:
    image = scene().convert(mode)
    options = {"lossless": True} if file_format == "WEBP" else {"quality": 95} if file_format == "JPEG" else {}
    tolerance = 0 if file_format in {"PNG", "BMP", "TIFF"} else 3 if file_format != "GIF" or mode == "L" else 12
    assert_close(decoded(encoded(image, file_format, **options)), image, tolerance)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 1}])
def test_jpeg_flavours(options: dict) -> None:
    assert_close(decoded(encoded(scene(), "JPEG", quality=95, **options)), scene(), 3)


def test_cmyk_jpeg_reads_as_pillow_reads_it() -> None:
    data = encoded(scene().convert("CMYK"), "JPEG", quality=95)
    assert_close(decoded(data), Image.open(io.BytesIO(data)), 0)
    assert_close(decoded(data), scene(), 4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_exif_orientations_agree_with_pillow(orientation: int, file_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {} if file_format in {"PNG", "TIFF"} else {"quality": 95}
    data = encoded(scene(32, 32), file_format, exif=exif.tobytes(), **options)
    stored = scene()
    stored.getexif()[0x0112] = orientation
    assert_close(decoded(data), ImageOps.exif_transpose(stored), 3)
    if orientation > 1:
        with pytest.raises(AssertionError):
            assert_close(decoded(data), stored, 10)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_is_none_changes_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_close(decoded(encoded(scene(), "JPEG", quality=95, exif=exif)), scene(), 3)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_turned_wide_jpeg_is_scaled_after_turning(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(scene(400, 200), "JPEG", quality=95, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert_close(decoded(data), upright.resize((32, 32), Image.Resampling.BOX), 3)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_transparency_lies_on_white(file_format: str) -> None:
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 95}, "HEIF": {"quality": 95}}.get(file_format, {})
    tolerance = 6 if file_format in {"AVIF", "HEIF"} else 1
    image = Image.new("RGBA", (32, 32), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 32))
    image.paste((0, 0, 0, 128), (16, 16, 32, 32))
    pixels = decoded(encoded(image, file_format, **options))
    assert pixels[8, 8].tolist() == pytest.approx(WHITE, abs=tolerance - 1)
    assert pixels[8, 24].tolist() == pytest.approx(RED, abs=tolerance - 1)
    assert pixels[24, 24].tolist() == pytest.approx([127] * 3, abs=tolerance)


def test_grey_with_alpha_lies_on_white() -> None:
    assert decoded(encoded(Image.new("LA", (32, 32), (0, 0)), "PNG")).min() == 255


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_palette_with_transparency_lies_on_white(file_format: str) -> None:
    image = Image.new("P", (32, 32), 0)
    image.putpalette([0, 0, 0, *RED])
    image.paste(1, (16, 0, 32, 32))
    pixels = decoded(encoded(image, file_format, transparency=0))
    assert pixels[8, 8].tolist() == list(WHITE)
    assert pixels[8, 24].tolist() == list(RED)
    assert decoded(encoded(image, file_format))[8, 8].tolist() == [0, 0, 0]


def test_rgb_with_one_transparent_colour_lies_on_white() -> None:
    assert decoded(encoded(Image.new("RGB", (32, 32), (1, 2, 3)), "PNG", transparency=(1, 2, 3))).min() == 255


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(file_format: str) -> None:
    wide = np.tile(np.linspace(0, 65_535, 32).astype(np.uint16), (32, 1))
    pixels = decoded(encoded(Image.fromarray(wide), file_format))
    np.testing.assert_allclose(pixels[..., 0], wide / 257, atol=1)


def test_float_grey_of_a_tiff() -> None:
    values = np.tile(np.linspace(0, 255, 32, dtype=np.float32), (32, 1))
    np.testing.assert_allclose(decoded(encoded(Image.fromarray(values), "TIFF"))[..., 1], values, atol=1)


def test_black_and_white() -> None:
    assert set(np.unique(decoded(encoded(scene().convert("1"), "PNG")))) == {0, 255}


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_the_first_frame_of_several(file_format: str) -> None:
    frames = [Image.new("RGB", (32, 32), color) for color in (RED, (0, 0, 255))]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert decoded(data)[5, 5].tolist() == pytest.approx(RED, abs=2)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "AVIF", "HEIF"])
def test_a_picture_of_one_pixel(file_format: str) -> None:
    np.testing.assert_allclose(decoded(encoded(Image.new("RGB", (1, 1), RED), file_format)), [[RED] * 32] * 32, atol=3)


@pytest.mark.parametrize(("width", "height"), [(500, 3), (3, 500), (1, 64), (33, 31), (31, 33)])
def test_extreme_shapes(width: int, height: int) -> None:
    for file_format in ("JPEG", "PNG"):
        data = encoded(scene(width, height), file_format)
        whole = Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR)
        assert_close(decoded(data), whole, 8)


@pytest.mark.parametrize("size", [32, 33, 63, 64, 100, 224, 640])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_scaled_jpeg_decoding_agrees_with_pillow(size: int, mode: str) -> None:
    """The DCT shortcut may not look different from decoding all and averaging."""
    random = np.random.default_rng(size)
    noise = random.integers(-30, 30, (size // 8 + 1, size // 8 + 1, 3)).repeat(8, axis=0).repeat(8, axis=1)
    pixels = np.clip(np.asarray(scene(size, size), dtype=np.int64) + noise[:size, :size], 0, 255).astype(np.uint8)
    data = encoded(Image.fromarray(pixels).convert(mode), "JPEG", quality=90)
    full = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert_close(decoded(data), Image.fromarray(resize(full, 32)), 5)
    assert_close(decoded(data), Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BOX), 6)


def test_resize_averages_areas() -> None:
    checkers = np.indices((64, 64)).sum(axis=0)[..., None].repeat(3, axis=2) % 2 * 255
    assert np.abs(resize(checkers.astype(np.uint8), 32).astype(int) - 127).max() <= 1


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF", "HEIF"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.85, 0.97])
def test_a_picture_cut_off_anywhere_is_refused(file_format: str, share: float) -> None:
    if file_format == "JPEG":
        share = min(share, 0.85)  # its last rows may be missing
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    data = encoded(Image.fromarray(noise), file_format)
    with pytest.raises(PictureError, match=r"damaged or cut off|of none of them"):
        decode_picture(data[: int(len(data) * share)], SETTINGS)


def test_a_jpeg_that_lacks_more_than_its_last_rows_is_refused() -> None:
    data = encoded(scene(48, 48), "JPEG")
    for length in range(1, int(0.8 * len(data)), 7):
        with pytest.raises(PictureError):
            decode_picture(data[:length], SETTINGS)


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_jpeg_that_lacks_its_last_bytes_is_decoded(options: dict) -> None:
    data = encoded(scene(480, 480), "JPEG", **options)
    whole = decode_picture(data, SETTINGS).astype(int)
    for missing in (1, 2, 10, len(data) // 50):
        found = decode_picture(data[:-missing], SETTINGS)
        assert np.abs(found - whole)[: int(0.9 * len(whole))].max() <= 8
    assert np.array_equal(decode_picture(data[:-2], SETTINGS), whole)


def test_a_jpeg_that_is_damaged_before_its_end_is_refused() -> None:
    data = bytearray(encoded(scene(480, 480), "JPEG"))
    half = len(data) // 2
    with pytest.raises(PictureError, match="damaged or cut off"):
        decode_picture(bytes(data[:half] + data[-2:]), SETTINGS)


def test_damaged_bytes_raise_picture_errors_only() -> None:
    random = np.random.default_rng(0)
    for file_format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIF"):
        for _ in range(40):
            data = np.frombuffer(encoded(scene(40, 40), file_format), np.uint8).copy()
            data[random.integers(0, len(data), 4)] = random.integers(0, 256, 4)
            with contextlib.suppress(PictureError):  # a changed pixel is no damage that shows
                decoded(data.tobytes())


def test_odd_metadata_is_not_warned_of(tmp_path: Path) -> None:
    """Each new text of a warning would be printed and kept; in a process of its own, for pytest has other filters."""
    picture = tmp_path / "odd.jpg"
    Image.new("RGB", (8, 8)).save(picture, exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0")
    program = """
import pathlib, sys
from model.pictures import decode_picture
from model.settings import ImageSettings
print(decode_picture(pathlib.Path(sys.argv[1]).read_bytes(), ImageSettings(image_size=8)).shape)
"""
    command = [sys.executable, "-c", program, str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.stdout, done.stderr) == ("(8, 8, 3)\n", "")


def test_no_bytes() -> None:
    with pytest.raises(PictureError) as raised:
        decode_picture(b"", SETTINGS)
    assert str(raised.value) == "expected an encoded picture, found 0 bytes; leave the field out when there is none"


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"<html>not found</html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",  # Pillow would start Ghostscript for it
        bytes(1000),
    ],
)
def test_bytes_that_are_no_picture(data: bytes) -> None:
    with pytest.raises(PictureError) as raised:
        decode_picture(data, SETTINGS)
    expected = (
        f"expected a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC picture, found {len(data)} bytes of none of them"
    )
    assert str(raised.value) == expected


def test_too_many_bytes() -> None:
    data = encoded(scene(), "BMP")
    decoded(data, ImageSettings(image_size=32, max_image_bytes=len(data)))
    with pytest.raises(PictureError) as raised:
        decode_picture(data, ImageSettings(image_size=32, max_image_bytes=len(data) - 1))
    assert str(raised.value) == (
        f"expected at most {len(data) - 1} bytes of picture, found {len(data)}; send a smaller one"
    )


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    """A few bytes that announce 60,000 x 60,000: no pixel data follows, so decoding could only fail otherwise."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    with pytest.raises(PictureError) as raised:
        decode_picture(data, SETTINGS)
    assert str(raised.value) == (
        "expected at most 50000000 pixels, the header announces 60000 x 60000; send a smaller picture"
    )


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "AVIF"])
def test_the_pixel_limit_is_exact(file_format: str) -> None:
    data = encoded(scene(40, 50), file_format)
    decoded(data, ImageSettings(image_size=32, max_image_pixels=2_000))
    with pytest.raises(PictureError, match="expected at most 1999 pixels, the header announces 40 x 50"):
        decode_picture(data, ImageSettings(image_size=32, max_image_pixels=1_999))
