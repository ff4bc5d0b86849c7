"""A TCP proxy with faults: slow, or half-closed in the middle of a request."""

import contextlib
import socket
import threading
import time

_CHUNK_BYTES = 2048
_CONNECT_TIMEOUT_S = 10.0


class Proxy:
    """Forwards connections to a server on this machine until the end of a `with`.

    Args:
        port: port of the server.
        bytes_per_s: speed of each direction of a connection; 0 is unlimited.
        close_after_bytes: half-close the connection to the server after this many bytes, while the client may still
            read; 0 never does.
    Attributes:
        port: port for clients.
        num_closed: number of half-closed connections.
    """

    def __init__(self, port: int, bytes_per_s: int = 0, close_after_bytes: int = 0):
        self._server_port = port
        self._bytes_per_s = bytes_per_s
        self._close_after_bytes = close_after_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.num_closed = 0
        self._sockets: list[socket.socket] = []

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port), _CONNECT_TIMEOUT_S)
            except OSError:  # closed
                return
            server.settimeout(None)
            self._sockets += [client, server]
            for source, target, limit in ((client, server, self._close_after_bytes), (server, client, 0)):
                threading.Thread(target=self._forward, args=(source, target, limit), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, limit: int) -> None:
        num_bytes = 0
        with contextlib.suppress(OSError):  # either end may close at any time
            while chunk := source.recv(_CHUNK_BYTES):
                target.sendall(chunk)
                num_bytes += len(chunk)
                if limit and num_bytes >= limit:
                    self.num_closed += 1
                    break
                if self._bytes_per_s:
                    time.sleep(len(chunk) / self._bytes_per_s)
            target.shutdown(socket.SHUT_WR)

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        for end in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                end.close()
