"""AVIF and HEIC are judged by what their boxes and streams say, before a decoder sees them; lies are no way around."""

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from model.errors import PictureError
from model.heif.av1 import av1_sizes
from model.heif.frame import HeifFrame, heif_format, read_heif_frame
from model.picture_header import read_picture_header
from model.pictures import decode_picture, open_picture
from model.settings import ImageSettings

SETTINGS = ImageSettings(image_size=32, max_image_pixels=100_000)
RED, BLUE = (255, 0, 0), (0, 0, 255)
BOTH = pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
register_heif_opener()


def encoded(file_format: str, width: int = 128, height: int = 64, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), RED).convert(mode).save(file, file_format, **options)
    return file.getvalue()


def announcing(data: bytes, width: int, height: int) -> bytes:
    """The same file, whose boxes say another size for every picture in it."""
    changed, at = bytearray(data), data.find(b"ispe")
    while at >= 0:
        changed[at + 8 : at + 16] = struct.pack(">II", width, height)
        at = data.find(b"ispe", at + 4)
    return bytes(changed)


def frame(data: bytes) -> HeifFrame:
    return read_heif_frame(data, heif_format(data) or "")


@BOTH
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_what_a_file_says(file_format: str, mode: str) -> None:
    data = encoded(file_format, mode=mode)
    found = frame(data)
    assert (found.file_format, found.width, found.height, found.is_deep) == (file_format, 128, 64, False)
    assert 0 < found.item_bytes < len(data)


@BOTH
def test_a_bomb_is_refused_by_its_header(file_format: str) -> None:
    with pytest.raises(PictureError) as raised:
        decode_picture(announcing(encoded(file_format), 60_000, 60_000), SETTINGS)
    assert str(raised.value) == (
        "expected at most 100000 pixels, the header announces 60000 x 60000; send a smaller picture"
    )


def test_an_avif_that_announces_less_than_its_stream_holds_is_refused() -> None:
    lie = announcing(encoded("AVIF", 640, 480), 64, 64)
    with pytest.raises(PictureError, match="expected at most 100000 pixels, the header announces 640 x 480"):
        decode_picture(lie, SETTINGS)
    header = read_picture_header(lie, SETTINGS)
    assert header is not None
    assert (header.width, header.height, header.decode_bytes) == (640, 480, 0)


def test_a_heic_that_announces_less_than_its_stream_holds_is_refused_by_its_decoder() -> None:
    with pytest.raises(PictureError, match="damaged or cut off"):
        decode_picture(announcing(encoded("HEIF", 640, 480), 64, 64), SETTINGS)


def test_a_grid_that_announces_less_than_it_puts_together_is_refused() -> None:
    tiles = encoded("HEIF", 600, 400, tile_size=256)
    assert (frame(tiles).width, frame(tiles).height) == (600, 400)
    with pytest.raises(PictureError, match="the header announces 600 x 400"):
        decode_picture(announcing(tiles, 64, 64), SETTINGS)


def test_a_heic_in_tiles_as_telephones_write_it() -> None:
    pixels = decode_picture(encoded("HEIF", 600, 400, tile_size=256), ImageSettings(image_size=32))
    np.testing.assert_allclose(pixels, [[RED] * 32] * 32, atol=4)


def test_an_overlay_is_not_read() -> None:
    """Its canvas may be larger than the picture that is announced."""
    data = encoded("HEIF", 600, 400, tile_size=256).replace(b"grid", b"iovl")
    with pytest.raises(PictureError, match="damaged or cut off"):
        decode_picture(data, ImageSettings(image_size=32))


def test_items_that_repeat_the_file_without_end_are_refused() -> None:
    """Every part of an item may name the same bytes, of which a decoder would make a copy each time."""
    data = encoded("AVIF")
    iloc, size = data.find(b"iloc") - 4, 30
    meta = data.find(b"meta") - 4
    extents = struct.pack(">II", 1, 1 << 20) * 100
    box = struct.pack(">I4sIHHHHH", 22 + len(extents), b"iloc", 0, 0x4400, 1, 1, 0, 100) + extents
    meta_size = int.from_bytes(data[meta : meta + 4], "big") + len(box) - size
    bomb = data[:meta] + meta_size.to_bytes(4, "big") + data[meta + 4 : iloc] + box + data[iloc + size :]
    bomb += struct.pack(">I4s", 8 + (1 << 20), b"free") + bytes(1 << 20)
    with pytest.raises(ValueError, match="items within the file"):
        frame(bomb)


def test_the_still_picture_of_an_animation() -> None:
    file = io.BytesIO()
    images = [Image.new("RGB", (64, 64), color) for color in (RED, BLUE)]
    images[0].save(file, "AVIF", save_all=True, append_images=images[1:])
    assert file.getvalue()[8:12] == b"avis"
    with open_picture(file.getvalue()) as image:
        assert image.n_frames == 1
    np.testing.assert_allclose(decode_picture(file.getvalue(), SETTINGS)[5, 5], RED, atol=4)


def test_the_picture_that_a_heic_of_several_names() -> None:
    file = io.BytesIO()
    images = [Image.new("RGB", (64, 64), color) for color in (RED, BLUE)]
    images[0].save(file, "HEIF", save_all=True, append_images=images[1:], primary_index=1)
    np.testing.assert_allclose(decode_picture(file.getvalue(), SETTINGS)[5, 5], BLUE, atol=4)


def test_without_pillow_heif_a_heic_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it raises ImportError
    with pytest.raises(PictureError) as raised:
        decode_picture(encoded("HEIF"), SETTINGS)
    assert str(raised.value) == (
        "HEIC pictures are decoded with pillow-heif, which is not installed; pip install pillow-heif, or send another"
        " format"
    )
    assert decode_picture(encoded("AVIF"), SETTINGS).shape == (32, 32, 3)


def test_other_files_of_the_same_boxes_are_no_pictures() -> None:
    data = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(64)
    assert heif_format(data) is None
    with pytest.raises(PictureError, match="bytes of none of them"):
        decode_picture(data, SETTINGS)


def test_av1_sequence_headers_by_hand() -> None:
    """A temporal delimiter, and a reduced header of 10 and 9 bits: 640 x 480."""
    bits = "000" + "1" + "1" + "01000" + f"{9:04b}" + f"{8:04b}" + f"{639:010b}" + f"{479:09b}"
    payload = int(bits.ljust(-len(bits) % 8 + len(bits), "0"), 2).to_bytes((len(bits) + 7) // 8, "big")
    stream = b"\x12\x00" + b"\x0a" + bytes([len(payload)]) + payload
    assert av1_sizes(stream) == [(640, 480)]
    with pytest.raises(ValueError, match="expected a sequence header"):
        av1_sizes(b"\x12\x00")
    with pytest.raises(ValueError, match="expected more of the sequence header"):
        av1_sizes(b"\x0a\x01\x18")
