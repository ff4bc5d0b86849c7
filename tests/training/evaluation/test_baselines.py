"""The baselines: linear SVM, lookup table, majority."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from catalog.labels.label_space import LabelSpace
from catalog.read_options import ReadOptions
from catalog.rows import CatalogRow, read_catalog
from model.errors import CatalogError
from model.taxonomy import Taxonomy
from tests.conftest import TOY_SHOP, catalog_row, toy_rows, write_catalog
from training.evaluation.baselines import (
    Baselines,
    LinearBaseline,
    LookupBaseline,
    MajorityBaseline,
    TrainingSample,
    read_sample,
)
from training.evaluation.seen_products import SeenProducts
from training.metrics.outcomes import Outcomes
from training.report.comparison_verdict import baseline_sentences

TAXONOMY = Taxonomy(["lamp", "rug", "desk"])


def row(name: str = "", mall_category: str = "") -> CatalogRow:
    return catalog_row(1, "p", {"name": name, "mall_category": mall_category})


def sample_of(*rows: tuple[str, str, int]) -> TrainingSample:
    classes = np.array([found for _, _, found in rows], np.int32)
    return TrainingSample([row(name, mall) for name, mall, _ in rows], classes, len(rows), SeenProducts())


LOOKUP = sample_of(
    ("x", "Home > Light", 0), ("x", "Home>Light", 0), ("x", "Home>Light", 1), ("x", "Floor", 1), ("x", "", 2),
    ("x", "", 2), ("x", "", 2),
)  # fmt: skip


def test_lookup_by_eye() -> None:
    """Check that Home>Light is a lamp, as in two of three rows, and an unknown one a desk, the most frequent."""
    answers = LookupBaseline(LOOKUP).answer(
        [row(mall_category=mall) for mall in ("Home >\ufeffLight", "Floor", "new", "")]
    )
    assert answers.classes.tolist() == [0, 1, 2, 2]
    assert answers.confidences.tolist() == pytest.approx([2 / 3, 1, 3 / 7, 3 / 7])


def test_majority_by_eye() -> None:
    answers = MajorityBaseline(LOOKUP).answer([row("a"), row("b")])
    assert answers.classes.tolist() == [2, 2]
    assert answers.confidences.tolist() == pytest.approx([3 / 7] * 2)
    tie = MajorityBaseline(sample_of(("x", "", 1), ("x", "", 0)))
    assert tie.answer([row()]).classes.tolist() == [0]


def test_the_linear_svm_learns_words_characters_and_mall_categories() -> None:
    words = {"table lamp": 0, "wool rug": 1, "office desk": 2}
    rows = [(f"{name} {i}", "", found) for i in range(5) for name, found in words.items()]
    rows += [("x", "Bedding", 1)] * 3
    baseline = LinearBaseline(sample_of(*rows), ["name", "mall_category"])
    answers = baseline.answer([row("a lamp"), row("lamps"), row("xyz", "Bedding"), row("desk rug"), row()])
    assert answers.classes[:3].tolist() == [0, 0, 1]
    assert answers.confidences.dtype == np.float32
    assert np.all((answers.confidences >= 0) & (answers.confidences < 1))
    assert answers.confidences[0] > answers.confidences[3]  # there are two classes


def test_two_classes_and_single_characters_are_enough() -> None:
    baseline = LinearBaseline(sample_of(("a", "", 0), ("b", "", 2)), ["name"])
    assert baseline.answer([row("b"), row("a")]).classes.tolist() == [2, 0]


def test_the_limit_of_weights_drops_rare_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.evaluation.baselines.MAX_WEIGHTS", 40)
    baseline = LinearBaseline(sample_of(("lamp red", "", 0), ("lamp blue", "", 0), ("rug red", "", 1)), ["name"])
    assert (
        baseline.num_features == 7 + 10
    )  # 40 weights, 2 classes, 2 kinds of features; there are 7 words and pairs of words


@pytest.fixture
def labels() -> LabelSpace:
    return LabelSpace(Taxonomy(sorted(TOY_SHOP)), "the bundle's tree")


def evaluated(catalog: Path, labels: LabelSpace) -> tuple[list[CatalogRow], Outcomes]:
    """The catalog's rows, and outcomes of a model that is wrong for every third."""
    rows = [row for chunk in read_catalog(catalog) for row in chunk]
    classes = np.array([labels.class_of(row) for row in rows], np.int32)
    predicted = np.where(np.arange(len(rows)) % 3 == 0, (classes + 1) % 3, classes)
    return rows, Outcomes.of(classes, np.eye(3, dtype=np.float32)[predicted])


