"""The gRPC interceptor that admits, counts and traces calls, and turns exceptions into statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2
from model.errors import SettingsError
from server.errors import Rejection, request_status, status_reason
from server.telemetry.metrics import Metrics

if TYPE_CHECKING:  # opentelemetry need not be installed
    from server.telemetry.tracing import CallSpan, Tracing

_SERVICE = classifier_pb2.DESCRIPTOR.services_by_name["ProductClassifier"]
#: A fixed set, because callers may invent any number of names. Others, such as health checks, are not counted.
_METHODS = {f"/{_SERVICE.full_name}/{method.name}": method.name for method in _SERVICE.methods}

Behaviour = Callable[[Any, Any], Any]


class AdmissionCheck(Protocol):
    """Decides for every call, before its message is read, if it is rejected."""

    def rejection(self, call: grpc.HandlerCallDetails) -> Rejection | None:
        """Return the status that rejects the call; None to admit it."""
        ...


class CallObserver(grpc.aio.ServerInterceptor):
    """Admits calls, ends them with the status of the exception that their handler raises, and counts them.

    With tracing, each call has a span. Calls that grpc itself rejects (such as a message over the size limit)
    are not observed.

    Args:
        tracing: None when no spans are collected.
        admission_checks: checked in order; the first rejection counts.
    """

    def __init__(self, metrics: Metrics, tracing: Tracing | None, admission_checks: Sequence[AdmissionCheck]):
        self._metrics = metrics
        self._tracing = tracing
        self._admission_checks = tuple(admission_checks)
        self._wrapped: dict[tuple[str, Any], Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a call."""
        method = _METHODS.get(handler_call_details.method, "")
        rejection: Rejection | None = None
        for check in self._admission_checks:
            if (rejection := check.rejection(handler_call_details)) is not None:
                break
        handler = rejection or await continuation(handler_call_details)
        if handler is None:
            return None
        wrapped = self._wrapped.get((method, handler))
        if wrapped is None:  # the cache has one entry for each method and each rejection
            wrap = self._rejecting if rejection else self._observing
            wrapped = self._wrapped[method, handler] = wrap(handler, method)
        return wrapped

    def _rejecting(self, rejection: Rejection, method: str) -> grpc.RpcMethodHandler:
        async def reject(_messages: Any, context: Any) -> None:
            observed = _ObservedCall(self._metrics, self._tracing, method, context)
            await observed.abort(rejection.grpc_status, rejection.reason, context)

        return grpc.stream_stream_rpc_method_handler(reject)  # a stream, because it starts before a message is read

    def _observing(self, handler: Any, method: str) -> Any:
        if handler.unary_unary:
            return handler._replace(unary_unary=self._observing_unary(handler.unary_unary, method))
        if handler.unary_stream:
            return handler._replace(unary_stream=self._observing_stream(handler.unary_stream, method))
        return handler._replace(stream_stream=self._observing_stream(handler.stream_stream, method))

    def _observing_unary(self, behaviour: Behaviour, method: str) -> Behaviour:
        async def answer(request: Any, context: Any) -> Any:
            observed = _ObservedCall(self._metrics, self._tracing, method, context)
            try:
                with observed.as_current():
                    response = await behaviour(request, context)
            except BaseException as error:
                await observed.fail(error, context)
                raise
            observed.end(context.code() or grpc.StatusCode.OK)
            return response

        return answer

    def _observing_stream(self, behaviour: Behaviour, method: str) -> Behaviour:
        async def stream(requests: Any, context: Any) -> AsyncIterator[Any]:
            observed = _ObservedCall(self._metrics, self._tracing, method, context)
            responses = behaviour(requests, context)
            try:
                while True:  # the span is current only while a response is made: the call may end at any `yield`
                    with observed.as_current():
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


class _ObservedCall:
    """One call under observation; `method` is '' for a call that is not counted."""

    def __init__(self, metrics: Metrics, tracing: Tracing | None, method: str, context: Any):
        self._metrics = metrics
        self._method = method
        self._span: CallSpan | None = None
        if tracing and method:
            self._span = tracing.begin(_SERVICE.full_name, method, context.invocation_metadata())

    def as_current(self) -> AbstractContextManager[Any]:
        return self._span.as_current() if self._span else nullcontext()

    async def fail(self, error: BaseException, context: Any) -> None:
        """End the call with the status of an error; a call that the caller cancelled gets none."""
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
        except Exception as unsent:  # grpc's own error when the caller cancels at this moment
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
    """Open the exporter of spans; return None when no endpoint is given.

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
