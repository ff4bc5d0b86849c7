import pytest

from model.picture_header import LARGE_PIXELS
from model.settings import ImageSettings
from server.engine.large_pictures import large_pictures
from tests.server.support import png

SETTINGS = ImageSettings(image_size=32, image_weights="none", max_image_pixels=6_000_000)


def test_large_pictures_are_found_by_their_headers(jpeg: bytes):
    large = png(2500, 2000)
    found = large_pictures([None, jpeg, large, b"no picture", b"", large], SETTINGS)
    assert [(picture.index, picture.num_pixels) for picture in found] == [(2, 5_000_000), (5, 5_000_000)]
    assert all(picture.decode_bytes > picture.num_pixels for picture in found)


@pytest.mark.parametrize(
    ("width", "height", "is_large"),
    [(LARGE_PIXELS // 1000, 1000, False), (LARGE_PIXELS // 1000 + 1, 1000, True), (6001, 1000, False)],
    ids=["the most of a usual one", "one row more", "over the limit, so that it is refused"],
)
def test_the_limits_are_exact(width: int, height: int, is_large: bool):
    assert bool(large_pictures([png(width, height)], SETTINGS)) is is_large
