"""The evaluation of a bundle on a labelled catalog."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from sklearn.metrics import accuracy_score, f1_score

from catalog.columns import COLUMNS
from catalog.read_options import ReadOptions
from model.errors import CatalogError
from model.predictor import Predictor
from tests.conftest import TOY_SHOP, toy_rows, write_catalog
from training.evaluation import evaluate as evaluate_module
from training.evaluation import evaluated_rows
from training.evaluation.evaluate import Extras, evaluate
from training.predict.answered_catalog import CatalogSource
from training.predict.predict import predict
from training.report.report import ReportDetails


@pytest.fixture(scope="module")
def predictor(toy_bundle: Path) -> Predictor:
    return Predictor.open(toy_bundle)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of 40 labelled rows, every fifth with a wrong label, and 4 rows that are rejected."""
    folder = tmp_path_factory.mktemp("shop")
    rows = toy_rows(folder, "e", 40)
    leaves = list(TOY_SHOP)
    for i in range(0, 40, 5):
        rows[i]["category"] = leaves[(leaves.index(rows[i]["category"]) + 1 + i % 2) % 3]
    rows.insert(5, {"product_id": "none", "product_name": "셔츠"})
    rows.insert(9, {"product_id": "other", "product_name": "셔츠", "category": "식품>과일"})
    rows.insert(15, {"product_id": "lost", "image": "lost.jpg", "category": leaves[0]})
    rows.insert(20, {"product_id": "empty", "category": leaves[0]})
    return write_catalog(folder / "shop.csv", rows)


