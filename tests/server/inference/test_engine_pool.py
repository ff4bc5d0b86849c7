"""Real engine processes behind a pool, without a server."""

import asyncio
import dataclasses
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from aisle_client.v1 import classifier_pb2 as pb
from benchmarks.resilience.faulty_engine import engine_command
from model.errors import BundleError, EngineError
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from server.errors import EngineDownError, StoppingError, WaitTooLongError
from server.event_loop import EventLoop
from server.inference.engine_pool import EnginePool
from server.inference.engine_process import ENGINE_COMMAND
from server.inference.memory_budget import MemoryBudget
from tests.server.support import (
    HeldEngine,
    RecordingOwner,
    answered_by,
    is_running,
    named,
    part_of,
    same_prediction,
    toy_settings,
    wait_for,
)

#: An engine process that loads, and from then on fails with every batch.
BROKEN = """
import sys
import server.engine.worker as worker
from model.predictor import Predictor
from server.engine.__main__ import main

class Broken(Predictor):
    is_loaded = False

    def classify(self, *arguments):
        if Broken.is_loaded:
            raise RuntimeError("the device is lost")
        return super().classify(*arguments)

class BrokenWorker(worker.Worker):
    def run(self):
        Broken.is_loaded = True
        super().run()

worker.Predictor = Broken
sys.modules["server.engine.__main__"].Worker = BrokenWorker
main(*map(int, sys.argv[1:3]))
"""


@pytest.fixture(scope="module")
def event_loop() -> Iterator[EventLoop]:
    event_loop = EventLoop("test")
    yield event_loop
    event_loop.close()


@pytest.fixture
def opened(toy_bundle: Path, event_loop: EventLoop) -> Iterator[Callable[..., EnginePool]]:
    """Opens pools, which are closed after the test."""
    pools = []

    def open_pool(command: Sequence[str] = ENGINE_COMMAND, **settings) -> EnginePool:
        small = {"max_batch_items": 4, "max_batch_images": 2, **settings}
        pool = EnginePool(toy_bundle, toy_settings(toy_bundle, **small), event_loop, MemoryBudget(1 << 30), command)
        pools.append(pool)
        pool.open()
        return pool

    yield open_pool
    for pool in pools:
        pool.close()


def on_loop(event_loop: EventLoop, function: Callable, *arguments):
    """Call a function of a pool where it belongs."""

    async def call():
        return function(*arguments)

    return event_loop.run(call())


@contextmanager
def asked(pool: EnginePool, event_loop: EventLoop, request: pb.ClassifyRequest) -> Iterator[list]:
    """Ask in a thread; its answer or error is in the list at the end."""
    found: list = []

    def ask() -> None:
        try:
            found.append(answered_by(pool, event_loop, request))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    yield found
    thread.join(60)
    assert not thread.is_alive()


def test_a_pool_answers_like_the_predictor(opened, event_loop: EventLoop, predictor: Predictor, jpeg: bytes):
    pool = opened(engine_processes=2)
    products = [Product(f"{i}", f"shirt {i}", image=jpeg if i % 3 == 0 else None) for i in range(30)]
    messages = [pb.Product(product_id=p.product_id, product_name=p.product_name, image=p.image) for p in products]
    response = answered_by(pool, event_loop, pb.ClassifyRequest(products=messages))
    for answer, expected in zip(response.classifications, predictor.predict(products), strict=True):
        assert isinstance(expected, Prediction)
        assert answer.product_id == expected.product_id
        assert same_prediction(answer.prediction, expected)
    assert len(pool.process_ids) == 2
    assert pool.dispatcher.text_batches.totals()[1] == 20
    assert pool.dispatcher.picture_batches.totals()[1] == 10


def test_a_pool_describes_what_its_processes_loaded(opened, toy_bundle: Path, predictor: Predictor):
    description = opened(max_batch_images=3, max_image_pixels=100_000).description
    assert (description.name, description.version) == (predictor.bundle.name, predictor.bundle.version)
    assert (description.engine, description.device, description.precision) == ("openvino", "CPU", "float32")
    assert (description.num_threads, description.max_images, description.reads_pictures) == (1, 3, True)
    assert description.categories == predictor.bundle.taxonomy.levels[0]
    assert description.response.limits.max_image_pixels == 100_000


