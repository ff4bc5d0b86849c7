import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from retrieval.index.local.shared_lock import SharedLock

#: Only how long a failing test waits.
LONG_S = 30


def started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def wait_for_writers(lock: SharedLock, count: int) -> None:
    """Until so many write or wait to."""
    with lock._changed:
        while lock._num_writers < count:
            lock._changed.wait(0.001)


def test_readers_hold_it_together() -> None:
    lock, together = SharedLock(), threading.Barrier(4)

    def read() -> None:
        with lock.shared():
            together.wait(LONG_S)

    threads = [started(read) for _ in range(3)]
    read()
    for thread in threads:
        thread.join(LONG_S)
    assert not together.broken


def test_a_writer_waits_for_readers_and_goes_before_new_ones() -> None:
    lock, order = SharedLock(), []

    def write() -> None:
        with lock.exclusive():
            order.append("writer")

    def read() -> None:
        with lock.shared():
            order.append("new reader")

    with lock.shared():
        writer = started(write)
        wait_for_writers(lock, 1)
        reader = started(read)
        reader.join(0.05)
        order.append("old reader")
    for thread in (writer, reader):
        thread.join(LONG_S)
    assert order == ["old reader", "writer", "new reader"]


def test_readers_and_other_writers_wait_for_a_writer() -> None:
    lock, order = SharedLock(), []

    def write() -> None:
        with lock.exclusive():
            order.append("other")

    def read() -> None:
        with lock.shared():
            order.append("other")

    with lock.exclusive():
        threads = [started(write), started(read)]
        wait_for_writers(lock, 2)
        threads[1].join(0.05)
        order.append("first")
    for thread in threads:
        thread.join(LONG_S)
    assert order == ["first", "other", "other"]


def test_it_is_let_go_after_an_error() -> None:
    lock = SharedLock()
    for hold in (lock.exclusive, lock.shared, lock.exclusive):
        with pytest.raises(ValueError, match="inside"), hold():
            raise ValueError("inside")
    with lock.exclusive():
        pass


def test_no_reader_sees_half_a_change() -> None:
    lock, pair = SharedLock(), [0, 0]

    def write(_: int) -> None:
        for _ in range(200):
            with lock.exclusive():
                pair[0] += 1
                before = pair[1]
                for _ in range(20):  # others would get their turn here
                    threading.Event().is_set()
                pair[1] = before + 1

    def read(_: int) -> int:
        differing = 0
        for _ in range(400):
            with lock.shared():
                differing += pair[0] != pair[1]
        return differing

    with ThreadPoolExecutor(8) as threads:
        writers, readers = [threads.submit(write, i) for i in range(4)], [threads.submit(read, i) for i in range(4)]
        assert [reader.result() for reader in readers] == [0] * 4
        assert all(writer.result() is None for writer in writers)
    assert pair == [800, 800]
