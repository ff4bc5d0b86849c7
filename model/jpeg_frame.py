"""The start of a JPEG's frame, read without a decoder."""

import struct
from dataclasses import dataclass

JPEG_START = b"\xff\xd8\xff"
_FRAME_STARTS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE_STARTS = (0xC2, 0xC6, 0xCA, 0xCE)
_WITHOUT_SEGMENT = frozenset((0x01, *range(0xD0, 0xD9)))
_SCAN_START, _END, _FILL = 0xDA, 0xD9, 0xFF
_COEFFICIENT_BYTES = 2


@dataclass(frozen=True)
class JpegFrame:
    """What decides how a JPEG is decoded.

    Args:
        num_components: 1 grey, 3 colours, 4 CMYK.
        kept_bytes: coefficients that a decoder keeps until the last scan, of a progressive JPEG or one with a scan for
            each component; 0 where rows are done one after the other.
    """

    width: int
    height: int
    num_components: int
    kept_bytes: int


def read_jpeg_frame(data: bytes) -> JpegFrame:
    """Walk over the segments up to the first scan.

    Raises:
        ValueError, LookupError, ArithmeticError, struct.error: broken before that.
    """
    position, start, segment = 2, 0, b""
    while True:
        marker = data[position + 1]
        if data[position] != _FILL or marker == _END:
            raise ValueError("expected a marker")
        if marker == _FILL:
            position += 1
        elif marker in _WITHOUT_SEGMENT:
            position += 2
        else:
            body, position = position + 4, position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            if marker in _FRAME_STARTS:
                start, segment = marker, data[body:position]
            elif marker == _SCAN_START:
                return _frame(segment, start in _PROGRESSIVE_STARTS, scan_components=data[body])


def _frame(segment: bytes, is_progressive: bool, scan_components: int) -> JpegFrame:
    _, height, width, num_components = struct.unpack(">BHHB", segment[:6])
    samplings = segment[7 : 6 + 3 * num_components : 3]
    across, down = [sampling >> 4 for sampling in samplings], [sampling & 15 for sampling in samplings]
    kept = 0
    if is_progressive or scan_components < num_components:
        samples = sum(a * d for a, d in zip(across, down, strict=True))
        kept = width * height * samples * _COEFFICIENT_BYTES // (max(across) * max(down))
    return JpegFrame(width, height, num_components, kept)
