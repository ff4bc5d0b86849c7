"""Products in, answers out, one by one."""

import dataclasses
import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from model.engines.engine import Engine
from model.errors import AisleError, PictureError, ProductError
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import FIELDS, Product
from model.sub_tree import find_sub_tree
from tests.conftest import TOY_SHOP, softened, toy_picture
from tests.toy_backbone import TOY_IMAGE_DIM

CATEGORIES = tuple(TOY_SHOP)
FULL = Product("full", "반팔 티셔츠 1", "패션 > 탑", "brand1", "maker", image=toy_picture((40, 40, 220), 1))
GOOD = [
    Product("a", "라운드 티 무료배송", "패션 > 탑"),
    FULL,
    Product("b", "게이밍 laptop", brand="brand2"),
    Product("c", image_features=np.linspace(0, 1, TOY_IMAGE_DIM, dtype=np.float32)),
]
BAD = [
    Product("broken", "데님 청바지", image=toy_picture((1, 2, 3), 0)[:200]),
    Product("empty"),
    Product("wrong", "데님", image_features=np.zeros(7, np.float32)),
]
#: Fields that the toy shop has; no product of it has a description.
SHOP_FIELDS = tuple(field for field in FIELDS if field != "description")


@pytest.fixture(scope="module")
def predictor(toy_bundle: Path) -> Predictor:
    return Predictor.open(toy_bundle, "openvino")


def predictions(found: list[Prediction | AisleError]) -> list[Prediction]:
    assert all(isinstance(one, Prediction) for one in found), found
    return [one for one in found if isinstance(one, Prediction)]


def assert_same(found: Prediction, expected: Prediction) -> None:
    assert found.product_id == expected.product_id
    assert [scored.category for scored in found.categories] == [scored.category for scored in expected.categories]
    for one, two in zip(found.categories, expected.categories, strict=True):
        assert one.probability == pytest.approx(two.probability, abs=1e-5)
    assert (found.needs_review, found.heads.keys()) == (expected.needs_review, expected.heads.keys())
    np.testing.assert_allclose(found.embedding, expected.embedding, atol=1e-5)


def test_a_trained_bundle_knows_its_shop(predictor: Predictor) -> None:
    products = [Product(category, names[0], mall) for category, (names, mall, _) in TOY_SHOP.items()]
    for product, found in zip(products, predictions(predictor.predict(products)), strict=True):
        assert found.product_id == product.product_id == found.categories[0].category
        assert len(found.categories) == len(CATEGORIES)
        assert sum(scored.probability for scored in found.categories) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(found.embedding) == pytest.approx(1, rel=1e-5)
        assert found.embedding.shape == (16,)
        assert set(found.heads) == {"name", "mall_category", "linear", "neighbors"}
        assert found.heads["name"].category == product.product_id


@pytest.mark.parametrize(
    "fields", [fields for count in range(1, 6) for fields in combinations(SHOP_FIELDS, count)], ids="+".join
)
def test_any_subset_of_fields_is_answered(predictor: Predictor, fields: tuple[str, ...]) -> None:
    texts = {"product_name" if f == "name" else f: FULL.text(f) for f in fields if f != "image"}
    product = Product("p", **texts, image=FULL.image if "image" in fields else None)
    found = predictions(predictor.predict([product]))[0]
    of_text = {"linear", "neighbors"} if set(fields) - {"image"} else set()
    assert set(found.heads) == set(fields) & {"name", "mall_category", "image"} | of_text
    assert np.isfinite([scored.probability for scored in found.categories]).all()
    assert np.isfinite(found.embedding).all()


def test_a_product_is_the_same_alone_and_in_any_batch(predictor: Predictor) -> None:
    together = predictions(predictor.predict(GOOD))
    for product, found in zip(GOOD, together, strict=True):
        assert_same(predictions(predictor.predict([product]))[0], found)
    for found, expected in zip(predictions(predictor.predict(GOOD[::-1])), together[::-1], strict=True):
        assert_same(found, expected)


def test_what_is_accepted_depends_on_the_fields_that_are_given(predictor: Predictor) -> None:
    bundle = predictor.bundle
    by_subset = {"name": (0.0, 2.0, 2.0), "name mall_category": (0.0, 0.0, 2.0)}
    calibration = dataclasses.replace(bundle.calibration, thresholds=(0.0,) * 3, subset_thresholds=by_subset)
    strict = Predictor(dataclasses.replace(bundle, calibration=calibration), predictor.engine)
    name, mall_category = FULL.product_name, FULL.mall_category
    products = [FULL, Product("b", name), Product("c", name, mall_category), Product("d", name, maker="maker")]
    for sub_tree in (None, find_sub_tree(bundle.taxonomy, "의류")):
        accepted = [one.accepted for one in predictions(strict.predict(products, sub_tree=sub_tree))]
        assert [one and one.category for one in accepted] == [CATEGORIES[0], "의류", "의류>상의", CATEGORIES[0]]


