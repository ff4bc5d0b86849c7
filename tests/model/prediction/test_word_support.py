"""Words of a name and what they did for the answer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.features import Features
from model.prediction.answers import Prediction
from model.prediction.word_support import MAX_WORDS
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import SubTree, find_sub_tree
from tests.conftest import softened, toy_picture


@pytest.fixture(scope="module")
def predictor(toy_bundle: Path) -> Predictor:
    """The toy bundle at a temperature that keeps its probabilities away from 1."""
    return softened(Predictor.open(toy_bundle, "openvino"), temperature=8.0)


def one(predictor: Predictor, product: Product, sub_tree: SubTree | None = None, with_words: bool = True) -> Prediction:
    found = predictor.predict([product], sub_tree=sub_tree, with_words=with_words)[0]
    assert isinstance(found, Prediction)
    return found


def log_odds(probability: float, mass: float, num_leaves: int) -> float:
    """Log-odds of the evidence alone, from the probability that it and the prior mass give together."""
    plain = (probability - mass / num_leaves) / (1 - mass)
    return float(np.log(plain / (1 - plain)))


@pytest.mark.parametrize("mask", ["", "의류"])
@pytest.mark.parametrize(
    "product",
    [
        Product("name only", "데님 청바지 무료배송"),
        Product("all", "데님 청바지 무료배송", "패션 > 팬츠", "brand1", "maker", image=toy_picture((200, 80, 30), 1)),
    ],
    ids=lambda product: product.product_id,
)
def test_support_is_what_leaving_the_word_out_costs(predictor: Predictor, product: Product, mask: str) -> None:
    sub_tree = find_sub_tree(predictor.bundle.taxonomy, mask) if mask else None
    found = one(predictor, product, sub_tree)
    best = found.categories[0]
    mass = float(predictor.prior_masses(predictor.preprocessor.presence([product]))[0, 0])
    num_leaves = len(sub_tree.leaves) if sub_tree else predictor.bundle.taxonomy.num_leaves
    assert {word.word for word in found.words} == {"데님", "청바지", "무료배송"}
    assert [word.support for word in found.words] == sorted((word.support for word in found.words), reverse=True)
    for support in found.words:
        rest = " ".join(word for word in product.product_name.split() if word != support.word)
        changed = Product("x", rest, product.mall_category, product.brand, product.maker, image=product.image)
        without = {s.category: s.probability for s in one(predictor, changed, sub_tree).categories}[best.category]
        assert support.probability_without == pytest.approx(without, abs=1e-5)
        assert support.support == pytest.approx(
            log_odds(best.probability, mass, num_leaves) - log_odds(without, mass, num_leaves), abs=0.02
        )


def test_the_word_that_names_the_product_leads(predictor: Predictor) -> None:
    words = one(predictor, Product("1", "무료배송 게이밍 laptop")).words
    assert words[0].word in ("게이밍", "laptop")
    assert words[0].support > 0


@pytest.mark.parametrize("name", ["", "노트북", " 노트북  ", "노트북 - !", "노트북 노트북"])
def test_less_than_two_words_say_nothing_about_words(predictor: Predictor, name: str) -> None:
    assert one(predictor, Product("1", name, "PC")).words == ()


def test_a_word_is_left_out_wherever_it_stands(predictor: Predictor) -> None:
    words = one(predictor, Product("1", "LG gram lg 노트북")).words
    assert sorted(word.word for word in words) == ["LG", "gram", "노트북"]
    expected = one(predictor, Product("1", "gram 노트북")).categories[0].probability
    assert next(word for word in words if word.word == "LG").probability_without == pytest.approx(expected, abs=1e-5)


def test_a_leaf_as_the_mask_has_no_rival(predictor: Predictor) -> None:
    leaf = predictor.bundle.taxonomy.leaves[0]
    found = one(predictor, Product("1", "게이밍 laptop"), find_sub_tree(predictor.bundle.taxonomy, leaf))
    assert {(word.support, word.probability_without) for word in found.words} == {(0.0, 1.0)}


class Counted:
    """Rows of each run of a predictor's classifier."""

    def __init__(self, predictor: Predictor, monkeypatch: pytest.MonkeyPatch):
        self.rows: list[int] = []
        classify = predictor.engine.classify

        def counting(features: Features, all_heads: bool = True) -> dict[str, Any]:
            self.rows.append(len(features["presence"]))
            return classify(features, all_heads)

        monkeypatch.setattr(predictor.engine, "classify", counting)


def test_it_costs_nothing_unless_asked_for(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(predictor, monkeypatch)
    assert one(predictor, Product("1", "게이밍 laptop"), with_words=False).words == ()
    assert counted.rows == [1]


def test_words_of_a_batch_go_through_the_classifier_together(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    products = [
        Product("a", "게이밍 laptop 15인치"),
        Product("b", "데님 청바지"),
        Product("c", "면 티"),
        Product("d", "티"),
    ]
    alone = {product.product_id: one(predictor, product) for product in products}
    counted = Counted(predictor, monkeypatch)
    found = predictor.predict_decoded(products, {}, 5, with_words=[3, 0, 2])
    assert counted.rows == [4, 5]
    assert [len(prediction.words) for prediction in found] == [3, 0, 2, 0]
    for word, expected in zip(found[0].words, alone["a"].words, strict=True):
        assert word.word == expected.word
        assert word.support == pytest.approx(expected.support, abs=1e-3)


def test_long_names_are_weighed_in_part(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(predictor, monkeypatch)
    words = one(predictor, Product("1", " ".join(f"단어{i}" for i in range(500)))).words
    assert {word.word for word in words} == {f"단어{i}" for i in range(MAX_WORDS)}
    assert counted.rows == [1, MAX_WORDS]
