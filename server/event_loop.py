"""An asyncio event loop on a thread of its own, for answering calls; other threads hand their results to it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class EventLoop:
    """An event loop that runs on a thread of its own until `close`.

    Args:
        name: the thread's name.
    """

    def __init__(self, name: str):
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._calls: list[Callable[[], object]] = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for its result or exception; to be called from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def call(self, function: Callable[[], object]) -> None:
        """Schedule a function on the loop, in order; from any thread. Does nothing after `close`.

        A batch ends many calls at once: functions scheduled before the loop has woken do not wake it again.
        """
        with self._lock:
            if self._is_closed:
                return
            self._calls.append(function)
            if len(self._calls) == 1:
                self._loop.call_soon_threadsafe(self._run_calls)

    def close(self) -> None:
        """Cancel the tasks that still run on the loop, and end the thread."""
        with self._lock:
            self._is_closed = True
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run_calls(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, []
        for function in calls:
            function()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
