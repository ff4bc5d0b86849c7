"""The gRPC interceptor that admits, counts and traces calls, and turns exceptions into statuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import grpc

from model.errors import SettingsError
from server.calls.call_metadata import read_metadata
from server.calls.open_calls import OpenCalls, OpenKind
from server.errors import Rejection, UnknownMethodError
from server.messages.malformed import catch_decode_error, reject_malformed
from server.telemetry.access_log import AccessLine, current_line
from server.telemetry.observed_call import COUNTED_METHODS, SERVICE, Instruments, ObservedCall

if TYPE_CHECKING:  # opentelemetry need not be installed
    from server.telemetry.tracing import Tracing

_METHODS = {f"/{service}/{method}": method for method, service in COUNTED_METHODS.items()}
_OTHER_PACKAGES = "grpc"  # of health and reflection
_UNKNOWN_METHOD = Rejection(
    UnknownMethodError("this server has no such method; server reflection (grpcurl HOST:PORT list) names those it has")
)

Behaviour = Callable[[Any, Any], Any]


class AdmissionCheck(Protocol):
    """Decides for every call, before its message is read, if it is rejected."""

    def rejection(self, call: grpc.HandlerCallDetails) -> Rejection | None:
        """Return the status that rejects the call; None to admit it."""
        ...


class CallObserver(grpc.aio.ServerInterceptor):
    """Admits calls, ends them with the status of the exception that their handler raises, and counts them.

    The messages of unary requests are read here, so that one that does not arrive holds nothing and ends with a
    status. With tracing, each call has a span. What grpc itself answers (such as a message over the size limit) is
    counted as a call without a message.

    Args:
        admission_checks: checked in order; the first rejection counts.
        open_calls: bounds streams, watches and messages that are arriving.
        has_access_log: True to log a line for each call.
    """

    def __init__(
        self,
        instruments: Instruments,
        admission_checks: Sequence[AdmissionCheck],
        open_calls: OpenCalls,
        has_access_log: bool = False,
    ):
        self._instruments = instruments
        self._admission_checks = tuple(admission_checks)
        self._open_calls = open_calls
        self._has_access_log = has_access_log
        self._wrapped: dict[tuple[str, Any], Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a call."""
        method = _METHODS.get(handler_call_details.method, "")
        read_metadata(handler_call_details.invocation_metadata)
        if self._has_access_log:
            current_line.set(AccessLine(handler_call_details.method))
        rejection: Rejection | None = None
        for check in self._admission_checks:
            if (rejection := check.rejection(handler_call_details)) is not None:
                break
        handler = rejection or await continuation(handler_call_details) or _UNKNOWN_METHOD
        wrapped = self._wrapped.get((method, handler))
        if wrapped is None:  # the cache has one entry for each method and each rejection
            wrap = self._rejecting if isinstance(handler, Rejection) else self._observing
            wrapped = self._wrapped[method, handler] = wrap(handler, method)
        return wrapped

    def _rejecting(self, rejection: Rejection, method: str) -> grpc.RpcMethodHandler:
        async def reject(_messages: Any, context: Any) -> None:
            await ObservedCall(self._instruments, method, context).abort(rejection.grpc_status, rejection.reason)

        return grpc.stream_stream_rpc_method_handler(reject)  # a stream, because it starts before a message is read

    def _observing(self, handler: Any, method: str) -> Any:
        """Return a handler that starts before a message is read, too."""
        read = handler.request_deserializer
        if read is not None:
            read = catch_decode_error(read)
        if handler.unary_unary:
            behaviour = self._observing_unary(handler.unary_unary, method)
            return grpc.stream_unary_rpc_method_handler(behaviour, read, handler.response_serializer)
        behaviour = self._observing_stream(handler, method)
        return grpc.stream_stream_rpc_method_handler(behaviour, read, handler.response_serializer)

    def _observing_unary(self, behaviour: Behaviour, method: str) -> Behaviour:
        package = SERVICE.file.package if method else _OTHER_PACKAGES

        async def answer(_messages: Any, context: Any) -> Any:
            observed = ObservedCall(self._instruments, method, context)
            try:
                request = await self._open_calls.read(context)
                observed.has_message = True
                reject_malformed(request, package)
                with observed.as_current():
                    response = await behaviour(request, context)
                await observed.send_compression()
            except BaseException as error:
                await observed.fail(error)
                raise
            observed.succeed()
            return response

        return answer

    def _observing_stream(self, handler: Any, method: str) -> Behaviour:
        kind = OpenKind.STREAM if method else OpenKind.WATCH

        async def stream(messages: Any, context: Any) -> AsyncIterator[Any]:
            observed = ObservedCall(self._instruments, method, context)
            responses: Any = None
            try:
                with self._open_calls.hold(kind):
                    if handler.unary_stream:
                        request = await self._open_calls.read(context)
                        reject_malformed(request, _OTHER_PACKAGES)
                        responses = handler.unary_stream(request, context)
                    else:
                        # The service answers a malformed message of a stream itself, and goes on.
                        responses = handler.stream_stream(messages if method else _well_formed(messages), context)
                    observed.has_message = True
                    while True:  # the span is current only while a response is made: the call may end at any `yield`
                        with observed.as_current():
                            try:
                                response = await anext(responses)
                            except StopAsyncIteration:
                                break
                        yield response
            except BaseException as error:
                await observed.fail(error)
                raise
            finally:
                if responses is not None:
                    await responses.aclose()
            observed.succeed()

        return stream


async def _well_formed(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for message in messages:
        reject_malformed(message, _OTHER_PACKAGES)
        yield message


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
