"""Requests as callers send them: what one has to look like before anything is done for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from aisle_client.v1 import classifier_pb2
from model.prediction.word_support import MAX_WORDS
from model.product import TEXT_COLUMNS
from server.errors import RequestError, malformed_error
from server.messages.undecodable_text import parse_without_bad_texts
from server.messages.wire import count_fields, sub_message
from server.settings import DEFAULT_TOP_K, ServerSettings

_ANY_NUMBER = 1 << 30
_STREAM_REQUEST = classifier_pb2.ClassifyStreamRequest.REQUEST_FIELD_NUMBER
#: Smaller requests take too little to matter, whatever they consist of.
_LARGE_BYTES = 64 * 1024
_MAX_OPTIONS = 100  # fields of a request beside its products; there are 7


@dataclass(frozen=True)
class Question:
    """A request that passed as a whole.

    Args:
        content: the message, serialised.
        not_utf8: the field of a product that is not UTF-8 and was left out, by the product's position.
    """

    content: bytes
    message: classifier_pb2.ClassifyRequest
    not_utf8: Mapping[int, str] = field(default_factory=dict)


def parse_request(content: bytes, max_products: int = _ANY_NUMBER) -> Question:
    """Parse a request.

    Args:
        max_products: most products; a request with more is refused before it is parsed, because a product of 2 bytes
            takes 150 once it is.
    Raises:
        RequestError: it is not a message of the contract, or has too many products.
    """
    if len(content) > _LARGE_BYTES and count_fields(content, max_products + _MAX_OPTIONS) > max_products + _MAX_OPTIONS:
        raise RequestError([("products", f"expected 1 to {max_products} products, found more; split the request")])
    try:
        return Question(content, classifier_pb2.ClassifyRequest.FromString(content))
    except DecodeError:
        message, not_utf8 = parse_without_bad_texts(classifier_pb2.ClassifyRequest, "products", content)
        return Question(message.SerializeToString(), message, not_utf8)


def parse_stream_request(content: bytes) -> bytes:
    """The serialised request in a message of a stream, which is not parsed here.

    Raises:
        RequestError: it is not a message of the contract.
    """
    request = sub_message(content, _STREAM_REQUEST)
    if request is None:
        raise malformed_error()
    return request


def check_request(question: Question, settings: ServerSettings) -> None:
    """Check what concerns a request as a whole.

    Raises:
        RequestError: no product, too many, too long texts in all, top_k out of range, or mask_parent too long; names
            every field that is wrong.
    """
    content, message = question.content, question.message
    count, most = len(message.products), settings.max_products_per_request
    violations = []
    if count == 0:
        violations.append(("products", f"expected 1 to {most} products, found none"))
    if count > most:
        violations.append(("products", f"expected 1 to {most} products, found {count}; split the request"))
    if not 0 <= message.top_k <= settings.max_top_k:
        description = f"expected 1 to {settings.max_top_k}, or 0 for {DEFAULT_TOP_K}; found {message.top_k}"
        violations.append(("top_k", description))
    if (num_chars := _most_chars(content, message)) > settings.max_request_chars:
        num_chars = sum(count_chars(product, message.include_words) for product in message.products)
    if num_chars > settings.max_request_chars:
        description = f"expected texts of at most {settings.max_request_chars} characters together, found {num_chars}"
        counted = " (with include_words each word of a name counts the name once more)" if message.include_words else ""
        violations.append(("products", f"{description}{counted}; split the request"))
    if len(message.mask_parent) > settings.max_text_chars:
        description = f"expected at most {settings.max_text_chars} characters, found {len(message.mask_parent)}"
        violations.append(("mask_parent", description))
    if violations:
        raise RequestError(violations)


def count_chars(product: classifier_pb2.Product, include_words: bool) -> int:
    """Characters that answering a product reads; each word of its name reads the name once more if it is asked for."""
    num_chars = sum(len(getattr(product, column)) for column in TEXT_COLUMNS)
    if include_words:
        num_chars += len(product.product_name) * min(len(product.product_name.split()), MAX_WORDS)
    return num_chars


def _most_chars(content: bytes, message: classifier_pb2.ClassifyRequest) -> int:
    """A bound of the characters of a request, at no cost: most requests are far below the limit."""
    return len(content) * (1 + MAX_WORDS if message.include_words else 1)
