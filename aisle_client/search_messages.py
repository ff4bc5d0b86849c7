"""Questions and offers to requests of the search, and its responses to hits; what both clients share."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias, TypeVar

from aisle_client.errors import InputError, status_code
from aisle_client.hits import Hit, Hits
from aisle_client.messages import RequestLimits, merged_requests, product_message
from aisle_client.offer import Offer
from aisle_client.pair_answer import PairAnswer
from aisle_client.prediction import Failure
from aisle_client.product import ProductLike
from aisle_client.search_filter import SearchFilter
from aisle_client.v1 import search_pb2

#: What is asked about: the id of a product of the index, any product, or one with its group_id.
Query: TypeAlias = str | ProductLike | Offer
ItemT = TypeVar("ItemT")

#: Of one response; more take long to make, to send and to read.
MAX_HITS_PER_RESPONSE = 50_000
_MAX_INT32 = 2**31 - 1
_SPACES = {
    "": search_pb2.SPACE_UNSPECIFIED,
    "image": search_pb2.SPACE_IMAGE,
    "text": search_pb2.SPACE_TEXT,
    "joint": search_pb2.SPACE_JOINT,
}
_SPACE_NAMES = {number: name for name, number in _SPACES.items()}


def not_one_text(name: str, items: Iterable[ItemT]) -> Iterable[ItemT]:
    """Items as they are; a text would be taken for a list of its letters.

    Raises:
        InputError: they are one text.
    """
    if isinstance(items, str):
        raise InputError(f"{name}: expected a list, found the text {items!r}; write [{items!r}]")
    return items


def similar_head(
    k: int, space: str, condition: SearchFilter | None, exclude_same_product: bool, diversity: float
) -> search_pb2.SimilarRequest:
    """A request for products like others, without its queries.

    Raises:
        InputError: no such space, or k is no number of hits.
    """
    if space not in _SPACES:
        raise InputError(f"space: expected 'image', 'text' or 'joint', or '' for the best one; found {space!r}")
    if not 0 <= k <= _MAX_INT32:
        raise InputError(f"k: expected 1 to the server's limits.max_k, or 0 for its default; found {k}")
    return search_pb2.SimilarRequest(
        k=k,
        space=_SPACES[space],
        filter=_filter_message(condition or SearchFilter()),
        exclude_same_product=exclude_same_product,
        diversity=diversity,
    )


def similar_requests(
    queries: Iterable[Query], head: search_pb2.SimilarRequest, limits: RequestLimits
) -> Iterator[search_pb2.SimilarRequest]:
    """Requests that hold all queries in order, each small enough for the server, as is its answer."""
    most = max(MAX_HITS_PER_RESPONSE // max(head.k, 1), 1)
    pieces = (search_pb2.SimilarRequest(queries=[_query_message(query)]) for query in queries)
    return merged_requests(pieces, head, replace(limits, max_products=min(limits.max_products, most)))


def upsert_requests(offers: Iterable[Offer], limits: RequestLimits) -> Iterator[search_pb2.UpsertRequest]:
    """Requests that hold all offers in order, each small enough for the server."""
    pieces = (search_pb2.UpsertRequest(offers=[_offer_message(offer)]) for offer in offers)
    return merged_requests(pieces, search_pb2.UpsertRequest(), limits)


def delete_requests(product_ids: Iterable[str], limits: RequestLimits) -> Iterator[search_pb2.DeleteRequest]:
    """Requests that hold all ids in order, each small enough for the server."""
    pieces = (search_pb2.DeleteRequest(product_ids=[product_id]) for product_id in product_ids)
    return merged_requests(pieces, search_pb2.DeleteRequest(), limits)


def same_product_head(precision: float) -> search_pb2.SameProductRequest:
    """A request to compare pairs, without its pairs.

    Raises:
        InputError: precision is no share.
    """
    if not 0 <= precision < 1:
        raise InputError(f"precision: expected above 0 and below 1, or 0 for the matcher's promise; found {precision}")
    return search_pb2.SameProductRequest(precision=precision)


def same_product_requests(
    pairs: Iterable[tuple[str, str]], head: search_pb2.SameProductRequest, limits: RequestLimits
) -> Iterator[search_pb2.SameProductRequest]:
    """Requests that hold all pairs of ids in order, each small enough for the server."""
    messages = (search_pb2.ProductPair(left_id=left_id, right_id=right_id) for left_id, right_id in pairs)
    pieces = (search_pb2.SameProductRequest(pairs=[message]) for message in messages)
    return merged_requests(pieces, head, limits)


def read_same_product(
    request: search_pb2.SameProductRequest, response: search_pb2.SameProductResponse
) -> list[PairAnswer | Failure]:
    """One result for each pair of the request, in order; a Failure has the id of the left product."""
    return [_read_pair(pair, result) for pair, result in zip(request.pairs, response.results, strict=True)]


def read_similar(request: search_pb2.SimilarRequest, response: search_pb2.SimilarResponse) -> list[Hits | Failure]:
    """One result for each query of the request, in order."""
    return [_read_result(query, result) for query, result in zip(request.queries, response.results, strict=True)]


def read_upsert(response: search_pb2.UpsertResponse) -> list[Failure | None]:
    """None for each offer that is in the index now, in order; for another the reason why not."""
    return [
        Failure(result.product_id, status_code(result.error).name, result.error.message)
        if result.HasField("error")
        else None
        for result in response.results
    ]


def _filter_message(condition: SearchFilter) -> search_pb2.ProductFilter:
    return search_pb2.ProductFilter(
        category=condition.category,
        brands=condition.brands,
        malls=condition.malls,
        min_price=condition.min_price,
        max_price=condition.max_price,
    )


def _query_message(query: Query) -> search_pb2.SimilarQuery:
    if isinstance(query, str):
        return search_pb2.SimilarQuery(product_id=query)
    if isinstance(query, Offer):
        return search_pb2.SimilarQuery(product=product_message(query.product), group_id=query.group_id)
    return search_pb2.SimilarQuery(product=product_message(query))


def _offer_message(offer: Offer) -> search_pb2.Offer:
    return search_pb2.Offer(
        product=product_message(offer.product),
        category=offer.category,
        mall=offer.mall,
        price=offer.price,
        group_id=offer.group_id,
        item_id=offer.item_id,
        image=offer.image,
        model_number=offer.model_number,
        source=offer.source,
    )


def _read_result(query: search_pb2.SimilarQuery, result: search_pb2.SimilarResult) -> Hits | Failure:
    product_id = query.product_id or query.product.product_id
    if result.WhichOneof("outcome") != "hits":
        return Failure(product_id, status_code(result.error).name, result.error.message)
    return Hits(product_id, tuple(map(_read_hit, result.hits.hits)), _SPACE_NAMES.get(result.hits.space, ""))


def _read_pair(pair: search_pb2.ProductPair, result: search_pb2.SameProductResult) -> PairAnswer | Failure:
    if result.WhichOneof("outcome") != "answer":
        return Failure(pair.left_id, status_code(result.error).name, result.error.message)
    return PairAnswer(pair.left_id, pair.right_id, result.answer.probability, result.answer.is_same)


def _read_hit(message: search_pb2.SimilarHit) -> Hit:
    found = message.attributes
    return Hit(
        product_id=message.product_id,
        score=message.score,
        product_name=found.product_name,
        category=found.category,
        brand=found.brand,
        mall=found.mall,
        price=found.price if found.HasField("price") else None,
        group_id=found.group_id,
        item_id=found.item_id,
        image=found.image,
    )
