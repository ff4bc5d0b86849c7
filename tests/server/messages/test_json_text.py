import re
import tracemalloc

import pytest

from server.errors import RequestError
from server.messages.json_text import read_json


def refusal(content: bytes, max_products: int = 512) -> str:
    with pytest.raises(RequestError) as caught:
        read_json(content, "a thing", max_products)
    return str(caught.value)


def test_an_object_is_read():
    assert read_json(b' {"a": [1, {"b": "\xec\x85\x94"}]}', "a thing", 1) == {"a": [1, {"b": "셔"}]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[1]", "expected a thing as JSON, found: no object, which begins with {"),
        (b'{"a": 1', "expected a thing as JSON, found: Expecting ',' delimiter"),
        (b'{"a": "\xff"}', "expected a thing as JSON, found: bytes that are not UTF-8"),
        (b'{"a": 1, "a": 2}', "expected a thing as JSON, found: one of a twice in an object"),
        (b'{"a":' * 20_000, "expected a thing as JSON, found: too many levels"),
    ],
)
def test_other_content_is_told_what_is_wrong(content: bytes, text: str):
    assert text in refusal(content)


def test_more_parts_than_any_request_has_are_refused_before_they_take_memory():
    """2 bytes of JSON make an object of 64 bytes, and a message of more."""
    floods = {
        b'{"products":[' + b"{}," * 1_000_000 + b"{}]}": r"more than 1636 objects; send at most 512 products",
        b'{"products":['
        + b"[]," * 1_500_000
        + b"[]]}": r"expected at most 2097152 commas and opening brackets, found 3",
        b'{"values":[' + b"1," * 2_500_000 + b"1]}": r"expected at most 2097152 commas and opening brackets, found 25",
    }
    tracemalloc.start()
    for content, text in floods.items():
        assert re.search(text, refusal(content))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 40_000_000
