"""Texts that are not UTF-8, such as CP949 from a stub that does not check: other products are read."""

import pytest

from aisle_client.v1 import classifier_pb2 as pb
from server.errors import RequestError
from server.messages.request import parse_request, parse_stream_request

NAME, CP949_NAME = "노트북 가방", "노트북 가방".encode("cp949")
_LENGTH_DELIMITED = 2


def field_bytes(number: int, content: bytes) -> bytes:
    """A length-delimited field of a serialised message, below 128 bytes."""
    assert len(content) < 128
    return bytes([number << 3 | _LENGTH_DELIMITED, len(content)]) + content


def product(**fields: bytes) -> bytes:
    """A serialised product, as a stub sends it that does not check texts."""
    by_name = pb.Product.DESCRIPTOR.fields_by_name
    return b"".join(field_bytes(by_name[name].number, content) for name, content in fields.items())


def request(*products: bytes, **fields: bytes) -> bytes:
    by_name = pb.ClassifyRequest.DESCRIPTOR.fields_by_name
    parts = [field_bytes(by_name[name].number, content) for name, content in fields.items()]
    return b"".join([*parts, *(field_bytes(by_name["products"].number, one) for one in products)])


GOOD = product(product_id=b"1", product_name=NAME.encode(), maker=b"m")


def test_a_bad_name_of_one_product_is_left_out_and_told_at_its_position():
    bad = product(product_id=b"2", product_name=CP949_NAME, image=b"\xff\xd8 picture")
    question = parse_request(request(GOOD, bad, GOOD, mask_parent="의류".encode()) + b"\x20\x03")
    assert question.not_utf8 == {1: "product_name"}
    first, second, third = question.message.products
    assert first == third == pb.Product(product_id="1", product_name=NAME, maker="m")
    assert second == pb.Product(product_id="2", image=b"\xff\xd8 picture")
    assert (question.message.mask_parent, question.message.top_k) == ("의류", 3)
    assert pb.ClassifyRequest.FromString(question.content) == question.message


def test_good_requests_are_not_read_twice():
    question = parse_request(request(GOOD))
    assert (question.content, question.not_utf8) == (request(GOOD), {})


TEXTS = [field.name for field in pb.Product.DESCRIPTOR.fields if field.type == field.TYPE_STRING]


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_of_a_product_may_be_bad(name: str):
    question = parse_request(request(GOOD, product(**{name: CP949_NAME})))
    assert question.not_utf8 == {1: name}
    assert question.message.products[1] == pb.Product()


def test_the_first_of_several_bad_texts_is_told():
    question = parse_request(request(product(maker=b"\xff", brand=b"\xfe", description=b"\xfd")))
    assert question.not_utf8 == {0: "brand"}


@pytest.mark.parametrize("name", ["mask_parent", "model", "model_version"])
def test_a_bad_text_of_the_request_itself_is_an_invalid_request(name: str):
    with pytest.raises(RequestError) as caught:
        parse_request(request(GOOD, **{name: CP949_NAME}))
    expected = "expected UTF-8, found bytes that are not; encode the text again"
    assert caught.value.violations == ((name, expected),)


def test_every_bad_text_of_the_request_is_named():
    with pytest.raises(RequestError) as caught:
        parse_request(request(GOOD, mask_parent=b"\xff", model=b"\xff"))
    assert [field for field, _ in caught.value.violations] == ["model", "mask_parent"]


@pytest.mark.parametrize(
    "content",
    [request(GOOD)[:-1], b"\xff\xff\xff", request(product(product_name=CP949_NAME))[:-1], field_bytes(3, b"\x12\x50x")],
    ids=["cut off", "no tag", "cut off in a bad text", "a text longer than its product"],
)
def test_malformed_bytes_are_no_bad_text(content: bytes):
    with pytest.raises(RequestError, match="found malformed bytes"):
        parse_request(content)


def test_a_message_of_a_stream_may_have_bad_texts_too():
    content = field_bytes(1, request(GOOD, product(product_name=CP949_NAME)))
    question = parse_request(parse_stream_request(content))
    assert question.not_utf8 == {1: "product_name"}
    assert question.message.products[0].product_name == NAME


def test_fields_that_this_server_does_not_know_are_kept():
    """A newer caller's; 2000 is a number that the contract does not use."""
    unknown = b"\x82\x7d\x01x"
    question = parse_request(request(product(product_name=CP949_NAME)) + unknown)
    assert question.content.endswith(unknown)
