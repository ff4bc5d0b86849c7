from pathlib import Path

import numpy as np
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from model.product import Product
from server.calls.request import parse_product, parse_request
from server.errors import FieldError, RequestError
from server.settings import ServerSettings

SETTINGS = ServerSettings(bundle=Path("bundle"), max_products_per_request=3, max_top_k=10, max_text_chars=8)


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


@pytest.mark.parametrize("field", ["product_id", "product_name", "mall_category", "brand", "maker"])
def test_each_text_has_a_limit_of_characters(field: str):
    assert getattr(parse_product(pb.Product(**{field: "가" * 8}), 8), field) == "가" * 8
    with pytest.raises(FieldError, match="expected at most 8 characters, found 9; cut the text") as caught:
        parse_product(pb.Product(**{field: "가" * 9}), 8)
    assert caught.value.field == field


def test_a_wrong_product_becomes_an_error_at_its_position():
    request = pb.ClassifyRequest(products=[{"product_name": "a"}, {"product_name": "a" * 9}, {"product_name": "b"}])
    items = parse_request(request, SETTINGS).items
    assert (items[0], items[2]) == (Product("", "a"), Product("", "b"))
    assert isinstance(items[1], FieldError)


@pytest.mark.parametrize(("top_k", "expected"), [(0, 5), (1, 1), (10, 10)])
def test_top_k_of_zero_means_five(top_k: int, expected: int):
    request = pb.ClassifyRequest(products=[{"product_name": "a"}], top_k=top_k)
    assert parse_request(request, SETTINGS).top_k == expected


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
        parse_request(request, SETTINGS)
    assert list(caught.value.violations) == expected


def test_a_mask_has_a_limit_of_characters_too():
    request = pb.ClassifyRequest(products=[pb.Product(product_name="a")], mask_parent="가" * 8)
    assert parse_request(request, SETTINGS).mask_parent == "가" * 8
    request.mask_parent += "가"
    with pytest.raises(RequestError, match="mask_parent: expected at most 8 characters, found 9"):
        parse_request(request, SETTINGS)


def test_a_request_of_the_largest_size_passes():
    request = pb.ClassifyRequest(products=[pb.Product(product_name="a")] * 3)
    assert len(parse_request(request, SETTINGS).items) == 3
