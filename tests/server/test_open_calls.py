"""Calls that stay open without being answered take nobody's place: watches, silent streams, half messages."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from benchmarks.resilience.raw_http2 import EMPTY_MESSAGE, END_STREAM, HALF_MESSAGE, RawConnections
from server.app import SERVICE_NAME, AisleServer
from server.settings import ServerSettings
from tests.server.support import HeldEngine, Stub, ask, named, open_channel, retry_delay_s, scrape, values, wait_for

CLASSIFY, STREAM = f"/{SERVICE_NAME}/Classify", f"/{SERVICE_NAME}/ClassifyStream"
WATCH = "/grpc.health.v1.Health/Watch"
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def settings(settings: ServerSettings, request: pytest.FixtureRequest) -> ServerSettings:
    """The test's own settings by `parametrize("settings", [{...}], indirect=True)`."""
    return dataclasses.replace(settings, metrics_port=0, **getattr(request, "param", {}))


def reason(error: Any) -> str:
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    assert status is not None, error.details()
    assert status.details[0].Unpack(info)
    return info.reason


def is_healthy(channel: grpc.Channel) -> bool:
    check = health_pb2_grpc.HealthStub(channel).Check
    return check(health_pb2.HealthCheckRequest(), timeout=30).status == SERVING


def num_open(server: AisleServer) -> dict[str, int]:
    return {str(kind): count for kind, count in server._open_calls.counts.items()}


def rejections(server: AisleServer) -> dict[str, float]:
    return {key[1]: count for key, count in values(scrape(server)).items() if key[0] == "aisle_rejections_total"}


def silent_stream(channel: grpc.Channel, is_over: threading.Event) -> Any:
    def nothing() -> Iterator[pb.ClassifyStreamRequest]:
        is_over.wait(60)
        yield from ()

    return classifier_pb2_grpc.ProductClassifierStub(channel).ClassifyStream(nothing(), timeout=60)


def half_sent(channel: grpc.Channel, is_over: threading.Event) -> Any:
    """A unary call of which only the headers are sent."""

    def nothing() -> Iterator[bytes]:
        is_over.wait(60)
        yield from ()

    return channel.stream_unary(CLASSIFY).future(nothing(), timeout=60)


@pytest.fixture
def is_over() -> Iterator[threading.Event]:
    is_over = threading.Event()
    yield is_over
    is_over.set()


@pytest.mark.parametrize("settings", [{"max_concurrent_rpcs": 2}], indirect=True)
def test_many_open_calls_take_no_place_of_classification(
    fresh_server: AisleServer, fresh_channel: grpc.Channel, fresh_stub: Stub
):
    count = 300  # of each kind: grpc's own limit was max_concurrent_rpcs + 256 of all together
    with RawConnections(fresh_server.port, 10) as connections:
        for _ in range(count // 10):
            connections.begin_calls(WATCH, EMPTY_MESSAGE, END_STREAM)
            connections.begin_calls(STREAM)
            connections.begin_calls(STREAM, HALF_MESSAGE)
            connections.begin_calls(CLASSIFY)
            connections.begin_calls(CLASSIFY, HALF_MESSAGE)
        wait_for(lambda: sum(num_open(fresh_server).values()) == 5 * count)
        assert num_open(fresh_server) == {"stream": 2 * count, "watch": count, "arriving": 2 * count}
        assert values(scrape(fresh_server))["aisle_open_calls", "watch"] == count
        for _ in range(20):
            assert len(ask(fresh_stub, named("red shirt")).classifications) == 1
            assert is_healthy(fresh_channel)
        assert connections.num_ended == 0
    wait_for(lambda: sum(num_open(fresh_server).values()) == 0)


@pytest.mark.parametrize("settings", [{"max_concurrent_rpcs": 1}], indirect=True)
def test_a_message_of_a_stream_takes_a_place_while_it_is_answered(
    held: HeldEngine, fresh_channel: grpc.Channel, fresh_stub: Stub
):
    message = pb.ClassifyStreamRequest(request=pb.ClassifyRequest(products=[named("red shirt")]))
    responses = fresh_stub.ClassifyStream(iter([message, message]), timeout=30)
    held.wait_until_busy()
    with pytest.raises(grpc.RpcError) as caught:
        ask(fresh_stub, named("red shirt"))
    assert reason(caught.value) == "TOO_MANY_CALLS"
    assert is_healthy(fresh_channel)
    held.release()
    first, second = responses
    assert len(first.response.classifications) == 1
    assert second.error.message.startswith("the server is at its limit of calls in flight (1,")
    assert any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in second.error.details)
    assert len(ask(fresh_stub, named("red shirt")).classifications) == 1


