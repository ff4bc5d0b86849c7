"""Parts of requests: some consecutive products that one engine process answers together."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from aisle_client.v1 import classifier_pb2
from retrieval.index.record import Space
from server.messages.request import count_chars

_MAX_PRODUCTS = 64
#: Some 20 ms of an engine: larger parts would keep others waiting.
_MAX_CHARS = 100_000
_MAX_BYTES = 4 * 1024 * 1024


class PartOwner(Protocol):
    """Whoever waits for the answers to parts."""

    def on_answer(self, part: "Part", answer: "PartAnswer") -> None:
        """Take the answer to a part."""

    def on_error(self, part: "Part", error: Exception) -> None:
        """Take the reason why a part has no answer."""

    def on_cut(self, part: "Part", parts: Sequence["Part"]) -> None:
        """Learn that a part was replaced by smaller ones."""

    def check_pixels(self, num_pixels: int) -> Exception | None:
        """Count pixels of large pictures that were found; return what to fail with when the request has too many."""


@dataclass(frozen=True)
class PartAnswer:
    """The answer to a part.

    Args:
        content: a serialised ClassifyResponse that holds its classifications only.
        queue_s, decode_s, inference_s: see `Timings` in the contract.
        category_counts: best answers by the position of their category of the first level.
        error_counts: products without an answer by reason.
        features: bytes of the features that pictures were encoded to, by position of the product in the part.
        vectors: float32 bytes of the vectors that were asked for, by position and space.
    """

    content: bytes
    queue_s: float = 0.0
    decode_s: float = 0.0
    inference_s: float = 0.0
    num_accepted: int = 0
    num_needs_review: int = 0
    category_counts: Mapping[int, int] = field(default_factory=dict)
    error_counts: Mapping[str, int] = field(default_factory=dict)
    features: Mapping[int, bytes] = field(default_factory=dict)
    vectors: Mapping[tuple[int, Space], bytes] = field(default_factory=dict)


@dataclass(eq=False)
class Part:
    """Some consecutive products of a request.

    Args:
        content: a serialised ClassifyRequest with the request's options and these products.
        first_index: position of the first product in the request.
        num_chars: characters of its texts; a name of which every word is asked for counts once more for each word.
        caller, call: whose share of time it takes.
        deadline_s: on the clock of `time.perf_counter`, as are all times here.
        spaces: vectors that are asked for in the place of categories.
        num_pixels, decode_bytes: of its picture, when that is a large one.
        num_crashes: engine processes that ended while they answered it.
        num_returns: engine processes that failed with whatever they were given.
    Attributes:
        cost_s: its expected time, seconds.
        is_queued: it waits in the scheduler.
        is_over: nobody waits for it any more.
    """

    owner: PartOwner
    content: bytes
    first_index: int
    num_products: int
    num_pictures: int
    num_chars: int
    not_utf8: Mapping[int, str]
    caller: str
    call: object
    deadline_s: float
    spaces: tuple[Space, ...] = ()
    num_pixels: int = 0
    decode_bytes: int = 0
    num_crashes: int = 0
    num_returns: int = 0
    submitted_s: float = field(default_factory=time.perf_counter)
    cost_s: float = 0.0
    is_queued: bool = False
    is_over: bool = False

    def answer(self, answer: PartAnswer) -> None:
        """Hand the answer to the owner, if it still waits."""
        if not self.is_over:
            self.is_over = True
            self.owner.on_answer(self, answer)

    def fail(self, error: Exception) -> None:
        """Hand the reason why there is no answer to the owner, if it still waits."""
        if not self.is_over:
            self.is_over = True
            self.owner.on_error(self, error)

    def replace(self, parts: Sequence["Part"]) -> None:
        """Put smaller parts in the place of this one."""
        self.is_over = True
        self.owner.on_cut(self, parts)

    def products(self) -> Sequence[classifier_pb2.Product]:
        """The products."""
        return classifier_pb2.ClassifyRequest.FromString(self.content).products

    @property
    def num_texts(self) -> int:
        """Products without a picture."""
        return self.num_products - self.num_pictures

    @property
    def is_large(self) -> bool:
        """True for a single product with a large picture."""
        return self.decode_bytes > 0


def cut_request(
    message: classifier_pb2.ClassifyRequest, max_products: int, max_pictures: int, reads_pictures: bool
) -> Iterator[tuple[int, int, int, int]]:
    """Cut a request into parts of some milliseconds each.

    Args:
        max_products, max_pictures: most products, and most with a picture, in one part.
        reads_pictures: whether the model reads pictures.
    Yields:
        first and last position (exclusive) of consecutive products, and the number of their pictures and characters.
    """
    start = num_pictures = num_chars = num_bytes = 0
    for i, product in enumerate(message.products):
        has_picture = reads_pictures and bool(product.image)
        chars = count_chars(product, message.include_words)
        size = len(product.image)
        is_full = (
            i - start >= min(max_products, _MAX_PRODUCTS)
            or num_pictures + has_picture > max_pictures
            or num_chars + chars > _MAX_CHARS
            or num_bytes + size > _MAX_BYTES
        )
        if is_full and i > start:
            yield start, i, num_pictures, num_chars
            start, num_pictures, num_chars, num_bytes = i, 0, 0, 0
        num_pictures += has_picture
        num_chars += chars
        num_bytes += size
    yield start, len(message.products), num_pictures, num_chars


def sub_request(message: classifier_pb2.ClassifyRequest, start: int, stop: int) -> bytes:
    """The serialised request with the products [start, stop) only."""
    part = classifier_pb2.ClassifyRequest(
        model=message.model,
        model_version=message.model_version,
        products=message.products[start:stop],
        top_k=message.top_k,
        include_evidence=message.include_evidence,
        include_embedding=message.include_embedding,
        mask_parent=message.mask_parent,
        include_words=message.include_words,
    )
    return part.SerializeToString()


def single_parts(part: Part) -> list[Part]:
    """The products of a part, each as a part of its own."""
    return [_cut(part, i, i + 1) for i in range(part.num_products)]


def cut_around(part: Part, loads: Mapping[int, tuple[int, int]]) -> list[Part]:
    """Cut a part so that each large picture is in a part of its own.

    Args:
        loads: pixels and bytes of decoding for each large picture, by position in the part.
    """
    parts = []
    edges = sorted({0, part.num_products, *loads, *(index + 1 for index in loads)})
    for start, stop in itertools.pairwise(edges):
        smaller = _cut(part, start, stop)
        smaller.num_pixels, smaller.decode_bytes = loads.get(start, (0, 0))
        parts.append(smaller)
    return parts


def _cut(part: Part, start: int, stop: int) -> Part:
    if (start, stop) == (0, part.num_products):
        content, message = part.content, classifier_pb2.ClassifyRequest.FromString(part.content)
    else:
        message = classifier_pb2.ClassifyRequest.FromString(part.content)
        content = sub_request(message, start, stop)
    products = message.products[start:stop]
    return replace(
        part,
        content=content,
        first_index=part.first_index + start,
        num_products=stop - start,
        num_pictures=sum(bool(product.image) for product in products) if part.num_pictures else 0,
        num_chars=sum(count_chars(product, message.include_words) for product in products),
        not_utf8={i - start: field for i, field in part.not_utf8.items() if start <= i < stop},
        is_over=False,
        is_queued=False,
    )
