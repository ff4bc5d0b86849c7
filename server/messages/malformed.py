"""Malformed requests: they are rejected in the handler, because grpc never frees a call whose deserializer raises."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from server.errors import malformed_error

Deserializer = Callable[[bytes], Any]


def catch_decode_error(deserialize: Deserializer) -> Deserializer:
    """Wrap a deserializer so that it returns its DecodeError instead of raising it."""

    def read(content: bytes) -> Any:
        try:
            return deserialize(content)
        except DecodeError as error:
            return error.with_traceback(None)

    return read


def reject_malformed(message: Any, package: str = "aisle.v1") -> None:
    """Raise RequestError when `catch_decode_error` returned an error in place of a message of a package."""
    if isinstance(message, DecodeError):
        raise malformed_error(package)
