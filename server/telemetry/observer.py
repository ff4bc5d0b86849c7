"""Sees every call of the service from its beginning to its end, whoever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from grpc_status import rpc_status

from model.errors import SettingsError
from proto.aisle.v1 import classifier_pb2
from server.calls.malformed import tolerant
from server.errors import Refusal, request_status, status_reason
from server.telemetry.metrics import Metrics

if TYPE_CHECKING:  # opentelemetry need not be installed
    from server.telemetry.tracing import CallSpan, Tracing

_SERVICE = classifier_pb2.DESCRIPTOR.services_by_name["ProductClassifier"]
#: A set, because callers may make up names without end. Others, such as health checks, are not counted.
_METHODS = {f"/{_SERVICE.full_name}/{method.name}": method.name for method in _SERVICE.methods}

Behaviour = Callable[[Any, Any], Any]


class Gate(Protocol):
    """Stands before every call."""

    def refusal(self, call: grpc.HandlerCallDetails) -> Refusal | None:
        """Why the call ends here, before its message is read; None where it goes on."""
        ...


class CallObserver(grpc.aio.ServerInterceptor):
    """Lets calls through gates, ends them with the status of the error that their handler raises, and counts them.

    Around each is a span where somebody collects them. What grpc itself refuses (a message over the
    limit, say) is not seen.

    Args:
        tracing: None when nobody collects spans.
        gates: asked in order.
    """

    def __init__(self, metrics: Metrics, tracing: Tracing | None, gates: Sequence[Gate]):
        self._metrics = metrics
        self._tracing = tracing
        self._gates = tuple(gates)
        self._wrapped: dict[tuple[str, Any], Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a call, and let it see what is no message."""
        method = _METHODS.get(handler_call_details.method, "")
        refused: Refusal | None = None
        for gate in self._gates:
            if (refused := gate.refusal(handler_call_details)) is not None:
                break
        handler = refused or await continuation(handler_call_details)
        if handler is None:
            return None
        wrapped = self._wrapped.get((method, handler))
        if wrapped is None:  # there are as many as methods and ways to refuse
            make = self._refusing if refused else self._around
            wrapped = self._wrapped[method, handler] = make(handler, method)
        return wrapped

    def _refusing(self, refused: Refusal, method: str) -> grpc.RpcMethodHandler:
        async def refuse(_messages: Any, context: Any) -> None:
            observed = _Observed(self._metrics, self._tracing, method, context)
            await observed.abort(refused.grpc_status, refused.reason, context)

        return grpc.stream_stream_rpc_method_handler(refuse)  # a stream, because it begins without a message

    def _around(self, handler: Any, method: str) -> Any:
        if method:
            handler = handler._replace(request_deserializer=tolerant(handler.request_deserializer))
        if handler.unary_unary:
            return handler._replace(unary_unary=self._answer_around(handler.unary_unary, method))
        if handler.unary_stream:
            return handler._replace(unary_stream=self._stream_around(handler.unary_stream, method))
        return handler._replace(stream_stream=self._stream_around(handler.stream_stream, method))

    def _answer_around(self, behaviour: Behaviour, method: str) -> Behaviour:
        async def answer(request: Any, context: Any) -> Any:
            observed = _Observed(self._metrics, self._tracing, method, context)
            try:
                with observed.entered():
                    response = await behaviour(request, context)
            except BaseException as error:
                await observed.fail(error, context)
                raise
            observed.end(context.code() or grpc.StatusCode.OK)
            return response

        return answer

    def _stream_around(self, behaviour: Behaviour, method: str) -> Behaviour:
        async def stream(requests: Any, context: Any) -> AsyncIterator[Any]:
            observed = _Observed(self._metrics, self._tracing, method, context)
            responses = behaviour(requests, context)
            try:
                while True:  # entered only while a response is made: it may be the last one that grpc takes
                    with observed.entered():
                        try:
                            response = await anext(responses)
                        except StopAsyncIteration:
                            break
                    yield response
            except BaseException as error:
                await observed.fail(error, context)
                raise
            finally:
                await responses.aclose()
            observed.end(context.code() or grpc.StatusCode.OK)

        return stream


class _Observed:
    """One call; `method` is '' where it is not counted."""

    def __init__(self, metrics: Metrics, tracing: Tracing | None, method: str, context: Any):
        self._metrics = metrics
        self._method = method
        self._span: CallSpan | None = None
        if tracing and method:
            self._span = tracing.begin(_SERVICE.full_name, method, context.invocation_metadata())

    def entered(self) -> AbstractContextManager[Any]:
        return self._span.entered() if self._span else nullcontext()

    async def fail(self, error: BaseException, context: Any) -> None:
        """End the call with the status of an error; where the caller has left there is nobody to tell."""
        if not isinstance(error, Exception):
            self.end(grpc.StatusCode.CANCELLED, "CALLER_LEFT")
            return
        status = request_status(error)
        await self.abort(rpc_status.to_status(status), status_reason(status), context)

    async def abort(self, status: grpc.Status, reason: str, context: Any) -> None:
        """End the call with a status; always raises."""
        self.end(status.code, reason)
        try:
            await context.abort_with_status(status)
        except grpc.aio.AbortError:
            raise
        except Exception as unsent:  # one of grpc's own, where the caller has left in this moment
            raise asyncio.CancelledError from unsent

    def end(self, code: grpc.StatusCode, reason: str = "") -> None:
        if not self._method:
            return
        self._metrics.count_call(self._method, code.name)
        if code != grpc.StatusCode.OK:
            self._metrics.count_rejection(reason or code.name)
        if self._span is not None:
            self._span.end(code)


def open_tracing(otlp_endpoint: str | None) -> Tracing | None:
    """Where spans go; None when nobody collects them.

    Raises:
        SettingsError: opentelemetry is not installed.
    """
    if otlp_endpoint is None:
        return None
    try:
        from server.telemetry.tracing import Tracing, otlp_exporter
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--otlp-endpoint needs packages that are not installed ({error.name}): pip install opentelemetry-sdk"
            " opentelemetry-exporter-otlp-proto-grpc, or leave the flag out"
        ) from error
    return Tracing(otlp_exporter(otlp_endpoint))
