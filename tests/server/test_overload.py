"""A real server under overload: calls that are rejected, and calls that are not."""

import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aisle_client.v1 import classifier_pb2 as pb
from server.app import SERVICE_NAME, AisleServer
from server.settings import ServerSettings
from tests.server.support import HeldEngine, Stub, later, named, open_channel, retry_delay_s, toy_settings, wait_for

FIRST_RUN_S = 0.5
SERVICE = f"/{SERVICE_NAME}"


@pytest.fixture
def settings(toy_bundle: Path) -> ServerSettings:
    """One product a batch and five calls in flight."""
    return toy_settings(toy_bundle, max_batch_items=1, max_batch_images=1, max_concurrent_rpcs=5)


def answer_slowly(held: HeldEngine, stub: Stub, *products: pb.Product) -> None:
    """Have a request answered in FIRST_RUN_S or longer, and hold the next one."""
    slow = later(stub, *products)
    held.wait_until_busy()
    time.sleep(FIRST_RUN_S)
    held.release()
    assert slow.result(30)
    held.hold()


def test_a_request_that_would_wait_past_its_deadline_is_rejected_at_once(
    held: HeldEngine, fresh_server: AisleServer, fresh_stub: Stub
):
    answer_slowly(held, fresh_stub, named("first"))
    calls = [later(fresh_stub, named("running"))]
    held.wait_until_busy()
    calls.append(later(fresh_stub, named("a"), named("b")))
    pool = next(iter(fresh_server.models)).pool
    wait_for(lambda: pool.scheduler.queued_s > 1.9 * FIRST_RUN_S)  # two products, each of FIRST_RUN_S
    hurried = later(fresh_stub, named("hurried"), timeout_s=FIRST_RUN_S)
    assert hurried.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "s, most of it waiting, the deadline is in 0." in hurried.details()
    assert retry_delay_s(hurried) > 0.9 * FIRST_RUN_S
    calls.append(later(fresh_stub, named("patient")))
    held.release()
    assert [len(call.result(30).classifications) for call in calls] == [1, 2, 1]


def test_a_call_over_the_limit_is_rejected_at_once_and_health_still_answers(
    held: HeldEngine, fresh_channel: grpc.Channel, fresh_stub: Stub
):
    answer_slowly(held, fresh_stub, named("first"))
    calls = [later(fresh_stub, named(f"{i}")) for i in range(6)]
    held.wait_until_busy()
    wait_for(lambda: any(call.done() for call in calls))
    [rejected] = [call for call in calls if call.done()]
    assert rejected.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (
        "at its limit of calls in flight (5, or those it can answer in time); send the request again later"
        in rejected.details()
    )
    assert retry_delay_s(rejected) > 0
    health = health_pb2_grpc.HealthStub(fresh_channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == health_pb2.HealthCheckResponse.SERVING
    held.release()
    assert [len(call.result(30).classifications) for call in calls if call is not rejected] == [1] * 5


def test_a_call_over_the_limit_is_rejected_before_its_message_is_read(
    fresh_server: AisleServer, held: HeldEngine, fresh_channel: grpc.Channel, fresh_stub: Stub
):
    waiting = [later(fresh_stub, named(f"{i}")) for i in range(5)]
    wait_for(lambda: fresh_server._service.calls.num_in_flight == 5)
    malformed = fresh_channel.unary_unary(f"{SERVICE}/Classify").future(b"\xff" * 9, timeout=20)
    assert malformed.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # not INVALID_ARGUMENT
    assert retry_delay_s(malformed) > 0
    held.release()
    assert [len(call.result(30).classifications) for call in waiting] == [1] * 5
    wait_for(lambda: fresh_server._service.calls.num_in_flight == 0)
    read = fresh_channel.unary_unary(f"{SERVICE}/Classify").future(b"\xff" * 9, timeout=20)
    assert read.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_texts_wait_for_the_picture_in_the_engine_only(
    held: HeldEngine, fresh_server: AisleServer, fresh_stub: Stub, jpeg: bytes
):
    """The pictures that wait, and those of other callers, come after them."""
    ended: list[str] = []
    pictures = later(fresh_stub, *[pb.Product(image=jpeg)] * 20)
    pictures.add_done_callback(lambda _: ended.append("pictures"))
    held.wait_until_busy()
    with open_channel(fresh_server) as channel:
        text = later(Stub(channel), named("shirt"))
        text.add_done_callback(lambda _: ended.append("text"))
        wait_for(lambda: next(iter(fresh_server.models)).pool.scheduler.texts.items == 1)
        held.release()
        assert len(text.result(30).classifications) == 1
        outcomes = [classification.WhichOneof("outcome") for classification in pictures.result(30).classifications]
        assert outcomes == ["prediction"] * 20
        wait_for(lambda: len(ended) == 2)
    assert ended == ["text", "pictures"]


def test_larger_requests_are_split_into_batches(held: HeldEngine, fresh_stub: Stub):
    request = later(fresh_stub, *map(named, "abc"))
    held.release()
    assert [c.product_id for c in request.result(30).classifications] == ["id of a", "id of b", "id of c"]
    assert held.batch_sizes == [1, 1, 1]


def test_queue_room_of_pictures_is_released_whatever_their_outcome(
    fresh_server: AisleServer, held: HeldEngine, fresh_stub: Stub, jpeg: bytes
):
    queue = next(iter(fresh_server.models)).pool.scheduler.pictures
    broken = jpeg[: len(jpeg) // 2]
    running = [later(fresh_stub, pb.Product(image=jpeg), pb.Product(image=broken))]
    held.wait_until_busy()
    running += [later(fresh_stub, pb.Product(image=jpeg)) for _ in range(2)]
    left = later(fresh_stub, pb.Product(image=jpeg), pb.Product(image=jpeg))
    wait_for(lambda: queue.items > 2)
    left.cancel()
    wait_for(lambda: queue.items <= 2)
    held.release()
    assert [len(call.result(30).classifications) for call in running] == [2, 1, 1]
    wait_for(lambda: (queue.items, queue.num_bytes) == (0, 0))
