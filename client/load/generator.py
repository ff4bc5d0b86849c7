"""Generates load in an open or closed loop and records the outcomes.

Uses asyncio, because it takes less processor time per request than threads do.
"""

import asyncio
import selectors
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio
import numpy as np

from aisle_client.channel import Security, open_async_channel
from client.load.outcomes import Outcomes
from client.load.progress import Progress

#: Sends a serialised request with a deadline in seconds; returns the serialised answer, or the gRPC code of an error.
Ask: TypeAlias = Callable[[bytes, float], Awaitable[bytes | grpc.StatusCode]]
#: Opens the connection of a run.
Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Ask]]

CLASSIFY = "/aisle.v1.ProductClassifier/Classify"


@asynccontextmanager
async def grpc_connection(target: str, security: Security, method: str = CLASSIFY) -> AsyncIterator[Ask]:
    """Open a connection that calls one unary method of a gRPC server."""
    async with open_async_channel(target, security) as channel:
        call: Callable[..., Awaitable[bytes]] = channel.unary_unary(method)

        async def ask(request: bytes, timeout_s: float) -> bytes | grpc.StatusCode:
            try:
                return await call(request, timeout=timeout_s)
            except grpc.aio.AioRpcError as error:
                return error.code()

        yield ask


class LoadGenerator:
    """Generates the load of one run over one connection.

    Args:
        requests: an endless iterator of serialised requests.
        timeout_s: deadline of each request, counted from its due time, seconds.
    """

    def __init__(self, connect: Connect, requests: Iterator[bytes], timeout_s: float):
        self._connect = connect
        self._requests = requests
        self._timeout_s = timeout_s

    def run_open(self, arrivals_s: np.ndarray, outcomes: Outcomes, progress: Progress) -> None:
        """Send one request at each arrival time, in order; return when all have ended.

        Args:
            arrivals_s: (N,) float, ascending, seconds after the start.
        """

        async def send(ask: Ask) -> None:
            tasks: set[asyncio.Task] = set()
            start_s = time.perf_counter()
            for arrival_s in arrivals_s.tolist():
                await asyncio.sleep(start_s + arrival_s - time.perf_counter())
                task = asyncio.create_task(self._ask(ask, start_s, arrival_s, outcomes))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)

        self._run(send, outcomes, progress)

    def run_closed(self, concurrency: int, total_s: float, outcomes: Outcomes, progress: Progress) -> None:
        """Keep `concurrency` requests in flight for `total_s`; return when all have ended."""

        async def send(ask: Ask) -> None:
            start_s = time.perf_counter()

            async def ask_in_a_loop() -> None:
                while (due_s := time.perf_counter() - start_s) < total_s:
                    await self._ask(ask, start_s, due_s, outcomes)

            await asyncio.gather(*(ask_in_a_loop() for _ in range(concurrency)))

        self._run(send, outcomes, progress)

    async def _ask(self, ask: Ask, start_s: float, due_s: float, outcomes: Outcomes) -> None:
        request = next(self._requests)
        sent_s = time.perf_counter() - start_s
        answer = await ask(request, max(due_s + self._timeout_s - sent_s, 0.0))
        outcomes.add(due_s, sent_s, time.perf_counter() - start_s, answer)

    def _run(self, send: Callable[[Ask], Coroutine[Any, Any, None]], outcomes: Outcomes, progress: Progress) -> None:
        async def run() -> None:
            async with self._connect() as ask:
                ticker = asyncio.create_task(progress.follow(outcomes))
                try:
                    await send(ask)
                finally:
                    ticker.cancel()

        _run_precisely(run())


def _run_precisely(main: Coroutine[Any, Any, None]) -> None:
    """Run in an event loop whose timers have microsecond resolution; the default, epoll, rounds up to milliseconds."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(main)
