"""The contract's messages as protobuf JSON: https://protobuf.dev/programming-guides/json."""

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from aisle_client.v1 import classifier_pb2
from server.calls.form import TranslatedRequest
from server.errors import not_json_error

M = TypeVar("M", bound=Message)


def translate_classify(content: bytes) -> TranslatedRequest:
    """Translate a ClassifyRequest; the answer is a ClassifyResponse.

    Raises:
        RequestError: it is none.
    """
    message = _parse(content, classifier_pb2.ClassifyRequest())
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


def _parse(content: bytes, message: M) -> M:
    name = f"a message {message.DESCRIPTOR.name}"
    if content.lstrip()[:1] != b"{":
        raise not_json_error(name, "no object, which begins with {")
    try:
        return json_format.Parse(content.decode(), message)
    except UnicodeDecodeError:
        raise not_json_error(name, "bytes that are not UTF-8") from None
    except (ValueError, TypeError, AttributeError, json_format.Error) as error:
        raise not_json_error(name, str(error)) from None
