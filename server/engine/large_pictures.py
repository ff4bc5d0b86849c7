"""Pictures whose decoding takes long or much memory, so that the server admits them one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.picture_header import LARGE_PIXELS, read_picture_header
from model.settings import ImageSettings


@dataclass(frozen=True)
class LargePicture:
    """A large picture of a part.

    Args:
        index: position of its product in the part.
        num_pixels: as its header says.
        decode_bytes: most memory that decoding takes, bytes.
    """

    index: int
    num_pixels: int
    decode_bytes: int


def large_pictures(pictures: Sequence[bytes | None], settings: ImageSettings) -> list[LargePicture]:
    """The large ones among the pictures of a part's products; those over a limit will be refused and are none."""
    found = []
    for i, picture in enumerate(pictures):
        header = read_picture_header(picture, settings) if picture else None
        if header is not None and LARGE_PIXELS < header.num_pixels <= settings.max_image_pixels:
            found.append(LargePicture(i, header.num_pixels, header.decode_bytes))
    return found
