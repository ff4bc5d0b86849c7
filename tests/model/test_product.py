"""The product record."""

import numpy as np
import pytest

from model.product import FIELDS, HEADS, TEXT_COLUMNS, TEXT_FIELDS, TEXT_HEADS, Product, has_text, head_rows


@pytest.mark.parametrize(
    ("text", "says_something"),
    [("a", True), ("가", True), ("１", True), ("!?", False), ("", False), (" \n", False), ("😀", False), ("½", True)],
)
def test_has_text(text: str, says_something: bool) -> None:
    assert has_text(text) is says_something


def test_fields_and_heads_have_a_fixed_order() -> None:
    """Presence flags in bundles and caches depend on it."""
    assert FIELDS == ("name", "mall_category", "brand", "maker", "description", "image")
    assert HEADS == ("name", "mall_category", "image", "joint")


def test_rows_of_a_head() -> None:
    presence = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    fields = ("name", "brand", "image")
    found = {head: head_rows(head, presence, fields).tolist() for head in ("name", "image", *TEXT_HEADS, "joint")}
    assert found == {
        "name": [True, False, False],
        "image": [False, False, True],
        "linear": [True, True, False],  # any text
        "neighbors": [True, True, False],
        "joint": [True, True, True],
    }


def test_text_of_each_field() -> None:
    product = Product("1", "n", "c", "b", "m", "d")
    assert [product.text(field) for field in TEXT_FIELDS] == ["n", "c", "b", "m", "d"]


def test_what_is_empty() -> None:
    assert Product("1").is_empty
    assert Product("1", "--", " ", "!", "?").is_empty
    for field in TEXT_COLUMNS:
        assert not Product("1", **{field: "x"}).is_empty
    for product in (Product("1", image=b""), Product("1", image_features=np.zeros(2))):
        assert product.has_image
        assert not product.is_empty
    assert not Product("1", "x").has_image
