"""Messages of SameProduct to pairs of the index's records, and the matcher's answers back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from google.rpc import code_pb2, status_pb2

from aisle_client.v1 import search_pb2
from retrieval.index.engine import IndexEngine
from retrieval.index.record import IndexRecord
from server.errors import RequestError, field_status, shortened
from server.search.matching.matcher_process import ServedMatcher
from server.search.matching.pair_batch import PairAnswers
from server.search.messages import bad_text


@dataclass(frozen=True)
class AskedPairs:
    """The pairs of a request.

    Args:
        pairs: those that can be compared, with their products.
        positions: of these in the request.
        errors: of the others, by position.
    """

    pairs: Sequence[tuple[IndexRecord, IndexRecord]]
    positions: Sequence[int]
    errors: dict[int, status_pb2.Status]


def asked_precision(message: search_pb2.SameProductRequest) -> float:
    """Read the precision that a request asks for; 0 is the matcher's own.

    Raises:
        RequestError: it is no share.
    """
    if not 0 <= message.precision < 1:
        text = f"expected above 0 and below 1, or 0 for the matcher's promise; found {message.precision:g}"
        raise RequestError([("precision", text)])
    return message.precision


def read_pairs(asked: Sequence[search_pb2.ProductPair], not_utf8: dict[int, str], engine: IndexEngine) -> AskedPairs:
    """Look up the products of a request's pairs.

    Args:
        not_utf8: path of a text that was left out, by position of its pair.
    """
    errors = {i: bad_text(f"pairs[{i}].{path}") for i, path in not_utf8.items()}
    ids = list(dict.fromkeys(product_id for pair in asked for product_id in (pair.left_id, pair.right_id)))
    known = dict(zip(ids, engine.get(ids), strict=True))
    pairs, positions = [], []
    for i, pair in enumerate(asked):
        if i in errors:
            continue
        left, right = known[pair.left_id], known[pair.right_id]
        if error := _pair_error(i, pair, left, right):
            errors[i] = error
        elif left is not None and right is not None:
            pairs.append((left, right))
            positions.append(i)
    return AskedPairs(pairs, positions, errors)


def same_product_response(
    num_pairs: int, precision: float, asked: AskedPairs, answers: PairAnswers | None, matcher: ServedMatcher
) -> search_pb2.SameProductResponse:
    """Write the answers.

    Args:
        precision: as `asked_precision`.
        answers: None where no pair could be compared.
    """
    response = search_pb2.SameProductResponse(precision=precision or matcher.precision)
    for _ in range(num_pairs):
        response.results.add()
    for i, error in asked.errors.items():
        response.results[i].error.CopyFrom(error)
    if answers is None:
        return response
    threshold = answers.thresholds[precision]
    if threshold <= 1:
        response.threshold = threshold
    for i, probability in zip(asked.positions, answers.probabilities.tolist(), strict=True):
        if math.isnan(probability):
            text = "the matcher cannot compare these two products; the server's log says why"
            response.results[i].error.CopyFrom(field_status(code_pb2.INTERNAL, f"pairs[{i}]", text, "NOT_COMPARED"))
            continue
        answer = response.results[i].answer
        answer.probability, answer.is_same = probability, probability >= threshold
    return response


def matcher_message(matcher: ServedMatcher) -> search_pb2.MatcherDescription:
    """Describe a matcher."""
    return search_pb2.MatcherDescription(
        learned_from=matcher.learned_from,
        precision=matcher.precision,
        confidence=matcher.confidence,
        threshold=matcher.threshold if matcher.threshold <= 1 else None,
        embedding_checksum=matcher.embedding_checksum,
        num_products=matcher.num_products,
    )


def _pair_error(
    index: int, pair: search_pb2.ProductPair, left: IndexRecord | None, right: IndexRecord | None
) -> status_pb2.Status | None:
    path = f"pairs[{index}]"
    for name, product_id, record in (("left_id", pair.left_id, left), ("right_id", pair.right_id, right)):
        if not product_id:
            text = "expected the id of a product of the index, found none"
            return field_status(code_pb2.INVALID_ARGUMENT, f"{path}.{name}", text, "NO_PRODUCT")
        if record is None:
            text = f"the index has no product {shortened(product_id)}; upsert it first"
            return field_status(code_pb2.NOT_FOUND, f"{path}.{name}", text, "UNKNOWN_PRODUCT")
    if pair.left_id == pair.right_id:
        text = f"expected two different products, found {shortened(pair.left_id)} twice"
        return field_status(code_pb2.INVALID_ARGUMENT, path, text, "SAME_ID")
    return None
