import asyncio
from collections.abc import AsyncIterator

import pytest

from server.calls.stream import answer_in_order
from server.errors import StoppingError


async def echo(number: int) -> int:
    return number


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def queued(messages: "asyncio.Queue[int | None]") -> AsyncIterator[int]:
    while (message := await messages.get()) is not None:
        yield message


def test_answers_come_in_order_although_the_first_is_done_last():
    async def run() -> list[int]:
        last_done = asyncio.Event()

        async def answer(number: int) -> int:
            if number == 3:
                last_done.set()
            await asyncio.wait_for(last_done.wait(), 10)
            return number * 10

        return [value async for value in answer_in_order(numbers(4), answer, 4, asyncio.Event())]

    assert asyncio.run(run()) == [0, 10, 20, 30]


def test_no_more_is_read_than_the_window_holds():
    async def run() -> None:
        num_read = 0

        async def requests() -> AsyncIterator[int]:
            nonlocal num_read
            for number in range(100):
                num_read += 1
                yield number

        answers = answer_in_order(requests(), echo, 2, asyncio.Event())
        assert await anext(answers) == 0
        await asyncio.sleep(0.01)
        assert num_read == 3  # two in the window, one just read
        assert [answer async for answer in answers] == list(range(1, 100))

    asyncio.run(run())


def test_a_caller_may_wait_for_each_answer_before_the_next_message():
    async def run() -> None:
        messages: asyncio.Queue[int | None] = asyncio.Queue()
        answers = answer_in_order(queued(messages), echo, 4, asyncio.Event())
        for number in range(5):
            messages.put_nowait(number)
            assert await anext(answers) == number
        messages.put_nowait(None)
        assert [answer async for answer in answers] == []

    asyncio.run(run())


def test_a_cancelled_stream_cancels_the_answers_in_progress():
    async def run() -> list[str]:
        ended: list[str] = []

        async def answer(_: int) -> int:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            raise AssertionError

        async def take() -> None:
            async for _ in answer_in_order(numbers(3), answer, 4, asyncio.Event()):
                pass

        taking = asyncio.create_task(take())
        await asyncio.sleep(0.01)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await asyncio.sleep(0.01)
        return ended

    assert asyncio.run(run()) == ["cancelled"] * 3


def test_stopping_answers_the_messages_already_read_and_ends_with_an_error():
    async def run() -> None:
        messages: asyncio.Queue[int | None] = asyncio.Queue()
        stopping = asyncio.Event()
        answers = answer_in_order(queued(messages), echo, 4, stopping)
        messages.put_nowait(1)
        messages.put_nowait(2)
        assert await anext(answers) == 1
        stopping.set()
        assert await anext(answers) == 2
        with pytest.raises(StoppingError, match="the server is stopping; send what has no answer yet to another one"):
            await anext(answers)

    asyncio.run(run())