@pytest.mark.parametrize("settings", [{"max_open_streams": 2, "max_watches": 3}], indirect=True)
def test_streams_and_watches_over_their_bounds_are_refused_and_counted(
    fresh_server: AisleServer, fresh_channel: grpc.Channel, fresh_stub: Stub, is_over: threading.Event
):
    streams = [silent_stream(fresh_channel, is_over) for _ in range(2)]
    wait_for(lambda: num_open(fresh_server)["stream"] == 2)
    with pytest.raises(grpc.RpcError) as caught:
        next(silent_stream(fresh_channel, is_over))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "at its limit of open streams (2); close those not needed, or open this one later" in caught.value.details()
    assert reason(caught.value) == "TOO_MANY_STREAMS"
    assert retry_delay_s(caught.value) > 0
    watch = health_pb2_grpc.HealthStub(fresh_channel).Watch
    watches = [watch(health_pb2.HealthCheckRequest(), timeout=60) for _ in range(3)]
    assert [next(one).status for one in watches] == [SERVING] * 3
    with pytest.raises(grpc.RpcError) as caught:
        next(watch(health_pb2.HealthCheckRequest(), timeout=60))
    assert reason(caught.value) == "TOO_MANY_WATCHES"
    assert retry_delay_s(caught.value) > 0
    assert is_healthy(fresh_channel)
    assert rejections(fresh_server) == {"TOO_MANY_STREAMS": 1, "TOO_MANY_WATCHES": 1}
    for call in (*streams, *watches):
        call.cancel()
    wait_for(lambda: num_open(fresh_server)["watch"] == 0)
    assert next(watch(health_pb2.HealthCheckRequest(), timeout=60)).status == SERVING
    assert len(ask(fresh_stub, named("red shirt")).classifications) == 1


@pytest.mark.parametrize("settings", [{"max_arriving_requests": 3}], indirect=True)
def test_of_the_requests_that_are_arriving_the_one_that_has_waited_longest_gives_way(
    fresh_server: AisleServer, fresh_channel: grpc.Channel, fresh_stub: Stub, is_over: threading.Event
):
    calls = []
    for count in (1, 2, 3):
        calls.append(half_sent(fresh_channel, is_over))
        wait_for(lambda: num_open(fresh_server)["arriving"] == count)  # noqa: B023, called at once
    assert is_healthy(fresh_channel)
    error = calls[0].exception(timeout=30)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "still arriving when 3 other requests were, too, which is the server's limit" in error.details()
    assert reason(error) == "TOO_MANY_ARRIVING"
    assert retry_delay_s(error) > 0
    wait_for(lambda: rejections(fresh_server) == {"TOO_MANY_ARRIVING": 1})
    assert not calls[1].done()
    assert not calls[2].done()
    assert len(ask(fresh_stub, named("red shirt")).classifications) == 1


@pytest.mark.parametrize("settings", [{"message_timeout_s": 0.2, "stream_idle_s": 0.2}], indirect=True)
def test_half_messages_and_silent_streams_end_after_their_time(
    fresh_server: AisleServer, fresh_channel: grpc.Channel, is_over: threading.Event
):
    arriving, stream = half_sent(fresh_channel, is_over), silent_stream(fresh_channel, is_over)
    errors = [arriving.exception(timeout=30), stream.exception(timeout=30)]
    texts = (
        "the message did not arrive within 0.2 s; send the request again",
        "the stream was silent for 0.2 s; open another one when there is more to classify",
    )
    for error, text in zip(errors, texts, strict=True):
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert error.details() == text
        assert reason(error) == "IDLE"
        assert retry_delay_s(error) > 0
    wait_for(lambda: rejections(fresh_server) == {"IDLE": 2})  # counted once grpc has ended the reading
    assert sum(num_open(fresh_server).values()) == 0


