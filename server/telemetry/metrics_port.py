"""The HTTP port that serves metrics to Prometheus."""

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

_METRICS_PATH = "/metrics"


class MetricsPort:
    """Serves GET /metrics from a registry, on threads of its own; any other path gets a sentence.

    Args:
        port: 0 takes a free one.
        grpc_address: returns HOST:PORT of the gRPC server, for callers that came here in its place.
    Attributes:
        port: the port it listens on.
    Raises:
        OSError: the port is taken or the address is not of this machine.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int, grpc_address: Callable[[], str]):
        address = host.strip("[]")  # gRPC writes IPv6 addresses in brackets
        self._metrics = make_wsgi_app(registry)
        self._grpc_address = grpc_address
        self._server = make_server(address, port, self._answer, _server_class(address, port), _QuietHandler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environment.get("PATH_INFO", "")
        if path == _METRICS_PATH:
            return self._metrics(environment, start_response)
        text = (
            f"This port of Aisle serves metrics to Prometheus: GET {_METRICS_PATH}. Products are classified by gRPC"
            f" (HTTP/2, not JSON) on {self._grpc_address()}: python -m client classify, or grpcurl.\n"
        ).encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
        start_response("200 OK" if path in ("", "/") else "404 Not Found", headers)
        return [text]


class _QuietHandler(WSGIRequestHandler):
    """Logs no line for each scrape."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def _server_class(address: str, port: int) -> type[ThreadingWSGIServer]:
    class Server(ThreadingWSGIServer):
        address_family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]

    return Server
