"""Answers the parts of requests that come in one frame, as one batch."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from model.engines.batch_shapes import buckets
from model.errors import PictureError, ProductError, TaxonomyError
from model.pictures import blank_jpeg
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import SubTree, find_sub_tree
from model.taxonomy import SEPARATOR
from retrieval.index.record import Space
from server.engine.decoder import Decoder
from server.engine.large_pictures import LargePicture, large_pictures
from server.engine.progress import Progress
from server.engine.request import PartRequest
from server.engine.response import classifications
from server.errors import BatchError, FieldError, RequestError, request_status, status_reason

_GOOD_PRODUCT = Product("", product_name="warm up")

_log = logging.getLogger("aisle.engine")


class EngineFaultError(Exception):
    """The engine fails with any input; the process has to end."""


@dataclass
class Item:
    """A product of a frame, with the options of its request.

    Args:
        outcome: what became of it; None while it has none.
        features: (F,) float32 of its picture, once it is encoded here.
    """

    product: Product
    top_k: int
    all_heads: bool
    with_words: bool
    sub_tree: SubTree | None
    outcome: Prediction | Exception | None = None
    pixels: np.ndarray | None = None
    features: np.ndarray | None = None


@dataclass
class PartReply:
    """The answer to a part.

    Args:
        content: a serialised ClassifyResponse that holds its classifications; with `is_failed` a google.rpc.Status.
        large: the pictures that have to be announced before they are decoded; then nothing was answered.
        category_counts: best answers by the position of their category of the first level.
        error_counts: products without an answer by reason.
        features: what the pictures were encoded to, by position of the product in the part.
        vectors: float32 bytes of the vectors that were asked for, by position and space.
    """

    content: bytes = b""
    is_failed: bool = False
    large: list[LargePicture] = field(default_factory=list)
    num_accepted: int = 0
    num_needs_review: int = 0
    category_counts: dict[int, int] = field(default_factory=dict)
    error_counts: dict[str, int] = field(default_factory=dict)
    features: dict[int, bytes] = field(default_factory=dict)
    vectors: dict[tuple[int, Space], bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameReply:
    """The answers to the parts of a frame, in order, and the times they share, seconds."""

    parts: list[PartReply]
    decode_s: float
    inference_s: float


class Answerer:
    """Answers frames with one predictor. Thread-safe where the predictor's engine runs several at a time.

    Args:
        max_text_chars: longest text of a product, characters.
        with_features: whether replies carry the features of pictures.
    """

    def __init__(
        self, predictor: Predictor, decoder: Decoder, progress: Progress, max_text_chars: int, with_features: bool
    ):
        self._predictor = predictor
        self._decoder = decoder
        self._progress = progress
        self._max_text_chars = max_text_chars
        self._with_features = with_features
        self._reads_pictures = "image" in predictor.bundle.fields
        first_level = predictor.bundle.taxonomy.levels[0]
        self._category_numbers = {category: number for number, category in enumerate(first_level)}
        blank = blank_jpeg(predictor.bundle.settings.image.image_size)
        self._blank_product = Product("", product_name="warm up", image=blank)
        self._blank_pixels = predictor.decode(self._blank_product)

    def warm_up(self, max_items: int, max_images: int) -> None:
        """Run batches of every size, because engines compile at the first batch of a shape.

        Raises:
            Exception: what the engine raised.
        """
        for size in buckets(max_items):
            for all_heads in (True, False):
                self._answer_items([_good_item(all_heads=all_heads) for _ in range(size)])
        for size in buckets(max_images) if self._reads_pictures else ():
            self._answer_items([self._decoded_good_item() for _ in range(size)])

    def answer(self, parts: Sequence[PartRequest]) -> FrameReply:
        """Answer parts of any requests; whatever is wrong with one costs no other.

        Raises:
            EngineFaultError: the engine fails with an item that a working one answers.
        """
        started_s = time.perf_counter()
        replies = [PartReply() for _ in parts]
        items = [self._items(part, reply) for part, reply in zip(parts, replies, strict=True)]
        good = [item for one in items for item in one if item.outcome is None]
        self._decode(good)
        decoded_s = time.perf_counter()
        has_pictures = any(item.product.image is not None for item in good)
        self._answer_or_isolate([item for item in good if item.outcome is None])
        for part, reply, one in zip(parts, replies, items, strict=True):
            if not reply.is_failed and not reply.large:
                self._fill(reply, part, one)
            self._progress.step()
        ended_s = time.perf_counter()
        decode_s = decoded_s - started_s if has_pictures and self._reads_pictures else 0.0
        return FrameReply(replies, decode_s, ended_s - started_s - decode_s)

    def _items(self, part: PartRequest, reply: PartReply) -> list[Item]:
        """The products of a part; none when the whole part is answered already by its reply."""
        message = part.message
        try:
            sub_tree = self._sub_tree(message.mask_parent)
        except RequestError as error:
            reply.is_failed, reply.content = True, request_status(error).SerializeToString()
            return []
        top_k, all_heads, with_words = message.top_k, message.include_evidence, message.include_words
        items = []
        for found in part.items(self._max_text_chars):
            outcome = found if isinstance(found, FieldError) else self._error_of(found)
            product = Product("") if isinstance(found, FieldError) else found
            items.append(Item(product, top_k, all_heads, with_words, sub_tree, outcome))
        if self._reads_pictures and not part.may_be_large:
            pictures = [None if item.outcome else item.product.image for item in items]
            reply.large = large_pictures(pictures, self._predictor.preprocessor.image)
        return [] if reply.large else items

    def _sub_tree(self, mask_parent: str) -> SubTree | None:
        if not mask_parent:
            return None
        try:
            return find_sub_tree(self._predictor.bundle.taxonomy, mask_parent)
        except TaxonomyError as error:
            raise RequestError([("mask_parent", str(error))]) from error

    def _error_of(self, product: Product) -> ProductError | None:
        try:
            self._predictor.check(product)
        except ProductError as error:
            return FieldError("image_features", str(error)) if product.image_features is not None else error
        return None

    def _decode(self, items: Sequence[Item]) -> None:
        """Decode the pictures; a broken one is the outcome of its own product alone."""
        with_picture = [item for item in items if self._reads_pictures and item.product.image is not None]
        decoded = self._decoder.decode([item.product for item in with_picture], self._progress.step)
        for item, found in zip(with_picture, decoded, strict=True):
            if isinstance(found, PictureError):
                item.outcome = found
            else:
                item.pixels = found

    def _answer_or_isolate(self, items: Sequence[Item]) -> None:
        """Answer a batch; when it fails, each item alone, so that a faulty one fails by itself."""
        if not items:
            return
        try:
            self._answer_items(items)
        except Exception as error:
            if len(items) > 1:
                _log.warning("a batch of %d failed (%r); each item is run again alone", len(items), error)
            for item in items:
                self._answer_alone(item, error if len(items) == 1 else None)

    def _answer_alone(self, item: Item, error: Exception | None) -> None:
        try:
            if error is not None:
                raise error
            self._answer_items([item])
        except Exception as own_error:
            item.outcome = own_error
            try:
                self._answer_items([_good_item() if item.pixels is None else self._decoded_good_item()])
            except Exception as fault:
                raise EngineFaultError(f"it fails with a good product, too: {fault!r}") from own_error

    def _answer_items(self, items: Sequence[Item]) -> None:
        """Answer a batch with the options of its most demanding item; responses omit what others did not ask for."""
        predictor = self._predictor
        products = [item.product for item in items]
        pixels = {i: item.pixels for i, item in enumerate(items) if item.pixels is not None}
        image_features = predictor.preprocessor.empty_image_features(len(items))
        if pixels and image_features is not None:
            image_features[list(pixels)] = predictor.encode_images(np.stack(list(pixels.values())))
            for i in pixels:
                items[i].features = image_features[i]
            self._progress.step()
        predictions = predictor.predict_encoded(
            products,
            image_features,
            max(item.top_k for item in items),
            any(item.all_heads for item in items),
            [item.sub_tree for item in items],
            [i for i, item in enumerate(items) if item.with_words],
        )
        if len(predictions) != len(items):
            raise BatchError(f"the engine was given {len(items)} items and returned {len(predictions)} results")
        for item, prediction in zip(items, predictions, strict=True):
            item.outcome = prediction
        self._progress.step()

    def _fill(self, reply: PartReply, part: PartRequest, items: Sequence[Item]) -> None:
        outcomes = [item.outcome or BatchError("the engine left a product out") for item in items]
        response = classifications(part.message, outcomes, part.first_index)
        reply.content = response.SerializeToString()
        for i, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
            if item.features is not None and self._with_features:
                reply.features[i] = item.features.tobytes()
            if isinstance(outcome, Prediction):
                reply.num_needs_review += outcome.needs_review
                reply.num_accepted += not outcome.needs_review
                number = self._category_numbers[outcome.categories[0].category.partition(SEPARATOR)[0]]
                reply.category_counts[number] = reply.category_counts.get(number, 0) + 1
        reasons = [c.error for c in response.classifications if c.HasField("error")]
        reply.error_counts = dict(Counter(map(status_reason, reasons)))

    def _decoded_good_item(self) -> Item:
        item = _good_item(self._blank_product)
        item.pixels = self._blank_pixels
        return item


def _good_item(product: Product = _GOOD_PRODUCT, all_heads: bool = True) -> Item:
    return Item(product, 1, all_heads, with_words=False, sub_tree=None)
