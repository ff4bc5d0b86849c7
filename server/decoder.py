"""The threads that decode pictures."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from model.product import Product
from server.errors import QueueFullError


class Decoder:
    """A bounded pool; the decoding libraries let go of the interpreter, so threads scale.

    Args:
        num_threads: 0 means one a core.
        max_waiting: pictures taken on at the same time; more are refused.
    """

    def __init__(self, num_threads: int, max_waiting: int):
        self._pool = ThreadPoolExecutor(num_threads or os.cpu_count() or 1, thread_name_prefix="decoder")
        self._max_waiting = max_waiting
        self._places = threading.BoundedSemaphore(max_waiting)

    def submit(self, decode: Callable[[Product], np.ndarray | None], product: Product) -> Future[np.ndarray | None]:
        """Queue one picture; the future gives what `decode` gives or raises.

        Raises:
            QueueFullError: too many pictures wait already.
        """
        if not self._places.acquire(blocking=False):
            raise QueueFullError(
                f"the picture queue is full, {self._max_waiting} wait to be decoded; wait and send the request again"
            )
        future = self._pool.submit(decode, product)
        future.add_done_callback(lambda _: self._places.release())
        return future

    def close(self) -> None:
        """Cancel what waits and return when the running pictures are done."""
        self._pool.shutdown(cancel_futures=True)