@pytest.mark.parametrize("settings", [{"stream_idle_s": 0.1}], indirect=True)
def test_a_stream_is_not_silent_while_it_waits_for_its_answer(held: HeldEngine, fresh_stub: Stub):
    message = pb.ClassifyStreamRequest(request=pb.ClassifyRequest(products=[named("red shirt")]))
    responses = fresh_stub.ClassifyStream(iter([message]), timeout=30)
    held.wait_until_busy()
    threading.Event().wait(0.3)  # three times as long as it may be silent
    held.release()
    assert [len(one.response.classifications) for one in responses] == [1]


def test_a_request_without_a_message_is_invalid_and_one_that_is_left_is_counted(
    fresh_server: AisleServer, fresh_channel: grpc.Channel, is_over: threading.Event
):
    with pytest.raises(grpc.RpcError) as caught:
        fresh_channel.stream_unary(CLASSIFY)(iter(()), timeout=30)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "request: expected one message, found none"
    left = half_sent(fresh_channel, is_over)
    wait_for(lambda: num_open(fresh_server)["arriving"] == 1)
    left.cancel()
    wait_for(lambda: rejections(fresh_server) == {"INVALID_REQUEST": 1, "NO_MESSAGE": 1})


def test_a_message_over_the_limit_is_counted(fresh_server: AisleServer, fresh_channel: grpc.Channel):
    with pytest.raises(grpc.RpcError) as caught:
        fresh_channel.unary_unary(CLASSIFY)(b"\0" * (64 * 1024 * 1024 + 1), timeout=30)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    wait_for(lambda: rejections(fresh_server) == {"NO_MESSAGE": 1})


@pytest.mark.parametrize(
    "method",
    ["health.v1.Health/Check", "health.v1.Health/Watch", "reflection.v1.ServerReflection/ServerReflectionInfo"],
)
def test_a_malformed_message_of_another_service_is_invalid(fresh_channel: grpc.Channel, method: str):
    call = fresh_channel.unary_stream(f"/grpc.{method}")(b"\xff" * 9, timeout=30)
    assert call.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert call.details() == "request: expected a message of grpc, found malformed bytes"


def test_an_unknown_method_is_refused_with_a_sentence(fresh_server: AisleServer, fresh_channel: grpc.Channel):
    with pytest.raises(grpc.RpcError) as caught:
        fresh_channel.unary_unary(f"/{SERVICE_NAME}/Guess")(b"", timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "this server has no such method; server reflection" in caught.value.details()
    assert rejections(fresh_server) == {"UNKNOWN_METHOD": 1}


def test_a_burst_that_the_event_loop_sees_late_is_answered(fresh_server: AisleServer):
    """grpc itself refuses calls, without a reason, when more than 1,000 of a method wait to be taken over."""
    is_free = threading.Event()
    fresh_server._event_loop.call(lambda: is_free.wait(30))
    check = health_pb2.HealthCheckRequest()
    with ExitStack() as stack:
        channels = [stack.enter_context(open_channel(fresh_server)) for _ in range(4)]
        calls = [
            health_pb2_grpc.HealthStub(channel).Check.future(check, timeout=60)
            for _ in range(1000)
            for channel in channels
        ]
        time.sleep(1.0)  # until they have arrived
        is_free.set()
        assert {call.result(60).status for call in calls} == {SERVING}


def test_a_stop_ends_a_message_that_is_arriving_with_a_status(settings: ServerSettings, is_over: threading.Event):
    server = AisleServer(settings)
    server.start()
    with open_channel(server) as channel:
        call = half_sent(channel, is_over)
        wait_for(lambda: num_open(server)["arriving"] == 1)
        server.stop(grace_s=5)
        error = call.exception(timeout=30)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert error.details() == "the server stopped before the message had arrived; send the request to another one"
    assert retry_delay_s(error) > 0
