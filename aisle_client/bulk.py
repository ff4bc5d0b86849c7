"""The state of a long list of products sent through `ClassifyStream`; shared by both clients."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import grpc

from aisle_client.errors import CallError, InputError, status_error
from aisle_client.messages import RequestLimits, read_response
from aisle_client.prediction import Failure, Prediction
from aisle_client.product import ProductLike
from aisle_client.v1 import classifier_pb2

#: Small enough that answers flow, large enough for full batches of the engine.
_PRODUCTS_PER_MESSAGE = 64
#: Twice the messages that the server processes at a time by default, so that it never waits for the next one.
_MAX_UNANSWERED = 8


class Bulk:
    """Keeps each message until it is answered, so that a new stream continues where a lost one ended.

    A stream sends messages for `timeout_s` and ends once they are answered; then the next stream begins. So a server
    that stops responding is noticed by the deadline, `stream_timeout_s`, and load balancing applies to each stream.

    Args:
        requests: all requests, in order; read only as fast as they are answered.
        timeout_s: timeout of one message, seconds.
    """

    def __init__(self, requests: Iterator[classifier_pb2.ClassifyRequest], timeout_s: float, target: str):
        self._requests = requests
        self._timeout_s = timeout_s
        self._target = target
        self._unanswered: deque[classifier_pb2.ClassifyStreamRequest] = deque()
        self._num_sent = 0  # unanswered messages sent on the current stream
        self._has_answers = False  # True once the current stream has answered a message
        self._end_s = 0.0

    @property
    def stream_timeout_s(self) -> float:
        """Deadline of a whole stream, seconds."""
        return 2 * self._timeout_s

    def begin(self) -> bool:
        """Begin a stream; return False when everything is answered."""
        has_more = bool(self._unanswered) or self._read()
        self._num_sent = 0
        self._has_answers = False
        self._end_s = time.monotonic() + self._timeout_s
        return has_more

    def next_messages(self) -> list[classifier_pb2.ClassifyStreamRequest]:
        """Return the messages to send before the next answer is awaited; first those unanswered by a lost stream."""
        while len(self._unanswered) < _MAX_UNANSWERED and time.monotonic() < self._end_s and self._read():
            pass
        messages = list(self._unanswered)[self._num_sent :]
        self._num_sent = len(self._unanswered)
        return messages

    @property
    def is_over(self) -> bool:
        """True when the current stream has nothing more to answer."""
        return not self._unanswered

    def is_expired(self, error: CallError) -> bool:
        """Return True when a stream that has answered met its deadline, as with a slow reader; a new one continues."""
        return self._has_answers and error.code == grpc.StatusCode.DEADLINE_EXCEEDED

    def receive(self, response: classifier_pb2.ClassifyStreamResponse | None) -> list[Prediction | Failure]:
        """Return the results of the oldest unanswered message.

        Args:
            response: None when the stream ended instead.
        Raises:
            CallError: the stream ended or the message failed; it stays unanswered.
        """
        if response is None:
            text = f"{self._target} ended the stream before the last answer"
            raise CallError(text, grpc.StatusCode.UNAVAILABLE, {})
        if response.WhichOneof("outcome") == "error":
            raise status_error(response.error, self._target)
        results = read_response(response.response)
        self._unanswered.popleft()
        self._num_sent -= 1
        self._has_answers = True
        return results

    def _read(self) -> bool:
        request = next(self._requests, None)
        if request is None:
            return False
        self._unanswered.append(classifier_pb2.ClassifyStreamRequest(request=request))
        return True


def bulk_limits(limits: RequestLimits) -> RequestLimits:
    """Return the limits of one message of a stream."""
    return replace(limits, max_products=min(limits.max_products, _PRODUCTS_PER_MESSAGE))


def products_after(products: Iterable[ProductLike], product_id: str) -> Iterator[ProductLike]:
    """Yield the products after the first one with `product_id`; all of them for ''.

    Raises:
        InputError: no product has that id.
    """
    products = iter(products)
    if product_id and not any(product.product_id == product_id for product in products):
        raise InputError(f"cannot resume: expected a product with the id {product_id!r}, found none")
    yield from products
