"""Large requests take turns with those of other callers, and none of them is taken for a hang."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2 as pb
from benchmarks.resilience.faulty_engine import engine_command
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from server.app import AisleServer
from server.calls import open_calls
from server.settings import ServerSettings
from tests.server.support import (
    HeldEngine,
    Stub,
    ask,
    engine_processes,
    later,
    named,
    open_channel,
    png,
    retry_delay_s,
    same_prediction,
    toy_settings,
    violations,
    wait_for,
)

LARGE = (2500, 2000)
NUM_WORDS, WORD_CHARS = 24, 90


@pytest.fixture(scope="module")
def engine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def server(toy_bundle: Path, engine_folder: Path) -> Iterator[AisleServer]:
    settings = toy_settings(toy_bundle, engine_timeout_s=2.0, max_request_pixels=45_000_000)
    server = AisleServer(settings, engine_command(engine_folder))
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture
def other(server: AisleServer) -> Iterator[Stub]:
    """Another caller."""
    with open_channel(server) as channel:
        yield Stub(channel)


@pytest.fixture(scope="module")
def large_picture() -> bytes:
    return png(*LARGE)


def long_name() -> str:
    """A name of different words, each of which is asked for."""
    syllables = "가나다라마바사아자차카타파하"
    letters = (
        "".join(syllables[(i * 7 + j * 3) % len(syllables)] for j in range(WORD_CHARS)) for i in range(NUM_WORDS)
    )
    return " ".join(f"{word}{i:02d}" for i, word in enumerate(letters))


def test_others_are_answered_during_a_request_of_long_names_that_is_no_hang(
    server: AisleServer, stub: Stub, other: Stub, engine_folder: Path
):
    """Every name within the limits, but all together far longer than --engine-timeout-s allows a frame."""
    processes = engine_processes(server)
    held = HeldEngine(engine_folder)
    big = later(stub, *[named(long_name())] * 64, timeout_s=120, include_words=True)
    held.wait_until_busy()
    text = later(other, named("shirt"))
    wait_for(lambda: len(next(iter(server.models)).pool.scheduler._usual.queue._calls) == 2)
    held.release()
    assert text.result(60).classifications[0].HasField("prediction")
    assert not big.done()
    answers = big.result(120).classifications
    assert [len(answer.prediction.words) for answer in answers] == [NUM_WORDS] * 64
    assert engine_processes(server) == processes


def test_others_are_answered_between_large_pictures(
    server: AisleServer, stub: Stub, other: Stub, engine_folder: Path, large_picture: bytes, jpeg: bytes
):
    held = HeldEngine(engine_folder)
    big = later(stub, *[pb.Product(product_name="shirt", image=large_picture)] * 8, timeout_s=120)
    [process] = next(iter(server.models)).pool.dispatcher.processes
    wait_for(lambda: process.has_large)
    others = [later(other, named("shoe")), later(other, pb.Product(image=jpeg))]
    queues = next(iter(server.models)).pool.scheduler
    wait_for(lambda: (queues.texts.items, queues.pictures.items) == (1, 7 + 1))
    held.release()
    for call in others:
        assert call.result(60).classifications[0].HasField("prediction")
    assert not big.done()
    assert [answer.WhichOneof("outcome") for answer in big.result(120).classifications] == ["prediction"] * 8


def test_large_pictures_are_answered_right_wherever_they_are(
    server: AisleServer, stub: Stub, predictor: Predictor, large_picture: bytes, jpeg: bytes
):
    pictures = [None, large_picture, jpeg, large_picture, None]
    products = [Product(f"{i}", f"shoe {i}", image=picture) for i, picture in enumerate(pictures)]
    messages = [pb.Product(product_id=p.product_id, product_name=p.product_name, image=p.image) for p in products]
    response = ask(stub, *messages)
    assert [answer.product_id for answer in response.classifications] == list("01234")
    for answer, expected in zip(response.classifications, predictor.predict(products), strict=True):
        assert isinstance(expected, Prediction)
        assert same_prediction(answer.prediction, expected)
    wait_for(lambda: not any(server._memory.reserved_bytes.values()))


def test_a_request_has_a_limit_of_pixels(server: AisleServer, stub: Stub, large_picture: bytes):
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, named("shirt"), *[pb.Product(image=large_picture)] * 10)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    expected = "products: expected pictures of at most 45000000 pixels together, found 50000000 or more; split"
    assert caught.value.details().startswith(expected)
    assert violations(rpc_status.from_call(caught.value)) == ["products"]
    scheduler = next(iter(server.models)).pool.scheduler
    wait_for(lambda: (scheduler.texts.items, scheduler.pictures.items) == (0, 0))
    assert ask(stub, *[pb.Product(image=large_picture)] * 9).classifications[8].HasField("prediction")


def test_a_request_has_a_limit_of_characters(stub: Stub):
    with pytest.raises(grpc.RpcError) as caught:
        ask(stub, *[pb.Product(product_name="word " * 2_000)] * 250, include_words=True)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "products: expected texts of at most 50000000 characters together, found 62500000" in caught.value.details()


@pytest.fixture
def settings(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> ServerSettings:
    # So small a limit is passed by what the tests themselves allocate; tests/server/test_memory.py has the guard.
    monkeypatch.setattr(open_calls, "allocated_bytes", lambda: 0)
    return toy_settings(toy_bundle, max_batch_items=4, max_batch_images=2, max_memory_bytes=100_000)


def test_what_does_not_fit_into_memory_is_refused_until_the_rest_is_answered(
    held: HeldEngine, fresh_stub: Stub, fresh_server: AisleServer
):
    large = pb.Product(maker="x" * 9_000)  # three copies of 9 KB
    running = [later(fresh_stub, large) for _ in range(3)]
    held.wait_until_busy()
    wait_for(lambda: sum(fresh_server._memory.reserved_bytes.values()) > 80_000)
    with pytest.raises(grpc.RpcError) as caught:
        ask(fresh_stub, large)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "leave no room for 27" in caught.value.details()
    assert retry_delay_s(caught.value) > 0
    small = later(fresh_stub, named("shirt"))
    held.release()
    for call in (*running, small):
        assert call.result(30).classifications[0].HasField("prediction")
    assert len(ask(fresh_stub, large).classifications) == 1
    wait_for(lambda: not any(fresh_server._memory.reserved_bytes.values()))


def test_a_batch_waits_for_as_many_callers_as_there_were(toy_bundle: Path, engine_faults: Path):
    settings = toy_settings(toy_bundle, max_batch_items=4, max_batch_images=2, max_queue_delay_ms=600_000)
    server = AisleServer(dataclasses.replace(settings, engine_timeout_s=60.0), engine_command(engine_faults))
    server.start()
    sizes = HeldEngine(engine_faults)
    sizes.release()
    with open_channel(server) as channel:
        assert len(ask(Stub(channel), *map(named, "abcd")).classifications) == 4
        calls = [later(Stub(channel), named(name)) for name in "abcd"]
        assert [len(call.result(30).classifications) for call in calls] == [1] * 4
    assert sizes.batch_sizes == [4, 4]
    server.stop(grace_s=5)
