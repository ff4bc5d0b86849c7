"""One request on its way: what of it is where, and when all of it is answered."""

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
from server.inference.batch import Batched
from server.inference.batcher import Batcher
from server.inference.lanes import Item, Lanes


class RequestRun:
    """Sends products down their lanes and gathers what comes back.

    Only the last product of a request wakes the event loop.

    Args:
        sub_tree: what the answers are restricted to; None is the whole tree.

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
        self._num_open = 0
        self._futures: list[Future] = []
        self._finished: asyncio.Future[None]

    async def answer(
        self, texts: Mapping[int, Product], pictures: Mapping[int, Product]
    ) -> dict[int, Prediction | Exception]:
        """The outcomes of checked products by their keys.

        Raises:
            OverloadError, StoppingError, EngineDownError, TooLateError, asyncio.CancelledError: nothing of the
                request stays in a queue.
        """
        self._num_open = len(texts) + len(pictures)
        if not self._num_open:
            return {}
        self._finished = self._call.expect()
        try:
            for lane, products in ((self._lanes.text, texts), (self._lanes.picture, pictures)):
                if products:
                    self._submit(lane, products)
            await self._finished
        except BaseException:
            with self._lock:
                self._num_open = -1
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
        future.add_done_callback(partial(self._batched, list(products), items))
        if self._num_open < 0:  # ended meanwhile
            future.cancel()

    def _batched(self, keys: Sequence[int], items: Sequence[Item], future: "Future[Batched[Prediction]]") -> None:
        try:
            batched = future.result()
        except CancelledError:
            self._fail(_closed())
        except Exception as error:
            self._fail(error)
        else:
            self._settle(keys, batched, max(item.decode_s for item in items))

    def _settle(self, keys: Sequence[int], batched: Batched[Prediction], decode_s: float) -> None:
        """Note what became of some products; the last ones wake the caller."""
        with self._lock:
            self._outcomes.update(zip(keys, batched.results, strict=True))
            self.decode_s = max(self.decode_s, decode_s)
            self.queue_s = max(self.queue_s, batched.queue_s)
            self.inference_s = max(self.inference_s, batched.run_s - decode_s)
            self._num_open -= len(keys)
            is_last = self._num_open == 0
        if is_last:
            self._call.finish(self._finished)

    def _fail(self, error: Exception) -> None:
        """End the whole request; nothing is counted any more, so that nobody else ends it."""
        with self._lock:
            is_first = self._num_open > 0
            self._num_open = -1
        if is_first:
            self._call.finish(self._finished, error)


def _closed() -> StoppingError:
    return StoppingError("the server stopped before the answer was ready; send the request to another one")


def _num_bytes(product: Product) -> int:
    """About what a product takes up."""
    num_chars = sum(len(getattr(product, column)) for column in TEXT_COLUMNS)
    features = product.image_features
    return 2 * num_chars + len(product.image or b"") + (features.nbytes if features is not None else 0)
