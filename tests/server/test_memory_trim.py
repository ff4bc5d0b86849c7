"""Property of `MemoryTrim`: garbage is collected, and what is in use is not looked at again every second."""

import gc
import threading
from collections.abc import Iterator

import pytest

from server.event_loop import EventLoop
from server.inference.memory_budget import MemoryBudget
from server.memory_trim import MemoryTrim
from tests.server.support import wait_for

LARGE_BYTES = 64 * 1024 * 1024


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The full collections so far, but for those that Python starts by itself."""
    found: list[int] = []

    def count(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            found.append(info["collected"])

    gc.disable()
    gc.callbacks.append(count)
    yield found
    gc.callbacks.remove(count)
    gc.enable()


@pytest.fixture
def looking(event_loop: EventLoop) -> None:
    async def start() -> None:
        MemoryTrim(MemoryBudget(1 << 30)).start()

    event_loop.run(start())


@pytest.fixture
def event_loop() -> Iterator[EventLoop]:
    event_loop = EventLoop("test")
    yield event_loop
    event_loop.close()


class Circle:
    """Garbage that only a collection frees."""

    def __init__(self) -> None:
        self.content = bytearray(LARGE_BYTES)
        self.itself = self


@pytest.mark.usefixtures("looking")
def test_garbage_is_collected(collections: list[int]):
    Circle()
    wait_for(lambda: any(collections))


@pytest.mark.usefixtures("looking")
def test_what_is_in_use_is_collected_in_vain_once(collections: list[int]):
    in_use = bytearray(LARGE_BYTES)
    wait_for(lambda: bool(collections))
    threading.Event().wait(3.0)
    assert len(collections) == 1
    more = bytearray(LARGE_BYTES)
    wait_for(lambda: len(collections) == 2)
    assert len(in_use) == len(more)
