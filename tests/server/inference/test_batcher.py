import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from server.errors import BatchError, DeadlineExceededError, EngineDownError, QueueFullError, StoppingError
from server.inference.batch import SubmissionResult
from server.inference.batcher import Batcher, BatchLimits

LIMITS = BatchLimits(max_batch_items=4, max_queue_items=8, max_queue_bytes=1000)
GOOD = 100.0
ITEM_BYTES = 8

Doubler = Batcher[float, float]


class HeldDoubler:
    """A program that doubles numbers, records its batches and can be held."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.is_broken = False

    def __call__(self, items: list[float]) -> list[float]:
        self.batches.append(items)
        self.entered.release()
        assert self.open.wait(10)
        if self.is_broken:
            raise RuntimeError("the engine is broken")
        if min(items) < 0:
            raise FloatingPointError("a negative number")
        return [2 * item for item in items]


@pytest.fixture
def program() -> HeldDoubler:
    return HeldDoubler()


@pytest.fixture
def batcher(program: HeldDoubler) -> Iterator[Doubler]:
    batcher = Batcher("test", program, LIMITS, GOOD)
    yield batcher
    program.open.set()
    batcher.close()


@pytest.fixture
def pair(program: HeldDoubler) -> Iterator[Doubler]:
    """A batcher with two workers."""
    batcher = Batcher("pair", program, LIMITS, GOOD, num_workers=2)
    yield batcher
    program.open.set()
    batcher.close()


def submit(batcher: Doubler, *items: float, **deadline: float) -> "Future[SubmissionResult[float]]":
    return batcher.submit(items, ITEM_BYTES * len(items), **deadline)


def hold(program: HeldDoubler, batcher: Doubler) -> None:
    """Keep the program busy with one item, so that later submissions have to queue."""
    program.open.clear()
    submit(batcher, 0)
    assert program.entered.acquire(timeout=10)


def doubled(future) -> list[float]:
    return future.result(10).results


def test_an_idle_program_starts_at_once_with_the_queued_items(program: HeldDoubler, batcher: Doubler):
    assert doubled(submit(batcher, 1, 2)) == [2, 4]
    assert program.batches == [[1, 2]]


def test_items_queued_while_the_program_is_busy_form_one_batch(program: HeldDoubler, batcher: Doubler):
    hold(program, batcher)
    futures = [submit(batcher, 1), submit(batcher, 2, 3), submit(batcher, 4)]
    assert batcher.num_queued == 4
    program.open.set()
    assert [doubled(future) for future in futures] == [[2], [4, 6], [8]]
    assert program.batches == [[0], [1, 2, 3, 4]]
    assert batcher.num_queued == 0


def test_a_long_submission_is_split_and_its_results_come_in_order(program: HeldDoubler, batcher: Doubler):
    hold(program, batcher)
    first, long = submit(batcher, 9), submit(batcher, 1, 2, 3, 4, 5, 6)
    last = submit(batcher, 7)
    program.open.set()
    assert doubled(long) == [2, 4, 6, 8, 10, 12]
    assert (doubled(first), doubled(last)) == ([18], [14])
    assert program.batches == [[0], [9, 1, 2, 3], [4, 5, 6, 7]]


def test_a_full_queue_rejects_submissions_and_accepts_them_again_later(program: HeldDoubler, batcher: Doubler):
    hold(program, batcher)
    waiting = [submit(batcher, i) for i in range(6)]
    with pytest.raises(
        QueueFullError, match="the test queue is full: it holds 6 of 8 items, 3 more do not fit; wait and send"
    ):
        submit(batcher, 1, 2, 3)
    program.open.set()
    assert [doubled(future) for future in waiting] == [[0], [2], [4], [6], [8], [10]]
    assert doubled(submit(batcher, 1, 2, 3)) == [2, 4, 6]


def test_a_queue_is_full_by_its_bytes_too(program: HeldDoubler):
    batcher = Batcher("test", program, BatchLimits(max_batch_items=4, max_queue_items=8, max_queue_bytes=24), GOOD)
    hold(program, batcher)
    left, stayed = submit(batcher, 1), submit(batcher, 2, 3)  # 8 bytes each
    with pytest.raises(
        QueueFullError, match="the test queue is full: it holds 24 of 24 bytes, 8 more do not fit; wait and send"
    ):
        submit(batcher, 4)
    assert left.cancel()
    last = submit(batcher, 4)
    program.open.set()
    assert (doubled(stayed), doubled(last)) == ([4, 6], [8])
    batcher.close()


def test_a_submission_whose_deadline_has_passed_is_never_run(program: HeldDoubler, batcher: Doubler):
    hold(program, batcher)
    expired = submit(batcher, 1, 2, deadline_s=time.perf_counter())
    in_time = submit(batcher, 3, deadline_s=time.perf_counter() + 60)
    program.open.set()
    assert doubled(in_time) == [6]
    with pytest.raises(DeadlineExceededError, match="the deadline passed in the test queue; allow more time"):
        expired.result(10)
    assert program.batches == [[0], [3]]
    assert batcher.num_queued == 0


def test_the_estimated_wait_grows_with_the_queue(program: HeldDoubler, batcher: Doubler):
    """A batch was seen to take t: the running one has 0 to t to go, each full one in the queue takes t."""
    assert batcher.wait_s() == 0.0
    doubled(submit(batcher, 1))
    hold(program, batcher)
    program.entered.acquire()
    waits_s = [batcher.wait_s()]
    futures = []
    for _ in range(2):
        futures.append(submit(batcher, 1, 2, 3, 4))
        waits_s.append(batcher.wait_s())
    program.open.set()
    assert [doubled(future) for future in futures] == [[2, 4, 6, 8]] * 2
    assert waits_s == sorted(waits_s)
    assert waits_s[2] > waits_s[0]


def test_an_idle_program_waits_for_a_full_batch_when_a_delay_is_set(program: HeldDoubler):
    limits = BatchLimits(max_batch_items=4, max_queue_items=8, max_queue_bytes=1000, max_delay_s=30.0)
    batcher = Batcher("test", program, limits, GOOD)
    futures = [submit(batcher, 1), submit(batcher, 2), submit(batcher, 3, 4)]
    assert [doubled(future) for future in futures] == [[2], [4], [6, 8]]  # a full batch waits no longer
    assert program.batches == [[1, 2, 3, 4]]
    batcher.close()


def test_the_wait_for_a_full_batch_ends_after_the_delay(program: HeldDoubler):
    limits = BatchLimits(max_batch_items=4, max_queue_items=8, max_queue_bytes=1000, max_delay_s=0.01)
    batcher = Batcher("test", program, limits, GOOD)
    assert doubled(submit(batcher, 1)) == [2]
    batcher.close()


def test_a_cancelled_submission_is_never_run_and_releases_its_room_at_once(program: HeldDoubler, batcher: Doubler):
    hold(program, batcher)
    left, stayed = submit(batcher, 1, 2, 3, 4, 5), submit(batcher, 6)
    assert left.cancel()
    assert batcher.num_queued == 1
    program.open.set()
    assert doubled(stayed) == [12]
    assert program.batches == [[0], [6]]
    with pytest.raises(CancelledError):
        left.result(10)


def test_a_submission_cancelled_half_way_runs_no_further_batch(program: HeldDoubler, batcher: Doubler):
    program.open.clear()
    left = submit(batcher, 1, 2, 3, 4, 5, 6, 7)
    assert program.entered.acquire(timeout=10)
    assert left.cancel()
    program.open.set()
    assert doubled(submit(batcher, 8)) == [16]
    assert program.batches == [[1, 2, 3, 4], [8]]


def test_one_faulty_item_does_not_affect_others_in_its_batch(
    program: HeldDoubler, batcher: Doubler, caplog: pytest.LogCaptureFixture
):
    hold(program, batcher)
    futures = [submit(batcher, 1), submit(batcher, -1, 3)]
    program.open.set()
    assert doubled(futures[0]) == [2]
    error, neighbour = doubled(futures[1])
    assert (str(error), neighbour) == ("a negative number", 6)
    assert program.batches == [[0], [1, -1, 3], [1], [-1], [100], [3]]  # the good item shows that the engine works
    assert batcher.fault is None
    assert "a test batch of 3 failed (FloatingPointError('a negative number')); each item is run" in caplog.text


def test_a_faulty_item_alone_fails_once_and_the_batcher_goes_on(program: HeldDoubler, batcher: Doubler):
    assert isinstance(doubled(submit(batcher, -1))[0], FloatingPointError)
    outcomes = doubled(submit(batcher, 1, 2, 3, 4, -5, -6, 7, 8))
    assert [isinstance(outcome, FloatingPointError) for outcome in outcomes] == [False] * 4 + [True] * 2 + [False] * 2
    assert doubled(submit(batcher, 5)) == [10]
    assert program.batches == [[-1], [100], [1, 2, 3, 4], [-5, -6, 7, 8], [-5], [100], [-6], [7], [8], [5]]


def test_an_engine_that_loses_items_is_down():
    batcher: Doubler = Batcher("short", lambda items: items[1:], LIMITS, GOOD)
    with pytest.raises(EngineDownError, match="the short engine has failed"):
        submit(batcher, 1, 2).result(10)
    batcher.close()


@pytest.mark.parametrize("ended", [SystemExit("thread ends"), KeyboardInterrupt(), GeneratorExit()])
def test_an_engine_that_ends_its_thread_is_down(ended: BaseException):
    """Nobody waits for ever, and the lane says that it does not serve."""

    def run(_: object) -> list[int]:
        raise ended

    batcher: Doubler = Batcher("ending", run, LIMITS, GOOD)
    with pytest.raises(EngineDownError, match="the ending engine has failed"):
        submit(batcher, 1, 2).result(10)
    assert isinstance(batcher.fault, EngineDownError)
    batcher.close()


def test_another_number_of_results_is_detected(caplog: pytest.LogCaptureFixture):
    batcher: Doubler = Batcher("odd", lambda items: items[:1], LIMITS, GOOD)
    assert doubled(submit(batcher, 1, 2)) == [1, 2]  # each alone
    assert repr(BatchError("the odd engine was given 2 items and returned 1 results")) in caplog.text
    batcher.close()


def test_an_engine_that_fails_with_a_good_item_halts(
    program: HeldDoubler, batcher: Doubler, caplog: pytest.LogCaptureFixture
):
    hold(program, batcher)
    futures = [submit(batcher, 1), submit(batcher, 2)]
    program.is_broken = True
    program.open.set()
    for future in futures:
        with pytest.raises(EngineDownError, match="the test engine has failed and is being restarted; send the"):
            future.result(10)
    with pytest.raises(EngineDownError, match="the test engine has failed"):
        submit(batcher, 3)
    assert program.batches == [[0], [100]]
    assert isinstance(batcher.fault, EngineDownError)
    assert "the test engine fails with a good item, too" in caplog.text


def test_idle_workers_share_and_the_items_come_back_in_order(program: HeldDoubler, pair: Doubler):
    program.open.clear()
    future = submit(pair, 1, 2, 3)
    assert program.entered.acquire(timeout=10)
    assert program.entered.acquire(timeout=10)
    program.open.set()
    assert doubled(future) == [2, 4, 6]
    assert sorted(program.batches) == [[1, 2], [3]]


def test_a_worker_takes_all_when_the_others_are_busy(program: HeldDoubler, pair: Doubler):
    hold(program, pair)
    hold(program, pair)
    futures = [submit(pair, 1, 2), submit(pair, 3)]
    assert pair.num_queued == 3
    program.open.set()
    assert [doubled(future) for future in futures] == [[2, 4], [6]]
    assert sorted(program.batches, key=len)[2:] == [[1, 2, 3]]


def test_with_all_share_a_worker_leaves_the_share_of_busy_ones(program: HeldDoubler):
    limits = BatchLimits(max_batch_items=4, max_queue_items=8, max_queue_bytes=1000, all_share=True)
    batcher = Batcher("pair", program, limits, GOOD, num_workers=2)
    hold(program, batcher)
    hold(program, batcher)
    future = submit(batcher, 1, 2, 3)
    program.open.set()
    assert doubled(future) == [2, 4, 6]
    assert sorted(program.batches[2:]) == [[1, 2], [3]]
    batcher.close()


def test_few_items_wait_for_the_running_batch_rather_than_for_another_worker(program: HeldDoubler):
    limits = BatchLimits(max_batch_items=4, max_queue_items=8, max_queue_bytes=1000, min_share=2)
    batcher = Batcher("pair", program, limits, GOOD, num_workers=2)
    hold(program, batcher)
    futures = [submit(batcher, 1)]
    assert not program.entered.acquire(timeout=0.2)
    futures.append(submit(batcher, 2))
    assert program.entered.acquire(timeout=10)  # two reach the minimum share
    program.open.set()
    assert [doubled(future) for future in futures] == [[2], [4]]
    assert program.batches == [[0], [1, 2]]
    batcher.close()


def test_a_share_has_a_minimum(program: HeldDoubler):
    limits = BatchLimits(max_batch_items=4, max_queue_items=8, max_queue_bytes=1000, min_share=3)
    batcher = Batcher("pair", program, limits, GOOD, num_workers=2)
    assert doubled(submit(batcher, 1, 2, 3, 4)) == [2, 4, 6, 8]
    assert sorted(program.batches) == [[1, 2, 3], [4]]
    batcher.close()


def test_halting_waits_for_nobody_and_late_answers_are_dropped(program: HeldDoubler, batcher: Doubler):
    program.open.clear()
    running = submit(batcher, 1)
    assert program.entered.acquire(timeout=10)
    waiting = submit(batcher, 2)
    batcher.halt(EngineDownError("the test hangs"))
    for future in (running, waiting):
        with pytest.raises(EngineDownError, match="the test hangs"):
            future.result(0)
    assert batcher.num_queued == 0
    program.open.set()
    batcher.close()
    assert program.batches == [[1]]


def test_a_submission_needs_an_item(batcher: Doubler):
    with pytest.raises(ValueError, match="expected 1 item or more, found none"):
        batcher.submit([], 0)


def test_closing_finishes_the_running_batch_and_cancels_the_queue(program: HeldDoubler, batcher: Doubler):
    program.open.clear()
    running = submit(batcher, 1)
    assert program.entered.acquire(timeout=10)
    waiting = submit(batcher, 2)
    closer = threading.Thread(target=batcher.close)
    closer.start()
    with pytest.raises(CancelledError):
        waiting.result(10)
    program.open.set()
    closer.join(10)
    assert doubled(running) == [2]
    with pytest.raises(StoppingError, match="the server is stopping"):
        submit(batcher, 3)


@pytest.mark.parametrize("num_workers", [1, 3])
def test_an_item_alone_equals_the_item_in_any_batch_under_stress(num_workers: int):
    """200 callers of 1 to 9 items, some cancelled, some faulty; every other item gets its own answer."""

    def cube(items: list[float]) -> list[float]:
        if min(items) < 0:
            raise FloatingPointError("a negative number")
        return [item**3 for item in items]

    limits = BatchLimits(max_batch_items=7, max_queue_items=10_000, max_queue_bytes=10**6)
    batcher = Batcher("stress", cube, limits, GOOD, num_workers)

    def call(caller: int) -> bool:
        items: list[float] = [caller * 10.0 + i for i in range(caller % 9 + 1)]
        if caller % 20 == 7:
            items[-1] = -1.0
        future = submit(batcher, *items)
        if caller % 20 == 3 and future.cancel():
            return True
        results: Sequence[float | Exception] = future.result(10).results
        if caller % 20 == 7:
            assert isinstance(results[-1], FloatingPointError)
            items, results = items[:-1], results[:-1]
        return results == [item**3 for item in items]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(200)))
    batcher.close()  # a worker removes its batch a moment after the last caller has its answer
    assert batcher.num_queued == 0
    assert not batcher._running
