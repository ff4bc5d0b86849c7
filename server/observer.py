"""Sees every call of the service from its beginning to its end, whoever ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc import status_pb2

from model.errors import SettingsError
from proto.aisle.v1 import classifier_pb2
from server.errors import status_reason
from server.metrics import Metrics
from server.unreadable import tolerant

if TYPE_CHECKING:  # opentelemetry need not be installed
    from server.tracing import CallSpan, Tracing

_SERVICE = classifier_pb2.DESCRIPTOR.services_by_name["ProductClassifier"]
#: A set, because callers may make up names without end. Others, such as health checks, are not counted.
_METHODS = {f"/{_SERVICE.full_name}/{method.name}": method.name for method in _SERVICE.methods}
_STATUS_KEY = "grpc-status-details-bin"

Behaviour = Callable[[Any, Any], Any]


class CallObserver(grpc.ServerInterceptor):
    """Counts calls by code, rejections by reason, and puts a span around each call.

    To be the first interceptor, so that it sees what the others refuse. What grpc refuses by itself
    (a message over the limit, say) is seen by no interceptor.

    Args:
        tracing: None when nobody collects spans.
    """

    def __init__(self, metrics: Metrics, tracing: Tracing | None):
        self._metrics = metrics
        self._tracing = tracing

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Wrap the handler of a call, and let it see what is no message."""
        handler: Any = continuation(handler_call_details)
        method = _METHODS.get(handler_call_details.method)
        if handler is None or method is None:
            return handler
        metadata = handler_call_details.invocation_metadata
        handler = handler._replace(request_deserializer=tolerant(handler.request_deserializer))
        if not handler.response_streaming:  # no method of the contract has streams one way only
            return handler._replace(unary_unary=self._answer_around(handler.unary_unary, method, metadata))
        return handler._replace(stream_stream=self._stream_around(handler.stream_stream, method, metadata))

    def _answer_around(self, behaviour: Behaviour, method: str, metadata: Any) -> Behaviour:
        def answer(request: Any, context: Any) -> Any:
            with self._observed(method, metadata, context) as span, span.entered() if span else nullcontext():
                return behaviour(request, context)

        return answer

    def _stream_around(self, behaviour: Behaviour, method: str, metadata: Any) -> Behaviour:
        def stream(requests: Any, context: Any) -> Iterator[Any]:
            with self._observed(method, metadata, context) as span:
                if span is None:
                    yield from behaviour(requests, context)
                else:
                    yield from span.entered_at_each(behaviour(requests, context))

        return stream

    @contextmanager
    def _observed(self, method: str, metadata: Any, context: Any) -> Iterator[CallSpan | None]:
        span = self._tracing.begin(_SERVICE.full_name, method, metadata) if self._tracing else None
        code = grpc.StatusCode.CANCELLED  # grpc drops the stream of a caller who has left
        try:
            yield span
            code = context.code() or (grpc.StatusCode.OK if context.is_active() else grpc.StatusCode.CANCELLED)
        except Exception:
            code = context.code() or grpc.StatusCode.UNKNOWN
            raise
        finally:
            self._metrics.count_call(method, code.name)
            if code != grpc.StatusCode.OK:
                self._metrics.count_rejection(_reason(context, code))
            if span is not None:
                span.end(code)


def open_tracing(otlp_endpoint: str | None) -> Tracing | None:
    """Where spans go; None when nobody collects them.

    Raises:
        SettingsError: opentelemetry is not installed.
    """
    if otlp_endpoint is None:
        return None
    try:
        from server.tracing import Tracing, otlp_exporter
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--otlp-endpoint needs packages that are not installed ({error.name}): pip install opentelemetry-sdk"
            " opentelemetry-exporter-otlp-proto-grpc, or leave the flag out"
        ) from error
    return Tracing(otlp_exporter(otlp_endpoint))


def _reason(context: Any, code: grpc.StatusCode) -> str:
    """The reason of the status that a handler gave; the code where it gave none."""
    for key, value in context.trailing_metadata() or ():
        if key == _STATUS_KEY:
            return status_reason(status_pb2.Status.FromString(value))
    return "CALLER_LEFT" if code == grpc.StatusCode.CANCELLED else code.name
