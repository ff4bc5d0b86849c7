import asyncio
import threading
from functools import partial

import pytest

from server.event_loop import EventLoop


def test_functions_from_threads_are_called_on_the_loop_and_in_order():
    event_loop = EventLoop("test")
    called: list[tuple[int, int]] = []
    names: set[str] = set()

    def note(thread: int, number: int) -> None:
        names.add(threading.current_thread().name)
        called.append((thread, number))

    def hand_over(thread: int) -> None:
        for number in range(1000):
            event_loop.call(partial(note, thread, number))

    threads = [threading.Thread(target=hand_over, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    event_loop.run(asyncio.sleep(0))
    event_loop.close()
    assert names == {"test"}
    assert [sorted(pair for pair in called if pair[0] == i) for i in range(4)] == [
        [pair for pair in called if pair[0] == i] for i in range(4)
    ]
    assert len(called) == 4000


def test_a_coroutine_returns_its_result_or_raises_its_error():
    event_loop = EventLoop("test")

    async def double(number: int) -> int:
        if number < 0:
            raise ValueError("negative")
        return 2 * number

    assert event_loop.run(double(2)) == 4
    with pytest.raises(ValueError, match="negative"):
        event_loop.run(double(-1))
    event_loop.close()


def test_after_close_nothing_is_called_and_nothing_runs():
    event_loop = EventLoop("test")
    cancelled = threading.Event()

    async def wait_forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def begin() -> None:
        tasks.append(asyncio.create_task(wait_forever()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    event_loop.run(begin())
    event_loop.close()
    assert cancelled.is_set()
    event_loop.call(lambda: pytest.fail("called after the end"))
