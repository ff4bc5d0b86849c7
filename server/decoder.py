"""The threads that decode pictures, and the room for pictures on their way."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from model.cores import usable_cores
from model.product import Product
from server.batch_times import BatchTimes
from server.places import Places


class Decoder:
    """A pool; the decoding libraries let go of the interpreter, so threads scale.

    Args:
        num_threads: 0 means one a core.
        max_images, max_bytes: of `places`.
    Attributes:
        places: room for pictures from their arrival to their answer. One room for both, or an
            overloaded server would decode what the engine then refuses.
    """

    def __init__(self, num_threads: int, max_images: int, max_bytes: int):
        self._num_threads = num_threads or usable_cores()
        self._pool = ThreadPoolExecutor(self._num_threads, thread_name_prefix="decoder")
        self._times = BatchTimes(max_batch_items=1)
        self._lock = threading.Lock()
        self._unfinished = 0
        self.places = Places("picture", max_images, max_bytes, self.wait_s)

    def wait_s(self) -> float:
        """How long a picture that came now would wait for a thread, seconds."""
        return self._times.seconds(self._unfinished // self._num_threads)

    def submit(self, decode: Callable[[Product], np.ndarray | None], product: Product) -> Future[np.ndarray | None]:
        """Queue one picture, which has its place; the future gives what `decode` gives or raises."""
        with self._lock:
            self._unfinished += 1
        future = self._pool.submit(self._decode, decode, product)
        future.add_done_callback(self._finish)
        return future

    def close(self) -> None:
        """Cancel what waits and return when the running pictures are done."""
        self._pool.shutdown(cancel_futures=True)

    def _decode(self, decode: Callable[[Product], np.ndarray | None], product: Product) -> np.ndarray | None:
        started_s = time.perf_counter()
        pixels = decode(product)
        with self._lock:
            self._times.add(1, time.perf_counter() - started_s)
        return pixels

    def _finish(self, _: Future) -> None:
        with self._lock:
            self._unfinished -= 1
