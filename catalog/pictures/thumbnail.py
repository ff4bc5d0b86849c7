"""Small pictures of products for reports, as data URLs."""

import base64
import io
from pathlib import Path

from catalog.rows import is_url
from model.pictures import open_picture

_SIDE = 112
_QUALITY = 82


def thumbnail_url(image: str | bytes) -> str:
    """A small JPEG of a picture as a data URL; '' where there is none that can be read.

    Args:
        image: path of its file, or what the file holds.
    """
    if not image or (isinstance(image, str) and is_url(image)):
        return ""
    try:
        with open_picture(Path(image).read_bytes() if isinstance(image, str) else image) as opened:
            opened.draft("RGB", (2 * _SIDE, 2 * _SIDE))
            small = opened.convert("RGB")
            small.thumbnail((_SIDE, _SIDE))
    except Exception:  # decoders raise whatever their format's library does; a report does without the picture
        return ""
    data = io.BytesIO()
    small.save(data, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
