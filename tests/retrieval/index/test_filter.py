import math
from typing import Any

import pytest

from model.errors import SettingsError
from retrieval.index.filter import ProductFilter, in_sub_tree, parse_filter
from retrieval.index.record import Attributes


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], {}),
        (["category=식품>과일"], {"category": "식품>과일"}),
        (["category= 식품 >  과일 > "], {"category": "식품>과일"}),
        (["brand=Acme", " brand = 삼성 전자 "], {"brands": ("Acme", "삼성 전자")}),
        (["mall=a=b"], {"malls": ("a=b",)}),
        (["price=10..20"], {"min_price": 10, "max_price": 20}),
        (["price=10.."], {"min_price": 10}),
        (["price=..19.99"], {"max_price": 19.99}),
        (["price=12"], {"min_price": 12, "max_price": 12}),
        (["price= 1e3 .. 2e3"], {"min_price": 1000, "max_price": 2000}),
        (
            ["category=A", "brand=b", "mall=m", "price=0..1"],
            {"category": "A", "brands": ("b",), "malls": ("m",), "min_price": 0, "max_price": 1},
        ),
    ],
)
def test_conditions_as_people_write_them(conditions: list[str], expected: dict[str, Any]) -> None:
    assert parse_filter(conditions) == ProductFilter(**expected)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (["Acme"], "expected COLUMN=VALUE, found 'Acme'; write 'brand=Acme'"),
        (["brand="], "expected COLUMN=VALUE, found 'brand='"),
        (["brand=  "], "expected COLUMN=VALUE, found 'brand=  '"),
        (["brnad=Acme"], "unknown column 'brnad'; an index is filtered by category, brand, mall, price.*'brand'"),
        (["color=red"], "unknown column 'color'; an index is filtered by category, brand, mall, price"),
        (["category=A", "category=B"], "category stands twice; give one"),
        (["price=1..", "price=..2"], "price stands twice; give one"),
        (["price=20..10"], "expected price=LOW..HIGH, price=LOW.. or price=..HIGH, found '20..10'"),
        (["price=cheap"], "expected price=LOW..HIGH.*, found 'cheap'"),
        (["price=nan"], "expected price=LOW..HIGH.*, found 'nan'"),
        (["price=1-2"], "expected price=LOW..HIGH.*, found '1-2'"),
    ],
)
def test_wrong_conditions_are_refused(conditions: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=f"--filter: {message}"):
        parse_filter(conditions)


@pytest.mark.parametrize(
    ("category", "node", "expected"),
    [
        ("식품>과일", "", True),
        ("", "", True),
        ("식품>과일", "식품>과일", True),
        ("식품>과일>사과", "식품>과일", True),
        ("식품", "식품>과일", False),
        ("식품>과일주스", "식품>과일", False),
        ("과일", "식품>과일", False),
        ("", "식품", False),
    ],
)
def test_a_node_holds_itself_and_what_is_below_it(category: str, node: str, expected: bool) -> None:
    assert in_sub_tree(category, node) is expected


PRODUCT = Attributes(category="의류>상의", brand="Acme", mall="쿠팡", price=20)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (ProductFilter(), True),
        (ProductFilter(category="의류"), True),
        (ProductFilter(category="의류>하의"), False),
        (ProductFilter(brands=("other", "Acme")), True),
        (ProductFilter(brands=("acme",)), False),
        (ProductFilter(malls=("쿠팡",)), True),
        (ProductFilter(malls=("",)), False),
        (ProductFilter(min_price=20, max_price=20), True),
        (ProductFilter(min_price=20.01), False),
        (ProductFilter(max_price=19.99), False),
        (ProductFilter("의류", ("Acme",), ("쿠팡",), 1, 100), True),
        (ProductFilter("의류", ("Acme",), ("other",), 1, 100), False),
    ],
)
def test_a_product_meets_every_condition_or_not_the_filter(condition: ProductFilter, expected: bool) -> None:
    assert condition.matches(PRODUCT) is expected


def test_a_product_without_a_price_meets_no_condition_on_it() -> None:
    assert math.isnan(Attributes().price)
    assert ProductFilter().matches(Attributes())
    assert not ProductFilter(min_price=-1e300).matches(Attributes())
    assert not ProductFilter(max_price=1e300).matches(Attributes())


def test_only_a_filter_without_conditions_is_empty() -> None:
    assert ProductFilter().is_empty
    assert not ProductFilter().has_price
    for condition in (ProductFilter("A"), ProductFilter(brands=("",)), ProductFilter(malls=("",))):
        assert not condition.is_empty
        assert not condition.has_price
    for condition in (ProductFilter(min_price=0), ProductFilter(max_price=0)):
        assert not condition.is_empty
        assert condition.has_price
