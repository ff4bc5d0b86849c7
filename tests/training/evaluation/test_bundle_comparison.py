"""The comparison of two bundles on the same rows."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from catalog.read_options import ReadOptions
from model.bundle.bundle import Bundle
from model.errors import CatalogError
from model.predictor import Predictor
from model.taxonomy import Taxonomy
from tests.conftest import toy_rows, write_catalog
from training.evaluation.bundle_comparison import RowAnswers, check_comparable, compare_bundles
from training.predict.answered_catalog import CatalogSource
from training.report.comparison_verdict import bundle_comparison_sentences


@pytest.fixture(scope="module")
def predictor(toy_bundle: Path) -> Predictor:
    return Predictor.open(toy_bundle)


@pytest.fixture
def catalog(tmp_path: Path) -> CatalogSource:
    """A catalog of 12 products; the last one has only a picture, which cannot be decoded."""
    rows = toy_rows(tmp_path, "a", 12)
    rows[11] = {"product_id": "a11", "image": "lost.jpg", "category": rows[11]["category"]}
    return CatalogSource(write_catalog(tmp_path / "shop.csv", rows), ReadOptions(), tmp_path / "cache")


def row_answers(count: int, predicted: np.ndarray) -> RowAnswers:
    """Answers to the rows from line 2 on."""
    return RowAnswers(np.arange(count) + 2, predicted, np.full(count, 0.9, np.float32), np.ones(count, bool))


def test_rows_are_matched_by_line(predictor: Predictor, catalog: CatalogSource, tmp_path: Path) -> None:
    """Check rows whose class is i modulo 3; the other bundle answers all of them except the last one."""
    taxonomy = predictor.bundle.taxonomy
    order = [taxonomy.class_of(leaf) for leaf in ("의류>상의>티셔츠", "의류>하의>청바지", "디지털>노트북")]
    labels = np.array([order[i % 3] for i in range(12)], np.int32)
    predicted = labels.copy()
    predicted[:3] = np.roll(labels[:3], 1)  # three mistakes
    found = compare_bundles(row_answers(12, predicted), labels, taxonomy, predictor, catalog, tmp_path)
    assert (found["count"], found["num_left_out"]) == (11, 1)
    assert (found["num_only_this_right"], found["num_only_other_right"]) == (0, 3)
    assert found["accuracy_other"] == 1.0
    assert found["p_value"] == pytest.approx(0.25)
    assert (found["name"], found["version"]) == ("toy", "1")
    assert found["this"] == {
        "expected_calibration_error": pytest.approx(abs(8 / 11 - 0.9), abs=1e-6),
        "leaf_accepted_share": 1.0,
        "leaf_accepted_precision": pytest.approx(8 / 11),
    }
    assert "a11" in (tmp_path / "rejects-compared.csv").read_text(encoding="utf-8")


def test_an_answer_outside_the_tree_is_wrong(predictor: Predictor, catalog: CatalogSource, tmp_path: Path) -> None:
    """The evaluated bundle has another name for jeans, so that the other's answer cannot be the label."""
    leaves = [leaf.replace("청바지", "바지") for leaf in predictor.bundle.taxonomy.leaves]
    taxonomy = Taxonomy(leaves)
    order = [taxonomy.class_of(leaf) for leaf in ("의류>상의>티셔츠", "의류>하의>바지", "디지털>노트북")]
    labels = np.array([order[i % 3] for i in range(12)], np.int32)
    found = compare_bundles(row_answers(12, labels), labels, taxonomy, predictor, catalog, tmp_path)
    assert found["num_only_this_right"] == sum(i % 3 == 1 for i in range(11))
    assert [change["category"] for change in found["categories_won"]] == ["의류>하의>바지"]
    assert bundle_comparison_sentences(found, "shop version 1")[-3:] == [
        "toy version 1 lacks 1 of the 3 categories of shop version 1: 4 products have one of these and count as its"
        " mistakes.",
        "toy version 1 has 1 category that shop version 1 lacks: products of it are no part of the comparison, and to"
        " answer with it is a mistake.",
        "1 product is excluded, because toy version 1 reads none of its fields.",
    ]


def test_a_bundle_of_another_tree_is_refused(predictor: Predictor, catalog: CatalogSource, tmp_path: Path) -> None:
    """Before a product is answered; and after that, where none has a category that both know."""
    expected = r"--compare-to .*/1: expected a bundle with some of the same categories, found none of the 2, such as"
    with pytest.raises(CatalogError, match=expected):
        check_comparable(Taxonomy(["a>b", "a>c"]), predictor.bundle)
    taxonomy = Taxonomy(["a>b", *predictor.bundle.taxonomy.leaves])
    check_comparable(taxonomy, predictor.bundle)
    labels = np.zeros(12, np.int32)
    with pytest.raises(CatalogError, match="that knows categories of these products, found none of them among its 3"):
        compare_bundles(row_answers(12, labels), labels, taxonomy, predictor, catalog, tmp_path)


def test_a_bundle_that_reads_other_fields_is_an_error(
    predictor: Predictor, catalog: CatalogSource, tmp_path: Path
) -> None:
    formula = dataclasses.replace(predictor.bundle.calibration.formula, subset_temperatures={}, subset_prior_masses={})
    calibration = dataclasses.replace(predictor.bundle.calibration, formula=formula, subset_thresholds={})
    bundle: Bundle = dataclasses.replace(predictor.bundle, fields=("image",), calibration=calibration)
    blind = Predictor(bundle, predictor.engine)
    rows = [{"product_id": "x", "product_name": "티셔츠", "category": "의류>상의>티셔츠"}]
    names = CatalogSource(write_catalog(tmp_path / "names.csv", rows), ReadOptions(), tmp_path / "cache")
    one = row_answers(1, np.zeros(1, np.int32))
    expected = (
        r"--compare-to .*: expected a bundle that answers these products, but it reads only image; see .*compared\.csv"
    )
    with pytest.raises(CatalogError, match=expected):
        compare_bundles(one, np.zeros(1, np.int32), bundle.taxonomy, blind, names, tmp_path)
