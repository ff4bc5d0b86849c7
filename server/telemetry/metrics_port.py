"""The HTTP port that serves metrics to Prometheus."""

from prometheus_client import CollectorRegistry, start_http_server


class MetricsPort:
    """Serves GET /metrics from a registry, on threads of its own.

    Args:
        port: 0 takes a free one.
    Attributes:
        port: the port it listens on.
    Raises:
        OSError: the port is taken or the address is not of this machine.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int):
        address = host.strip("[]")  # gRPC writes IPv6 addresses in brackets
        self._server, self._thread = start_http_server(port, address, registry)
        self.port = self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
