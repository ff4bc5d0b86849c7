import math

import pytest

from catalog.offer_conditions import OfferConditions
from model.errors import SettingsError


def test_conditions_of_all_columns_are_read():
    texts = ["category = 패션 > 탑 ", "brand=Acme", "brand=A=B", "mall=north", "price=10..20.5"]
    assert OfferConditions.parse(texts) == OfferConditions("패션>탑", ("Acme", "A=B"), ("north",), 10.0, 20.5)


def test_without_conditions_every_offer_meets_them():
    assert OfferConditions.parse([]) == OfferConditions("", (), (), -math.inf, math.inf)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("price=10..", (10, math.inf)),
        ("price=..20", (-math.inf, 20)),
        ("price=15", (15, 15)),
        ("price=0..0", (0, 0)),
    ],
)
def test_a_price_is_a_range_whose_ends_may_be_open(text: str, bounds: tuple[float, float]):
    conditions = OfferConditions.parse([text])
    assert (conditions.min_price, conditions.max_price) == bounds


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["Acme"], "--filter: expected COLUMN=VALUE, found 'Acme'; write 'brand=Acme'"),
        (["brand= "], "--filter: expected COLUMN=VALUE, found 'brand= '"),
        (["price=.."], r"--filter: expected COLUMN=VALUE, found 'price=\.\.'"),
        (["category= > "], "--filter: expected COLUMN=VALUE, found 'category= > '"),
        (["=Acme"], "--filter: unknown column ''; an index is filtered by category, brand, mall, price"),
        (["brnad=Acme"], "--filter: unknown column 'brnad'; .*; did you mean 'brand'?"),
        (["price=1", "price=2"], "--filter: price stands twice; give one"),
        (["category=A", "category=B"], "--filter: category stands twice; give one"),
        (["price=20..10"], r"--filter: expected price=LOW..HIGH, price=LOW.. or price=..HIGH, found '20..10'"),
        (["price=cheap"], "found 'cheap'"),
        (["price=nan.."], r"found 'nan\.\.'"),
    ],
)
def test_what_is_no_condition_is_named(texts: list[str], message: str):
    with pytest.raises(SettingsError, match=message):
        OfferConditions.parse(texts)
