"""Raw HTTP/2 connections: calls that a gRPC library would not make, such as half a message, at little cost."""

import contextlib
import selectors
import socket
import struct
import threading
from collections import Counter
from types import TracebackType

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER = 9
_ACK = END_STREAM = 0x1
_END_HEADERS = 0x4
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7
_PING_BYTES = b"\0" * 8
_CHUNK_BYTES = 65_536
_POLL_S = 0.2

#: An empty message, and the first bytes of one of 1,000 bytes, as gRPC frames them.
EMPTY_MESSAGE = b"\0" + struct.pack(">I", 0)
HALF_MESSAGE = b"\0" + struct.pack(">I", 1000) + b"\x1a\x05"


class RawConnections:
    """Connections to a server on this machine until the end of a `with`; all answer what the server asks of them.

    Args:
        port: port of the server.
        count: number of connections.
    Attributes:
        frames: number of frames received by type; see the properties.
        is_silent: set to answer nothing more, as a caller that has vanished.
    """

    def __init__(self, port: int, count: int = 1):
        self.frames: Counter[int] = Counter()
        self.is_silent = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._is_over = threading.Event()
        self._next_stream = 1
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        for connection in self._sockets:
            connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
            self._selector.register(connection, selectors.EVENT_READ, bytearray())
        self._thread = threading.Thread(target=self._read, name="raw-http2", daemon=True)

    @property
    def num_ended(self) -> int:
        """Number of calls that the server has refused at once or reset."""
        return self.frames[_RST_STREAM]

    @property
    def num_closing(self) -> int:
        """Number of connections that the server closes, as it says in a GOAWAY."""
        return self.frames[_GOAWAY]

    @property
    def num_pings_answered(self) -> int:
        """Number of answers to `ping`."""
        return self.frames[_PING]

    def begin_calls(self, path: str, data: bytes = b"", flags: int = 0) -> None:
        """Begin a call on each connection and send `data` of its messages; END_STREAM in `flags` ends the request."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        frames = _frame(_HEADERS, _END_HEADERS, stream, _headers(path))
        if data:
            frames += _frame(_DATA, flags, stream, data)
        for connection in self._sockets:
            connection.sendall(frames)

    def ping(self) -> None:
        """Send a keepalive ping on each connection."""
        for connection in self._sockets:
            with contextlib.suppress(OSError):  # the server may have closed it
                connection.sendall(_frame(_PING, 0, 0, _PING_BYTES))

    def _read(self) -> None:
        while not self._is_over.is_set():
            for key, _ in self._selector.select(_POLL_S):
                connection, buffer = key.fileobj, key.data
                assert isinstance(connection, socket.socket)
                if self.is_silent.is_set():
                    self._selector.unregister(connection)
                    continue
                try:
                    chunk = connection.recv(_CHUNK_BYTES)
                    buffer += chunk
                    self._take_frames(connection, buffer)
                except OSError:
                    chunk = b""
                if not chunk:
                    self._selector.unregister(connection)

    def _take_frames(self, connection: socket.socket, buffer: bytearray) -> None:
        while len(buffer) >= _FRAME_HEADER:
            size = _FRAME_HEADER + int.from_bytes(buffer[:3], "big")
            if len(buffer) < size:
                return
            kind, flags, body = buffer[3], buffer[4], bytes(buffer[_FRAME_HEADER:size])
            del buffer[:size]
            is_question = kind in (_SETTINGS, _PING) and not flags & _ACK
            if is_question:
                connection.sendall(_frame(kind, _ACK, 0, body if kind == _PING else b""))
            else:
                self.frames[kind] += 1

    def __enter__(self) -> "RawConnections":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        for connection in self._sockets:
            connection.close()
        self._selector.close()


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + body


def _headers(path: str) -> bytes:
    """The headers of a gRPC call, each a literal without indexing (RFC 7541, 6.2.2)."""
    headers = {
        ":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost",
        "content-type": "application/grpc", "te": "trailers",
    }  # fmt: skip
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())


def _text(text: str) -> bytes:
    assert len(text) < 127, f"expected a header of less than 127 bytes, found {text}"
    return bytes((len(text),)) + text.encode("ascii")
