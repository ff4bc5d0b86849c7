"""Reads JSON that callers send, within bounds: a few bytes of it can take a hundred times their memory."""

import json
from collections.abc import Sequence
from typing import Any

from server.errors import RequestError, not_json_error

#: Values of a product: its fields, and the numbers of a picture's features.
_VALUES_PER_PRODUCT = 4096
_OBJECTS_PER_PRODUCT = 3
_OTHER_OBJECTS = 100


def read_json(content: bytes, expected: str, max_products: int) -> dict[str, Any]:
    """Read an object.

    Args:
        expected: what it should be, for errors.
        max_products: most products of a request, which bounds the values and objects that it can have.
    Raises:
        RequestError: it is no object, no JSON in UTF-8, names a field twice, or has more parts than any request.
    """
    if content.lstrip()[:1] != b"{":
        raise not_json_error(expected, "no object, which begins with {")
    num_values = sum(map(content.count, (b",", b"[", b"{")))
    if num_values > _VALUES_PER_PRODUCT * max_products:
        most = _VALUES_PER_PRODUCT * max_products
        description = f"expected at most {most} commas and opening brackets, found {num_values}"
        raise RequestError([("request", f"{description}; split the request")])
    most_objects = _OBJECTS_PER_PRODUCT * max_products + _OTHER_OBJECTS
    num_objects = 0

    def count(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal num_objects
        num_objects += 1
        if num_objects > most_objects:
            raise ValueError(f"more than {most_objects} objects; send at most {max_products} products")
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError(f"one of {', '.join(sorted(found))} twice in an object")
        return found

    try:
        value: dict[str, Any] = json.loads(content.decode(), object_pairs_hook=count)
    except UnicodeDecodeError:
        raise not_json_error(expected, "bytes that are not UTF-8") from None
    except RecursionError:
        raise not_json_error(expected, "too many levels") from None
    except ValueError as error:
        raise not_json_error(expected, str(error)) from None
    return value
