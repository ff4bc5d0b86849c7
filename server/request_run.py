"""One request on its way: what of it is where, and when all of it is answered."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial

import numpy as np

from model.answer import Prediction
from model.product import Product
from model.sub_tree import SubTree
from server.call import Call
from server.decoder import Decoder
from server.errors import StoppingError
from server.lanes import Item, Lanes
from server.request import Question
from server.work import Batched


class RequestRun:
    """Sends products down their lanes and gathers what comes back.

    On the way from decoder to engine to answer, the thread that has done one step hands on to the next; only
    the last product of a request wakes the event loop.

    Args:
        sub_tree: what the answers are restricted to; None is the whole tree.

    Attributes:
        decode_s, queue_s, inference_s: see `Timings` in the contract.
    """

    def __init__(self, lanes: Lanes, decoder: Decoder, question: Question, call: Call, sub_tree: SubTree | None):
        self.decode_s = self.queue_s = self.inference_s = 0.0
        self._lanes = lanes
        self._decoder = decoder
        self._question = question
        self._call = call
        self._sub_tree = sub_tree
        self._started_s = time.perf_counter()
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
        places = self._decoder.places
        num_bytes = sum(map(self._picture_bytes, pictures.values()))
        if pictures:
            places.take(len(pictures), num_bytes)
        self._finished = self._call.expect()
        try:
            for i, product in pictures.items():
                decoding = self._decoder.submit(self._lanes.predictor.decode, product)
                self._futures.append(decoding)
                decoding.add_done_callback(partial(self._decoded, i, product))
            if texts:
                num_text_bytes = sum(map(_text_bytes, texts.values()))
                self._submit(list(texts), [self._item(product) for product in texts.values()], num_text_bytes)
            await self._finished
        except BaseException:
            with self._lock:
                self._num_open = -1
            for future in self._futures:
                future.cancel()
            raise
        finally:
            if pictures:
                places.give_back(len(pictures), num_bytes)
        return self._outcomes

    def _decoded(self, i: int, product: Product, decoding: "Future[np.ndarray | None]") -> None:
        """A picture goes on to its lane; one that is broken is an outcome."""
        try:
            pixels = decoding.result()
            self.decode_s = max(self.decode_s, time.perf_counter() - self._started_s)
        except CancelledError:
            self._fail(_closed())
            return
        except Exception as error:
            self._settle([i], [error])
            return
        if self._num_open < 0:
            return
        assert pixels is not None  # this model reads pictures, and the product has one
        try:
            self._submit([i], [self._item(product, pixels)], pixels.nbytes)
        except Exception as error:
            self._fail(error)

    def _submit(self, keys: Sequence[int], items: Sequence[Item], num_bytes: int) -> None:
        lane = self._lanes.text if items[0].pixels is None else self._lanes.picture
        future = lane.submit(items, num_bytes, self._call.deadline_s)
        self._futures.append(future)
        future.add_done_callback(partial(self._batched, keys))
        if self._num_open < 0:  # ended meanwhile
            future.cancel()

    def _batched(self, keys: Sequence[int], future: "Future[Batched[Prediction]]") -> None:
        try:
            batched = future.result()
        except CancelledError:
            self._fail(_closed())
            return
        except Exception as error:
            self._fail(error)
            return
        self._settle(keys, batched.results, batched.queue_s, batched.run_s)

    def _settle(
        self,
        keys: Sequence[int],
        outcomes: Sequence[Prediction | Exception],
        queue_s: float = 0.0,
        inference_s: float = 0.0,
    ) -> None:
        """Note what became of some products; the last ones wake the caller."""
        with self._lock:
            self._outcomes.update(zip(keys, outcomes, strict=True))
            self.queue_s, self.inference_s = max(self.queue_s, queue_s), max(self.inference_s, inference_s)
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

    def _item(self, product: Product, pixels: np.ndarray | None = None) -> Item:
        question = self._question
        return Item(product, question.top_k, question.include_evidence, pixels, self._sub_tree, question.include_words)

    def _picture_bytes(self, product: Product) -> int:
        """What a picture takes up while it is encoded and decoded."""
        assert product.image is not None
        size = self._lanes.predictor.bundle.settings.image.image_size
        return len(product.image) + size * size * 3


def _closed() -> StoppingError:
    return StoppingError("the server stopped before the answer was ready; send the request to another one")


def _text_bytes(product: Product) -> int:
    """About what a product without a picture takes up."""
    num_chars = len(product.product_name) + len(product.mall_category) + len(product.brand) + len(product.maker)
    features = product.image_features
    return 2 * num_chars + (features.nbytes if features is not None else 0)
