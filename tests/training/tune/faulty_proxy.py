"""A TCP proxy between a worker and its chief that a test can cut, stall and restore."""

import contextlib
import socket
import threading


class FaultyProxy:
    """Forwards connections to a port until it is cut or stalled.

    Args:
        port: local port of the chief; may change while no client is connected.
    """

    def __init__(self, port: int):
        self.port = port
        self._is_cut = False
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset open connections and refuse new ones."""
        self._is_cut = True
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def stall(self) -> None:
        """Keep connections open without forwarding, as when a cable is pulled."""
        self._flows.clear()

    def restore(self) -> None:
        """Forward connections again."""
        self._is_cut = False
        self._flows.set()

    def close(self) -> None:
        """Close the listening port."""
        self.restore()
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                near.close()
                continue
            self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
        except OSError:
            pass
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
