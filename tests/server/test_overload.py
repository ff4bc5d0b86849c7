"""A real server under overload: calls that are rejected, and calls that are not."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from model.engines.engine import Engine
from server.app import SERVICE_NAME, AisleServer
from server.settings import ServerSettings
from tests.server.support import Stub, named, open_channel, retry_delay_s, wait_for

FIRST_RUN_S = 0.5
SERVICE = f"/{SERVICE_NAME}"


class SlowProgram:
    """One program of an engine: slow at first, then held until `release`."""

    def __init__(self, run: Callable[[Any], Any]):
        self.entered = threading.Semaphore(0)
        self._run = run
        self._is_first = True
        self._released = threading.Event()

    def __call__(self, *inputs: Any) -> Any:
        if self._is_first:
            self._is_first = False
            time.sleep(FIRST_RUN_S)
        else:
            self.entered.release()
            assert self._released.wait(20)
        return self._run(*inputs)

    def wait_until_busy(self) -> None:
        assert self.entered.acquire(timeout=20)

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def tight_server(toy_bundle: Path) -> Iterator[AisleServer]:
    """A server with one product per batch and five calls in flight."""
    settings = ServerSettings(
        bundle=toy_bundle, host="127.0.0.1", port=0, engine="openvino", max_batch_items=1, max_batch_images=1,
        engine_threads=1, max_concurrent_rpcs=5,
    )  # fmt: skip
    server = AisleServer(settings)
    server.start()
    yield server
    server.stop(grace_s=0)


@pytest.fixture
def tight_channel(tight_server: AisleServer) -> Iterator[grpc.Channel]:
    with open_channel(tight_server) as channel:
        yield channel


@pytest.fixture
def tight_stub(tight_channel: grpc.Channel) -> Stub:
    return classifier_pb2_grpc.ProductClassifierStub(tight_channel)


@pytest.fixture
def engine(tight_server: AisleServer) -> Engine:
    return next(iter(tight_server.models)).predictor.engine


def later(stub: Stub, *products: pb.Product, timeout_s: float = 30) -> Any:
    return stub.Classify.future(pb.ClassifyRequest(products=products), timeout=timeout_s)


def test_a_request_that_would_wait_past_its_deadline_is_rejected_at_once(
    engine: Engine, tight_server: AisleServer, tight_stub: Stub, monkeypatch: pytest.MonkeyPatch
):
    slow = SlowProgram(engine.classify)
    monkeypatch.setattr(engine, "classify", slow)
    assert later(tight_stub, named("first")).result(30)
    calls = [later(tight_stub, named("running"))]
    slow.wait_until_busy()
    calls.append(later(tight_stub, named("a"), named("b")))
    lane = next(iter(tight_server.models)).pipeline.lanes.text
    wait_for(lambda: lane.num_queued == 2)  # two batches of FIRST_RUN_S
    hurried = later(tight_stub, named("hurried"), timeout_s=FIRST_RUN_S)
    assert hurried.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "s, most of it waiting, the deadline is in 0." in hurried.details()
    assert retry_delay_s(hurried) >= 2 * FIRST_RUN_S
    calls.append(later(tight_stub, named("patient")))
    slow.release()
    assert [len(call.result(30).classifications) for call in calls] == [1, 2, 1]


def test_a_call_over_the_limit_is_rejected_at_once_and_health_still_answers(
    engine: Engine, tight_channel: grpc.Channel, tight_stub: Stub, monkeypatch: pytest.MonkeyPatch
):
    slow = SlowProgram(engine.classify)
    monkeypatch.setattr(engine, "classify", slow)
    assert later(tight_stub, named("first")).result(30)
    calls = [later(tight_stub, named(f"{i}")) for i in range(6)]
    slow.wait_until_busy()
    wait_for(lambda: any(call.done() for call in calls))
    [rejected] = [call for call in calls if call.done()]
    assert rejected.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (
        "at its limit of calls in flight (5, or those it can answer in time); send the request again later"
        in rejected.details()
    )
    assert retry_delay_s(rejected) > 0
    health = health_pb2_grpc.HealthStub(tight_channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == health_pb2.HealthCheckResponse.SERVING
    slow.release()
    assert [len(call.result(30).classifications) for call in calls if call is not rejected] == [1] * 5


def test_a_call_over_the_limit_is_rejected_before_its_message_is_read(
    engine: Engine,
    tight_server: AisleServer,
    tight_channel: grpc.Channel,
    tight_stub: Stub,
    monkeypatch: pytest.MonkeyPatch,
):
    slow = SlowProgram(engine.classify)
    monkeypatch.setattr(engine, "classify", slow)
    held = [later(tight_stub, named(f"{i}")) for i in range(5)]
    wait_for(lambda: tight_server._service.calls.num_in_flight == 5)
    malformed = tight_channel.unary_unary(f"{SERVICE}/Classify").future(b"\xff" * 9, timeout=20)
    assert malformed.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # not INVALID_ARGUMENT
    assert retry_delay_s(malformed) > 0
    slow.release()
    assert [len(call.result(30).classifications) for call in held] == [1] * 5
    wait_for(lambda: tight_server._service.calls.num_in_flight == 0)
    read = tight_channel.unary_unary(f"{SERVICE}/Classify").future(b"\xff" * 9, timeout=20)
    assert read.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_texts_do_not_wait_for_pictures(engine: Engine, tight_stub: Stub, jpeg: bytes, monkeypatch: pytest.MonkeyPatch):
    slow = SlowProgram(engine.encode_images)
    monkeypatch.setattr(engine, "encode_images", slow)
    assert later(tight_stub, pb.Product(image=jpeg)).result(30)
    picture = later(tight_stub, pb.Product(image=jpeg), pb.Product(product_name="shoe", image=jpeg), named("bag"))
    slow.wait_until_busy()
    assert len(later(tight_stub, named("shirt"), timeout_s=20).result().classifications) == 1
    assert not picture.done()
    slow.release()
    outcomes = [classification.WhichOneof("outcome") for classification in picture.result(30).classifications]
    assert outcomes == ["prediction"] * 3


def test_queue_room_of_pictures_is_released_whatever_their_outcome(
    tight_server: AisleServer, engine: Engine, tight_stub: Stub, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
):
    lane = next(iter(tight_server.models)).pipeline.lanes.picture
    slow = SlowProgram(engine.encode_images)
    monkeypatch.setattr(engine, "encode_images", slow)
    broken = jpeg[: len(jpeg) // 2]
    assert later(tight_stub, pb.Product(image=jpeg), pb.Product(image=broken)).result(30)
    running = [later(tight_stub, pb.Product(image=jpeg)) for _ in range(3)]
    for _ in running:
        slow.wait_until_busy()
    left = later(tight_stub, pb.Product(image=jpeg), pb.Product(image=jpeg))
    wait_for(lambda: lane.num_queued == 2)
    left.cancel()
    wait_for(lambda: lane.num_queued == 0)
    slow.release()
    assert [len(call.result(30).classifications) for call in running] == [1, 1, 1]
