"""Answers a stream of messages in order, a few at a time."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

from server.errors import StoppingError

Request = TypeVar("Request")
Response = TypeVar("Response")

_POLL_S = 0.2


def answer_in_order(
    requests: Iterator[Request],
    answer: Callable[[Request], Response],
    window: int,
    pool: Executor,
    is_stopping: threading.Event,
) -> Iterator[Response]:
    """Answer each message as it comes, in order.

    At most `window` messages are read and not yet given back, so a caller who takes answers slowly
    is read slowly. A caller may wait for each answer before it sends the next message.

    Args:
        pool: where `answer` runs.
        is_stopping: when set, what was read is answered and no more is read.
    Raises:
        StoppingError: `is_stopping` was set before the last message.
    """
    places = threading.Semaphore(window)
    answers: queue.SimpleQueue[Future[Response] | None] = queue.SimpleQueue()
    is_closed = threading.Event()

    def read() -> None:
        try:
            for request in requests:
                places.acquire()
                if is_closed.is_set():
                    return
                answers.put(pool.submit(answer, request))
        except Exception:  # grpc ends the iterator this way when the caller has left
            is_closed.set()
        finally:
            answers.put(None)

    threading.Thread(target=read, name="stream-reader", daemon=True).start()
    try:
        while (future := _next_answer(answers, is_stopping)) is not None:
            yield future.result()
            places.release()
    finally:
        is_closed.set()
        places.release()


def _next_answer(
    answers: "queue.SimpleQueue[Future[Response] | None]", is_stopping: threading.Event
) -> "Future[Response] | None":
    while True:
        try:
            return answers.get(timeout=_POLL_S)
        except queue.Empty:
            if is_stopping.is_set():
                raise StoppingError("the server is stopping; send what has no answer yet to another one") from None
