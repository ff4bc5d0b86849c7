"""The two ways through one opened bundle, each behind a batcher of its own: products with a picture, and without."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Barrier

import numpy as np

from model.answer import Prediction
from model.batch_shapes import buckets
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import SubTree
from server.batcher import Batcher, BatchLimits
from server.errors import AisleError, EngineDownError
from server.feature_cache import FeatureCache
from server.settings import ServerSettings

_SPARE_WORKERS = 2  # while the streams run, these make the next pictures ready and hand out the last answers
_MIN_TEXT_SHARE = 64  # fewer take two workers nearly as long each as one of them takes for all; a text is cheap

_WARM_UP = Product("", product_name="warm up")


@dataclass(frozen=True, slots=True)
class Item:
    """A checked product on its way, and what its caller wants to know.

    Args:
        pixels: (H, W, 3) uint8 of its picture; None in the text lane.
        all_heads, with_words: whether the prediction carries `heads` and `words`.
        sub_tree: what the answer is restricted to; None is the whole tree.
    """

    product: Product
    top_k: int
    all_heads: bool
    pixels: np.ndarray | None = None
    sub_tree: SubTree | None = None
    with_words: bool = False


class Lanes:
    """Text and pictures, so that text never waits for pictures; when one of them halts, neither is used again.

    Attributes:
        predictor: what answers in both.
        text: products without a picture, or with its features.
        picture: products with pixels.
        feature_cache: of the pictures that were encoded here.
    """

    def __init__(self, predictor: Predictor, settings: ServerSettings):
        self.predictor = predictor
        self.feature_cache = FeatureCache(settings.image_cache_bytes)
        self._num_streams = predictor.engine.num_streams
        self._max_images = max_images = settings.max_batch_images or predictor.engine.max_images
        self._max_items = settings.max_batch_items
        text_limits = _limits(settings, self._max_items, settings.max_queue_items, _MIN_TEXT_SHARE)
        self.text: Batcher[Item, Prediction] = Batcher(
            "text", self._answer, text_limits, _good(None), self._num_streams
        )
        picture_limits = _limits(settings, max_images, settings.max_queue_images, min_share=1)
        pixels = self._blank_picture() if "image" in predictor.bundle.fields else None
        self.picture: Batcher[Item, Prediction] = Batcher(
            "picture", self._answer, picture_limits, _good(pixels), self._num_streams + _SPARE_WORKERS
        )
        self._timeout_s = settings.engine_timeout_s
        self._running_s: dict[tuple[str, int], float] = {}

    @property
    def fault(self) -> AisleError | None:
        """Why they take no more work."""
        return self.text.fault or self.picture.fault

    def warm_up(self, rest: float = 0.0) -> None:
        """Run batches of every size on every stream: engines prepare on the first of a kind, and no caller shall wait.

        Args:
            rest: pause after each batch, times what it took, for those who are served meanwhile.
        Raises:
            Exception: what the engine raised.
        """
        text, pictures = [_good(None)], [_good(self._blank_picture())]
        batches = [text * size for size in buckets(self._max_items)]
        if "image" in self.predictor.bundle.fields:
            batches += [pictures * size for size in buckets(self._max_images)]
        with ThreadPoolExecutor(self._num_streams) as pool:
            for batch in batches:
                began_s = time.perf_counter()
                together = Barrier(self._num_streams)
                runs = [pool.submit(self._warm_up_with, batch, together) for _ in range(self._num_streams)]
                for run in runs:
                    run.result()
                time.sleep(rest * (time.perf_counter() - began_s))

    def watch(self, seconds: float) -> AisleError | None:
        """Halt both when one has halted or hangs; to be called again and again.

        Args:
            seconds: since the last call. Added up here, so that a pause of the whole process is no hang.
        Returns:
            the fault, None when they are sound.
        """
        lanes = (self.text, self.picture)
        self._running_s = {
            (lane.name, batch): self._running_s.get((lane.name, batch), -seconds) + seconds
            for lane in lanes
            for batch in lane.running_batches
        }
        fault = self.fault
        for (name, _), running_s in self._running_s.items():
            if fault is None and running_s > self._timeout_s:
                fault = EngineDownError(f"the {name} engine hangs and is being restarted; send the request again")
        if isinstance(fault, EngineDownError):
            for lane in lanes:
                lane.halt(fault)
        return fault

    def close(self) -> None:
        """Stop both batchers and free the engine."""
        self.text.close()
        self.picture.close()
        self.predictor.close()

    def _answer(self, items: Sequence[Item]) -> list[Prediction]:
        """Answer a batch as its most demanding item wants it; the others leave out what they do not need."""
        products = [item.product for item in items]
        pixels = {i: item.pixels for i, item in enumerate(items) if item.pixels is not None}
        if pixels:
            for i, features in zip(pixels, self.predictor.encode_images(np.stack(list(pixels.values()))), strict=True):
                products[i] = self._encoded(products[i], features)
        top_k, all_heads = max(item.top_k for item in items), any(item.all_heads for item in items)
        sub_trees = [item.sub_tree for item in items]
        words = [i for i, item in enumerate(items) if item.with_words]
        return self.predictor.predict_decoded(products, {}, top_k, all_heads, sub_trees, words)

    def _encoded(self, product: Product, features: np.ndarray) -> Product:
        """A product with the features of its picture in the place of it."""
        if product.image is not None:  # as the pictures of warm-up have none
            self.feature_cache.put(product.image, features)
        return replace(product, image=None, image_features=features)

    def _warm_up_with(self, batch: list[Item], together: Barrier) -> None:
        together.wait()  # runs at the same time are on different streams
        self._answer(batch)
        self.predictor.predict_decoded([item.product for item in batch], {}, top_k=1, all_heads=False)

    def _blank_picture(self) -> np.ndarray:
        size = self.predictor.bundle.settings.image.image_size
        return np.zeros((size, size, 3), np.uint8)


def _good(pixels: np.ndarray | None) -> Item:
    return Item(_WARM_UP, top_k=1, all_heads=True, pixels=pixels)


def _limits(settings: ServerSettings, max_batch_items: int, max_queue_items: int, min_share: int) -> BatchLimits:
    delay_s = settings.max_queue_delay_ms / 1000
    return BatchLimits(max_batch_items, max_queue_items, settings.max_queue_bytes, delay_s, min_share)
