from pathlib import Path

import pytest

from aisle_client.v1 import classifier_pb2 as pb
from model.prediction.word_support import MAX_WORDS
from server.errors import RequestError
from server.messages.request import check_request, parse_request, parse_stream_request
from server.settings import ServerSettings

SETTINGS = ServerSettings(
    bundle=Path("bundle"), max_products_per_request=3, max_top_k=10, max_text_chars=8, max_request_chars=100
)


def check(request: pb.ClassifyRequest) -> None:
    check_request(parse_request(request.SerializeToString()), SETTINGS)


@pytest.mark.parametrize(
    ("num_products", "top_k", "expected"),
    [
        (0, 1, [("products", "expected 1 to 3 products, found none")]),
        (4, 1, [("products", "expected 1 to 3 products, found 4; split the request")]),
        (1, -1, [("top_k", "expected 1 to 10, or 0 for 5; found -1")]),
        (
            0,
            11,
            [
                ("products", "expected 1 to 3 products, found none"),
                ("top_k", "expected 1 to 10, or 0 for 5; found 11"),
            ],
        ),
    ],
)
def test_a_wrong_request_is_rejected_with_every_wrong_field(num_products: int, top_k: int, expected: list):
    request = pb.ClassifyRequest(products=[pb.Product(product_name="a")] * num_products, top_k=top_k)
    with pytest.raises(RequestError) as caught:
        check(request)
    assert list(caught.value.violations) == expected


def test_a_mask_has_a_limit_of_characters_too():
    request = pb.ClassifyRequest(products=[pb.Product(product_name="a")], mask_parent="가" * 8)
    check(request)
    request.mask_parent += "가"
    with pytest.raises(RequestError, match="mask_parent: expected at most 8 characters, found 9"):
        check(request)


def test_a_request_of_the_largest_size_passes():
    check(pb.ClassifyRequest(products=[pb.Product(product_name="a" * 33)] * 2 + [pb.Product(maker="b" * 34)]))


def test_a_request_has_a_limit_of_characters():
    request = pb.ClassifyRequest(products=[pb.Product(product_name="가" * 50), pb.Product(description="나" * 51)])
    expected = "products: expected texts of at most 100 characters together, found 101; split the request"
    with pytest.raises(RequestError, match=expected):
        check(request)


def test_the_bytes_of_pictures_are_no_characters():
    check(pb.ClassifyRequest(products=[pb.Product(product_name="a", image=b"1" * 1000)]))


def test_each_word_that_is_asked_for_counts_the_name_once_more():
    name = "a b c d"  # 7 characters, read 5 times
    request = pb.ClassifyRequest(products=[pb.Product(product_name=name)] * 3)
    check(request)
    request.include_words = True
    with pytest.raises(
        RequestError, match=r"found 105 \(with include_words each word of a name counts the name once more\)"
    ):
        check(request)


def test_words_beyond_those_that_are_answered_count_nothing():
    """A name of more words takes no longer; see `model.prediction.word_support`."""
    settings = ServerSettings(bundle=Path("bundle"), max_request_chars=100 * (1 + MAX_WORDS))
    name = "a " * 50
    request = pb.ClassifyRequest(products=[pb.Product(product_name=name)], include_words=True)
    check_request(parse_request(request.SerializeToString()), settings)


@pytest.mark.parametrize("parse", [parse_request, parse_stream_request])
@pytest.mark.parametrize("content", [b"\xff\xff\xff", b"\x1a\x05ab"], ids=["no tag", "cut off"])
def test_bytes_that_are_no_message_are_an_invalid_request(parse, content: bytes):
    with pytest.raises(RequestError, match=r"request: expected a message of aisle\.v1, found malformed bytes"):
        parse(content)


def test_the_request_in_a_message_of_a_stream_is_taken_out():
    request = pb.ClassifyRequest(products=[pb.Product(product_name="a")], top_k=3)
    content = pb.ClassifyStreamRequest(request=request).SerializeToString()
    assert pb.ClassifyRequest.FromString(parse_stream_request(content)) == request
