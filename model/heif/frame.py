"""The picture that an AVIF or HEIC file announces, read without a decoder.

Both are HEIF, ISO/IEC 23008-12. A box may announce less than the coded picture holds, so what is coded is read, too: of
AV1 its sequence header, of a picture in tiles its grid. The decoder of HEVC compares for itself.
"""

import struct
from dataclasses import dataclass

from model.heif.av1 import av1_sizes
from model.heif.boxes import Item, only_box, read_boxes, read_items

_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_FIRST_BRANDS_END = 256
_AV1, _GRID = b"av01", b"grid"
_CODED = {"AVIF": _AV1, "HEIF": b"hvc1"}
#: Kinds of item that may put together more pixels than they announce, or that no decoder here reads.
_REFUSED = frozenset((b"iovl", b"iden", b"tili", b"unci"))
_UNKNOWN_DEPTH = 16
_HEAD = 4  # version and flags, in front of what most boxes hold


@dataclass(frozen=True)
class HeifFrame:
    """The properties by which an AVIF or HEIC picture is decoded.

    Args:
        file_format: AVIF, or HEIF for HEIC.
        width, height: of the largest picture in the file: the picture, one of its tiles, or its transparency.
        is_deep: some samples have more than 8 bits, or it does not say.
        item_bytes: bytes of all items together.
    """

    file_format: str
    width: int
    height: int
    is_deep: bool
    item_bytes: int


def heif_format(data: bytes) -> str | None:
    """Return AVIF, HEIF for HEIC, or None for what is neither."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), _FIRST_BRANDS_END)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIC_BRANDS else None


def read_heif_frame(data: bytes, file_format: str) -> HeifFrame:
    """Read the boxes, and the start of what is coded.

    Args:
        file_format: see `heif_format`.
    Raises:
        ValueError, LookupError, struct.error: broken, cut off, or without a picture.
    """
    whole = only_box(read_boxes(data, 0, len(data)), b"meta")
    meta = read_boxes(data, whole.start + _HEAD, whole.end)
    properties = only_box(meta, b"iprp")
    container = only_box(read_boxes(data, properties.start, properties.end), b"ipco")
    items = read_items(data, meta)
    kinds = {item.kind for item in items}
    if _CODED[file_format] not in kinds or kinds & _REFUSED:
        raise ValueError("expected a coded picture")
    sizes = [size for item in items for size in _coded_sizes(data, item)]
    depths: list[int] = []
    for box in read_boxes(data, container.start, container.end):
        if box.kind == b"ispe":
            sizes.append(struct.unpack_from(">II", data, box.start + _HEAD))
        elif box.kind == b"pixi":
            depths += data[box.start + _HEAD + 1 : box.end]
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    is_deep = max(depths, default=_UNKNOWN_DEPTH) > 8
    return HeifFrame(file_format, width, height, is_deep, sum(item.num_bytes for item in items))


def _coded_sizes(data: bytes, item: Item) -> list[tuple[int, int]]:
    if item.kind not in (_AV1, _GRID):
        return []
    content = b"".join(data[start:end] for start, end in item.extents)
    if item.kind == _AV1:
        return av1_sizes(content)
    return [struct.unpack_from(">II" if content[1] & 1 else ">HH", content, 4)]