def test_bad_products_cost_no_neighbour(predictor: Predictor) -> None:
    mixed = [BAD[0], GOOD[0], GOOD[1], BAD[1], GOOD[2], BAD[2], GOOD[3]]
    found = predictor.predict(mixed)
    errors = [one for one in found if isinstance(one, AisleError)]
    assert [type(error) for error in errors] == [PictureError, ProductError, ProductError]
    assert [found.index(error) for error in errors] == [0, 3, 5]
    assert str(errors[0]) == "the picture is damaged or cut off; send it again"
    assert str(errors[1]).endswith("every field is empty")
    assert str(errors[2]) == f"expected image_features of {TOY_IMAGE_DIM} numbers, found 7"
    good = [one for one in found if isinstance(one, Prediction)]
    for one, expected in zip(good, predictions(predictor.predict(GOOD)), strict=True):
        assert_same(one, expected)


class ColourEngine:
    """The toy bundle's engine with an eye for colour; its own untrained backbone gives nearly nothing."""

    name = "colour"

    def __init__(self, engine: Engine):
        self.engine = engine
        self.max_images = engine.max_images
        self.classify = engine.classify
        self.close = engine.close

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        means = images.mean(axis=(1, 2), dtype=np.float32)
        return np.repeat(means, [5, 5, TOY_IMAGE_DIM - 10], axis=1)


def test_a_picture_stays_with_its_product(predictor: Predictor) -> None:
    colours = Predictor(predictor.bundle, ColourEngine(predictor.engine))
    pictures = [Product(str(i), image=toy_picture(color, i)) for i, (_, _, color) in enumerate(TOY_SHOP.values())]
    alone = [predictions(colours.predict([product]))[0] for product in pictures]
    assert not np.allclose(alone[0].embedding, alone[1].embedding, atol=1e-3)
    mixed = [BAD[0], pictures[0], GOOD[0], BAD[1], pictures[1], pictures[2], GOOD[3]]
    found = colours.predict(mixed)
    for position, expected in zip((1, 4, 5), alone, strict=True):
        assert_same(predictions([found[position]])[0], expected)


def test_only_bad_products_and_none_at_all(predictor: Predictor) -> None:
    assert [type(error) for error in predictor.predict(BAD)] == [PictureError, ProductError, ProductError]
    assert predictor.predict([]) == []


def test_a_picture_and_its_features_answer_alike(predictor: Predictor) -> None:
    pixels = predictor.decode(FULL)
    assert pixels is not None
    features = predictor.encode_images(pixels[None])[0]
    by_features = Product("full", "반팔 티셔츠 1", "패션 > 탑", "brand1", "maker", image_features=features)
    assert_same(*predictions(predictor.predict([by_features, FULL])))


def test_many_pictures_are_encoded_in_runs_that_pay(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = predictor.decode(FULL)
    assert pixels is not None
    images = np.stack([np.roll(pixels, shift, axis=1) for shift in range(9)])
    whole = predictor.engine.encode_images(images)
    sizes: list[int] = []
    encode = predictor.engine.encode_images
    monkeypatch.setattr(predictor.engine, "max_images", 4)
    monkeypatch.setattr(predictor.engine, "encode_images", lambda run: sizes.append(len(run)) or encode(run))
    np.testing.assert_allclose(predictor.encode_images(images), whole, atol=1e-5)
    assert sizes == [4, 4, 1]


@pytest.mark.parametrize(("top_k", "expected"), [(1, 1), (2, 2), (3, 3), (500, 3)])
def test_top_k(predictor: Predictor, top_k: int, expected: int) -> None:
    found = predictions(predictor.predict([FULL], top_k))[0]
    assert len(found.categories) == expected
    probabilities = [scored.probability for scored in found.categories]
    assert probabilities == sorted(probabilities, reverse=True)


def test_serving_with_openvino_imports_neither_tensorflow_nor_keras(toy_bundle: Path) -> None:
    program = """
import json, pathlib, sys
from model.predictor import Predictor
from model.product import Product
predictor = Predictor.open(pathlib.Path(sys.argv[1]))
found = predictor.predict([Product("1", "반팔 티셔츠", "패션 > 탑")])[0]
heavy = {name.split(".")[0] for name in sys.modules} & {"tensorflow", "keras", "jax", "torch", "gensim", "training"}
print(json.dumps([predictor.engine.name, found.categories[0].category, sorted(heavy)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(toy_bundle)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["openvino", CATEGORIES[0], []]


def test_a_sub_tree_restricts_the_answers_and_not_the_evidence(predictor: Predictor) -> None:
    # The toy's validation rows are all answered right, so that its own temperature leaves nothing of other leaves.
    predictor = softened(predictor, temperature=1.0)
    sub_tree = find_sub_tree(predictor.bundle.taxonomy, "의류")
    whole, within = (predictions(predictor.predict(GOOD, sub_tree=mask)) for mask in (None, sub_tree))
    masses = predictor.prior_masses(predictor.preprocessor.presence(GOOD))[:, 0]
    for one, two, mass in zip(whole, within, masses, strict=True):
        inside = [scored for scored in one.categories if scored.category.startswith("의류>")]
        evidence = [scored.probability - mass / predictor.bundle.taxonomy.num_leaves for scored in inside]
        assert [scored.category for scored in two.categories] == [scored.category for scored in inside]
        for own, masked in zip(evidence, two.categories, strict=True):
            renormalized = (1 - mass) * own / sum(evidence) + mass / len(sub_tree.leaves)
            assert masked.probability == pytest.approx(renormalized, abs=1e-4)
        assert two.heads == one.heads
    mixed = predictor.predict_decoded(GOOD[:1] * 2, {}, 5, sub_trees=[None, sub_tree])
    assert_same(mixed[0], whole[0])
    assert_same(mixed[1], within[0])
