"""The way of a request's products through decoder, image encoder and classifier of one model."""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from model.answer import Prediction
from model.engine import Features
from model.errors import ProductError
from model.predictor import Predictor
from model.product import Product
from server.batcher import Batcher
from server.call import Call
from server.decoder import Decoder
from server.errors import (
    EngineDownError,
    FieldError,
    OverloadError,
    StoppingError,
    TooLateError,
    WaitTooLongError,
)
from server.programs import Programs
from server.settings import ServerSettings
from server.work import Batched

T = TypeVar("T")

_ESTIMATE_MARGIN = 1.1  # what is answered a little too late was work for nothing

#: Errors that end the whole request, wherever they arise; any other costs one product.
_WHOLE_REQUEST = (CancelledError, EngineDownError, OverloadError, StoppingError, TooLateError)


@dataclass(frozen=True)
class Answered:
    """What became of a request's products, and where the time went; see `Timings` in the contract.

    Args:
        outcomes: one for each product, in order; an error that is neither ProductError nor
            PictureError is a fault of the server.
    """

    outcomes: list[Prediction | Exception]
    decode_s: float
    queue_s: float
    inference_s: float


class Pipeline:
    """The programs of one model; requests without pictures pass the image encoder by.

    Args:
        decoder: shared by all models; not closed here.
    Attributes:
        programs: what answers now; others take their place when the engine is opened again.
        is_closed: whether it is over.
    """

    def __init__(self, predictor: Predictor, decoder: Decoder, settings: ServerSettings):
        self.decoder = decoder
        self.programs = Programs(predictor, settings)
        self._settings = settings
        self._lock = threading.Lock()
        self.is_closed = False

    @property
    def predictor(self) -> Predictor:
        """What runs the programs now."""
        return self.programs.predictor

    @property
    def encoder(self) -> Batcher:
        """In front of the image encoder."""
        return self.programs.encoder

    @property
    def classifier(self) -> Batcher:
        """In front of the classifier."""
        return self.programs.classifier

    @property
    def is_serving(self) -> bool:
        """Whether requests are answered; False while the engine is down, and after `close`."""
        return self.programs.fault is None

    def warm_up(self) -> None:
        """Run batches of many sizes, because engines compile on the first of a kind and no caller shall wait."""
        self.programs.warm_up()

    def reopen(self) -> None:
        """Put newly opened programs in the place of halted ones, when they have run once.

        Raises:
            BundleError: the bundle is gone or damaged.
            EngineError: the engine cannot run it.
            Exception: what the engine raised when it ran.
        """
        settings, broken = self._settings, self.programs
        path = broken.predictor.bundle.path
        predictor = Predictor.open(path, settings.engine, settings.precision, settings.engine_threads)
        programs = Programs(predictor, settings)
        try:
            programs.warm_up()
        except BaseException:
            programs.close()
            raise
        with self._lock:
            if not self.is_closed:
                self.programs, programs = programs, broken
        programs.close()

    def wait_s(self, has_pictures: bool) -> float:
        """How long a request that came now would wait, seconds."""
        picture_wait_s = self.decoder.wait_s() + self.encoder.wait_s() if has_pictures else 0.0
        return picture_wait_s + self.classifier.wait_s()

    def answer_s(self, num_products: int, num_pictures: int) -> float:
        """How long a request that came now would take, the wait included, seconds."""
        pictures_s = self.decoder.wait_s() + self.encoder.wait_s(num_pictures) if num_pictures else 0.0
        return pictures_s + self.classifier.wait_s(num_products)

    def answer(self, items: Sequence[Product | ProductError], top_k: int, call: Call) -> Answered:
        """Answer what can be answered; items that are errors already stay what they are.

        Raises:
            OverloadError: no room, or no answer before the deadline; nothing of the request stays in a queue.
            TooLateError: the deadline passed in a queue.
            EngineDownError: the engine has failed or hangs.
            CancelledError: the caller has left.
            Exception: whatever the classifier raised, a fault of the server.
        """
        run = _Run(self, call)
        try:
            run.check(items)
            run.check_wait()
            run.decode_and_encode()
            run.classify(top_k)
        except BaseException:
            run.cancel()
            raise
        outcomes = [run.outcomes[i] for i in range(len(items))]
        return Answered(outcomes, run.decode_s, run.queue_s, run.inference_s)

    def close(self) -> None:
        """Stop both batchers and free the engine."""
        with self._lock:
            self.is_closed = True
        self.programs.close()


