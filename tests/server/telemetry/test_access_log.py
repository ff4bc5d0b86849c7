"""The access log, request ids and compressed answers of a real server."""

import dataclasses
import logging
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from benchmarks.resilience.proxy import Proxy
from server.app import SERVICE_NAME, AisleServer
from server.calls.call_metadata import CallMetadata, current_metadata, read_metadata
from server.settings import ServerSettings
from server.telemetry.logs import TextFormatter, _add_request_id
from tests.server.support import Stub, named, wait_for

TOKEN = "a-token-0123456789"
REQUEST = pb.ClassifyRequest(products=[named("red shirt"), named("laptop")])


@pytest.fixture
def settings(settings: ServerSettings, request: pytest.FixtureRequest) -> ServerSettings:
    return dataclasses.replace(settings, access_log=getattr(request, "param", True))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The records of the access log; caplog's handler gets the filter of the server's own."""
    caplog.set_level(logging.INFO, logger="aisle.access")
    caplog.handler.addFilter(_add_request_id)
    yield caplog
    caplog.handler.removeFilter(_add_request_id)


def access(lines: pytest.LogCaptureFixture, count: int) -> list[dict[str, Any]]:
    """The fields of the lines of the access log, once there are `count`."""
    wait_for(lambda: sum(record.name == "aisle.access" for record in lines.records) >= count)
    return [vars(record) for record in lines.records if record.name == "aisle.access"]


def test_a_call_is_one_line_with_its_request_id_and_never_its_token(fresh_stub: Stub, lines: pytest.LogCaptureFixture):
    metadata = (("x-request-id", "abc-1"), ("authorization", f"Bearer {TOKEN}"))
    fresh_stub.Classify(REQUEST, metadata=metadata, timeout=30)
    [line] = access(lines, 1)
    assert (line["method"], line["code"], line["products"]) == (f"/{SERVICE_NAME}/Classify", "OK", 2)
    assert (line["request_id"], "reason" in line) == ("abc-1", False)
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    assert line["ms"] >= 0
    record = next(record for record in lines.records if record.name == "aisle.access")
    text = TextFormatter().format(record)
    assert f"INFO aisle.access: /{SERVICE_NAME}/Classify OK " in text
    assert "2 products, from ipv4:127.0.0.1:" in text
    assert text.endswith(" (request abc-1)")
    assert TOKEN not in str(vars(record))


def test_streams_health_errors_and_unknown_methods_have_lines(
    fresh_channel: grpc.Channel, fresh_stub: Stub, lines: pytest.LogCaptureFixture
):
    messages = [pb.ClassifyStreamRequest(request=REQUEST)] * 3
    assert len(list(fresh_stub.ClassifyStream(iter(messages), timeout=30))) == 3
    health_pb2_grpc.HealthStub(fresh_channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
    for call in (fresh_stub.Classify, fresh_channel.unary_unary("/no\u00adsuch/Method")):
        with pytest.raises(grpc.RpcError):
            call(pb.ClassifyRequest() if call is fresh_stub.Classify else b"", timeout=30)
    found = [(line["method"], line["code"], line.get("reason"), line["products"]) for line in access(lines, 4)]
    assert found[:3] == [
        (f"/{SERVICE_NAME}/ClassifyStream", "OK", None, 6),
        ("/grpc.health.v1.Health/Check", "OK", None, 0),
        (f"/{SERVICE_NAME}/Classify", "INVALID_ARGUMENT", "INVALID_REQUEST", 0),
    ]
    assert found[3][1:] == ("UNIMPLEMENTED", "UNKNOWN_METHOD", 0)


def test_an_unknown_method_is_shortened_and_quoted(fresh_channel: grpc.Channel, lines: pytest.LogCaptureFixture):
    for method in ("/a/" + "b" * 1000, "/a/b\u2028c"):
        with pytest.raises(grpc.RpcError):
            fresh_channel.unary_unary(method)(b"", timeout=30)
    found = [line["method"] for line in access(lines, 2)]
    assert found[0] == repr("/a/" + "b" * 97 + "...")
    assert "\u2028" not in found[1]


@pytest.mark.parametrize("settings", [False], indirect=True)
def test_there_is_no_access_log_unless_asked_for(fresh_stub: Stub, lines: pytest.LogCaptureFixture):
    fresh_stub.Classify(REQUEST, timeout=30)
    assert not [record for record in lines.records if record.name == "aisle.access"]


def trailing(call: Any) -> dict[str, Any]:
    return dict(call.trailing_metadata())


def test_a_request_id_comes_back_with_answers_and_with_errors(fresh_channel: grpc.Channel, fresh_stub: Stub):
    metadata = (("x-request-id", "abc-2"),)
    _, call = fresh_stub.Classify.with_call(REQUEST, metadata=metadata, timeout=30)
    assert trailing(call) == {"x-request-id": "abc-2"}
    with pytest.raises(grpc.RpcError) as caught:
        fresh_stub.Classify(pb.ClassifyRequest(), metadata=metadata, timeout=30)
    assert set(trailing(caught.value)) == {"x-request-id", "grpc-status-details-bin"}
    stream = fresh_stub.ClassifyStream(iter([pb.ClassifyStreamRequest(request=REQUEST)]), metadata=metadata, timeout=30)
    assert len(list(stream)) == 1
    assert trailing(stream) == {"x-request-id": "abc-2"}
    with pytest.raises(grpc.RpcError) as caught:
        fresh_channel.unary_unary("/no/Method")(b"", metadata=metadata, timeout=30)
    assert trailing(caught.value)["x-request-id"] == "abc-2"
    _, call = fresh_stub.Classify.with_call(REQUEST, timeout=30)
    assert trailing(call) == {}


def test_an_internal_error_is_logged_with_the_request_id(
    fresh_server: AisleServer, fresh_stub: Stub, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    def fail(_model: str, _version: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fresh_server.models, "lease", fail)
    with pytest.raises(grpc.RpcError) as caught:
        fresh_stub.Classify(REQUEST, metadata=(("x-request-id", "abc-3"),), timeout=30)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    [record] = [record for record in lines.records if record.name == "aisle.server" and record.levelname == "ERROR"]
    assert vars(record)["request_id"] == "abc-3"


class CountingProxy(Proxy):
    """Counts the bytes that the server sends."""

    num_bytes = 0

    def _forward(self, source: Any, target: Any, limit: int) -> None:
        if source.getpeername()[1] == self._server_port:
            counted = source

            class Counted:
                def recv(_, size: int) -> bytes:  # noqa: N805
                    chunk = counted.recv(size)
                    self.num_bytes += len(chunk)
                    return chunk

            source = Counted()
        super()._forward(source, target, limit)


def test_an_answer_is_compressed_for_a_caller_that_asks(fresh_server: AisleServer):
    request = pb.ClassifyRequest(products=[named("red shirt")] * 200)
    answers, sizes = [], []
    for metadata in ((), (("accept-encoding", "gzip"),)):
        with CountingProxy(fresh_server.port) as proxy:
            with grpc.insecure_channel(
                f"127.0.0.1:{proxy.port}", options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                stub = classifier_pb2_grpc.ProductClassifierStub(channel)
                answers.append(stub.Classify(request, metadata=metadata, timeout=30))
                stream = stub.ClassifyStream(
                    iter([pb.ClassifyStreamRequest(request=request)]), metadata=metadata, timeout=30
                )
                assert len(next(stream).response.classifications) == 200
            sizes.append(proxy.num_bytes)
    assert answers[0].classifications == answers[1].classifications
    assert sizes[1] < sizes[0] / 3


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ((), CallMetadata()),
        ((("user-agent", "x"),), CallMetadata()),
        ((("x-request-id", "a"), ("x-request-id", "b")), CallMetadata("a")),
        ((("x-request-id", "a" * 129),), CallMetadata()),
        ((("accept-encoding", "deflate, GZIP;q=0.5"),), CallMetadata("", True)),
        ((("accept-encoding", "gzip;q=0"),), CallMetadata()),
        ((("accept-encoding", "identity"),), CallMetadata()),
        ((("x-request-id", "a"), ("accept-encoding", "gzip")), CallMetadata("a", True)),
    ],
)
def test_the_metadata_that_counts(metadata: tuple[tuple[str, str], ...], expected: CallMetadata):
    found = []

    def read() -> None:  # a thread has a context of its own
        read_metadata(metadata)
        found.append(current_metadata.get())

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert found == [expected]
