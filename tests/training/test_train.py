"""Training from catalog to bundle."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.bundle.bundle import load_bundle
from model.bundle_files import FILES
from model.errors import BundleError, CatalogError, TrainingError
from model.network.wider_classifier import load_classifier, widen_classifier
from model.prediction.answers import Prediction, ScoredCategory
from model.predictor import Predictor
from model.product import Product
from tests.conftest import TOY_SETTINGS, TOY_SHOP, toy_picture, toy_rows, write_catalog
from training import train as train_module
from training.encoding.file_lock import exclusive_or_holder
from training.new_category.head_probe import HeadProbe
from training.report.model_card import model_card
from training.train import TrainJob, train

pytestmark = pytest.mark.long(seconds=70)

TEXT_ONLY = replace(TOY_SETTINGS, training=replace(TOY_SETTINGS.training, epochs=2))


def without_pictures(folder: Path, prefix: str, count: int) -> list[dict[str, str]]:
    return [{name: text for name, text in row.items() if name != "image"} for row in toy_rows(folder, prefix, count)]


@pytest.fixture
def job(tmp_path: Path) -> TrainJob:
    """A training with texts only, of 45 and 21 rows."""
    return TrainJob(
        None,
        write_catalog(tmp_path / "train.csv", without_pictures(tmp_path, "t", 45)),
        write_catalog(tmp_path / "val.csv", without_pictures(tmp_path, "v", 21)),
        tmp_path / "bundle",
        ReadOptions(),
        None,
        tmp_path / "work",
        tmp_path / "cache",
        resume=False,
    )


def assert_nothing_was_done(job: TrainJob) -> None:
    assert not job.work_dir.exists()
    assert not job.cache_dir.exists()


def test_the_toy_bundle_is_complete(toy_bundle: Path) -> None:
    bundle = load_bundle(toy_bundle)
    assert bundle.fields == ("name", "mall_category", "brand", "maker", "image")
    assert bundle.heads == ("name", "mall_category", "image", "linear", "neighbors", "joint")
    assert set(bundle.taxonomy.leaves) == set(TOY_SHOP)
    assert bundle.metrics["count"] == 45
    assert bundle.metrics["rejects"] == 0
    assert bundle.metrics["accuracy"] == 1.0
    assert set(bundle.metrics["heads"]) == set(bundle.heads)
    assert bundle.metrics["heads"]["image"]["count"] == 33  # every fourth of 45 has no picture
    assert len(bundle.history) == TOY_SETTINGS.training.epochs
    assert bundle.settings == TOY_SETTINGS
    assert bundle.calibration.formula.temperature > 0
    assert bundle.calibration.formula.penalty is not None
    assert bundle.calibration.formula.neighbor_weight > 0
    assert set(bundle.calibration.head_temperatures) == {"name", "mall_category", "image", "linear", "neighbors"}
    assert 0 <= bundle.metrics["cross_fitted_calibration_error"] < 0.2
    assert bundle.calibration.formula.prior_mass == pytest.approx(1 / 47)
    assert bundle.calibration.thresholds == (2.0, 2.0, 2.0)  # 45 rows are too few to guarantee 98 %
    # All validation rows have name, brand and maker; without one of them, nothing is accepted.
    given = [set(names.split()) for names in bundle.calibration.subset_thresholds]
    assert len(given) == 30 - 3
    assert not any({"name", "brand", "maker"} <= fields for fields in given)
    assert set(bundle.calibration.subset_thresholds.values()) == {(2.0, 2.0, 2.0)}
    assert set(bundle.calibration.formula.subset_temperatures) >= {"name", "image"}


def test_text_with_the_shop_s_tree_and_labels_as_ids(job: TrainJob, tmp_path: Path) -> None:
    ids = {category: f"c{i}" for i, category in enumerate(TOY_SHOP)}
    taxonomy = tmp_path / "taxonomy.csv"
    lines = [f"{category_id},{category}" for category, category_id in ids.items()]
    taxonomy.write_text("\n".join(["category_id,category", *lines, "c9,디지털>태블릿"]), encoding="utf-8")
    for path, prefix, count in ((job.train, "t", 45), (job.val, "v", 21)):
        rows = [{**row, "category": ids[row["category"]]} for row in without_pictures(tmp_path, prefix, count)]
        write_catalog(path, [*rows, {"product_id": "bad", "product_name": "x", "category": "c77"}])
    neighbors = replace(TEXT_ONLY.neighbors, neighbor_head="auto")  # the toy bundle's settings require them
    metrics = train(replace(job, taxonomy=taxonomy), replace(TEXT_ONLY, neighbors=neighbors))
    bundle = load_bundle(job.bundle)
    assert bundle.fields == ("name", "mall_category", "brand", "maker")
    assert "neighbors" not in bundle.heads  # they bring nothing here
    assert not (job.bundle / FILES.neighbors).exists()
    assert bundle.image_feature_dim == 0
    assert bundle.taxonomy.num_leaves == 4  # one of the categories has no product
    assert bundle.taxonomy.category_id("디지털>노트북") == "c2"
    assert metrics["rejects"] == 1
    assert metrics == bundle.metrics
    assert "unknown label: 'c77'" in (job.work_dir / "rejects-val.csv").read_text(encoding="utf-8")
    card = (job.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "one of 4 categories in 3 levels from: name, mall_category, brand, maker." in card
    assert "Trained on 45 products; measured on 21 others." in card
    (found,) = Predictor.open(job.bundle).predict([Product("1", "LG gram 노트북", "PC")])
    assert not isinstance(found, Exception)
    assert found.categories[0].category_id in {"c0", "c1", "c2", "c9"}


def test_pretrained_words_answer_names_in_words_never_seen(job: TrainJob) -> None:
    """Check that OpenVINO, Keras and the network of `add-category` agree."""
    tokenizer = replace(TOY_SETTINGS.tokenizer, pretrained_words="on")
    train(job, replace(TOY_SETTINGS, tokenizer=tokenizer, training=replace(TOY_SETTINGS.training, epochs=12)))
    bundle = load_bundle(job.bundle)
    unseen = {
        "macbook computer": "디지털>노트북",
        "블라우스 셔츠": "의류>상의>티셔츠",
        "leather trousers": "의류>하의>청바지",
    }
    products = [Product(name, name) for name in unseen]
    found: dict[str, list[ScoredCategory]] = {}
    for engine in ("openvino", "keras"):
        answers = Predictor.open(job.bundle, engine).predict(products)
        found[engine] = [answer.categories[0] for answer in answers if isinstance(answer, Prediction)]
        assert [category.category for category in found[engine]] == list(unseen.values())
    openvino, by_keras = ([category.probability for category in categories] for categories in found.values())
    np.testing.assert_allclose(openvino, by_keras, atol=1e-3)
    probe = HeadProbe(bundle, widen_classifier(load_classifier(job.bundle), len(TOY_SHOP), 1), job.cache_dir)
    alone, whole = job.cache_dir / "alone.csv", job.cache_dir / "whole.csv"
    rows = [{"product_id": name, "product_name": name, "category": category} for name, category in unseen.items()]
    write_catalog(alone, rows)
    write_catalog(whole, [{**row, "mall_category": "빵"} for row in rows])
    with Rejects(None) as rejects:
        one, more = (probe.probe(path, ReadOptions(), rejects, max_rows=9).views for path in (alone, whole))
    np.testing.assert_allclose(more["joint:name"].best_old_logits, one["joint"].best_old_logits, atol=1e-3)
    assert np.abs(more["joint"].best_old_logits - one["joint"].best_old_logits).max() > 0.01


def test_pixels_fine_tune_the_backbone_of_the_bundle(
    job: TrainJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((32, 32, 3))
    hidden = keras.layers.Conv2D(4, 3, strides=4)(keras.layers.Rescaling(1 / 255)(pixels))
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(hidden)).save(tmp_path / "backbone.keras")
    weights = keras.saving.load_model(tmp_path / "backbone.keras").get_weights()
    for path, prefix, count in ((job.train, "t", 45), (job.val, "v", 21)):
        rows = [{**row, "image": f"images/{prefix}{i}.jpg"} for i, row in enumerate(toy_rows(tmp_path, prefix, count))]
        for i, row in enumerate(rows):
            (tmp_path / row["image"]).write_bytes(toy_picture(TOY_SHOP[row["category"]][2], i))
        write_catalog(path, [{name: row[name] for name in ("product_id", "image", "category")} for row in rows])
    image = replace(TOY_SETTINGS.image, finetune_layers=-1, image_weights=str(tmp_path / "backbone.keras"))
    settings = replace(TOY_SETTINGS, image=image, training=replace(TOY_SETTINGS.training, epochs=8))
    metrics = train(job, settings)
    assert metrics["accuracy"] > 0.9  # the colours distinguish the categories
    bundle = load_bundle(job.bundle)
    assert (bundle.fields, bundle.heads) == (("image",), ("image", "joint"))
    assert bundle.image_feature_dim == 4
    saved = keras.saving.load_model(job.bundle / "keras" / "image_encoder.keras", compile=False)
    assert any(not np.array_equal(old, new) for old, new in zip(weights, saved.get_weights(), strict=True))
    pictures = [Product("", image=toy_picture(color, 99)) for _, _, color in TOY_SHOP.values()]
    found = Predictor.open(job.bundle).predict(pictures)
    assert [p.categories[0].category for p in found if not isinstance(p, Exception)] == list(TOY_SHOP)


def test_a_foreign_folder_is_an_error_before_any_work(job: TrainJob) -> None:
    job.bundle.mkdir()
    (job.bundle / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BundleError, match="bundle exists and is no bundle; choose another folder or remove it"):
        train(job, TEXT_ONLY)
    assert_nothing_was_done(job)
    assert (job.bundle / "thesis.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_catalog_is_refused_before_any_work(job: TrainJob, split: str, tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    with pytest.raises(CatalogError, match=rf"{re.escape(str(missing))}.*cannot be read"):
        train(replace(job, train=missing) if split == "train" else replace(job, val=missing), TEXT_ONLY)
    assert not job.cache_dir.exists()


def test_a_validation_catalog_without_a_known_heading_is_refused_before_any_work(job: TrainJob) -> None:
    job.val.write_text("sku,title\n1,shirt\n", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"val\.csv: expected at least one of product_name"):
        train(job, TEXT_ONLY)
    assert_nothing_was_done(job)


def test_a_training_catalog_without_labels_is_refused(job: TrainJob, tmp_path: Path) -> None:
    write_catalog(job.train, [{**row, "category": ""} for row in without_pictures(tmp_path, "t", 9)])
    with pytest.raises(CatalogError, match=r"train\.csv: expected rows with a category, found none"):
        train(job, TEXT_ONLY)


def test_labels_among_the_inputs_are_refused_before_any_work_unless_allowed(job: TrainJob, tmp_path: Path) -> None:
    rows = [{**row, "mall_category": row["category"]} for row in without_pictures(tmp_path, "t", 9)]
    write_catalog(job.train, rows)
    with pytest.raises(CatalogError, match=r"train\.csv: mall_category holds the label itself .* --fields name brand"):
        train(job, TEXT_ONLY)
    assert not (job.work_dir / "state").exists()
    write_catalog(job.val, without_pictures(tmp_path, "v", 1))  # ends an allowed one at the next check
    allowed = replace(TEXT_ONLY, training=replace(TEXT_ONLY.training, allow_leaks=True))
    with pytest.raises(TrainingError, match="expected 5 rows or more to calibrate with"):
        train(job, allowed)


def test_one_category_is_refused_before_any_work(job: TrainJob, tmp_path: Path) -> None:
    write_catalog(job.train, without_pictures(tmp_path, "t", 9)[::3])
    with pytest.raises(
        CatalogError, match=r"train\.csv: expected products of two categories or more, found '의류>상의>"
    ):
        train(job, TEXT_ONLY)
    assert not (job.work_dir / "state").exists()


def test_a_validation_catalog_of_rejects_is_refused(job: TrainJob, tmp_path: Path) -> None:
    write_catalog(job.val, [{**row, "category": "other"} for row in without_pictures(tmp_path, "v", 9)])
    with pytest.raises(TrainingError, match=r"val\.csv has no usable row: unknown label: 'other' is not a leaf"):
        train(job, TEXT_ONLY)
    rejects = (job.work_dir / "rejects-val.csv").read_text(encoding="utf-8").splitlines()
    assert len(rejects) == 10
    assert "unknown label: 'other' is not a leaf of train.csv" in rejects[1]
    assert not job.bundle.exists()


def test_where_most_rows_are_rejected_nothing_is_trained_unless_allowed(job: TrainJob, tmp_path: Path) -> None:
    rows = without_pictures(tmp_path, "v", 9)
    write_catalog(job.val, [*rows[:3], *({**row, "category": "other"} for row in rows[3:])])
    expected = r"val\.csv: 6 of 9 rows are rejected: unknown label: .*allow the loss with --max-rejected-rows 1"
    with pytest.raises(TrainingError, match=expected):
        train(job, TEXT_ONLY)
    assert not (job.work_dir / "state").exists()


def test_too_few_rows_to_calibrate_with_are_refused_before_training(job: TrainJob, tmp_path: Path) -> None:
    write_catalog(job.val, without_pictures(tmp_path, "v", 1))
    with pytest.raises(TrainingError, match=r"val\.csv: expected 5 rows or more to calibrate with, found 1; add rows"):
        train(job, TEXT_ONLY)
    assert not (job.work_dir / "state").exists()


def test_two_trainings_do_not_share_a_folder(job: TrainJob) -> None:
    with exclusive_or_holder(job.work_dir / "lock"):
        expected = (
            rf"work is in use by another training \(process {os.getpid()}\); wait for it, or give another --bundle"
        )
        with pytest.raises(TrainingError, match=expected):
            train(job, TEXT_ONLY)


def test_other_settings_do_not_resume_but_another_contract_does(job: TrainJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "write_bundle", stop)
        with pytest.raises(KeyboardInterrupt):
            train(job, replace(TEXT_ONLY, training=replace(TEXT_ONLY.training, epochs=1)))
    with pytest.raises(TrainingError, match="was made with other data or settings"):
        train(replace(job, resume=True), TEXT_ONLY)
    assert not job.bundle.exists()
    promised = replace(TEXT_ONLY.training, epochs=1, precision_target=0.9, precision_confidence=0.8)
    train(replace(job, resume=True), replace(TEXT_ONLY, training=promised))
    bundle = load_bundle(job.bundle)
    assert [row["epoch"] for row in bundle.history] == [1]
    assert (bundle.calibration.precision_target, bundle.calibration.precision_confidence) == (0.9, 0.8)


def test_the_model_card_agrees_with_the_bundle(toy_bundle: Path) -> None:
    bundle = load_bundle(toy_bundle)
    card = (toy_bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Predicts one of 3 categories in 3 levels from: name, mall_category, brand, maker, image." in card
    assert "Trained on 90 products; measured on 45 others." in card
    assert "| joint | 45 | 1.0000 | 1.0000 |" in card
    assert f"temperature {bundle.calibration.formula.temperature:.3f}." in card
    assert "at least 98 % are right, with 95 %\nconfidence" in card
    for depth in (1, 2, 3):
        assert f"| {depth} | never | 0.000 |" in card
    assert "| name, mall_category, image | never, never, never |" in card
    assert json.loads((toy_bundle / "settings.json").read_text(encoding="utf-8"))["training"]["epochs"] == 6


def test_a_head_without_validation_rows_has_no_figures(toy_bundle: Path) -> None:
    bundle = load_bundle(toy_bundle)
    metrics = {**bundle.metrics, "heads": {"image": {"count": 0, "accuracy": None, "macro_f1": None}}}
    card = model_card(replace(bundle, metrics=metrics))
    assert "| image | 0 | none | none |" in card


def test_the_model_card_of_one_field_names_no_sets(toy_bundle: Path) -> None:
    bundle = load_bundle(toy_bundle)
    card = model_card(replace(bundle, calibration=replace(bundle.calibration, subset_thresholds={})))
    assert "| 3 | never | 0.000 |\n\n## Limits" in card
