"""Boxes of an AVIF or HEIC file, ISO/IEC 14496-12: what items it holds, and where their bytes lie."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

#: Items may share bytes, as equal tiles do; of all items together.
_MOST_ITEM_BYTES = 64 << 20


@dataclass(frozen=True)
class Box:
    """A box's kind, and the positions of what it holds."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Item:
    """A picture, a tile of one, or metadata.

    Args:
        kind: such as b"av01", b"hvc1", b"grid" or b"Exif".
        extents: start and end of each part of its bytes in the file.
    """

    kind: bytes
    extents: tuple[tuple[int, int], ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of all parts."""
        return sum(end - start for start, end in self.extents)


def read_boxes(data: bytes, start: int, end: int) -> list[Box]:
    """Read the heads of the boxes between two positions.

    Raises:
        ValueError, struct.error: one is cut off.
    """
    boxes = []
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        stop = start + size if size else end
        if not body <= stop <= end:
            raise ValueError("expected a whole box")
        boxes.append(Box(kind, body, stop))
        start = stop
    return boxes


def only_box(boxes: list[Box], kind: bytes) -> Box:
    """The one box of a kind.

    Raises:
        ValueError: there is none, or a second one, which a decoder might take instead.
    """
    (found,) = [box for box in boxes if box.kind == kind]
    return found


def read_items(data: bytes, meta: list[Box]) -> list[Item]:
    """Read which items a file holds, of the boxes in its box `meta`.

    Raises:
        ValueError, LookupError, struct.error: broken, or the bytes of an item are not in the file.
    """
    kinds = _item_kinds(data, only_box(meta, b"iinf"))
    item_data = next((box.start for box in meta if box.kind == b"idat"), None)
    items, num_bytes = [], 0
    for number, extents in _item_extents(data, only_box(meta, b"iloc"), item_data):
        items.append(Item(kinds[number], tuple(extents)))
        num_bytes += items[-1].num_bytes
        if num_bytes > _MOST_ITEM_BYTES:
            raise ValueError("expected items within the file")
    return items


def _item_kinds(data: bytes, box: Box) -> dict[int, bytes]:
    kinds: dict[int, bytes] = {}
    for entry in read_boxes(data, box.start + (8 if data[box.start] else 6), box.end):
        if entry.kind == b"infe":
            number, _, kind = struct.unpack_from(">HH4s" if data[entry.start] == 2 else ">IH4s", data, entry.start + 4)
            if number in kinds:
                raise ValueError("expected each item once")
            kinds[number] = kind
    return kinds


def _item_extents(data: bytes, box: Box, item_data: int | None) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Each item's number and extents, of the box iloc."""
    version, sizes = data[box.start], int.from_bytes(data[box.start + 4 : box.start + 6], "big")
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    numbers = _Numbers(data, box.start + 6, box.end)
    wide = 4 if version == 2 else 2
    for _ in range(numbers.take(wide)):
        item = numbers.take(wide)
        method = numbers.take(2) & 15 if version else 0
        if method > 1 or (method == 1 and item_data is None):
            raise ValueError("expected bytes of this file")
        numbers.take(2)
        base = numbers.take(base_size) + (item_data or 0) * method
        extents = []
        for _ in range(numbers.take(2)):
            numbers.take(index_size if version else 0)
            start = base + numbers.take(offset_size)
            end = start + numbers.take(length_size) or len(data)
            if not start < end <= len(data):
                raise ValueError("expected bytes of this file")
            extents.append((start, end))
        yield item, extents


class _Numbers:
    """Numbers of whole bytes, one after the other."""

    def __init__(self, data: bytes, start: int, end: int):
        self._data, self._at, self._end = data, start, end

    def take(self, size: int) -> int:
        start, self._at = self._at, self._at + size
        if self._at > self._end:
            raise ValueError("expected more of the box")
        return int.from_bytes(self._data[start : self._at], "big")
