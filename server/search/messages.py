"""Messages of the search to the index's own records, and back."""

import math
from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2

from aisle_client.v1 import classifier_pb2, search_pb2
from model.errors import SettingsError
from model.taxonomy import normalize_path
from retrieval.index.filter import ProductFilter
from retrieval.index.record import Attributes, Hit, Space
from retrieval.search.similar import MAX_K, SimilarOptions
from server.errors import RequestError, malformed_error, plain_status, shortened

DEFAULT_K = 10
MessageT = TypeVar("MessageT", search_pb2.SimilarRequest, search_pb2.UpsertRequest, search_pb2.DeleteRequest)
#: Spaces by their number in the contract.
SPACES: dict[search_pb2.Space, Space] = {
    search_pb2.SPACE_IMAGE: "image",
    search_pb2.SPACE_TEXT: "text",
    search_pb2.SPACE_JOINT: "joint",
}
_NUMBERS = {space: number for number, space in SPACES.items()}


def parse(kind: type[MessageT], content: bytes) -> MessageT:
    """Parse a request.

    Raises:
        RequestError: it is no message of the contract.
    """
    try:
        return kind.FromString(content)
    except DecodeError:
        raise malformed_error() from None


def check_count(field: str, count: int, most: int) -> None:
    """Raise RequestError where a request has no item, or too many."""
    if not 1 <= count <= most:
        found = "none" if not count else f"{count}; split the request"
        raise RequestError([(field, f"expected 1 to {most} {field}, found {found}")])


def similar_options(message: search_pb2.SimilarRequest) -> SimilarOptions:
    """What a request asks for.

    Raises:
        RequestError: k, diversity or the filter is out of range.
    """
    if not 0 <= message.k <= MAX_K:
        raise RequestError([("k", f"expected 1 to {MAX_K}, or 0 for {DEFAULT_K}; found {message.k}")])
    try:
        return SimilarOptions(
            message.k or DEFAULT_K, _filter(message.filter), message.exclude_same_product, message.diversity
        )
    except SettingsError as error:
        raise RequestError([("diversity", str(error))]) from error


def asked_space(message: search_pb2.SimilarRequest, known: Sequence[Space]) -> Space | None:
    """The space that a request names; None leaves it to each query.

    Raises:
        RequestError: the index has no such space.
    """
    if message.space == search_pb2.SPACE_UNSPECIFIED:
        return None
    space = SPACES.get(message.space)
    if space not in known:
        expected = ", ".join(f"SPACE_{name.upper()}" for name in known)
        raise RequestError([("space", f"expected {expected}, found {message.space}")])
    return space


def classify_request(products: Sequence[classifier_pb2.Product]) -> classifier_pb2.ClassifyRequest:
    """Products as the engine processes take them."""
    return classifier_pb2.ClassifyRequest(products=products, top_k=1)


def hits_message(hits: Sequence[Hit], space: Space) -> search_pb2.SimilarHits:
    """Hits of one query."""
    message = search_pb2.SimilarHits(space=_NUMBERS[space])
    for hit in hits:
        entry = hit.attributes
        added = message.hits.add(product_id=hit.product_id, score=hit.score)
        for name in ("product_name", "category", "brand", "mall", "group_id", "item_id", "image"):
            setattr(added.attributes, name, getattr(entry, name))
        if not math.isnan(entry.price):
            added.attributes.price = entry.price
    return message


def offer_attributes(offer: search_pb2.Offer) -> Attributes:
    """What an index keeps of an offer."""
    return Attributes(
        offer.product.product_name,
        normalize_path(offer.category),
        offer.product.brand.strip(),
        offer.mall.strip(),
        offer.price if offer.HasField("price") and math.isfinite(offer.price) else math.nan,
        offer.group_id.strip(),
        offer.item_id.strip(),
        offer.image,
    )


def space_number(space: Space) -> search_pb2.Space:
    """A space's number in the contract."""
    return _NUMBERS[space]


def unknown_product(product_id: str, index: int) -> status_pb2.Status:
    """The status of a query about a product that the index has not."""
    text = f"queries[{index}].product_id: the index has no product {shortened(product_id)}; upsert it first"
    return plain_status(code_pb2.NOT_FOUND, text, "UNKNOWN_PRODUCT")


def missing_vector(space: Space, index: int) -> status_pb2.Status:
    """The status of a query about a product that has no vector in the space that was asked for."""
    text = f"queries[{index}]: the product has no vector of {space}; ask for another space"
    return plain_status(code_pb2.INVALID_ARGUMENT, text, "NO_VECTOR")


def _filter(message: search_pb2.ProductFilter) -> ProductFilter:
    low = message.min_price if message.HasField("min_price") else -math.inf
    high = message.max_price if message.HasField("max_price") else math.inf
    if not low <= high:
        raise RequestError([("filter.min_price", f"expected at most max_price ({high:g}), found {low:g}")])
    return ProductFilter(normalize_path(message.category), tuple(message.brands), tuple(message.malls), low, high)
