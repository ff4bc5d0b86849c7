"""One call under observation: its metrics, span, access line and status."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2, search_pb2
from server.calls.call_metadata import NO_WISHES, REQUEST_ID, current_metadata
from server.errors import request_status, status_reason
from server.open_inference import open_inference_pb2
from server.telemetry.access_log import current_line
from server.telemetry.metrics import Metrics

if TYPE_CHECKING:  # opentelemetry need not be installed
    from server.telemetry.tracing import CallSpan, Tracing

SERVICE = classifier_pb2.DESCRIPTOR.services_by_name["ProductClassifier"]
_SEARCH = search_pb2.DESCRIPTOR.services_by_name["ProductSearch"]
_INFERENCE = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
#: The methods that are counted, by name, with their services. A fixed set, because callers may invent any number of
#: names. Others, such as health checks, are not counted.
COUNTED_METHODS = {
    **{method.name: service.full_name for service in (SERVICE, _SEARCH) for method in service.methods},
    "ModelInfer": _INFERENCE.full_name,
}

#: Reasons of calls that ended without the server's doing; of the other services' calls they are not counted.
_CALLER_LEFT = "CALLER_LEFT"
_NO_MESSAGE = "NO_MESSAGE"


@dataclass(frozen=True)
class Instruments:
    """What a call is observed with.

    Args:
        tracing: None when no spans are collected.
    """

    metrics: Metrics
    tracing: Tracing | None


class ObservedCall:
    """One call under observation.

    Args:
        method: '' for a call of another service, of which refusals alone are counted.
    Attributes:
        has_message: False while the message of a unary request is arriving.
    """

    def __init__(self, instruments: Instruments, method: str, context: Any):
        self._metrics = instruments.metrics
        self._method = method
        self._context = context
        self._span: CallSpan | None = None
        self._is_compressed = False
        self.has_message = False
        if instruments.tracing and method:
            self._span = instruments.tracing.begin(COUNTED_METHODS[method], method, context.invocation_metadata())
        wishes = current_metadata.get()
        if wishes is not NO_WISHES:
            if wishes.request_id:
                context.set_trailing_metadata(((REQUEST_ID, wishes.request_id),))
            if wishes.accepts_gzip:
                context.set_compression(grpc.Compression.Gzip)
                self._is_compressed = True

    def as_current(self) -> AbstractContextManager[Any]:
        """Make its span the parent of spans that begin within the `with`."""
        return self._span.as_current() if self._span else nullcontext()

    async def send_compression(self) -> None:
        """Send the headers of an answer that is compressed; with a single answer grpc would not name its encoding."""
        if self._is_compressed:
            await self._context.send_initial_metadata(())

    async def fail(self, error: BaseException) -> None:
        """End the call with the status of an error; a call that the caller cancelled gets none."""
        if not isinstance(error, Exception):
            self._end(grpc.StatusCode.CANCELLED, _CALLER_LEFT if self.has_message else _NO_MESSAGE)
            return
        status = request_status(error)
        await self.abort(rpc_status.to_status(status), status_reason(status))

    async def abort(self, status: grpc.Status, reason: str) -> None:
        """End the call with a status; always raises."""
        context = self._context
        self._end(status.code, reason)
        try:
            await context.abort(
                status.code, status.details, (*status.trailing_metadata, *(context.trailing_metadata() or ()))
            )
        except grpc.aio.AbortError:
            raise
        except Exception as unsent:  # grpc's own error when the caller cancels at this moment
            raise asyncio.CancelledError from unsent

    def succeed(self) -> None:
        """End the call with the status that its handler has set, which is OK without one."""
        code = self._context.code() or grpc.StatusCode.OK
        self._end(code, "" if code == grpc.StatusCode.OK else code.name)

    def _end(self, code: grpc.StatusCode, reason: str) -> None:
        if self._method:
            self._metrics.count_call(self._method, code.name)
        is_refusal = reason not in ("", code.name, _CALLER_LEFT, _NO_MESSAGE)
        if reason and (self._method or is_refusal):
            self._metrics.count_rejection(reason)
        if self._span is not None:
            self._span.end(code)
        if (line := current_line.get()) is not None:
            line.write(code, reason, self._context.peer())
