"""Answers the parts of requests that ask for vectors, as one batch."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aisle_client.v1 import classifier_pb2
from model.errors import PictureError, ProductError
from model.product import Product
from retrieval.embedding.embedder import Embedder, Vectors
from server.engine.answerer import FrameReply, PartReply
from server.engine.large_pictures import large_pictures
from server.engine.progress import Progress
from server.engine.request import PartRequest
from server.errors import FieldError, product_status, status_reason

_log = logging.getLogger("aisle.engine")


@dataclass
class VectorItem:
    """A product of a frame.

    Args:
        outcome: its vectors, or why it has none; None while it has neither.
    """

    product: Product
    outcome: Vectors | Exception | None = None
    pixels: dict[int, np.ndarray] | None = None


class VectorAnswerer:
    """Embeds the products of parts. Thread-safe where the embedder's engines run several at a time.

    Args:
        max_text_chars: longest text of a product, characters.
    """

    def __init__(self, embedder: Embedder, progress: Progress, max_text_chars: int):
        self._embedder = embedder
        self._progress = progress
        self._max_text_chars = max_text_chars

    def answer(self, parts: Sequence[PartRequest]) -> FrameReply:
        """Embed the products of parts; whatever is wrong with one costs no other."""
        started_s = time.perf_counter()
        replies = [PartReply() for _ in parts]
        items = [self._items(part, reply) for part, reply in zip(parts, replies, strict=True)]
        for part, one in zip(parts, items, strict=True):
            for item in one if self._reads_pictures(part) else ():
                self._decode(item)
        decoded_s = time.perf_counter()
        for part, one in zip(parts, items, strict=True):
            self._embed_or_isolate([item for item in one if item.outcome is None], part)
            self._progress.step()
        for part, reply, one in zip(parts, replies, items, strict=True):
            if not reply.large:
                _fill(reply, part, one)
        return FrameReply(replies, decoded_s - started_s, time.perf_counter() - decoded_s)

    def _items(self, part: PartRequest, reply: PartReply) -> list[VectorItem]:
        """The products of a part; none where large pictures have to be announced first."""
        items = [
            VectorItem(Product(""), found) if isinstance(found, FieldError) else VectorItem(found)
            for found in part.items(self._max_text_chars)
        ]
        if self._reads_pictures(part) and not part.may_be_large:
            pictures = [None if item.outcome else item.product.image for item in items]
            reply.large = large_pictures(pictures, self._embedder.predictor.preprocessor.image)
        return [] if reply.large else items

    def _reads_pictures(self, part: PartRequest) -> bool:
        return self._embedder.pictures is not None and bool({"image", "joint"}.intersection(part.spaces))

    def _decode(self, item: VectorItem) -> None:
        if item.outcome is not None:
            return
        try:
            item.pixels = self._embedder.decode(item.product)
        except PictureError as error:
            item.outcome = error
        self._progress.step()

    def _embed_or_isolate(self, items: Sequence[VectorItem], part: PartRequest) -> None:
        """Embed a batch; when it fails, each item alone, so that a faulty one fails by itself."""
        if not items:
            return
        try:
            self._embed(items, part)
        except Exception as error:
            if len(items) == 1:
                items[0].outcome = error
                return
            _log.warning("a batch of %d failed (%r); each item is run again alone", len(items), error)
            for item in items:
                self._embed_or_isolate([item], part)

    def _embed(self, items: Sequence[VectorItem], part: PartRequest) -> None:
        spaces = [space for space in part.spaces if space in self._embedder.dims]
        found = self._embedder.embed_decoded([item.product for item in items], [item.pixels for item in items], spaces)
        for item, vectors in zip(items, found, strict=True):
            nothing = ProductError(f"expected something for a vector of {' or '.join(spaces)}, found none of it")
            item.outcome = vectors or nothing


def _fill(reply: PartReply, part: PartRequest, items: Sequence[VectorItem]) -> None:
    """Put vectors beside a ClassifyResponse that holds the errors."""
    response = classifier_pb2.ClassifyResponse()
    for i, item in enumerate(items):
        classification = response.classifications.add(product_id=item.product.product_id)
        if isinstance(item.outcome, dict):
            reply.vectors |= {(i, space): vector.tobytes() for space, vector in item.outcome.items()}
        elif item.outcome is not None:
            classification.error.CopyFrom(product_status(item.outcome, part.first_index + i))
    reply.content = response.SerializeToString()
    reasons = [entry.error for entry in response.classifications if entry.HasField("error")]
    reply.error_counts = dict(Counter(map(status_reason, reasons)))
