"""Messages of the search to the index's own records, and back."""

import math
from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2

from aisle_client.v1 import classifier_pb2, search_pb2
from model.taxonomy import normalize_path
from retrieval.index.filter import ProductFilter
from retrieval.index.record import Attributes, Hit, Space, kept_description
from retrieval.search.similar import MAX_K, SimilarOptions
from server.errors import NOT_UTF8, RequestError, field_status, malformed_error, shortened
from server.messages.undecodable_text import parse_without_bad_texts
from server.messages.wire import count_fields

DEFAULT_K = 10
#: Smaller requests take too little to matter, whatever they consist of.
_LARGE_BYTES = 64 * 1024
_MAX_OPTIONS = 100  # fields of a request beside its items; there are 5

ItemsT = TypeVar(
    "ItemsT",
    search_pb2.SimilarRequest,
    search_pb2.SameProductRequest,
    search_pb2.UpsertRequest,
    search_pb2.DeleteRequest,
)
MessageT = TypeVar(
    "MessageT",
    search_pb2.SimilarRequest,
    search_pb2.SameProductRequest,
    search_pb2.UpsertRequest,
    search_pb2.DeleteRequest,
    search_pb2.GetIndexRequest,
)
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


def parse_items(kind: type[ItemsT], content: bytes, most: int) -> tuple[ItemsT, dict[int, str]]:
    """Parse a request of items, which are its first field.

    Args:
        most: items; a request with more is refused before it is parsed, because a query of 2 bytes takes 70 once it is.
    Returns:
        the request, and the path of a text that is not UTF-8 and was left out in each item that has one, by position.
    Raises:
        RequestError: it is no message of the contract, or has no item or too many.
    """
    field = kind.DESCRIPTOR.fields[0].name
    expected = f"expected 1 to {most} {field}"
    if len(content) > _LARGE_BYTES and count_fields(content, most + _MAX_OPTIONS) > most + _MAX_OPTIONS:
        raise RequestError([(field, f"{expected}, found more; split the request")])
    not_utf8: dict[int, str] = {}
    try:
        message = kind.FromString(content)
    except DecodeError:
        message, not_utf8 = parse_without_bad_texts(kind, field, content)
    count = len(getattr(message, field))
    if not 1 <= count <= most:
        found = "none" if not count else f"{count}; split the request"
        raise RequestError([(field, f"{expected}, found {found}")])
    return message, not_utf8


def similar_options(message: search_pb2.SimilarRequest) -> SimilarOptions:
    """Read the options of a request.

    Raises:
        RequestError: k, diversity or the filter is out of range.
    """
    if not 0 <= message.k <= MAX_K:
        raise RequestError([("k", f"expected 1 to {MAX_K}, or 0 for {DEFAULT_K}; found {message.k}")])
    if not 0 <= message.diversity < 1:
        raise RequestError([("diversity", f"expected 0 to below 1, found {message.diversity}")])
    return SimilarOptions(
        message.k or DEFAULT_K, _filter(message.filter), message.exclude_same_product, message.diversity
    )


def asked_space(message: search_pb2.SimilarRequest, known: Sequence[Space]) -> Space | None:
    """The space that a request names; None leaves it to each query.

    Raises:
        RequestError: the index has no such space.
    """
    if message.space == search_pb2.SPACE_UNSPECIFIED:
        return None
    space = SPACES.get(message.space)
    if space not in known:
        expected = ", ".join(search_pb2.Space.Name(_NUMBERS[name]) for name in known)
        found = search_pb2.Space.Name(message.space) if space else message.space
        raise RequestError([("space", f"expected {expected}, found {found}")])
    return space


def classify_request(products: Sequence[classifier_pb2.Product]) -> classifier_pb2.ClassifyRequest:
    """Products as the engine processes take them."""
    return classifier_pb2.ClassifyRequest(products=products, top_k=1)


def write_hits(message: search_pb2.SimilarHits, hits: Sequence[Hit], space: Space) -> None:
    """Write the hits of one query."""
    message.space = _NUMBERS[space]
    for hit in hits:
        known = hit.attributes
        written = message.hits.add(product_id=hit.product_id, score=hit.score).attributes
        written.product_name = known.product_name
        written.category = known.category
        written.brand = known.brand
        written.mall = known.mall
        written.group_id = known.group_id
        written.item_id = known.item_id
        written.image = known.image
        if not math.isnan(known.price):
            written.price = known.price


def offer_attributes(offer: search_pb2.Offer) -> Attributes:
    """Return the attributes of an offer, which an index keeps beside its vectors."""
    return Attributes(
        product_name=offer.product.product_name,
        category=normalize_path(offer.category),
        brand=offer.product.brand.strip(),
        mall=offer.mall.strip(),
        price=offer.price if offer.HasField("price") and math.isfinite(offer.price) else math.nan,
        group_id=offer.group_id.strip(),
        item_id=offer.item_id.strip(),
        image=offer.image,
        maker=offer.product.maker.strip(),
        mall_category=offer.product.mall_category,
        description=kept_description(offer.product.description),
        model_number=offer.model_number.strip(),
        source=offer.source.strip(),
    )


def space_number(space: Space) -> search_pb2.Space:
    """A space's number in the contract."""
    return _NUMBERS[space]


def unknown_product(product_id: str, index: int) -> status_pb2.Status:
    """The status of a query about a product that the index has not."""
    path = f"queries[{index}]"
    if not product_id:
        text = "expected a product_id or a product, found neither"
        return field_status(code_pb2.INVALID_ARGUMENT, path, text, "NO_PRODUCT")
    text = f"the index has no product {shortened(product_id)}; upsert it first"
    return field_status(code_pb2.NOT_FOUND, f"{path}.product_id", text, "UNKNOWN_PRODUCT")


def missing_vector(space: Space, index: int) -> status_pb2.Status:
    """The status of a query about a product that has no vector in the space that was asked for."""
    text = f"the product has no vector of {space}; ask for another space"
    return field_status(code_pb2.INVALID_ARGUMENT, f"queries[{index}]", text, "NO_VECTOR")


def bad_text(path: str) -> status_pb2.Status:
    """The status of an item with a text that is not UTF-8."""
    return field_status(code_pb2.INVALID_ARGUMENT, path, NOT_UTF8, "INVALID_FIELD")


def offer_error(offer: search_pb2.Offer, index: int, max_text_chars: int) -> status_pb2.Status | None:
    """The status of an offer that is wrong beside its product, which the engine processes check; else None."""
    path = f"offers[{index}]"
    if not offer.product.product_id.strip():
        text = "expected the shop's own key, found none"
        return field_status(code_pb2.INVALID_ARGUMENT, f"{path}.product.product_id", text, "NO_PRODUCT_ID")
    for name in ("category", "mall", "group_id", "item_id", "image", "model_number", "source"):
        if (count := len(getattr(offer, name))) > max_text_chars:
            text = f"expected at most {max_text_chars} characters, found {count}; cut the text"
            return field_status(code_pb2.INVALID_ARGUMENT, f"{path}.{name}", text, "INVALID_FIELD")
    return None


def _filter(message: search_pb2.ProductFilter) -> ProductFilter:
    low = message.min_price if message.HasField("min_price") else -math.inf
    high = message.max_price if message.HasField("max_price") else math.inf
    if not low <= high:
        raise RequestError([("filter.min_price", f"expected at most max_price ({high:g}), found {low:g}")])
    return ProductFilter(normalize_path(message.category), tuple(message.brands), tuple(message.malls), low, high)