def test_all_baselines_on_the_same_rows(toy_catalogs: tuple[Path, Path], labels: LabelSpace) -> None:
    baselines = Baselines(toy_catalogs[0], ReadOptions(), labels, toy_catalogs[1])
    rows, outcomes = evaluated(toy_catalogs[1], labels)
    baselines.add(rows[:20])
    baselines.add(rows[20:])
    metrics = baselines.metrics(outcomes, labels.taxonomy)
    assert (metrics["catalog"], metrics["num_rows"], metrics["num_rows_in_catalog"]) == ("train.csv", 90, 90)
    assert metrics["aisle"]["accuracy"] == pytest.approx(2 / 3)
    found = metrics["baselines"]
    assert list(found) == ["tfidf_linear_svm", "mall_category_lookup", "majority"]
    assert found["tfidf_linear_svm"]["accuracy"] == 1.0
    assert found["tfidf_linear_svm"]["coverage_at_precision"] == {"0.95": 1.0, "0.98": 1.0, "0.99": 1.0}
    assert found["tfidf_linear_svm"]["comparison"]["num_only_other_right"] == 15
    has_mall = np.array([bool(row.text("mall_category")) for row in rows])
    assert found["mall_category_lookup"]["accuracy"] == pytest.approx((has_mall.sum() + 2) / 45)  # 2 of 7 by chance
    assert found["majority"]["accuracy"] == pytest.approx(1 / 3)
    assert found["majority"]["average_weighted_f1"] < metrics["aisle"]["average_weighted_f1"]


def test_a_shop_without_texts_has_the_majority_only(
    toy_catalogs: tuple[Path, Path], tmp_path: Path, labels: LabelSpace
) -> None:
    rows = [{"product_id": str(i), "image": "a.jpg", "category": leaf} for i, leaf in enumerate(TOY_SHOP)]
    baselines = Baselines(write_catalog(tmp_path / "pictures.csv", rows), ReadOptions(), labels, toy_catalogs[1])
    _, outcomes = evaluated(tmp_path / "pictures.csv", labels)
    baselines.add([row()] * 3)
    assert list(baselines.metrics(outcomes, labels.taxonomy)["baselines"]) == ["majority"]


def test_one_category_needs_no_svm(toy_catalogs: tuple[Path, Path], tmp_path: Path, labels: LabelSpace) -> None:
    rows = [{"product_id": str(i), "product_name": "x", "category": next(iter(TOY_SHOP))} for i in range(3)]
    baselines = Baselines(write_catalog(tmp_path / "one.csv", rows), ReadOptions(), labels, toy_catalogs[1])
    baselines.add([row("x")])
    outcomes = Outcomes.of(np.array([0]), np.eye(3, dtype=np.float32)[:1])
    assert list(baselines.metrics(outcomes, labels.taxonomy)["baselines"]) == ["majority"]


