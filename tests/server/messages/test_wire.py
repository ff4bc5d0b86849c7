import random

import pytest

from aisle_client.v1 import classifier_pb2 as pb
from server.errors import RequestError
from server.messages.request import parse_request
from server.messages.wire import count_fields, sub_message


@pytest.mark.parametrize("num_products", [0, 1, 7, 300])
def test_fields_of_any_kind_are_counted(num_products: int):
    products = [pb.Product(product_name="x" * (i % 200)) for i in range(num_products)]
    request = pb.ClassifyRequest(model="shop", products=products, top_k=300, include_words=True)
    fixed = b"\x79" + bytes(8) + b"\x7d" + bytes(4)  # unknown fields of 8 and 4 bytes
    assert count_fields(request.SerializeToString() + fixed, 10_000) == num_products + 5


def test_counting_ends_where_there_are_too_many():
    assert count_fields(b"\x1a\x00" * 5_000_000, 512) == 513


def test_whatever_the_bytes_counting_ends():
    chance = random.Random(0)
    for _ in range(2_000):
        content = chance.randbytes(chance.randrange(60))
        assert 0 <= count_fields(content, 1_000) <= len(content)


def test_millions_of_empty_products_are_refused_before_they_are_parsed():
    """They would take 75 times their bytes."""
    with pytest.raises(RequestError, match="products: expected 1 to 512 products, found more; split the request"):
        parse_request(b"\x1a\x00" * 5_000_000, 512)


def test_the_request_of_a_stream_s_message_is_found():
    request = pb.ClassifyRequest(model="shop", products=[pb.Product(product_name="x" * 300)])
    message = pb.ClassifyStreamRequest(request=request).SerializeToString()
    assert sub_message(message, 1) == request.SerializeToString()
    more = pb.ClassifyStreamRequest(request=pb.ClassifyRequest(top_k=3)).SerializeToString()
    both = pb.ClassifyRequest.FromString(sub_message(b"\x78\x01" + message + more, 1) or b"")
    assert (both.model, both.top_k, len(both.products)) == ("shop", 3, 1)
    assert sub_message(b"", 1) == b""


@pytest.mark.parametrize("content", [b"\x0a\x05ab", b"\xff" * 12, b"\x0a", b"\x00\x00", b"\x0b"])
def test_what_is_no_message_has_none(content: bytes):
    assert sub_message(content, 1) is None
