"""A question and its hits side by side as one picture."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from catalog.rows import is_url
from model.errors import PictureError
from model.pictures import open_picture
from retrieval.index.record import Hit

_SIDE = 180
_GAP = 14
_CAPTION = 34
_PAGE, _TILE, _INK, _FRAME = (244, 246, 248), (226, 231, 236), (29, 37, 48), (11, 122, 117)


def write_contact_sheet(path: Path, asked: Path | None, hits: Sequence[Hit]) -> None:
    """Draw a PNG: the picture that was asked about, then the hits, best first, with their scores.

    Args:
        asked: the picture; None for a question without one.
    Raises:
        PictureError: the file cannot be written.
    """
    tiles = [("asked", "", asked)]
    tiles += [(f"{rank}.  {hit.score:.3f}", hit.product_id, _file(hit)) for rank, hit in enumerate(hits, start=1)]
    width = _GAP + len(tiles) * (_SIDE + _GAP)
    sheet = Image.new("RGB", (width, _SIDE + 2 * _GAP + _CAPTION), _PAGE)
    draw = ImageDraw.Draw(sheet)
    for number, (title, text, file) in enumerate(tiles):
        left = _GAP + number * (_SIDE + _GAP)
        sheet.paste(_tile(file), (left, _GAP))
        if not number:
            draw.rectangle([left - 3, _GAP - 3, left + _SIDE + 2, _GAP + _SIDE + 2], outline=_FRAME, width=3)
        draw.text((left, _GAP + _SIDE + 5), _plain(title), fill=_INK)
        draw.text((left, _GAP + _SIDE + 19), _plain(text), fill=_INK)
    try:
        sheet.save(path, "PNG")
    except (OSError, ValueError) as error:
        raise PictureError(f"{path} cannot be written: {error}; choose another path or free space") from error


def _tile(file: Path | None) -> Image.Image:
    """A square; plain grey where there is no picture that can be read."""
    tile = Image.new("RGB", (_SIDE, _SIDE), _TILE)
    if file is None:
        return tile
    try:
        with open_picture(file.read_bytes()) as opened:
            small = opened.convert("RGB")
            small.thumbnail((_SIDE, _SIDE))
    except Exception:  # decoders raise whatever their format's library does
        return tile
    tile.paste(small, ((_SIDE - small.width) // 2, (_SIDE - small.height) // 2))
    return tile


def _file(hit: Hit) -> Path | None:
    image = hit.attributes.image
    return None if not image or is_url(image) else Path(image)


def _plain(text: str) -> str:
    """Replace what Pillow's own font cannot draw."""
    return text.encode("ascii", "replace").decode()[:26]