def test_a_large_catalog_is_sampled(toy_catalogs: tuple[Path, Path], labels: LabelSpace) -> None:
    sample = read_sample(toy_catalogs[0], ReadOptions(), labels, max_rows=30)
    assert (len(sample.rows), len(sample.classes), sample.num_rows_in_catalog) == (30, 30, 90)
    assert len({row.product_id for row in sample.rows}) == 30
    assert [labels.class_of(row) for row in sample.rows] == sample.classes.tolist()
    assert max(int(row.product_id[1:]) for row in sample.rows) > 45
    again = read_sample(toy_catalogs[0], ReadOptions(), labels, max_rows=30)
    assert again.rows == sample.rows


def test_with_many_categories_fewer_rows_are_sampled(
    toy_catalogs: tuple[Path, Path], labels: LabelSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluation.baselines.MAX_ROW_CATEGORIES", 60)
    baselines = Baselines(toy_catalogs[0], ReadOptions(), labels, toy_catalogs[1])
    rows, outcomes = evaluated(toy_catalogs[1], labels)
    baselines.add(rows)
    metrics = baselines.metrics(outcomes, labels.taxonomy)
    assert (metrics["num_rows"], metrics["num_rows_in_catalog"]) == (20, 90)


def test_a_catalog_of_another_tree_is_an_error(
    toy_catalogs: tuple[Path, Path], tmp_path: Path, labels: LabelSpace
) -> None:
    rows = [{**row, "category": "식품"} for row in toy_rows(tmp_path, "b", 3)]
    catalog = write_catalog(tmp_path / "food.csv", rows)
    expected = (
        r"food\.csv: expected rows with a category of this bundle to train the baselines on, found none;"
        r" give --baseline the catalog that the bundle was trained on"
    )
    with pytest.raises(CatalogError, match=expected):
        Baselines(catalog, ReadOptions(), labels, toy_catalogs[1])


@pytest.mark.parametrize("prefix", ["t", "renamed"])
def test_a_copy_of_the_training_file_is_refused(
    toy_catalogs: tuple[Path, Path], tmp_path: Path, labels: LabelSpace, prefix: str
) -> None:
    """Shuffled, with other pictures' paths only or with other ids only."""
    rows = [row for chunk in read_catalog(toy_catalogs[0]) for row in chunk]
    texts = [{"product_name": one.text("name"), "mall_category": one.text("mall_category")} for one in rows]
    given = [{**text, "category": one.category} for text, one in zip(texts, rows, strict=True)]
    train = write_catalog(tmp_path / "train.csv", [{**row, "product_id": f"t{i}"} for i, row in enumerate(given)])
    copied = [{**row, "product_id": f"{prefix}{i}"} for i, row in enumerate(given)]
    copy = write_catalog(tmp_path / "copy.csv", copied[::-1])
    expected = r"--baseline .*train\.csv: 90 of the 90 products of .*copy\.csv are in it, too, so that the"
    with pytest.raises(CatalogError, match=expected):
        Baselines(train, ReadOptions(), labels, copy)


def test_training_products_among_the_evaluated_ones_are_left_out(
    toy_catalogs: tuple[Path, Path], tmp_path: Path, labels: LabelSpace
) -> None:
    """Six products of the training file, one of them with a name of its own, among the 45 others."""
    known, others = (list(csv.DictReader(io.StringIO(path.read_text("utf-8")))) for path in toy_catalogs)
    known[5]["product_name"] = "다른 이름"
    mixed = write_catalog(tmp_path / "mixed.csv", known[:6] + others)
    baselines = Baselines(toy_catalogs[0], ReadOptions(), labels, mixed)
    rows, outcomes = evaluated(mixed, labels)
    baselines.add(rows)
    metrics = baselines.metrics(outcomes, labels.taxonomy)
    assert metrics["num_left_out"] == 5
    comparison = metrics["baselines"]["tfidf_linear_svm"]["comparison"]
    assert comparison["count"] == 46
    assert comparison["accuracy"] == metrics["aisle"]["accuracy"] == pytest.approx(31 / 46)
    assert baseline_sentences(metrics)[-1] == (
        "5 products are no part of this comparison, because train.csv has them, too."
    )
