import numpy as np
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from model.product import Product
from server.engine.request import PartRequest, parse_product
from server.errors import FieldError


def test_a_product_keeps_all_its_fields():
    message = pb.Product(
        product_id="7",
        product_name="노트북",
        mall_category="가전>컴퓨터",
        brand="b",
        maker="m",
        description="가벼운",
        image=b"\xff\xd8",
    )
    assert parse_product(message, 8) == Product("7", "노트북", "가전>컴퓨터", "b", "m", "가벼운", b"\xff\xd8")


def test_image_features_come_as_float32():
    features = parse_product(pb.Product(image_features=pb.ImageFeatures(values=[0.5, -1])), 8).image_features
    assert features is not None
    assert (features.dtype, features.tolist()) == (np.float32, [0.5, -1])


@pytest.mark.parametrize("message", [pb.Product(image=b""), pb.Product(image_features=pb.ImageFeatures())])
def test_an_empty_picture_is_no_picture(message: pb.Product):
    assert not parse_product(message, 8).has_image


@pytest.mark.parametrize("field", ["product_id", "product_name", "mall_category", "brand", "maker", "description"])
def test_each_text_has_a_limit_of_characters(field: str):
    assert getattr(parse_product(pb.Product(**{field: "가" * 8}), 8), field) == "가" * 8
    with pytest.raises(FieldError, match="expected at most 8 characters, found 9; cut the text") as caught:
        parse_product(pb.Product(**{field: "가" * 9}), 8)
    assert caught.value.field == field


def test_a_wrong_product_becomes_an_error_at_its_position():
    texts = ("a", "a" * 9, "b", "c")
    message = pb.ClassifyRequest(products=[{"product_name": text} for text in texts])
    items = PartRequest(0, message, may_be_large=False, not_utf8={3: "maker"}).items(max_text_chars=8)
    assert (items[0], items[2]) == (Product("", "a"), Product("", "b"))
    assert [item.field for item in items if isinstance(item, FieldError)] == ["product_name", "maker"]
    assert str(items[3]) == "expected UTF-8, found bytes that are not; encode the text again"
