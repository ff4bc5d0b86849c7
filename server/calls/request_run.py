"""The run of one request: submits its products to the lanes and collects their outcomes."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial

from model.prediction.answers import Prediction
from model.product import TEXT_COLUMNS, Product
from model.sub_tree import SubTree
from server.calls.call import Call
from server.calls.request import Question
from server.errors import StoppingError
from server.inference.batch import SubmissionResult
from server.inference.batcher import Batcher
from server.inference.lanes import Item, Lanes


class RequestRun:
    """Submits the products of a request to their lanes and collects the outcomes.

    Only the last product of a request wakes the event loop.

    Args:
        sub_tree: the part of the tree that answers are restricted to; None is the whole tree.

    Attributes:
        decode_s, queue_s, inference_s: see `Timings` in the contract.
    """

    def __init__(self, lanes: Lanes, question: Question, call: Call, sub_tree: SubTree | None):
        self.decode_s = self.queue_s = self.inference_s = 0.0
        self._lanes = lanes
        self._question = question
        self._call = call
        self._sub_tree = sub_tree
        self._lock = threading.Lock()
        self._outcomes: dict[int, Prediction | Exception] = {}
        self._num_pending = 0
        self._futures: list[Future] = []
        self._finished: asyncio.Future[None]

    async def answer(
        self, texts: Mapping[int, Product], pictures: Mapping[int, Product]
    ) -> dict[int, Prediction | Exception]:
        """Return the outcomes of checked products by their keys.

        Raises:
            OverloadError, StoppingError, EngineDownError, DeadlineExceededError, asyncio.CancelledError: the request
                was removed from the queues.
        """
        self._num_pending = len(texts) + len(pictures)
        if not self._num_pending:
            return {}
        self._finished = self._call.create_future()
        try:
            for lane, products in ((self._lanes.text, texts), (self._lanes.picture, pictures)):
                if products:
                    self._submit(lane, products)
            await self._finished
        except BaseException:
            with self._lock:
                self._num_pending = -1
            for future in self._futures:
                future.cancel()
            raise
        return self._outcomes

    def _submit(self, lane: Batcher[Item, Prediction], products: Mapping[int, Product]) -> None:
        question = self._question
        items = [
            Item(product, question.top_k, question.include_evidence, self._sub_tree, question.include_words)
            for product in products.values()
        ]
        future = lane.submit(items, sum(map(_num_bytes, products.values())), self._call.deadline_s)
        self._futures.append(future)
        future.add_done_callback(partial(self._on_submission_done, list(products), items))
        if self._num_pending < 0:  # ended meanwhile
            future.cancel()

    def _on_submission_done(
        self, keys: Sequence[int], items: Sequence[Item], future: "Future[SubmissionResult[Prediction]]"
    ) -> None:
        try:
            result = future.result()
        except CancelledError:
            self._fail(_closed())
        except Exception as error:
            self._fail(error)
        else:
            self._record(keys, result, max(item.decode_s for item in items))

    def _record(self, keys: Sequence[int], result: SubmissionResult[Prediction], decode_s: float) -> None:
        """Record the outcomes of a submission; the last one of the request wakes the caller."""
        with self._lock:
            self._outcomes.update(zip(keys, result.results, strict=True))
            self.decode_s = max(self.decode_s, decode_s)
            self.queue_s = max(self.queue_s, result.queue_s)
            self.inference_s = max(self.inference_s, result.run_s - decode_s)
            self._num_pending -= len(keys)
            is_last = self._num_pending == 0
        if is_last:
            self._call.resolve(self._finished)

    def _fail(self, error: Exception) -> None:
        """End the whole request; pending products are no longer counted, so that it ends only once."""
        with self._lock:
            is_first = self._num_pending > 0
            self._num_pending = -1
        if is_first:
            self._call.resolve(self._finished, error)


def _closed() -> StoppingError:
    return StoppingError("the server stopped before the answer was ready; send the request to another one")


def _num_bytes(product: Product) -> int:
    """Estimate the memory of a product, bytes."""
    num_chars = sum(len(getattr(product, column)) for column in TEXT_COLUMNS)
    features = product.image_features
    return 2 * num_chars + len(product.image or b"") + (features.nbytes if features is not None else 0)
