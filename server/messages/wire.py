"""Serialised messages of protobuf, looked at before they are parsed."""

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


def count_fields(content: bytes, most: int) -> int:
    """The number of fields on the top level of a serialised message, counted up to `most` + 1.

    Of what is no message those before the first wrong byte are counted; parsing says that it is wrong.
    """
    position = count = 0
    while position < len(content) and count <= most:
        count += 1
        _, _, position = _field(content, position)
    return count


def sub_message(content: bytes, number: int) -> bytes | None:
    """The serialised message in a field of a serialised message; of several fields of that number their union.

    Returns:
        None for what is no message.
    """
    found = []
    position = 0
    while position < len(content):
        tag, start, position = _field(content, position)
        if position > len(content) or tag < 8:
            return None
        if tag == number << 3 | _LENGTH_DELIMITED:
            found.append(content[start:position])
    return b"".join(found)


def _field(content: bytes, position: int) -> tuple[int, int, int]:
    """The tag of the field at a position, where its value begins and where it ends: past the end if it is wrong."""
    tag, start = _varint(content, position)
    kind = tag & 7
    if kind == _LENGTH_DELIMITED:
        size, start = _varint(content, start)
        return tag, start, start + size
    if kind == _VARINT:
        return tag, start, _varint(content, start)[1]
    if kind in (_FIXED64, _FIXED32):
        return tag, start, start + (8 if kind == _FIXED64 else 4)
    return tag, start, len(content) + 1  # a group, which no message of ours has


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """The number at a position, and the position behind it, which is past the end where the number is cut off."""
    number = shift = 0
    while position < len(content) and shift <= 63:
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
    return number, len(content) + 1
