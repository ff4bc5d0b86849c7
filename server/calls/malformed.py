"""Bytes that are no message: they reach the handler, for grpc keeps every call for ever whose deserializer raises."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from server.errors import RequestError

Deserializer = Callable[[bytes], Any]


def tolerant(deserialize: Deserializer) -> Deserializer:
    """A deserializer that gives back the DecodeError where another one would raise it."""

    def read(content: bytes) -> Any:
        try:
            return deserialize(content)
        except DecodeError as error:
            return error.with_traceback(None)

    return read


def check_well_formed(message: Any) -> None:
    """Raise RequestError for what `tolerant` could not read."""
    if isinstance(message, DecodeError):
        raise RequestError([("request", "expected a message of aisle.v1, found bytes that are no such protobuf")])
