"""Frames: what the server and its engine processes send each other over a socket pair.

A frame is the length of its header (4 bytes, little-endian), the header (a JSON object), and bodies of the lengths
that the header's "bodies" lists. Requests and answers travel in the bodies as they are.
"""

import json
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

_PREFIX = struct.Struct("<I")


@dataclass(frozen=True)
class Frame:
    """One frame.

    Args:
        header: what JSON can say, without "bodies".
    """

    header: dict[str, Any]
    bodies: list[bytes] = field(default_factory=list)


def pack(frame: Frame) -> bytes:
    """The bytes of a frame."""
    header = {**frame.header, "bodies": [len(body) for body in frame.bodies]}
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((_PREFIX.pack(len(text)), text, *frame.bodies))


class FrameReader:
    """Finds the frames in a stream of bytes that arrive in pieces of any length."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._num_bytes = 0
        self._needed = _PREFIX.size

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add a piece; yield the frames that are complete."""
        self._pieces.append(data)
        self._num_bytes += len(data)
        while self._num_bytes >= self._needed:  # pieces are joined once they may hold a whole frame, not one by one
            buffer = b"".join(self._pieces)
            frame, self._needed = _parse(buffer)
            if frame is not None:
                buffer, self._needed = buffer[self._needed :], _PREFIX.size
            self._pieces, self._num_bytes = [buffer], len(buffer)
            if frame is not None:
                yield frame


def receive(connection: socket.socket) -> Frame | None:
    """Wait for the next frame; None when the other side has closed the connection.

    Raises:
        OSError: the connection broke.
    """
    prefix = _receive_exactly(connection, _PREFIX.size)
    text = _receive_exactly(connection, _PREFIX.unpack(prefix)[0]) if prefix else None
    if text is None:
        return None
    header = json.loads(text)
    bodies: list[bytes] = []
    for size in header.pop("bodies"):
        body = _receive_exactly(connection, size)
        if body is None:
            return None
        bodies.append(body)
    return Frame(header, bodies)


def _parse(buffer: bytes) -> tuple[Frame | None, int]:
    """The frame at the start of the buffer, None while it is incomplete; and how many bytes it needs at least."""
    start = _PREFIX.size + _PREFIX.unpack_from(buffer)[0]
    if len(buffer) < start:
        return None, start
    header = json.loads(buffer[_PREFIX.size : start])
    sizes: Sequence[int] = header.pop("bodies")
    end = start + sum(sizes)
    if len(buffer) < end:
        return None, end
    bodies = []
    for size in sizes:
        bodies.append(buffer[start : start + size])
        start += size
    return Frame(header, bodies), end


def _receive_exactly(connection: socket.socket, size: int) -> bytes | None:
    if size == 0:
        return b""
    first = connection.recv(size)
    if len(first) == size:
        return first
    data = bytearray(size)
    data[: len(first)] = first
    view, filled = memoryview(data), len(first)
    while filled < size:
        count = connection.recv_into(view[filled:])
        if count == 0:
            return None
        filled += count
    return bytes(data)
