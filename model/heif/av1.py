"""The size that the units of an AV1 stream announce, AV1 specification 5.3 to 5.5."""

_SEQUENCE_HEADER = 1
_HAS_EXTENSION, _HAS_SIZE = 4, 2


def av1_sizes(stream: bytes) -> list[tuple[int, int]]:
    """Read (width, height) in pixels, the most that any frame may have, of each sequence header.

    Raises:
        ValueError, LookupError: there is none, or the stream is broken.
    """
    sizes, at = [], 0
    while at < len(stream):
        head = stream[at]
        at += 2 if head & _HAS_EXTENSION else 1
        size = len(stream) - at
        if head & _HAS_SIZE:
            size, at = _leb128(stream, at)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            sizes.append(_sequence_size(_Bits(stream[at : at + size])))
        at += size
    if not sizes:
        raise ValueError("expected a sequence header")
    return sizes


def _leb128(stream: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a position, and where it ends."""
    value = 0
    for i in range(8):
        value |= (stream[at + i] & 0x7F) << (7 * i)
        if not stream[at + i] & 0x80:
            return value, at + i + 1
    raise ValueError("expected a number of at most 8 bytes")


class _Bits:
    """Numbers of a few bits each, the highest first."""

    def __init__(self, payload: bytes):
        self._bits = int.from_bytes(payload, "big")
        self._num_left = 8 * len(payload)

    def take(self, count: int) -> int:
        self._num_left -= count
        if self._num_left < 0:
            raise ValueError("expected more of the sequence header")
        return self._bits >> self._num_left & (1 << count) - 1

    def skip_uvlc(self) -> None:
        num_zeros = 0
        while not self.take(1):
            num_zeros += 1
        self.take(num_zeros if num_zeros < 32 else 0)


def _sequence_size(bits: _Bits) -> tuple[int, int]:
    """Of the sequence header, past all that stands before the size."""
    bits.take(4)  # profile, still picture
    if bits.take(1):  # the reduced header
        bits.take(5)
    else:
        delay_bits = _skip_timing(bits)
        has_display_delay = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:  # level
                bits.take(1)
            if delay_bits and bits.take(1):
                bits.take(2 * delay_bits + 1)
            if has_display_delay and bits.take(1):
                bits.take(4)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(width_bits) + 1, bits.take(height_bits) + 1


def _skip_timing(bits: _Bits) -> int:
    """Pass the timing and the decoder's model; returns the bits of a buffer delay, 0 without such a model."""
    if not bits.take(1):
        return 0
    bits.take(64)
    if bits.take(1):
        bits.skip_uvlc()
    if not bits.take(1):
        return 0
    delay_bits = bits.take(5) + 1
    bits.take(42)
    return delay_bits