def test_calls_of_a_broken_engine_end_instead_of_breaking_one_process_after_the_other(
    opened, event_loop: EventLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    script = tmp_path / "broken.py"
    script.write_text(BROKEN)
    pool = opened([sys.executable, str(script)])
    with pytest.raises(EngineDownError, match="the engine has failed and is being restarted; send the request again"):
        answered_by(pool, event_loop, pb.ClassifyRequest(products=[named("shirt")]))
    assert caplog.text.count("it fails with a good product, too: RuntimeError('the device is lost')") == 3


def test_a_damaged_bundle_is_told_and_no_process_is_left(
    toy_bundle: Path, event_loop: EventLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    damaged = Path(shutil.copytree(toy_bundle, tmp_path / "shop"))
    (damaged / "calibration.json").write_text("{}")
    pool = EnginePool(damaged, toy_settings(damaged), event_loop, MemoryBudget(1))
    with pytest.raises(BundleError, match=r"is damaged: calibration\.json has SHA-256"):
        pool.open()
    assert pool.is_closed
    assert not pool._restarts
    assert "has ended" not in caplog.text


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("raise SystemExit(3)", "the engine process ended with status 3 before it had loaded the bundle"),
        ("import os; os.kill(os.getpid(), 9)", "the engine process ended with SIGKILL before it had loaded the bundle"),
    ],
)
def test_a_process_that_ends_while_it_loads_is_told(
    toy_bundle: Path, event_loop: EventLoop, program: str, expected: str
):
    command = [sys.executable, "-c", program]
    pool = EnginePool(toy_bundle, toy_settings(toy_bundle), event_loop, MemoryBudget(1), command)
    with pytest.raises(EngineError, match=expected):
        pool.open()


def test_a_process_that_hangs_while_it_loads_is_ended(
    toy_bundle: Path, event_loop: EventLoop, caplog: pytest.LogCaptureFixture
):
    asleep = (sys.executable, "-c", "import time; time.sleep(600)")
    pool = EnginePool(toy_bundle, toy_settings(toy_bundle), event_loop, MemoryBudget(1 << 30), asleep)
    with ThreadPoolExecutor(1) as executor:
        opening = executor.submit(pool.open)
        wait_for(lambda: bool(pool._starting))
        on_loop(event_loop, pool.watch, 299.0)  # a slow disk
        assert "made no progress" not in caplog.text
        on_loop(event_loop, pool.watch, 2.0)
        with pytest.raises(EngineError, match="the engine process ended with SIGKILL before it had loaded the bundle"):
            opening.result(30)
    assert "made no progress for 301.0 s; it is ended" in caplog.text


def test_a_process_that_loaded_another_bundle_is_not_used(
    opened, event_loop: EventLoop, caplog: pytest.LogCaptureFixture
):
    pool = opened(engine_processes=1)
    pool.description = dataclasses.replace(pool.description, version="the one before")
    os.kill(pool.process_ids[0], signal.SIGKILL)
    wait_for(lambda: "holds another bundle now; put new versions beside old ones" in caplog.text)
    with pytest.raises(EngineDownError):
        answered_by(pool, event_loop, pb.ClassifyRequest(products=[named("shirt")]))


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.01, 0.1])
def test_closing_ends_what_is_being_opened(toy_bundle: Path, event_loop: EventLoop, delay_s: float):
    """At any moment of the start; a process that was just spawned is not forgotten."""
    pool = EnginePool(toy_bundle, toy_settings(toy_bundle), event_loop, MemoryBudget(1))
    with ThreadPoolExecutor(1) as threads:
        opening = threads.submit(pool.open)
        wait_for(lambda: bool(pool._starting))
        threading.Event().wait(delay_s)
        [process] = pool._starting
        pool.close()
        assert isinstance(opening.exception(60), EngineError)
    assert not is_running(process.pid)


def test_what_waits_ends_when_the_pool_is_closed(opened, event_loop: EventLoop, engine_faults: Path):
    pool = opened(engine_command(engine_faults))
    held = HeldEngine(engine_faults)
    request = pb.ClassifyRequest(products=[named("shirt")] * 20)
    with asked(pool, event_loop, request) as found:
        held.wait_until_busy()
        processes = pool.process_ids
        pool.close()
    assert isinstance(found[0], StoppingError)
    assert not any(map(is_running, processes))
    with pytest.raises(StoppingError):
        answered_by(pool, event_loop, request)


