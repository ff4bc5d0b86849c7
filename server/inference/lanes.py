"""The two lanes of one opened bundle, each with a batcher of its own: products with a picture, and those without."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Barrier

import numpy as np

from model.engines.batch_shapes import buckets
from model.engines.engine import Engine
from model.errors import PictureError
from model.machine.cores import usable_cores
from model.machine.throttle import Throttle
from model.pictures import blank_jpeg
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import SubTree
from server.errors import AisleError, EngineDownError
from server.inference.batcher import Batcher, BatchLimits
from server.inference.decoder import Decoder
from server.inference.engine_runs import EngineRuns
from server.inference.feature_cache import FeatureCache
from server.settings import ServerSettings

_SPARE_WORKERS = 2  # these decode the next pictures and return the last answers while the engine's streams run
_ENCODER_RUNS = (
    2  # per picture batch on a CPU, because each run of the encoder evicts the other programs from the caches
)
_MIN_TEXT_SHARE = 64  # two workers with fewer texts each take nearly as long as one with all of them


@dataclass(slots=True)
class Item:
    """A checked product and the options of its request.

    Args:
        all_heads, with_words: fill the prediction's `heads` and `words`.
        sub_tree: the part of the tree that the answer is restricted to; None is the whole tree.
        decode_s: time of decoding the pictures of its batch, seconds; set by the lane.
    """

    product: Product
    top_k: int
    all_heads: bool
    sub_tree: SubTree | None = None
    with_words: bool = False
    decode_s: float = 0.0


class Lanes:
    """The text lane and the picture lane, so that texts never wait for pictures; when one halts, both are replaced.

    Attributes:
        predictor: the predictor of both lanes.
        text: answers products without a picture, or with its features.
        picture: answers products with a picture; decodes and encodes it.
        feature_cache: features of the pictures encoded here.
    """

    def __init__(self, predictor: Predictor, settings: ServerSettings):
        self.predictor = predictor
        self.feature_cache = FeatureCache(settings.image_cache_bytes)
        engine = predictor.engine
        self._decoder = Decoder(predictor.decode, settings.decode_threads or _decode_threads(engine))
        self._num_streams = engine.num_streams
        max_images = settings.max_batch_images or _max_batch_images(engine)
        self._max_encoded = min(max_images, engine.max_images)
        self._max_items = settings.max_batch_items
        self._blank_picture = blank_jpeg(predictor.bundle.settings.image.image_size)
        text_limits = _limits(settings, self._max_items, settings.max_queue_items, _MIN_TEXT_SHARE)
        self.text: Batcher[Item, Prediction] = Batcher(
            "text", self._answer_texts, text_limits, _good_item(), self._num_streams
        )
        on_cpu = engine.device == "CPU"  # there a batch saves a fifth of the time of a picture, and only a full one
        picture_limits = _limits(settings, max_images, settings.max_queue_images, min_share=1, all_share=on_cpu)
        self.picture: Batcher[Item, Prediction] = Batcher(
            "picture",
            self._answer_pictures,
            picture_limits,
            _good_item(self._blank_picture),
            self._num_streams + _SPARE_WORKERS,
        )
        self._timeout_s = settings.engine_timeout_s
        self._engine_runs = EngineRuns()

    @property
    def fault(self) -> AisleError | None:
        """The reason why they accept no more products; None while they do."""
        return self.text.fault or self.picture.fault

    def warm_up(self, throttle: Throttle | None = None) -> None:
        """Run batches of every size on every stream, because engines compile on the first batch of a shape.

        Args:
            throttle: pauses after each batch, for calls that are served meanwhile.
        Raises:
            Exception: what the engine raised.
        """
        throttle = throttle or Throttle()
        with ThreadPoolExecutor(self._num_streams) as pool:
            for batch in self._warm_up_batches():
                barrier = Barrier(self._num_streams)
                runs = [pool.submit(self._warm_up_with, batch, barrier) for _ in range(self._num_streams)]
                for run in runs:
                    run.result()
                throttle.pause()

    def watch(self, seconds: float) -> AisleError | None:
        """Halt both lanes when one has halted or hangs; to be called periodically.

        Args:
            seconds: time since the last call.
        Returns:
            The fault, None while both work.
        """
        hanging = self._engine_runs.hanging(self._timeout_s, seconds)
        fault = self.fault
        if fault is None and hanging:
            fault = EngineDownError(f"the {hanging} engine hangs and is being restarted; send the request again")
        if isinstance(fault, EngineDownError):
            for lane in (self.text, self.picture):
                lane.halt(fault)
        return fault

    def close(self) -> None:
        """Stop both batchers and free the engine."""
        self.text.close()
        self.picture.close()
        self._decoder.close()
        self.predictor.close()

    def _answer_texts(self, items: Sequence[Item]) -> list[Prediction]:
        with self._engine_runs.run("text"):
            return self._answer(items)

    def _answer(self, items: Sequence[Item]) -> list[Prediction]:
        """Answer a batch with the options of its most demanding item; responses omit what others did not ask for."""
        top_k, all_heads = max(item.top_k for item in items), any(item.all_heads for item in items)
        sub_trees = [item.sub_tree for item in items]
        words = [i for i, item in enumerate(items) if item.with_words]
        return self.predictor.predict_decoded([item.product for item in items], {}, top_k, all_heads, sub_trees, words)

    def _answer_pictures(self, items: Sequence[Item]) -> list[Prediction | PictureError]:
        """Decode, encode and answer a batch; a broken picture is the outcome of its own product alone."""
        outcomes: dict[int, Prediction | PictureError] = {}
        pixels: dict[int, np.ndarray] = {}
        started_s = time.perf_counter()
        decoded = self._decoder.decode([item.product for item in items])
        decode_s = time.perf_counter() - started_s
        for i, (item, found) in enumerate(zip(items, decoded, strict=True)):
            item.decode_s = decode_s
            if isinstance(found, PictureError):
                outcomes[i] = found
            else:
                assert found is not None  # this lane's products have a picture, and the model reads it
                pixels[i] = found
        if pixels:
            with self._engine_runs.run("picture"):  # without decoding, which may take longer than the timeout
                features = self.predictor.encode_images(np.stack(list(pixels.values())))
                encoded = [self._encoded(items[i], row) for i, row in zip(pixels, features, strict=True)]
                outcomes.update(zip(pixels, self._answer(encoded), strict=True))
        return [outcomes[i] for i in range(len(items))]

    def _encoded(self, item: Item, features: np.ndarray) -> Item:
        """Replace the picture of an item by its features, and cache them."""
        assert item.product.image is not None
        self.feature_cache.put(item.product.image, features)
        return replace(item, product=replace(item.product, image=None, image_features=features))

    def _warm_up_batches(self) -> Iterator[list[Item]]:
        for size in buckets(self._max_items):
            yield [_good_item()] * size
            yield [replace(_good_item(), all_heads=False)] * size
        if "image" in self.predictor.bundle.fields:
            for size in buckets(self._max_encoded):
                yield [_good_item(self._blank_picture)] * size

    def _warm_up_with(self, batch: list[Item], barrier: Barrier) -> None:
        barrier.wait()  # runs at the same time are on different streams
        run = self._answer if batch[0].product.image is None else self._answer_pictures
        run(batch)


def _decode_threads(engine: Engine) -> int:
    return 1 if engine.device == "CPU" else usable_cores()


def _max_batch_images(engine: Engine) -> int:
    return engine.max_images * (_ENCODER_RUNS if engine.device == "CPU" else 1)


def _good_item(image: bytes | None = None) -> Item:
    return Item(Product("", product_name="warm up", image=image), top_k=1, all_heads=True)


def _limits(
    settings: ServerSettings, max_batch_items: int, max_queue_items: int, min_share: int, all_share: bool = False
) -> BatchLimits:
    delay_s = settings.max_queue_delay_ms / 1000
    return BatchLimits(max_batch_items, max_queue_items, settings.max_queue_bytes, delay_s, min_share, all_share)
