"""OpenTelemetry spans. The only file that imports it, because its packages are optional.

Sampling and batching follow OpenTelemetry's own environment variables, such as OTEL_TRACES_SAMPLER.
"""

import time
from contextlib import AbstractContextManager
from typing import Any

import grpc
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.inference.request_run import RequestResult

_TIMEOUT_S = 5.0

#: Codes that mark a span as an error; the others are caused by the caller.
_FAULTS = (
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
)


class CallSpan:
    """The span of one call."""

    def __init__(self, span: trace.Span):
        self._span = span

    def as_current(self) -> AbstractContextManager[Any]:
        """Make it the parent of spans that begin within the `with`."""
        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)

    def end(self, code: grpc.StatusCode) -> None:
        """End it with the status of the call."""
        self._span.set_attribute("rpc.grpc.status_code", code.value[0])
        if code in _FAULTS:
            self._span.set_status(trace.StatusCode.ERROR, code.name)
        self._span.end()


class Tracing:
    """Creates spans and exports them in the background.

    Args:
        exporter: closed by `close`.
    """

    def __init__(self, exporter: SpanExporter):
        self._provider = TracerProvider(resource=Resource.create({"service.name": "aisle"}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("aisle.server")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, service: str, method: str, metadata: Any) -> CallSpan:
        """Begin the span of a call, under the caller's span where the metadata has a traceparent."""
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        return CallSpan(
            self._tracer.start_span(
                f"{service}/{method}",
                context=self._propagator.extract(carrier, otel_context.Context()),
                kind=trace.SpanKind.SERVER,
                attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
            )
        )

    def add_phases(self, result: RequestResult, total_s: float) -> None:
        """Add spans for the phases of a request that was just answered, under the current span.

        Their lengths are the answer's timings and they follow each other, although the pictures of one
        request may be in different phases at the same time.
        """
        start_ns = time.time_ns() - round(total_s * 1e9)
        phases = {"decode": result.decode_s, "queue": result.queue_s, "inference": result.inference_s}
        for name, seconds in phases.items():
            if seconds:
                span = self._tracer.start_span(name, start_time=start_ns)
                start_ns += round(seconds * 1e9)
                span.end(start_ns)

    def close(self) -> None:
        """Export the remaining spans."""
        self._provider.shutdown()


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Create an exporter of spans by OTLP over gRPC.

    Args:
        endpoint: http://HOST:PORT, or https://HOST:PORT for TLS.
    """
    return OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=_TIMEOUT_S)
