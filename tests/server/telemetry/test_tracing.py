"""Spans of a real server, as a collector receives them by OTLP."""

import asyncio
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from model.errors import SettingsError
from server.app import AisleServer
from server.inference.request_run import RequestResult
from server.telemetry.observer import open_tracing
from server.telemetry.tracing import Tracing
from tests.server.support import named, open_channel, toy_settings

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
METADATA = (("traceparent", f"00-{TRACE}-{PARENT}-01"), ("authorization", "Bearer secret-0123456789"))
PRODUCT = named("red shirt")


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """A collector that stores the spans it receives."""

    def __init__(self) -> None:
        self.spans: list[trace_pb2.Span] = []
        self.text = ""

    def Export(self, request, context):  # noqa: N802
        self.text += str(request)
        self.spans += [span for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture(scope="module")
def collector(toy_bundle: Path, jpeg: bytes) -> Collector:
    """The collector after three requests of a traced caller, and after the server has stopped."""
    collector = Collector()
    receiver = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, receiver)
    port = receiver.add_insecure_port("127.0.0.1:0")
    receiver.start()
    server = AisleServer(toy_settings(toy_bundle, otlp_endpoint=f"http://127.0.0.1:{port}"))
    server.start()
    with open_channel(server) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        product = pb.Product(product_name="red shirt", image=jpeg)
        stub.Classify(pb.ClassifyRequest(products=[product]), timeout=30, metadata=METADATA)
        with pytest.raises(grpc.RpcError):
            stub.GetModel(pb.GetModelRequest(model="no"), timeout=30)
        messages = [pb.ClassifyStreamRequest(request=pb.ClassifyRequest(products=[PRODUCT]))] * 3
        assert len(list(stub.ClassifyStream(iter(messages), timeout=30))) == 3
    server.stop(grace_s=5)
    receiver.stop(None).wait()
    return collector


def call_span(collector: Collector, method: str) -> trace_pb2.Span:
    [span] = [span for span in collector.spans if span.name == f"aisle.v1.ProductClassifier/{method}"]
    return span


def children(collector: Collector, parent: trace_pb2.Span) -> list[trace_pb2.Span]:
    found = [span for span in collector.spans if span.parent_span_id == parent.span_id]
    return sorted(found, key=lambda span: span.start_time_unix_nano)


def attributes(span: trace_pb2.Span) -> dict[str, str | int]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_call_is_a_span_under_that_of_its_caller_with_its_phases_end_to_end(collector: Collector):
    call = call_span(collector, "Classify")
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, PARENT)
    assert call.kind == trace_pb2.Span.SPAN_KIND_SERVER
    assert attributes(call) == {
        "rpc.system": "grpc",
        "rpc.service": "aisle.v1.ProductClassifier",
        "rpc.method": "Classify",
        "rpc.grpc.status_code": 0,
    }
    phases = children(collector, call)
    assert [phase.name for phase in phases] == ["decode", "queue", "inference"]
    assert {phase.trace_id for phase in phases} == {call.trace_id}
    for earlier, later in itertools.pairwise(phases):
        assert earlier.end_time_unix_nano == later.start_time_unix_nano


def test_a_call_without_a_traceparent_begins_a_trace_with_its_code(collector: Collector):
    call = call_span(collector, "GetModel")
    assert call.trace_id.hex() != TRACE
    assert not call.parent_span_id
    assert attributes(call)["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert call.status.code == trace_pb2.Status.STATUS_CODE_UNSET  # caused by the caller, not by the server


def test_the_messages_of_a_stream_are_answered_under_its_span(collector: Collector):
    names = [phase.name for phase in children(collector, call_span(collector, "ClassifyStream"))]
    assert sorted(names) == ["inference"] * 3 + ["queue"] * 3


def test_no_span_carries_a_token(collector: Collector):
    assert collector.text
    assert "secret" not in collector.text


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def test_a_server_error_marks_the_span_as_an_error(exporter: InMemorySpanExporter):
    tracing = Tracing(exporter)
    for code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.NOT_FOUND):
        tracing.begin("service", "Method", []).end(code)
    tracing.close()
    assert [span.status.is_ok for span in exporter.get_finished_spans()] == [False, True]
    assert exporter.get_finished_spans()[0].status.description == "INTERNAL"


def test_a_current_span_is_the_parent_of_spans_that_begin_within(exporter: InMemorySpanExporter):
    tracing = Tracing(exporter)
    call = tracing.begin("service", "Method", [])
    result = RequestResult(inference_s=0.001)

    async def add_phases() -> None:
        tracing.add_phases(result, 0.002)

    async def run() -> None:
        with call.as_current():
            await add_phases()
            task = asyncio.create_task(add_phases())
        await task
        await add_phases()

    asyncio.run(run())
    call.end(grpc.StatusCode.OK)
    tracing.close()
    *phases, span = exporter.get_finished_spans()
    parents = [phase.parent.span_id if phase.parent else None for phase in phases]
    assert parents == [span.context.span_id, span.context.span_id, None]


def test_the_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "server.telemetry.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert open_tracing(None) is None
    with pytest.raises(SettingsError, match=r"not installed .*: pip install opentelemetry-sdk opentelemetry-exporter"):
        open_tracing("http://127.0.0.1:4317")