@pytest.fixture(scope="module")
def evaluated(predictor: Predictor, catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """Metrics and the report's folder, computed in chunks of 8 rows."""
    folder = tmp_path_factory.mktemp("report")
    source = CatalogSource(catalog, ReadOptions(), folder / "cache", chunk_rows=8)
    metrics, page = evaluate(predictor, source, folder / "report")
    assert page == folder / "report" / "report.html"
    return metrics, folder / "report"


def test_metrics_equal_those_of_scikit_learn_on_the_predictions(
    evaluated: tuple[dict, Path], predictor: Predictor, catalog: Path, tmp_path: Path
) -> None:
    metrics = json.loads((evaluated[1] / "metrics.json").read_text(encoding="utf-8"))
    assert metrics == json.loads(json.dumps(evaluated[0]))
    predict(
        predictor,
        CatalogSource(catalog, ReadOptions(), tmp_path / "cache"),
        tmp_path / "out.parquet",
        tmp_path / "rejects.csv",
    )
    answers = {row["product_id"]: row for row in pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()}
    rows = [line.split(",") for line in catalog.read_text(encoding="utf-8").splitlines()[1:]]
    category = COLUMNS.index("category")
    labels = {row[0]: row[category] for row in rows if row[category] in TOY_SHOP and row[0] in answers}
    truth, found = list(labels.values()), [answers[i]["category"] for i in labels]
    assert metrics["count"] == len(labels) == 40
    assert 0.6 < metrics["accuracy"] < 0.9  # eight labels are wrong
    assert metrics["accuracy"] == pytest.approx(accuracy_score(truth, found))
    assert metrics["macro_f1"] == pytest.approx(f1_score(truth, found, average="macro"))
    assert metrics["weighted_f1"] == pytest.approx(f1_score(truth, found, average="weighted"))
    top_level = accuracy_score([t.split(">")[0] for t in truth], [f.split(">")[0] for f in found])
    assert metrics["levels"][0]["accuracy"] == pytest.approx(top_level)
    confidences = [answers[i]["probability"] for i in labels]
    assert metrics["mean_confidence"] == pytest.approx(np.mean(confidences), abs=1e-5)
    assert metrics["top_3_accuracy"] == 1.0
    assert set(metrics["heads"]) == {"name", "mall_category", "image", "linear", "neighbors", "joint"}
    assert metrics["heads"]["image"]["count"] == sum(bool(row[6]) for row in rows if row[0] in labels)


def test_rows_that_lack_a_field_are_accepted_by_its_thresholds(
    predictor: Predictor, catalog: Path, tmp_path: Path
) -> None:
    """Accept everything first, then no leaf of the third level for rows that lack only the picture."""
    shares, labelled = [], CatalogSource(catalog, ReadOptions(), tmp_path / "cache")
    for by_subset in ({}, {"name mall_category brand maker": (0.0, 0.0, 2.0)}):
        calibration = replace(
            predictor.bundle.calibration, precision_target=0.3, thresholds=(0.0,) * 3, subset_thresholds=by_subset
        )
        lenient = Predictor(replace(predictor.bundle, calibration=calibration), predictor.engine)
        metrics, _ = evaluate(lenient, labelled, tmp_path / "report")
        shares.append((metrics["contract"]["leaf_accepted_share"], metrics["calibration"]["cross_fitted"]))
    (all_stored, all_cross_fitted), (stored, cross_fitted) = shares
    lacking = sum(i % 4 == 0 and i % 7 != 0 and i % 3 != 2 for i in range(40)) / 40
    assert (all_stored, stored) == (1.0, pytest.approx(1 - lacking))
    assert cross_fitted["leaf_accepted_share"] == pytest.approx(all_cross_fitted["leaf_accepted_share"] - lacking)


def test_the_worst_group_is_named_and_is_the_mall_that_was_planted(predictor: Predictor, tmp_path: Path) -> None:
    rows, leaves = toy_rows(tmp_path, "g", 90), list(TOY_SHOP)
    for i, row in enumerate(rows):
        row |= {"mall": f"mall {i % 5}", "month": f"2026-0{1 + i % 2}"}
        if row["mall"] == "mall 3":
            row["category"] = leaves[(leaves.index(row["category"]) + 1) % 3]
    source = CatalogSource(write_catalog(tmp_path / "shop.csv", rows), ReadOptions(), tmp_path / "cache")
    metrics, page = evaluate(predictor, source, tmp_path / "report")
    worst = metrics["worst_group"]
    assert (worst["grouping"], worst["group"], worst["count"]) == ("mall", "mall 3", 18)
    assert worst["is_surely_worse"]
    assert {entry["grouping"] for entry in metrics["groups"]} == {
        "mall", "month", "brand", "mall_category", "category", "fields",
    }  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert "The worst group is mall “mall 3”: 0\u00a0% of 18 products are right" in text
    assert 'id="groups"' in text


def test_rejects_are_counted_and_listed(evaluated: tuple[dict, Path]) -> None:
    assert evaluated[0]["rejects"] == 4
    with (evaluated[1] / "rejects.csv").open(encoding="utf-8", newline="") as file:
        reasons = {row["product_id"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons.keys() == {"none", "other", "lost", "empty"}
    assert reasons["none"].startswith("no label: ")
    assert reasons["other"].startswith("unknown label: '식품>과일' is not a leaf of the bundle's tree")
    assert reasons["lost"].startswith("unreadable picture: ")
    assert reasons["empty"].startswith("nothing to answer: ")


def test_the_report_shows_the_errors_with_their_pictures(evaluated: tuple[dict, Path]) -> None:
    page = (evaluated[1] / "report.html").read_text(encoding="utf-8")
    assert "toy on shop.csv" in page
    num_wrong = round(40 * (1 - evaluated[0]["accuracy"]))
    assert num_wrong == 8
    for i in range(0, 40, 5):
        assert f"e{i}" in page
    assert page.count("data:image/jpeg;base64,") == sum(1 for i in range(0, 40, 5) if i % 4)
    assert "no label" in page


def test_of_many_errors_the_most_confident_are_kept(
    predictor: Predictor, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep three errors at most over chunks of 8 rows, the same ones as of a single chunk."""
    details: list[ReportDetails] = []
    write = evaluate_module.write_report

    def recording(folder: Path, metrics: dict, given: ReportDetails) -> Path:
        details.append(given)
        return write(folder, metrics, given)

    monkeypatch.setattr(evaluated_rows, "NUM_ERRORS", 3)
    monkeypatch.setattr(evaluate_module, "write_report", recording)
    for rows in (8, 512):
        evaluate(
            predictor, CatalogSource(catalog, ReadOptions(), tmp_path / "cache", chunk_rows=rows), tmp_path / str(rows)
        )
    small, large = ([error.product_id for error in given.confident_errors] for given in details)
    assert len(small) == 3
    assert small == large
    probabilities = [error.probability for error in details[0].confident_errors]
    assert probabilities == sorted(probabilities, reverse=True)
    for error in details[0].confident_errors:
        presence = {head.head for head in error.heads}
        assert "name" in presence
        assert ("image" in presence) == bool(error.thumbnail)
        assert {word.word for word in error.words} <= set(error.product_name.split())
        assert len(error.words) > 1
        assert error.truth != error.answer
        assert int(error.product_id[1:]) % 5 == 0


def test_a_catalog_without_usable_labels_is_an_error(predictor: Predictor, tmp_path: Path) -> None:
    rows = [{**row, "category": "식품"} for row in toy_rows(tmp_path, "e", 3)]
    catalog = write_catalog(tmp_path / "shop.csv", rows)
    expected = r"shop\.csv: expected rows with a category of this bundle, found none; see .*report/rejects\.csv"
    with pytest.raises(CatalogError, match=expected):
        evaluate(predictor, CatalogSource(catalog, ReadOptions(), tmp_path / "cache"), tmp_path / "report")
    assert len((tmp_path / "report" / "rejects.csv").read_text(encoding="utf-8").splitlines()) == 4
    empty = CatalogSource(write_catalog(tmp_path / "empty.csv", []), ReadOptions(), tmp_path / "cache")
    with pytest.raises(CatalogError, match=r"empty\.csv: expected rows with a category of this bundle, found none$"):
        evaluate(predictor, empty, tmp_path / "report")  # without a rejects file, of which the older one is removed


def test_optional_measurements_are_in_the_metrics_and_the_report(
    predictor: Predictor, catalog: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    """Compare the bundle with itself, so that no row differs; the baseline has the eight wrong labels wrong, too."""
    extras = Extras(baseline=toy_catalogs[0], compare_to=predictor, field_grid=True)
    labelled = CatalogSource(catalog, ReadOptions(), tmp_path / "cache")
    metrics, page = evaluate(predictor, labelled, tmp_path / "report", extras)
    assert json.loads((tmp_path / "report" / "metrics.json").read_text(encoding="utf-8")) == metrics
    comparison = metrics["bundle_comparison"]
    assert (comparison["count"], comparison["difference"], comparison["p_value"], comparison["num_left_out"]) == (
        40,
        0,
        1,
        0,
    )
    assert comparison["this"] == comparison["other"]
    assert comparison["this"]["leaf_accepted_share"] == metrics["contract"]["leaf_accepted_share"]
    baseline = metrics["baselines"]["baselines"]["tfidf_linear_svm"]
    assert baseline["accuracy"] == 0.8
    assert metrics["baselines"]["num_rows"] == 90
    full, *_ = metrics["field_grid"]["given"]
    assert full["fields"] == list(predictor.bundle.fields)
    assert full["accuracy"] == full["accuracy_untouched"]
    assert metrics["calibration"]["count"] == 40
    assert {group["mall_category"] for group in metrics["mall_categories"]} <= {"패션", "PC"}
    text = page.read_text(encoding="utf-8")
    for section in ("baselines", "bundle_comparison", "siblings", "mall_categories", "grid"):
        assert (f'id="{section}"' in text) == (section != "siblings")  # no leaf of the toy tree has a sibling
    assert not list((tmp_path / "cache").glob("field-grid-*"))  # the encoded rows were removed


def test_the_baseline_must_not_be_trained_on_the_evaluated_catalog(
    predictor: Predictor, catalog: Path, tmp_path: Path
) -> None:
    expected = r"--baseline and --catalog name the same file, .*shop\.csv; give --baseline the training catalog"
    labelled = CatalogSource(catalog, ReadOptions(), tmp_path / "cache")
    with pytest.raises(CatalogError, match=expected):
        evaluate(predictor, labelled, tmp_path / "report", Extras(baseline=catalog))
