import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.errors import StoppingError
from server.stream import answer_in_order


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def running() -> threading.Event:
    return threading.Event()


def test_answers_come_in_order_though_the_first_is_done_last(pool: ThreadPoolExecutor, running: threading.Event):
    last_done = threading.Event()

    def answer(number: int) -> int:
        if number == 3:
            last_done.set()
        assert last_done.wait(10)
        return number * 10

    assert list(answer_in_order(iter([0, 1, 2, 3]), answer, 4, pool, running)) == [0, 10, 20, 30]


def test_no_more_is_read_than_the_window_holds(pool: ThreadPoolExecutor, running: threading.Event):
    num_read = 0
    third_read = threading.Semaphore(0)

    def requests() -> Iterator[int]:
        nonlocal num_read
        for number in range(100):
            num_read += 1
            if num_read >= 3:
                third_read.release()
            yield number

    answers = answer_in_order(requests(), lambda number: number, 2, pool, running)
    assert next(answers) == 0
    assert third_read.acquire(timeout=10)
    assert num_read == 3  # two in the window, one in the reader's hand
    assert list(answers) == list(range(1, 100))


def test_a_caller_may_wait_for_each_answer_before_the_next_message(pool: ThreadPoolExecutor, running: threading.Event):
    messages: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    answers = answer_in_order(iter(messages.get, None), lambda number: number + 1, 4, pool, running)
    for number in range(5):
        messages.put(number)
        assert next(answers) == number + 1
    messages.put(None)
    assert list(answers) == []


def test_a_caller_who_leaves_ends_the_answers(pool: ThreadPoolExecutor, running: threading.Event):
    def requests() -> Iterator[int]:
        yield 1
        raise RuntimeError("the caller has left")

    assert list(answer_in_order(requests(), lambda number: number, 4, pool, running)) == [1]


def test_stopping_answers_what_was_read_and_says_so(pool: ThreadPoolExecutor, running: threading.Event):
    messages: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    answers = answer_in_order(iter(messages.get, None), lambda number: number, 4, pool, running)
    messages.put(1)
    assert next(answers) == 1
    running.set()
    with pytest.raises(StoppingError, match="the server is stopping; send what has no answer yet to another one"):
        next(answers)
    messages.put(None)
