"""Sends requests by the clock or by the answers, and notes what became of them.

asyncio, because it takes less of the processor for a request than threads do.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeAlias

import grpc
import grpc.aio
import numpy as np

from client.channel import Security, open_async_channel
from client.load.outcomes import Outcomes
from client.load.progress import Progress

Call: TypeAlias = grpc.aio.UnaryUnaryMultiCallable

_METHOD = "/aisle.v1.ProductClassifier/Classify"


class LoadGenerator:
    """One run over one connection.

    Args:
        requests: serialised requests without end.
        timeout_s: deadline of each, from when it was due.
    """

    def __init__(self, target: str, security: Security, requests: Iterator[bytes], timeout_s: float):
        self._target = target
        self._security = security
        self._requests = requests
        self._timeout_s = timeout_s

    def run_open(self, arrivals_s: np.ndarray, outcomes: Outcomes, progress: Progress) -> None:
        """Send one request at each of the times, in order; returns when all have ended.

        Args:
            arrivals_s: (N,) float, seconds after the start.
        """

        async def send(call: Call) -> None:
            tasks: set[asyncio.Task] = set()
            start_s = time.perf_counter()
            for arrival_s in arrivals_s.tolist():
                await asyncio.sleep(start_s + arrival_s - time.perf_counter())
                task = asyncio.create_task(self._ask(call, start_s, arrival_s, outcomes))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)

        self._run(send, outcomes, progress)

    def run_closed(self, concurrency: int, total_s: float, outcomes: Outcomes, progress: Progress) -> None:
        """Keep `concurrency` requests in flight for `total_s`; returns when all have ended."""

        async def send(call: Call) -> None:
            start_s = time.perf_counter()

            async def ask_again_and_again() -> None:
                while (due_s := time.perf_counter() - start_s) < total_s:
                    await self._ask(call, start_s, due_s, outcomes)

            await asyncio.gather(*(ask_again_and_again() for _ in range(concurrency)))

        self._run(send, outcomes, progress)

    async def _ask(self, call: Call, start_s: float, due_s: float, outcomes: Outcomes) -> None:
        request = next(self._requests)
        sent_s = time.perf_counter() - start_s
        answer: bytes | grpc.StatusCode
        try:
            answer = await call(request, timeout=max(due_s + self._timeout_s - sent_s, 0.0))
        except grpc.aio.AioRpcError as error:
            answer = error.code()
        outcomes.add(due_s, sent_s, time.perf_counter() - start_s, answer)

    def _run(self, send: Callable[[Call], Coroutine[Any, Any, None]], outcomes: Outcomes, progress: Progress) -> None:
        async def run() -> None:
            async with open_async_channel(self._target, self._security) as channel:
                ticker = asyncio.create_task(progress.follow(outcomes))
                try:
                    await send(channel.unary_unary(_METHOD))
                finally:
                    ticker.cancel()

        _run_precisely(run())


def _run_precisely(main: Coroutine[Any, Any, None]) -> None:
    """Run in a loop that sleeps to the microsecond; the usual one, of epoll, rounds up to milliseconds."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(main)
