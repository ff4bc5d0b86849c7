"""A real server with two engine processes that crash, stop or meet a deadly picture: no call is lost."""

import io
import itertools
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from aisle_client.v1 import classifier_pb2 as pb
from benchmarks.resilience.faulty_engine import engine_command, make_deadly
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from server.app import AisleServer
from server.errors import status_reason
from server.inference.backoff import Backoff
from tests.server.support import (
    Stub,
    ask,
    engine_processes,
    is_running,
    later,
    named,
    open_channel,
    same_prediction,
    toy_settings,
    violations,
    wait_for,
)

pytestmark = pytest.mark.long(seconds=30)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NUM_CALLERS = 4


@pytest.fixture(scope="module")
def engine_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faults of the server's engine processes; see `benchmarks.resilience.faulty_engine`."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def server(toy_bundle: Path, engine_folder: Path) -> Iterator[AisleServer]:
    settings = toy_settings(toy_bundle, engine_processes=2, max_batch_items=8, max_batch_images=4)
    server = AisleServer(settings, engine_command(engine_folder))
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture
def both(server: AisleServer) -> list[int]:
    """The two engine processes, once those that a test before has ended are back.

    As after a minute without an end: the next one that ends is replaced without a delay.
    """
    wait_for(lambda: len(engine_processes(server)) == 2)
    next(iter(server.models)).pool._backoff = Backoff()
    return engine_processes(server)


@pytest.fixture(scope="module")
def questions(predictor: Predictor, jpeg: bytes) -> list[tuple[pb.Product, Prediction]]:
    """Products and their right answers."""
    texts = ("반팔 티셔츠", "데님 청바지", "LG gram 노트북", "red shirt")
    products = [Product(text, text, image=picture) for text in texts for picture in (None, jpeg)]
    answers = predictor.predict(products)
    found = []
    for product, answer in zip(products, answers, strict=True):
        assert isinstance(answer, Prediction)
        message = pb.Product(product_name=product.product_name, image=product.image or b"")
        found.append((message, answer))
    return found


def other_picture(number: int) -> bytes:
    """A picture of its own for each number."""
    file = io.BytesIO()
    Image.new("RGB", (40 + number, 30), (number, 0, 0)).save(file, "JPEG")
    return file.getvalue()


@contextmanager
def callers(server: AisleServer, questions: list[tuple[pb.Product, Prediction]]) -> Iterator[list[int]]:
    """Callers that ask until the end and fail with any wrong or missing answer; yields their numbers of answers."""
    is_over = threading.Event()
    num_answers = [0] * NUM_CALLERS

    def ask_in_a_loop(index: int) -> None:
        with open_channel(server) as channel:
            for start in itertools.count(index):
                if is_over.is_set():
                    return
                asked = [questions[(start + i) % len(questions)] for i in range(1 + start % 4)]
                response = ask(Stub(channel), *(product for product, _ in asked))
                for classification, (_, expected) in zip(response.classifications, asked, strict=True):
                    assert same_prediction(classification.prediction, expected), classification
                num_answers[index] += 1

    with ThreadPoolExecutor(NUM_CALLERS) as pool:
        running = [pool.submit(ask_in_a_loop, index) for index in range(NUM_CALLERS)]
        try:
            yield num_answers
        finally:
            is_over.set()
    for caller in running:
        caller.result()


def wait_for_answers(num_answers: list[int], count: int) -> None:
    """Wait until every caller has had so many more answers."""
    before = list(num_answers)
    wait_for(lambda: all(now >= then + count for now, then in zip(num_answers, before, strict=True)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGABRT], ids=lambda number: number.name)
def test_every_call_is_answered_right_while_a_process_ends_and_is_replaced(
    server: AisleServer,
    channel: grpc.Channel,
    both: list[int],
    questions,
    number: signal.Signals,
    caplog: pytest.LogCaptureFixture,
):
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
    statuses: list[int] = []
    watcher = threading.Thread(target=lambda: _collect(watch, statuses))
    watcher.start()
    with callers(server, questions) as num_answers:
        wait_for_answers(num_answers, 3)
        os.kill(both[0], number)
        wait_for(lambda: both[0] not in engine_processes(server))
        wait_for(lambda: len(engine_processes(server)) == 2)
        wait_for_answers(num_answers, 3)
    assert not is_running(both[0])
    assert ("is stopped for" in caplog.text) is (number == signal.SIGSTOP)
    assert both[1] in engine_processes(server)
    watch.cancel()
    watcher.join(30)
    assert statuses == [SERVING]  # the other one served


def _collect(watch: Iterator[health_pb2.HealthCheckResponse], statuses: list[int]) -> None:
    try:
        statuses.extend(response.status for response in watch)
    except grpc.RpcError:  # cancelled
        return


def test_a_process_that_is_stopped_while_it_loads_is_replaced(
    server: AisleServer, both: list[int], caplog: pytest.LogCaptureFixture
):
    pool = next(iter(server.models)).pool
    os.kill(both[0], signal.SIGKILL)
    wait_for(lambda: any(hasattr(process, "_process") for process in list(pool._starting)))
    [loading] = [process.pid for process in pool._starting]
    os.kill(loading, signal.SIGSTOP)
    wait_for(lambda: not is_running(loading))
    wait_for(lambda: len(engine_processes(server)) == 2)
    assert f"engine process {loading}" in caplog.text
    assert "is stopped for" in caplog.text


