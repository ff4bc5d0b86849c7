"""The `health` command, which checks that a server is serving; used as a container's health check."""

from dataclasses import dataclass, field
from typing import Annotated

import grpc
import tyro
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console

from aisle_client.channel import Security, open_channel
from aisle_client.errors import CallError, call_error


@dataclass(frozen=True)
class HealthCommand:
    """Check that a server is ready; the exit code is 1 when it is not."""

    target: str = "localhost:50051"
    """HOST:PORT of the server."""
    service: str = ""
    """Service or model to check, as aisle.v1.ProductClassifier/<model>; empty means the whole server."""
    security: Annotated[Security, tyro.conf.OmitArgPrefixes] = field(default_factory=Security)
    """TLS and token."""
    timeout_s: float = 3.0
    """Longest wait, seconds."""


def health(command: HealthCommand, console: Console) -> None:
    """Print SERVING, or raise an error.

    Raises:
        CallError: the server is not serving, knows no such service, or cannot be reached.
    """
    request = health_pb2.HealthCheckRequest(service=command.service)
    with open_channel(command.target, command.security) as channel:
        try:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
            answer = check(request, timeout=command.timeout_s)
        except grpc.RpcError as error:
            raise call_error(error, command.target) from error
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise CallError(f"expected {command.target} to be SERVING, found {status}", grpc.StatusCode.UNAVAILABLE, {})
    console.print(status)
