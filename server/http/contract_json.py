"""The contract's messages as protobuf JSON: https://protobuf.dev/programming-guides/json."""

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from aisle_client.v1 import classifier_pb2
from server.calls.form import TranslatedRequest
from server.errors import not_json_error
from server.messages.json_text import read_json

M = TypeVar("M", bound=Message)

_CLASSIFY_REQUEST = "a message ClassifyRequest"


def translate_classify(content: bytes, max_products: int) -> TranslatedRequest:
    """Translate a ClassifyRequest; the answer is a ClassifyResponse.

    Args:
        max_products: most products of a request.
    Raises:
        RequestError: it is none.
    """
    values = read_json(content, _CLASSIFY_REQUEST, max_products)
    try:
        message = json_format.ParseDict(values, classifier_pb2.ClassifyRequest())
    except (ValueError, TypeError, AttributeError, json_format.Error) as error:
        raise not_json_error(_CLASSIFY_REQUEST, str(error)) from None
    return TranslatedRequest(message.SerializeToString(), _write_classify)


def read_query(query: Mapping[str, str], message: M) -> M:
    """Fill a message of texts from the query of a URL.

    Raises:
        RequestError: it names other fields.
    """
    try:
        return json_format.ParseDict(dict(query), message)
    except json_format.ParseError as error:
        raise not_json_error(message.DESCRIPTOR.name, str(error)) from None


def write_json(message: Message) -> bytes:
    """Write a message, with the contract's own names of fields and every field that has no presence."""
    text = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
        ensure_ascii=False,
    )
    return text.encode()


def _write_classify(response: bytes) -> bytes:
    return write_json(classifier_pb2.ClassifyResponse.FromString(response))