class _Run:
    """One request on its way: each product moves from `products` to `outcomes`, keyed by its place."""

    def __init__(self, pipeline: Pipeline, call: Call):
        self.products: dict[int, Product] = {}
        self.outcomes: dict[int, Prediction | Exception] = {}
        self.decode_s = self.queue_s = self.inference_s = 0.0
        self._pipeline = pipeline
        self._programs = pipeline.programs  # to the end: other programs may be of another state of the bundle
        self._predictor = self._programs.predictor
        self._call = call
        self._futures: list[Future] = []
        self._image_features: dict[int, np.ndarray] = {}

    def check(self, items: Iterable[Product | ProductError]) -> None:
        """Sort out the products that cannot be answered at all."""
        for i, item in enumerate(items):
            if isinstance(item, ProductError):
                self.outcomes[i] = item
                continue
            try:
                self._predictor.check(item)
                self.products[i] = item
            except ProductError as error:
                has_features = item.image_features is not None
                self.outcomes[i] = FieldError("image_features", str(error)) if has_features else error

    def check_wait(self) -> None:
        """Refuse what would come too late for its caller, before anything is done for it.

        What need not wait is always tried, however long it took before: the next estimate learns from it.
        """
        num_pictures = len(self._pictures())
        wait_s = self._pipeline.wait_s(num_pictures > 0)
        answer_s = self._pipeline.answer_s(len(self.products), num_pictures)
        left_s = self._call.deadline_s - time.perf_counter()
        if wait_s and answer_s * _ESTIMATE_MARGIN > left_s:
            raise WaitTooLongError(
                f"expected to answer in {answer_s:.3f} s, most of it waiting, the deadline is in {left_s:.3f} s; send"
                " the request again later, or allow more time",
                wait_s,
            )

    def decode_and_encode(self) -> None:
        """Turn pictures into features, where there are any."""
        pictures = self._pictures()
        if not pictures:
            return
        places, num_bytes = self._pipeline.decoder.places, sum(map(self._picture_bytes, pictures.values()))
        places.take(len(pictures), num_bytes)
        try:
            self._decode_and_encode(pictures)
        finally:
            places.give_back(len(pictures), num_bytes)

    def _decode_and_encode(self, pictures: dict[int, Product]) -> None:
        """The encoder starts while later pictures are still decoded."""
        started_s = time.perf_counter()
        decoder, encoder, deadline_s = self._pipeline.decoder, self._programs.encoder, self._call.deadline_s
        decode = self._predictor.decode
        decoding = [(i, self._track(decoder.submit(decode, product))) for i, product in pictures.items()]
        encoding: list[tuple[int, Future[Batched]]] = []
        for i, decoded in decoding:
            pixels = self._result_or_fail(i, decoded)
            self.decode_s = time.perf_counter() - started_s
            if pixels is not None:
                encoding.append((i, self._track(encoder.submit({"images": pixels[None]}, deadline_s))))
        for i, encoded in encoding:
            batched = self._result_or_fail(i, encoded)
            if batched is not None:
                self._image_features[i] = batched.outputs["image_features"][0]
                self.queue_s = max(self.queue_s, batched.queue_s)
                self.inference_s = max(self.inference_s, batched.run_s)

    def classify(self, top_k: int) -> None:
        """Answer the products that are left."""
        features = self._features()
        if not self.products:
            return
        batched = self._track(self._programs.classifier.submit(features, self._call.deadline_s)).result()
        self.queue_s += batched.queue_s
        self.inference_s += batched.run_s
        predictions = self._predictor.predictions(list(self.products.values()), batched.outputs, top_k)
        self.outcomes.update(zip(self.products, predictions, strict=True))

    def cancel(self) -> None:
        """Take what is left of the request out of all queues."""
        for future in self._futures:
            future.cancel()

    def _pictures(self) -> dict[int, Product]:
        """The products whose picture this model reads."""
        if "image" not in self._predictor.bundle.fields:
            return {}
        return {i: product for i, product in self.products.items() if product.image is not None}

    def _picture_bytes(self, product: Product) -> int:
        """What a picture takes up while it is encoded and decoded."""
        assert product.image is not None
        size = self._predictor.bundle.settings.image.image_size
        return len(product.image) + size * size * 3

    def _track(self, future: Future[T]) -> Future[T]:
        self._futures.append(future)
        return self._call.track(future)

    def _result_or_fail(self, i: int, future: Future[T]) -> T | None:
        """The result, or None after the error of product `i` became its outcome."""
        try:
            return future.result()
        except _WHOLE_REQUEST:
            raise
        except Exception as error:
            self._fail(i, error)
            return None

    def _features(self) -> Features:
        """Classifier inputs of the products; those that the preprocessor trips over fail alone."""
        try:
            return self._features_of(self.products)
        except Exception:
            for i, product in list(self.products.items()):
                try:
                    self._features_of({i: product})
                except Exception as error:
                    self._fail(i, error)
        return self._features_of(self.products)

    def _features_of(self, products: dict[int, Product]) -> Features:
        if not products:
            return {}
        image_features = self._predictor.preprocessor.empty_image_features(len(products))
        if image_features is not None:
            for row, i in enumerate(products):
                if i in self._image_features:
                    image_features[row] = self._image_features[i]
        return self._predictor.features(list(products.values()), image_features)

    def _fail(self, i: int, error: Exception) -> None:
        del self.products[i]
        self.outcomes[i] = error
