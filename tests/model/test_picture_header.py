"""Headers say size and memory before anything is decoded, and decoding keeps to that memory."""

import functools
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from model.errors import PictureError
from model.picture_header import FORMATS, read_picture_header
from model.pictures import decode_picture
from model.settings import ImageSettings
from tests.model.test_pictures import encoded, scene
from tests.model.test_rgb_rows import picture

SETTINGS = ImageSettings(image_size=224)
MIB = 2**20
UPRIGHT = Image.Exif()
UPRIGHT[0x0112] = 6

#: Prints how much memory decoding one picture takes at most, of a process that has done nothing else.
PEAK = """
import pathlib, sys
from model.pictures import blank_jpeg, decode_picture
from model.settings import ImageSettings
settings, data = ImageSettings(image_size=224, max_image_bytes=2**31), pathlib.Path(sys.argv[1]).read_bytes()
def status(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024
decode_picture(blank_jpeg(8), settings)
before = status("VmRSS")
decode_picture(data, settings)
print(status("VmHWM") - before)
"""


def run_length_bmp(width: int, height: int) -> bytes:
    """Grey, each row in runs of 250 pixels."""
    body = (b"".join(bytes([250, i]) for i in range(width // 250)) + b"\0\0") * height + b"\0\1"
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    start = 54 + len(palette)
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + sizes + palette + body


def interlaced_png(width: int, height: int) -> bytes:
    """RGBA in the seven passes of Adam7."""
    pixels, rows = np.asarray(picture("RGBA", width, height)), []
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    for left, upper, across, down in passes:
        part = pixels[upper::down, left::across]
        rows.append(np.pad(part.reshape(len(part), -1), ((0, 0), (1, 0))).tobytes())
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 1)),
        (b"IDAT", zlib.compress(b"".join(rows), 1)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def one_strip_tiff(width: int, height: int) -> bytes:
    """The whole picture is one compressed strip, to be turned upright."""
    usual = TiffImagePlugin.STRIP_SIZE
    try:
        TiffImagePlugin.STRIP_SIZE = 2**31 - 1
        return encoded(picture("RGB", width, height), "TIFF", compression="tiff_deflate", exif=UPRIGHT)
    finally:
        TiffImagePlugin.STRIP_SIZE = usual


def of(file_format: str, mode: str, width: int = 5000, height: int = 4000, **options: object) -> bytes:
    return encoded(picture(mode, width, height), file_format, **options)


def animation(file_format: str, mode: str, **options: object) -> bytes:
    second = picture(mode, 5000, 4000).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return of(file_format, mode, save_all=True, append_images=[second], **options)


quick = {"compress_level": 1}
#: A picture, and the bytes a pixel that decoding it may take at most.
MEMORY = [
    pytest.param(functools.partial(of, "PNG", "RGB", **quick), 4, id="png-rgb"),
    pytest.param(functools.partial(of, "PNG", "RGBA", **quick), 4, id="png-rgba"),
    pytest.param(functools.partial(of, "PNG", "P", **quick), 1, id="png-palette"),
    pytest.param(functools.partial(of, "PNG", "P", transparency=3, **quick), 1, id="png-palette-transparent"),
    pytest.param(functools.partial(of, "PNG", "I;16", **quick), 2, id="png-grey16"),
    pytest.param(functools.partial(of, "PNG", "RGBA", exif=UPRIGHT, **quick), 4, id="png-turned"),
    pytest.param(functools.partial(interlaced_png, 5000, 4000), 4, id="png-interlaced"),
    pytest.param(functools.partial(of, "PNG", "RGB", 2000, 1990, **quick), 10, id="png-not-large"),
    pytest.param(functools.partial(of, "PNG", "RGB", 100, 100_000, **quick), 10, id="png-thin"),
    pytest.param(functools.partial(of, "PNG", "RGB", 10_000_000, 1, **quick), 29, id="png-one-row"),
    pytest.param(functools.partial(of, "WEBP", "RGB", quality=30, method=0), 8, id="webp"),
    pytest.param(functools.partial(of, "WEBP", "RGBA", lossless=True, quality=0, method=0), 8, id="webp-lossless"),
    pytest.param(functools.partial(animation, "WEBP", "RGB", quality=30, method=0), 20, id="webp-animated"),
    pytest.param(functools.partial(animation, "GIF", "P"), 1, id="gif"),
    pytest.param(functools.partial(of, "BMP", "RGB"), 4, id="bmp"),
    pytest.param(functools.partial(run_length_bmp, 5000, 4000), 3, id="bmp-run-length"),
    pytest.param(functools.partial(of, "TIFF", "CMYK", compression="tiff_lzw"), 8, id="tiff-cmyk"),
    pytest.param(functools.partial(one_strip_tiff, 5000, 4000), 12, id="tiff-one-strip-turned"),
    pytest.param(functools.partial(of, "AVIF", "RGBA", 2400, 1800, speed=10, subsampling="4:4:4"), 19, id="avif"),
    pytest.param(functools.partial(of, "HEIF", "RGBA", 2432, 1792, quality=20, chroma=444), 19, id="heic"),
    pytest.param(functools.partial(of, "JPEG", "RGB"), 0.2, id="jpeg"),
    pytest.param(functools.partial(of, "JPEG", "RGB", progressive=True, subsampling=0), 6.2, id="jpeg-progressive"),
    pytest.param(functools.partial(of, "JPEG", "L", progressive=True), 2.2, id="jpeg-progressive-grey"),
    pytest.param(functools.partial(of, "JPEG", "CMYK"), 0.3, id="jpeg-cmyk"),
    pytest.param(functools.partial(of, "JPEG", "CMYK", progressive=True), 8.3, id="jpeg-cmyk-progressive"),
    pytest.param(functools.partial(of, "JPEG", "RGB", 200, 50_000, exif=UPRIGHT), 6, id="jpeg-thin-turned"),
]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process' peak from Linux")
@pytest.mark.parametrize(("make", "most_bytes_a_pixel"), MEMORY)
def test_decoding_keeps_to_what_the_header_says(
    make: functools.partial[bytes], most_bytes_a_pixel: float, tmp_path: Path
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(make())
    header = read_picture_header(path.read_bytes(), ImageSettings(image_size=224, max_image_bytes=2**31))
    assert header is not None
    assert header.decode_bytes <= most_bytes_a_pixel * header.num_pixels + 13 * MIB
    command = [sys.executable, "-c", PEAK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert int(done.stdout) <= header.decode_bytes


@pytest.mark.parametrize("file_format", FORMATS)
def test_format_and_size(file_format: str) -> None:
    header = read_picture_header(encoded(scene(41, 33), file_format), SETTINGS)
    width, height = (64, 64) if file_format == "HEIF" else (41, 33)  # HEVC is coded in blocks, and cropped
    assert header is not None
    assert (header.file_format, header.width, header.height) == (file_format, width, height)
    assert header.num_pixels == width * height


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"save_all": True}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_kind_of_webp(options: dict, mode: str) -> None:
    image = picture(mode, 1234, 567)
    others = {"append_images": [image.transpose(Image.Transpose.ROTATE_180)]} if "save_all" in options else {}
    header = read_picture_header(encoded(image, "WEBP", method=0, **options, **others), SETTINGS)
    assert header is not None
    assert (header.width, header.height) == (1234, 567)


def test_a_jpeg_with_metadata_and_one_in_a_file_of_several() -> None:
    several = io.BytesIO()
    scene(640, 480).save(several, "MPO", save_all=True, append_images=[scene(64, 48)])
    long_comment = encoded(scene(640, 480), "JPEG", exif=UPRIGHT, comment=b"\xff\xd8\xff\xc0" * 9_000)
    for data in (several.getvalue(), long_comment):
        header = read_picture_header(data, SETTINGS)
        assert header is not None
        assert (header.file_format, header.width, header.height) == ("JPEG", 640, 480)


def test_a_picture_over_a_limit_takes_nothing() -> None:
    """It is refused by its header, and must not wait for memory that it will never use."""
    data = encoded(scene(40, 50), "PNG")
    for limits in ({"max_image_pixels": 1_999}, {"max_image_bytes": len(data) - 1}):
        settings = ImageSettings(**limits)
        header = read_picture_header(data, settings)
        assert header is not None
        assert (header.num_pixels, header.decode_bytes) == (2_000, 0)
        with pytest.raises(PictureError):
            decode_picture(data, settings)
    exact = read_picture_header(data, ImageSettings(max_image_pixels=2_000, max_image_bytes=len(data)))
    assert exact is not None
    assert exact.decode_bytes > 2_000


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8 ", b"RIFF----WAVEfmt ", bytes(1000)]
)
def test_what_is_no_picture_has_no_header(data: bytes) -> None:
    assert read_picture_header(data, SETTINGS) is None


@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_headers_never_raise(file_format: str) -> None:
    """Whatever is decoded in spite of the damage had a header."""
    random, whole = np.random.default_rng(0), encoded(scene(64, 48), file_format)
    for length in range(0, min(len(whole), 700), 5):
        read_picture_header(whole[:length], SETTINGS)
    for _ in range(300):
        data = np.frombuffer(whole, np.uint8).copy()
        data[random.integers(0, min(len(data), 200), 3)] = random.integers(0, 256, 3)
        header = read_picture_header(data.tobytes(), SETTINGS)
        try:
            decode_picture(data.tobytes(), SETTINGS)
        except PictureError:
            continue
        assert header is not None
