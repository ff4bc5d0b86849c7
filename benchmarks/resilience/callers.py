"""Callers that send requests in a loop, retry as the client does, and check every answer."""

import random
import threading
import time
from collections.abc import Mapping, Sequence

import grpc

from aisle_client.channel import PLAIN_TEXT, open_channel
from aisle_client.errors import CallError, call_error
from aisle_client.messages import product_message
from aisle_client.retry import Attempts, RetryPolicy
from aisle_client.v1 import classifier_pb2, classifier_pb2_grpc
from benchmarks.resilience.expected_answers import TOP_K, ExpectedAnswers
from benchmarks.resilience.process import OWN_CONNECTION
from model.product import Product

#: Retries for long enough to survive the restart of a server.
_RETRY = RetryPolicy(max_retries=100, max_delay_s=0.5)
_MAX_PRODUCTS = 4
_POLL_S = 0.05


class Callers:
    """Threads that classify random products until the end of a `with`, each over a connection of its own.

    Args:
        target: HOST:PORT.
        expected: the expected answers of each version that may answer.
        timeout_s: timeout of a request with all its retries, seconds.
        pause_s: time between an answer and a caller's next request, seconds.
    Attributes:
        num_right, wrong, lost: number of right answers; mismatches of wrong ones; errors of requests without an answer.
        versions: number of right answers of each version.
    """

    def __init__(
        self,
        target: str,
        products: Sequence[Product],
        expected: Mapping[str, ExpectedAnswers],
        count: int,
        timeout_s: float = 60.0,
        pause_s: float = 0.0,
    ):
        self.num_right = 0
        self.wrong: list[str] = []
        self.lost: list[str] = []
        self.versions: dict[str, int] = {}
        self._target = target
        self._messages = [product_message(product) for product in products]
        self._expected = expected
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._stop_requested = threading.Event()
        self._lock = threading.Lock()
        self._last_sent_s = [0.0] * count  # time of the first attempt of the last request with a right answer
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"caller-{number}", daemon=True)
            for number in range(count)
        ]

    def wait_until_answered(self, since_s: float, timeout_s: float) -> float:
        """Wait until each caller has a right answer to a request sent after `since_s`.

        Args:
            since_s: on the clock of `time.monotonic`.
        Returns:
            The time at which this was so; infinite after `timeout_s`.
        """
        end_s = time.monotonic() + timeout_s
        while (now_s := time.monotonic()) < end_s:
            if all(sent_s > since_s for sent_s in self._last_sent_s):
                return now_s
            time.sleep(_POLL_S)
        return float("inf")

    def _run(self, number: int) -> None:
        rng = random.Random(number)
        with open_channel(self._target, PLAIN_TEXT, OWN_CONNECTION) as channel:
            stub = classifier_pb2_grpc.ProductClassifierStub(channel)
            while not self._stop_requested.is_set():
                products = rng.choices(self._messages, k=rng.randint(1, _MAX_PRODUCTS))
                sent_s = time.monotonic()
                try:
                    response = self._ask(stub, classifier_pb2.ClassifyRequest(products=products, top_k=TOP_K))
                except CallError as error:
                    with self._lock:
                        self.lost.append(str(error))
                else:
                    self._record(number, sent_s, products, response)
                self._stop_requested.wait(self._pause_s)

    def _ask(
        self, stub: classifier_pb2_grpc.ProductClassifierStub, request: classifier_pb2.ClassifyRequest
    ) -> classifier_pb2.ClassifyResponse:
        attempts = Attempts(_RETRY, self._timeout_s)
        while True:
            try:
                return stub.Classify(request, timeout=attempts.remaining_s())
            except grpc.RpcError as error:
                delay_s = attempts.delay_s(call_error(error, self._target))
            time.sleep(delay_s)

    def _record(
        self,
        number: int,
        sent_s: float,
        products: Sequence[classifier_pb2.Product],
        response: classifier_pb2.ClassifyResponse,
    ) -> None:
        requested, version = [product.product_id for product in products], response.model_version
        answered = [classification.product_id for classification in response.classifications]
        if answered != requested:
            mismatch = f"expected products {requested}, found {answered}"
        elif version not in self._expected:
            mismatch = f"expected a version of {sorted(self._expected)}, found {version!r}"
        else:
            mismatch = self._expected[version].mismatch(response)
        with self._lock:
            if mismatch:
                self.wrong.append(mismatch)
                return
            self.num_right += 1
            self.versions[version] = self.versions.get(version, 0) + 1
            self._last_sent_s[number] = sent_s

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_requested.set()
        for thread in self._threads:
            thread.join()
