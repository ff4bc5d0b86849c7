"""Products to requests and responses to predictions; what both clients share."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from aisle_client.errors import status_code
from aisle_client.prediction import Failure, Prediction, ScoredCategory, WordSupport
from aisle_client.product import TEXTS, ProductLike
from aisle_client.v1 import classifier_pb2

MAX_PRODUCTS_PER_REQUEST = 512
#: Larger requests gain nothing and are slow to be sent again.
MAX_REQUEST_BYTES = 32 * 1024 * 1024
ItemT = TypeVar("ItemT")
RequestT = TypeVar("RequestT", bound=Message)


@dataclass(frozen=True)
class RequestLimits:
    """Limits of one request; the defaults are no more than a server's own defaults.

    Args:
        max_products: most products; in the search most queries, offers or ids.
        max_bytes: of the serialised request; a single product above it still goes, for the server to accept or refuse.
    """

    max_products: int = MAX_PRODUCTS_PER_REQUEST
    max_bytes: int = MAX_REQUEST_BYTES


def request_limits(model: classifier_pb2.GetModelResponse) -> RequestLimits:
    """The limits of a server, bytes capped at MAX_REQUEST_BYTES."""
    limits = model.limits
    return RequestLimits(limits.max_products, min(limits.max_request_bytes, MAX_REQUEST_BYTES))


@dataclass(frozen=True)
class ClassifyOptions:
    """Options of a question about products; see `ClassifyRequest` in the contract."""

    model: str
    model_version: str
    top_k: int
    include_evidence: bool
    include_embedding: bool
    mask_parent: str = ""
    include_words: bool = False


def product_message(product: ProductLike) -> classifier_pb2.Product:
    """A product as it goes over the wire."""
    texts = {name: getattr(product, name) for name in TEXTS}
    message = classifier_pb2.Product(product_id=product.product_id, **texts)
    if product.image_features is not None:
        message.image_features.values.extend(product.image_features)
    elif product.image is not None:
        message.image = product.image
    return message


def has_many(items: Iterable[ItemT]) -> tuple[bool, Iterator[ItemT]]:
    """True if there is more than one item, and all of them."""
    items = iter(items)
    first = list(itertools.islice(items, 2))
    return len(first) > 1, itertools.chain(first, items)


def classify_requests(
    products: Iterable[ProductLike], options: ClassifyOptions, limits: RequestLimits
) -> Iterator[classifier_pb2.ClassifyRequest]:
    """Requests that hold all products in order, each small enough for the server; none for no products."""
    pieces = (classifier_pb2.ClassifyRequest(products=[product_message(product)]) for product in products)
    return merged_requests(pieces, _empty_request(options), limits)


def merged_requests(pieces: Iterable[RequestT], head: RequestT, limits: RequestLimits) -> Iterator[RequestT]:
    """Merge requests of one item each, in order, into as few as the limits allow; none for no pieces.

    Args:
        head: what every request says beside its items.
    """
    request, num_items = _copy(head), 0
    num_bytes = head_bytes = head.ByteSize()
    for piece in pieces:
        size = piece.ByteSize()
        if num_items and (num_items >= limits.max_products or num_bytes + size > limits.max_bytes):
            yield request
            request, num_items, num_bytes = _copy(head), 0, head_bytes
        request.MergeFrom(piece)
        num_items += 1
        num_bytes += size
    if num_items:
        yield request


def read_response(response: classifier_pb2.ClassifyResponse) -> list[Prediction | Failure]:
    """One result for each product of the request, in order."""
    return [_read_classification(classification) for classification in response.classifications]


def _empty_request(options: ClassifyOptions) -> classifier_pb2.ClassifyRequest:
    return classifier_pb2.ClassifyRequest(
        model=options.model,
        model_version=options.model_version,
        top_k=options.top_k,
        include_evidence=options.include_evidence,
        include_embedding=options.include_embedding,
        mask_parent=options.mask_parent,
        include_words=options.include_words,
    )


def _copy(message: RequestT) -> RequestT:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _read_classification(message: classifier_pb2.Classification) -> Prediction | Failure:
    if message.WhichOneof("outcome") != "prediction":
        return Failure(message.product_id, status_code(message.error).name, message.error.message)
    prediction = message.prediction
    return Prediction(
        product_id=message.product_id,
        categories=tuple(map(_read_category, prediction.categories)),
        accepted=_read_category(prediction.accepted) if prediction.HasField("accepted") else None,
        needs_review=prediction.needs_review,
        heads={answer.head: _read_category(answer.category) for answer in prediction.heads},
        embedding=tuple(prediction.embedding),
        words=tuple(WordSupport(word.word, word.support, word.probability_without) for word in prediction.words),
    )


def _read_category(message: classifier_pb2.ScoredCategory) -> ScoredCategory:
    return ScoredCategory(message.category, message.category_id, message.probability)
