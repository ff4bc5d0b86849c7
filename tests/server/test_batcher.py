import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

from server.batcher import Batcher, BatchLimits
from server.errors import BatchError, EngineDownError, QueueFullError, StoppingError, TooLateError
from server.work import Arrays

LIMITS = BatchLimits(max_batch_rows=4, max_queue_rows=8, max_queue_bytes=1000)
GOOD = {"x": np.array([100.0])}


class Gate:
    """A program that doubles its rows, writes down its batches and can be held."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.is_broken = False

    def __call__(self, inputs: Arrays) -> Arrays:
        self.batches.append(inputs["x"].tolist())
        self.entered.release()
        assert self.open.wait(10)
        if self.is_broken:
            raise RuntimeError("the program is broken")
        if (inputs["x"] < 0).any():
            raise FloatingPointError("a negative row")
        return {"doubled": inputs["x"] * 2}


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def batcher(gate: Gate) -> Iterator[Batcher]:
    batcher = Batcher("test", gate, LIMITS, GOOD)
    yield batcher
    gate.open.set()
    batcher.close()


def rows(*values: float) -> Arrays:
    return {"x": np.array(values, dtype=np.float64)}


def hold(gate: Gate, batcher: Batcher) -> None:
    """Keep the program busy with one row, so that what follows has to queue."""
    gate.open.clear()
    batcher.submit(rows(0))
    assert gate.entered.acquire(timeout=10)


def doubled(future) -> list[float]:
    return future.result(10).outputs["doubled"].tolist()


def test_an_idle_program_starts_at_once_with_what_there_is(gate: Gate, batcher: Batcher):
    assert doubled(batcher.submit(rows(1, 2))) == [2, 4]
    assert gate.batches == [[1, 2]]


def test_what_queues_while_the_program_is_busy_goes_together(gate: Gate, batcher: Batcher):
    hold(gate, batcher)
    futures = [batcher.submit(rows(1)), batcher.submit(rows(2, 3)), batcher.submit(rows(4))]
    assert batcher.queued_rows == 4
    gate.open.set()
    assert [doubled(future) for future in futures] == [[2], [4, 6], [8]]
    assert gate.batches == [[0], [1, 2, 3, 4]]
    assert batcher.queued_rows == 0


def test_a_long_work_is_split_and_its_rows_come_back_in_order(gate: Gate, batcher: Batcher):
    hold(gate, batcher)
    first, long = batcher.submit(rows(9)), batcher.submit(rows(1, 2, 3, 4, 5, 6))
    last = batcher.submit(rows(7))
    gate.open.set()
    assert doubled(long) == [2, 4, 6, 8, 10, 12]
    assert (doubled(first), doubled(last)) == ([18], [14])
    assert gate.batches == [[0], [9, 1, 2, 3], [4, 5, 6, 7]]


def test_a_full_queue_refuses_and_takes_work_again_later(gate: Gate, batcher: Batcher):
    hold(gate, batcher)
    waiting = [batcher.submit(rows(i)) for i in range(6)]
    with pytest.raises(QueueFullError, match="no room for 3 more, 6 of 8 places are taken; wait and send"):
        batcher.submit(rows(1, 2, 3))
    gate.open.set()
    assert [doubled(future) for future in waiting] == [[0], [2], [4], [6], [8], [10]]
    assert doubled(batcher.submit(rows(1, 2, 3))) == [2, 4, 6]


def test_a_queue_is_full_by_its_bytes_too(gate: Gate):
    batcher = Batcher("test", gate, BatchLimits(max_batch_rows=4, max_queue_rows=8, max_queue_bytes=24), GOOD)
    hold(gate, batcher)
    left, stayed = batcher.submit(rows(1)), batcher.submit(rows(2, 3))  # 8 bytes each
    with pytest.raises(QueueFullError, match="no room for 8 bytes more, 24 of 24 bytes are taken; wait and send"):
        batcher.submit(rows(4))
    assert left.cancel()
    last = batcher.submit(rows(4))
    gate.open.set()
    assert (doubled(stayed), doubled(last)) == ([4, 6], [8])
    batcher.close()


def test_work_whose_deadline_has_passed_is_never_run(gate: Gate, batcher: Batcher):
    hold(gate, batcher)
    expired = batcher.submit(rows(1, 2), deadline_s=time.perf_counter())
    in_time = batcher.submit(rows(3), deadline_s=time.perf_counter() + 60)
    gate.open.set()
    assert doubled(in_time) == [6]
    with pytest.raises(TooLateError, match="the deadline passed in the test queue; allow more time"):
        expired.result(10)
    assert gate.batches == [[0], [3]]
    assert batcher.queued_rows == 0


def test_the_wait_grows_with_what_is_ahead(gate: Gate, batcher: Batcher):
    """A batch was seen to take t: the running one has 0 to t to go, each full one in the queue takes t."""
    assert batcher.wait_s() == 0.0
    doubled(batcher.submit(rows(1)))
    hold(gate, batcher)
    gate.entered.acquire()
    waits_s = [batcher.wait_s()]
    futures = []
    for _ in range(2):
        futures.append(batcher.submit(rows(1, 2, 3, 4)))
        waits_s.append(batcher.wait_s())
    gate.open.set()
    assert [doubled(future) for future in futures] == [[2, 4, 6, 8]] * 2
    assert waits_s == sorted(waits_s)
    assert waits_s[2] > waits_s[0]


def test_an_idle_program_waits_for_company_when_asked_to(gate: Gate):
    limits = BatchLimits(max_batch_rows=4, max_queue_rows=8, max_queue_bytes=1000, max_delay_s=30.0)
    batcher = Batcher("test", gate, limits, GOOD)
    futures = [batcher.submit(rows(1)), batcher.submit(rows(2)), batcher.submit(rows(3, 4))]
    assert [doubled(future) for future in futures] == [[2], [4], [6, 8]]  # a full batch waits no longer
    assert gate.batches == [[1, 2, 3, 4]]
    batcher.close()


def test_the_wait_for_company_ends(gate: Gate):
    limits = BatchLimits(max_batch_rows=4, max_queue_rows=8, max_queue_bytes=1000, max_delay_s=0.01)
    batcher = Batcher("test", gate, limits, GOOD)
    assert doubled(batcher.submit(rows(1))) == [2]
    batcher.close()


def test_cancelled_work_is_never_run_and_frees_its_places_at_once(gate: Gate, batcher: Batcher):
    hold(gate, batcher)
    left, stayed = batcher.submit(rows(1, 2, 3, 4, 5)), batcher.submit(rows(6))
    assert left.cancel()
    assert batcher.queued_rows == 1
    gate.open.set()
    assert doubled(stayed) == [12]
    assert gate.batches == [[0], [6]]
    with pytest.raises(CancelledError):
        left.result(10)


def test_work_cancelled_half_way_runs_no_further_batch(gate: Gate, batcher: Batcher):
    gate.open.clear()
    left = batcher.submit(rows(1, 2, 3, 4, 5, 6, 7))
    assert gate.entered.acquire(timeout=10)
    assert left.cancel()
    gate.open.set()
    assert doubled(batcher.submit(rows(8))) == [16]
    assert gate.batches == [[1, 2, 3, 4], [8]]


def test_one_faulty_work_costs_no_neighbour(gate: Gate, batcher: Batcher, caplog: pytest.LogCaptureFixture):
    hold(gate, batcher)
    futures = [batcher.submit(rows(value)) for value in (1, -1, 3)]
    gate.open.set()
    assert (doubled(futures[0]), doubled(futures[2])) == ([2], [6])
    with pytest.raises(FloatingPointError, match="a negative row"):
        futures[1].result(10)
    assert gate.batches == [[0], [1, -1, 3], [1], [-1], [100], [3]]  # good rows tell that the program is sound
    assert batcher.fault is None
    assert "a test batch of 3 works failed" in caplog.text


def test_a_faulty_work_alone_fails_once_and_the_batcher_lives_on(gate: Gate, batcher: Batcher):
    with pytest.raises(FloatingPointError):
        batcher.submit(rows(-1)).result(10)
    with pytest.raises(FloatingPointError):
        batcher.submit(rows(1, 2, 3, 4, -5, 6, 7, 8)).result(10)
    assert doubled(batcher.submit(rows(5))) == [10]
    assert gate.batches == [[-1], [100], [1, 2, 3, 4], [-5, 6, 7, 8], [100], [5]]


def test_a_program_that_loses_rows_is_found_out():
    batcher = Batcher("short", lambda inputs: {"y": inputs["x"][:1]}, LIMITS, GOOD)
    with pytest.raises(BatchError, match="short was given 2 rows and gave back 1 of y"):
        batcher.submit(rows(1, 2)).result(10)
    batcher.close()


def test_a_program_that_fails_with_good_rows_halts(gate: Gate, batcher: Batcher, caplog: pytest.LogCaptureFixture):
    hold(gate, batcher)
    futures = [batcher.submit(rows(1)), batcher.submit(rows(2))]
    gate.is_broken = True
    gate.open.set()
    for future in futures:
        with pytest.raises(EngineDownError, match="the test has failed and is being restarted; send the request again"):
            future.result(10)
    with pytest.raises(EngineDownError, match="the test has failed"):
        batcher.submit(rows(3))
    assert gate.batches == [[0], [100]]
    assert isinstance(batcher.fault, EngineDownError)
    assert "the test fails with good rows, too" in caplog.text


def test_halting_waits_for_nobody_and_late_answers_are_dropped(gate: Gate, batcher: Batcher):
    gate.open.clear()
    running = batcher.submit(rows(1))
    assert gate.entered.acquire(timeout=10)
    waiting = batcher.submit(rows(2))
    batcher.halt(EngineDownError("the test hangs"))
    for future in (running, waiting):
        with pytest.raises(EngineDownError, match="the test hangs"):
            future.result(0)
    assert batcher.queued_rows == 0
    gate.open.set()
    batcher.close()
    assert gate.batches == [[1]]


def test_parts_that_do_not_fit_together_fail_that_work_only():
    widths = iter([1, 2, 1])
    batcher = Batcher(
        "odd", lambda inputs: {"y": np.ones((len(inputs["x"]), next(widths)))}, BatchLimits(2, 8, 1000), GOOD
    )
    with pytest.raises(BatchError, match="the parts of a split work do not fit together"):
        batcher.submit(rows(1, 2, 3)).result(10)
    assert batcher.submit(rows(1)).result(10).outputs["y"].shape == (1, 1)
    batcher.close()


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros(0)}, {"x": np.zeros(2), "y": np.zeros(3)}])
def test_arrays_of_no_common_length_are_refused(batcher: Batcher, inputs: Arrays):
    with pytest.raises(ValueError, match="expected arrays of one length, 1 or more"):
        batcher.submit(inputs)


def test_closing_ends_the_running_batch_and_cancels_what_waits(gate: Gate, batcher: Batcher):
    gate.open.clear()
    running = batcher.submit(rows(1))
    assert gate.entered.acquire(timeout=10)
    waiting = batcher.submit(rows(2))
    closer = threading.Thread(target=batcher.close)
    closer.start()
    with pytest.raises(CancelledError):
        waiting.result(10)
    gate.open.set()
    closer.join(10)
    assert doubled(running) == [2]
    with pytest.raises(StoppingError, match="the server is stopping"):
        batcher.submit(rows(3))


def test_a_row_alone_equals_the_row_in_any_batch_under_stress():
    """200 callers of 1 to 9 rows, some leaving, some poisoned; every other one gets its own rows back."""

    def cube(inputs: Arrays) -> Arrays:
        if (inputs["x"] < 0).any():
            raise FloatingPointError("a negative row")
        return {"cubed": inputs["x"] ** 3}

    limits = BatchLimits(max_batch_rows=7, max_queue_rows=10_000, max_queue_bytes=10**6)
    batcher = Batcher("stress", cube, limits, GOOD)

    def call(caller: int) -> bool:
        values = np.arange(caller % 9 + 1) + caller * 10.0
        future = batcher.submit({"x": -values - 1 if caller % 20 == 7 else values})
        if caller % 20 == 3 and future.cancel():
            return True
        if caller % 20 == 7:
            return isinstance(future.exception(10), FloatingPointError)
        return np.array_equal(future.result(10).outputs["cubed"], values**3)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(200)))
    assert batcher.queued_rows == 0
    batcher.close()
