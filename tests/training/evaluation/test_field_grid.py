"""The field grid: answers with fields left out or exchanged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog.columns import COLUMNS
from catalog.labels.label_space import LabelSpace
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.predictor import Predictor
from model.product import Product
from training.evaluation.field_grid import FieldGrid, exchanged, subsets, without_fields
from training.evaluation.labelled_answers import labelled_answers
from training.predict.answered_catalog import CatalogSource


@pytest.fixture(scope="module")
def predictor(toy_bundle: Path) -> Predictor:
    """A predictor that accepts products with only a name at the top level, and all others at a leaf."""
    found = Predictor.open(toy_bundle)
    calibration = replace(found.bundle.calibration, thresholds=(0.0,) * 3, subset_thresholds={"name": (0.0, 2.0, 2.0)})
    return Predictor(replace(found.bundle, calibration=calibration), found.engine)


@pytest.fixture(scope="module")
def grid(
    predictor: Predictor,
    toy_catalogs: tuple[Path, Path],
    toy_cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict:
    field_grid = FieldGrid(predictor, tmp_path_factory.mktemp("grid"))
    catalog = CatalogSource(toy_catalogs[1], ReadOptions(), toy_cache)
    labels = LabelSpace(predictor.bundle.taxonomy, "tree")
    for chunk, classes in labelled_answers(predictor, catalog, labels, Rejects(None), 1):
        field_grid.add(chunk.features, classes, chunk.answers.top_classes[:, 0] == classes)
    return field_grid.metrics()


def test_every_subset_counts_the_products_that_have_it(grid: dict, predictor: Predictor) -> None:
    """Check 45 products, of which every seventh has no mall category and every fourth no picture."""
    given = {tuple(entry["fields"]): entry for entry in grid["given"]}
    assert len(given) == len(grid["given"]) == 31
    assert given[("name",)]["count"] == 45
    assert given[("mall_category",)]["count"] == sum(bool(i % 7) for i in range(45))
    assert given[("image",)]["count"] == sum(bool(i % 4) for i in range(45))
    assert given[predictor.bundle.fields]["count"] == sum(bool(i % 7 and i % 4) for i in range(45))
    full = given[predictor.bundle.fields]
    assert full["accuracy"] == full["accuracy_untouched"]
    assert given[("maker",)]["accuracy"] < 0.8 < given[("name",)]["accuracy"]  # all products have the same maker


def test_a_subset_is_answered_like_a_product_that_has_no_more(
    grid: dict, predictor: Predictor, toy_catalogs: tuple[Path, Path]
) -> None:
    lines = [line.split(",") for line in toy_catalogs[1].read_text(encoding="utf-8").splitlines()[1:]]
    category = COLUMNS.index("category")
    answers = predictor.predict([Product(line[0], product_name=line[1]) for line in lines], top_k=1)
    right = [answer.categories[0].category == line[category] for answer, line in zip(answers, lines, strict=True)]  # type: ignore[union-attr]
    accepted = [answer.accepted.category for answer in answers]  # type: ignore[union-attr]
    accepted_right = [line[category].startswith(node) for node, line in zip(accepted, lines, strict=True)]
    (name,) = (entry for entry in grid["given"] if entry["fields"] == ["name"])
    assert name["accuracy"] == pytest.approx(np.mean(right))
    assert set(accepted) == {"의류", "디지털"}
    assert (name["accepted_share"], name["accepted_precision"]) == (1.0, pytest.approx(np.mean(accepted_right)))
    assert (name["leaf_accepted_share"], name["leaf_accepted_precision"]) == (0.0, None)
    for entry in grid["given"]:
        if entry["fields"] != ["name"]:
            assert (entry["leaf_accepted_share"], entry["accepted_share"]) == (1.0, 1.0)
            assert entry["leaf_accepted_precision"] == entry["accepted_precision"] == entry["accuracy"]


def test_wrong_fields_cost_accuracy(grid: dict) -> None:
    assert [(entry["field"], entry["share"]) for entry in grid["wrong"]] == [
        ("mall_category", 0.1),
        ("mall_category", 0.3),
        ("image", 0.1),
        ("image", 0.3),
    ]
    for entry in grid["wrong"]:
        assert entry["accuracy"] <= entry["accuracy_untouched"]


def test_the_grid_is_small_for_many_fields() -> None:
    assert subsets(("a", "b")) == [("a", "b"), ("a",), ("b",)]
    assert len(subsets(tuple("abcde"))) == 31
    many = subsets(tuple("abcdef"))
    assert [len(subset) for subset in many] == [6] + [5] * 6 + [1] * 6


def test_left_out_fields_are_encoded_as_zeros() -> None:
    batch = {
        "name_token_ids": np.ones((2, 3), np.int32),
        "mall_category_ngram_weights": np.ones((2, 3), np.float32),
        "image_features": np.ones((2, 4), np.float32),
        "presence": np.array([[1, 0, 1], [1, 1, 1]], np.float32),
    }
    changed = without_fields(batch, ["mall_category", "image"], ("name", "mall_category", "image"))
    assert changed["presence"].tolist() == [[1, 0, 0], [1, 0, 0]]
    assert changed["name_token_ids"].all()
    assert not changed["mall_category_ngram_weights"].any()
    assert not changed["image_features"].any()
    assert batch["image_features"].all()  # the caller's arrays are unchanged


def test_exchanged_fields_form_a_cycle() -> None:
    rows = np.array([3, 5, 8, 9, 20, 21, 22, 30, 31, 40])
    donors = exchanged(rows, 0.3)
    assert (donors != rows).sum() == 3
    assert sorted(donors) == rows.tolist()
    assert exchanged(rows, 0.3).tolist() == donors.tolist()  # the draw is seeded
    assert exchanged(rows, 0.1).tolist() == rows.tolist()  # a single row has no other to exchange with
    assert len(exchanged(rows[:0], 0.3)) == 0
