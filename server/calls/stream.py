"""Answers a stream of messages in order, a few at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from server.errors import StoppingError

Request = TypeVar("Request")
Response = TypeVar("Response")


async def answer_in_order(
    requests: AsyncIterator[Request],
    answer: Callable[[Request], Coroutine[Any, Any, Response]],
    window: int,
    stopping: asyncio.Event,
) -> AsyncIterator[Response]:
    """Answer each message as it comes, in order.

    At most `window` messages are read and not yet given back, so a caller who takes answers slowly
    is read slowly. A caller may wait for each answer before it sends the next message.

    Args:
        stopping: when set, what was read is answered and no more is read.
    Raises:
        StoppingError: `stopping` was set before the last message.
    """
    places = asyncio.Semaphore(window)
    answers: asyncio.Queue[asyncio.Task[Response] | None] = asyncio.Queue()
    tasks: set[asyncio.Task] = set()

    async def read() -> None:
        try:
            async for request in requests:
                await places.acquire()
                task = asyncio.create_task(answer(request))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                answers.put_nowait(task)
        finally:
            answers.put_nowait(None)

    reading = asyncio.create_task(read())
    stopped = asyncio.create_task(stopping.wait())
    try:
        while (task := await _next_answer(answers, stopped)) is not None:
            yield await task
            places.release()
    finally:
        for open_task in (reading, stopped, *tasks):
            open_task.cancel()


async def _next_answer(
    answers: "asyncio.Queue[asyncio.Task[Response] | None]", stopped: "asyncio.Task[bool]"
) -> "asyncio.Task[Response] | None":
    coming = asyncio.create_task(answers.get())
    try:
        await asyncio.wait((coming, stopped), return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            return coming.result()
    finally:
        coming.cancel()
    raise StoppingError("the server is stopping; send what has no answer yet to another one")