def test_the_wait_is_that_of_what_runs_and_a_turn_of_the_others(opened, event_loop: EventLoop, engine_faults: Path):
    pool = opened(engine_command(engine_faults))
    one = [part_of(num_products=1)]
    assert pool.wait_s("another", one) == 0.0
    held = HeldEngine(engine_faults)
    with asked(pool, event_loop, pb.ClassifyRequest(products=[named("shirt")] * 20)) as found:
        held.wait_until_busy()
        in_flight_s = sum(process.expected_s for process in pool.dispatcher.processes)
        turn_s = pool.scheduler.costs.seconds(one[0])
        assert on_loop(event_loop, pool.wait_s, "another", one) == pytest.approx(in_flight_s + turn_s)
        held.release()
    assert len(found[0].classifications) == 20
    wait_for(lambda: pool.wait_s("another", one) == 0.0)
    assert pool.scheduler.queued_s == pytest.approx(0.0)


def test_an_idle_process_answers_whatever_was_expected(opened, event_loop: EventLoop):
    """Its time corrects the estimate; a pause of the machine would otherwise refuse callers for ever."""
    pool = opened()
    for _ in range(20):
        on_loop(event_loop, pool.scheduler.costs.add, [part_of(num_products=1)], 0.0, 1e6)
    request = pb.ClassifyRequest(products=[named("shirt")])
    for _ in range(6):
        assert len(answered_by(pool, event_loop, request, timeout_s=1000.0).classifications) == 1
    assert pool.scheduler.costs.seconds(part_of(num_products=1)) < 100


def test_a_request_that_would_be_late_is_refused_while_others_wait(opened, event_loop: EventLoop, engine_faults: Path):
    pool = opened(engine_command(engine_faults))
    held = HeldEngine(engine_faults)
    request = pb.ClassifyRequest(products=[named("shirt")])
    with asked(pool, event_loop, request):
        held.wait_until_busy()
        for _ in range(9):
            on_loop(event_loop, pool.scheduler.costs.add, [part_of(num_products=1)], 0.0, 1e9)
        with asked(pool, event_loop, request):  # has no deadline
            wait_for(lambda: pool.wait_s("another", [part_of(num_products=1)]) > 1e8)
            with pytest.raises(WaitTooLongError, match="most of it waiting"):
                answered_by(pool, event_loop, request, timeout_s=1000.0)
            held.release()


@pytest.mark.parametrize(("num_products", "num_frames"), [(1, 1), (12, 2)])
def test_the_parts_of_a_killed_process_are_answered_by_the_next(
    opened, event_loop: EventLoop, engine_faults: Path, num_products: int, num_frames: int
):
    """Both what it was answering and what still waited in it."""
    pool = opened(engine_command(engine_faults))
    held = HeldEngine(engine_faults)
    names = [f"shirt {i}" for i in range(num_products)]
    with asked(pool, event_loop, pb.ClassifyRequest(products=map(named, names))) as found:
        held.wait_until_busy()
        wait_for(lambda: len(pool.dispatcher.processes[0].in_flight) == num_frames)
        os.kill(pool.process_ids[0], signal.SIGKILL)
        held.release()
    assert [answer.product_id for answer in found[0].classifications] == [f"id of {name}" for name in names]
    assert all(answer.HasField("prediction") for answer in found[0].classifications)


def test_a_part_that_nobody_waits_for_is_not_tried_again(opened, event_loop: EventLoop, engine_faults: Path):
    pool = opened(engine_command(engine_faults))
    held = HeldEngine(engine_faults)
    owner = RecordingOwner()
    part = part_of([named("a"), named("b")], owner)
    on_loop(event_loop, pool.submit, [part])
    held.wait_until_busy()
    on_loop(event_loop, pool.withdraw, part)
    [killed] = pool.process_ids
    os.kill(killed, signal.SIGKILL)
    held.release()
    wait_for(lambda: pool.process_ids not in ([], [killed]))
    assert not pool.scheduler.has_suspects
    assert (owner.answers, owner.errors, owner.cuts) == ([], [], [])


def test_an_owner_that_is_gone_gets_nothing(opened, event_loop: EventLoop, engine_faults: Path):
    pool = opened(engine_command(engine_faults))
    held = HeldEngine(engine_faults)
    owner = RecordingOwner()
    parts = [part_of([named("a")], owner), part_of([named("b")], owner)]

    async def submit() -> None:
        pool.submit(parts)
        await asyncio.sleep(0)

    event_loop.run(submit())
    held.wait_until_busy()
    on_loop(event_loop, pool.withdraw, parts[0])
    held.release()
    wait_for(lambda: len(owner.answers) == 1)
    assert [part for part, _ in owner.answers] == [parts[1]]
    assert not owner.errors
