"""Thumbnails of every format, from a file or from what it holds; none of what cannot be read."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from catalog.pictures.thumbnail import thumbnail_url
from model.picture_header import FORMATS

register_heif_opener()  # to save HEIC


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_small_jpeg_of_every_format(file_format: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture"
    Image.new("RGB", (400, 200), (255, 0, 0)).save(picture, file_format)
    for image in (str(picture), picture.read_bytes()):
        kind, data = thumbnail_url(image).split(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as small:
            assert small.size == (112, 56)


@pytest.mark.parametrize("image", ["", "https://shop.example/a.jpg", "no/such/file.jpg", b"", b"no picture"])
def test_no_thumbnail_of_what_cannot_be_read(image: str | bytes) -> None:
    assert thumbnail_url(image) == ""
