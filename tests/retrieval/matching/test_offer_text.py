"""Quantities, model numbers and words in the texts of offers."""

import pytest

from retrieval.index.record import Attributes
from retrieval.matching.offers.model_numbers import find_model_numbers
from retrieval.matching.offers.offer_text import OfferText, grams, tokens, words
from retrieval.matching.offers.quantities import Quantity, find_quantities
from tokenizer.normalize import normalize


@pytest.mark.parametrize(
    ("text", "quantities"),
    [
        ("water 500 ml", {("volume", 500)}),
        ("water 0.5L", {("volume", 500)}),
        ("생수 2리터 6개입", {("volume", 2000), ("count", 6)}),
        ("2-pack 16gb usb", {("count", 2), ("storage", 16000)}),
        ("pack of 3, 1 TB", {("count", 3), ("storage", 1000000)}),
        ('27" monitor', {("length", 686)}),
        ("1,5 kg", {("mass", 1500)}),
        ("1,500 g", {("mass", 1500)}),
        ("iphone x 2024 a4", set()),
        ("wh-1000xm4", set()),
    ],
)
def test_quantities_are_compared_in_one_unit(text: str, quantities: set[tuple[str, float]]) -> None:
    assert find_quantities(normalize(text)) == {Quantity(*quantity) for quantity in quantities}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Sony WH-1000XM4 (black)", {"wh1000xm4"}),
        ("lacie iamakey 16gb 131106", {"131106"}),
        ("a4 paper 2024 500ml", set()),
        ("665240-B21 HP", {"665240b21"}),
    ],
)
def test_model_numbers_are_words_with_digits_that_are_no_quantities(text: str, numbers: set[str]) -> None:
    assert find_model_numbers(normalize(text)) == numbers


def test_a_title_has_brand_and_model_number_once() -> None:
    text = OfferText.of(Attributes("Acme Kettle", brand="ACME", model_number="K-100", description="Boils 1 l."))
    assert text.title == "acme kettle k100"
    assert text.model_numbers == {"k100"}
    assert text.joined == "acmekettlek100boils1l"
    assert OfferText.of(Attributes("Kettle", maker="Acme")).title == "acme kettle"


def test_words_tokens_and_grams() -> None:
    assert list(words("wh-1000xm4 a4 1.5l")) == ["wh", "1000", "xm", "4", "a", "4", "1.5", "l"]
    assert list(tokens("wh-1000xm4, a4")) == ["wh-1000xm4", "a4"]
    assert list(grams("ab")) == [" ab", "ab "]
    assert not list(grams("")) or list(grams("")) == ["  "]
