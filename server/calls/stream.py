"""Answers the messages of a stream in order, a bounded number at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from server.errors import IdleError, StoppingError

Request = TypeVar("Request")
Response = TypeVar("Response")


async def answer_in_order(
    requests: AsyncIterator[Request],
    answer: Callable[[Request], Coroutine[Any, Any, Response]],
    window: int,
    stopping: asyncio.Event,
    idle_s: float = 0.0,
) -> AsyncIterator[Response]:
    """Answer each message as it arrives, in order.

    At most `window` messages are read and not yet answered, so that a caller that reads answers slowly is read
    slowly (backpressure). A caller may wait for each answer before it sends the next message.

    Args:
        stopping: when set, messages already read are answered and no more are read.
        idle_s: longest time without a message while none is being answered, seconds; 0 allows any.
    Raises:
        IdleError: no message came for `idle_s`.
        StoppingError: `stopping` was set before the last message.
    """
    slots = asyncio.Semaphore(window)
    answers: asyncio.Queue[asyncio.Task[Response] | None] = asyncio.Queue()
    tasks: set[asyncio.Task] = set()

    async def read() -> None:
        try:
            async for request in requests:
                await slots.acquire()
                task = asyncio.create_task(answer(request))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                answers.put_nowait(task)
        finally:
            answers.put_nowait(None)

    reading = asyncio.create_task(read())
    stopped = asyncio.create_task(stopping.wait())
    try:
        while (task := await _next_answer(answers, stopped, idle_s)) is not None:
            yield await task
            slots.release()
    finally:
        for open_task in (reading, stopped, *tasks):
            open_task.cancel()


async def _next_answer(
    answers: "asyncio.Queue[asyncio.Task[Response] | None]", stopped: "asyncio.Task[bool]", idle_s: float
) -> "asyncio.Task[Response] | None":
    next_answer = asyncio.create_task(answers.get())
    try:
        await asyncio.wait((next_answer, stopped), timeout=idle_s or None, return_when=asyncio.FIRST_COMPLETED)
        if next_answer.done():
            return next_answer.result()
    finally:
        next_answer.cancel()
    if not stopped.done():
        raise IdleError(f"the stream was silent for {idle_s:g} s; open another one when there is more to classify")
    raise StoppingError("the server is stopping; send what has no answer yet to another one")