def test_health_is_not_serving_while_no_process_is_left(
    server: AisleServer, channel: grpc.Channel, stub: Stub, both: list[int]
):
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
    assert next(watch).status == SERVING
    for process in both:
        os.kill(process, signal.SIGKILL)
    assert next(watch).status == NOT_SERVING
    assert ask(stub, named("shirt")).classifications[0].HasField("prediction")  # it waited
    assert next(watch).status == SERVING
    watch.cancel()


def test_a_deadly_picture_is_refused_and_its_neighbours_are_answered(
    server: AisleServer, stub: Stub, both: list[int], engine_folder: Path, questions, caplog: pytest.LogCaptureFixture
):
    deadly = other_picture(1)
    make_deadly(engine_folder, deadly)
    products = [product for product, _ in questions[:3]]
    products.insert(1, pb.Product(product_id="deadly", product_name="shoe", image=deadly))
    response = ask(stub, *products)
    first, refused, *rest = response.classifications
    for classification, (_, expected) in zip((first, *rest), questions, strict=False):
        assert same_prediction(classification.prediction, expected)
    assert refused.product_id == "deadly"
    assert (refused.error.code, status_reason(refused.error)) == (code_pb2.INVALID_ARGUMENT, "POISONED_PRODUCT")
    assert violations(refused.error) == ["products[1]"]
    assert caplog.text.count("has ended with SIGSEGV") == 2
    wait_for(lambda: len(engine_processes(server)) == 2)
    assert set(both) & set(engine_processes(server))  # one serves the others meanwhile


def test_a_deadly_picture_that_comes_again_ends_no_process(
    server: AisleServer, stub: Stub, both: list[int], engine_folder: Path, jpeg: bytes
):
    deadly = other_picture(2)
    make_deadly(engine_folder, deadly)
    poison = pb.Product(image=deadly)
    assert status_reason(ask(stub, poison).classifications[0].error) == "POISONED_PRODUCT"
    wait_for(lambda: len(engine_processes(server)) == 2)
    processes = engine_processes(server)
    assert processes != both
    again = ask(stub, named("shirt"), poison, pb.Product(image=jpeg), poison).classifications
    assert [c.WhichOneof("outcome") for c in again] == ["prediction", "error", "prediction", "error"]
    assert [violations(again[i].error) for i in (1, 3)] == [["products[1]"], ["products[3]"]]
    assert again[0].product_id == "id of shirt"
    [alone] = ask(stub, poison).classifications
    assert status_reason(alone.error) == "POISONED_PRODUCT"
    other = ask(stub, pb.Product(product_name="another name", image=jpeg)).classifications[0]
    assert other.HasField("prediction")
    assert engine_processes(server) == processes


def test_other_callers_are_answered_right_beside_a_deadly_picture(
    server: AisleServer, stub: Stub, both: list[int], engine_folder: Path, questions, caplog: pytest.LogCaptureFixture
):
    deadly = other_picture(3)
    make_deadly(engine_folder, deadly)
    with callers(server, questions) as num_answers:
        wait_for_answers(num_answers, 2)
        refused = ask(stub, named("shirt"), pb.Product(image=deadly)).classifications
        wait_for_answers(num_answers, 2)
    assert [c.WhichOneof("outcome") for c in refused] == ["prediction", "error"]
    assert status_reason(refused[1].error) == "POISONED_PRODUCT"
    assert caplog.text.count("has ended with SIGSEGV") == 2
    wait_for(lambda: len(engine_processes(server)) == 2)
    assert set(both) & set(engine_processes(server))


def test_a_cancelled_request_that_ended_a_process_is_not_tried_again(
    server: AisleServer, stub: Stub, both: list[int], engine_folder: Path, caplog: pytest.LogCaptureFixture
):
    """The caller leaves while the picture waits for the second process, which is still being started."""
    os.kill(both[0], signal.SIGKILL)
    wait_for(lambda: len(engine_processes(server)) == 1)
    deadly = other_picture(4)
    make_deadly(engine_folder, deadly)
    running = later(stub, pb.Product(image=deadly))
    wait_for(lambda: "has ended with SIGSEGV" in caplog.text)
    running.cancel()
    wait_for(lambda: len(engine_processes(server)) == 2)
    assert ask(stub, named("shirt")).classifications[0].HasField("prediction")
    assert caplog.text.count("has ended with SIGSEGV") == 1


def test_no_process_is_left_after_a_stop(toy_bundle: Path):
    server = AisleServer(toy_settings(toy_bundle, engine_processes=2, max_batch_items=2, max_batch_images=2))
    server.start()
    processes = engine_processes(server)
    assert [is_running(process) for process in processes] == [True, True]
    server.stop(grace_s=5)
    assert [is_running(process) for process in processes] == [False, False]
