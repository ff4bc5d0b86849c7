"""Training from one file: out of fold, held out, resumed, with pictures, and without anything to learn."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog.read_options import ReadOptions
from model.bundle.bundle import load_bundle
from model.errors import SettingsError
from model.predictor import Predictor
from model.product import Product
from model.settings import ImageSettings
from tests.conftest import TOY_SETTINGS, TOY_SHOP, toy_rows, write_catalog
from training import train as train_module
from training.ensemble.calibration_rows import CalibrationRows, SavedRows
from training.train import TrainJob, train

pytestmark = pytest.mark.long(seconds=80)

TEXT_ONLY = replace(
    TOY_SETTINGS,
    training=replace(TOY_SETTINGS.training, epochs=3, num_folds=3, precision_target=0.8),
    model=replace(TOY_SETTINGS.model, fields=("name", "brand")),
)
LETTERS = np.array(list("가나다라마바사아자차카타파하"))


def shop(count: int, word_of_category: bool = True) -> list[dict[str, str]]:
    """Build rows whose names have two words of their own and, if asked for, one of their category."""
    random = np.random.default_rng(0)
    rows = []
    for i in range(count):
        category, (names, _, _) = list(TOY_SHOP.items())[i % 3]
        own = ["".join(random.choice(LETTERS, 4)) for _ in range(3)]
        word = names[0].split()[-1] if word_of_category else ""
        name = " ".join([*own, word]).strip()
        rows.append({"product_id": str(i), "product_name": name, "brand": f"brand{i % 5}", "category": category})
    return rows


def job_of(folder: Path, rows: list[dict[str, str]]) -> TrainJob:
    catalog = write_catalog(folder / "shop.csv", rows)
    return TrainJob(
        catalog, None, None, folder / "bundle", ReadOptions(), None, folder / "work", folder / "cache", resume=False
    )


def saved_rows(job: TrainJob) -> CalibrationRows:
    files = sorted((job.work_dir / "folds").glob("*/answers.npz"))
    return SavedRows(files, load_bundle(job.bundle).fields).rows


def interrupt_training(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have Ctrl-C come with a training, counted from 1."""
    train_model, calls = train_module.train_model, []

    def interrupted(*arguments: object, **_: object) -> object:
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return train_model(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(train_module, "train_model", interrupted)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainJob:
    """A bundle from one file of 90 rows, calibrated in three folds."""
    job = job_of(tmp_path_factory.mktemp("one"), shop(90))
    train(job, TEXT_ONLY)
    return job


def test_all_rows_calibrate_and_all_are_learned(trained: TrainJob) -> None:
    bundle = load_bundle(trained.bundle)
    assert bundle.metrics["count"] == 90
    assert bundle.metrics["accuracy"] > 0.9
    assert len(bundle.history) == 3
    assert not any(name.startswith("val_") for row in bundle.history for name in row)
    card = (trained.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert (
        "Trained on 90 products; measured on 90 of them, each answered by a model that was trained without it." in card
    )
    assert "| all | " in card
    rows = saved_rows(trained)
    assert len(rows) == 90
    assert rows.num_distinct == 90
    assert bundle.calibration.formula.prior_mass == pytest.approx(1 / 92)
    contract = bundle.metrics["contract"]
    assert contract["is_kept"]
    assert contract["accepted_share"] > 0.5  # 90 rows show 80 %


def test_no_answer_is_surer_than_the_rows_behind_it(trained: TrainJob) -> None:
    """90 rows that are all right support 91 of 92."""
    predictor = Predictor.open(trained.bundle)
    products = [
        Product(str(i), f"{names[0]} {names[0]}", brand="brand1") for i, (names, _, _) in enumerate(TOY_SHOP.values())
    ]
    found = [answer.categories[0].probability for answer in predictor.predict(products)]  # type: ignore[union-attr]
    predictor.close()
    assert max(found) <= 91 / 92 + 1 / 92 / 3 + 1e-6


def test_near_duplicates_count_once_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ten rows come three times each, scattered over the file and one fold; two folds tell it."""
    rows = shop(60)
    copies = [
        {**rows[i % 10], "product_id": f"copy{i}", "product_name": f"{rows[i % 10]['product_name']} 정품"}
        for i in range(20)
    ]
    job = job_of(tmp_path, [*copies[:7], *rows, *copies[7:]])
    interrupt_training(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        train(job, replace(TEXT_ONLY, training=replace(TEXT_ONLY.training, epochs=1, num_folds=2)))
    files = sorted((job.work_dir / "folds").glob("*/answers.npz"))
    found = SavedRows(files, ("name", "brand")).rows
    assert len(found) == 80
    assert found.num_distinct == 60
    assert sorted(np.round(found.weights, 3)) == [0.333] * 30 + [1.0] * 50


def test_labels_that_nothing_tells_are_accepted_nowhere(tmp_path: Path) -> None:
    """The final model knows its rows by heart; answered out of fold they are right by chance only."""
    job = job_of(tmp_path, shop(90, word_of_category=False))
    metrics = train(job, replace(TEXT_ONLY, training=replace(TEXT_ONLY.training, epochs=12, num_folds=2)))
    assert metrics["accuracy"] < 0.55
    assert metrics["contract"]["accepted_share"] == 0
    assert load_bundle(job.bundle).calibration.thresholds == (2.0, 2.0, 2.0)


def test_finished_folds_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trained: TrainJob
) -> None:
    """Of three folds the first is finished; the second is trained, and Ctrl-C comes with the third."""
    job = replace(trained, bundle=tmp_path / "bundle", work_dir=tmp_path / "work", resume=True)
    shutil.copytree(trained.work_dir, job.work_dir)
    folds, trained_folds = job.work_dir / "folds", trained.work_dir / "folds"
    for number in (1, 2):
        shutil.rmtree(folds / str(number))
    interrupt_training(monkeypatch, 2)
    with caplog.at_level("INFO"), pytest.raises(KeyboardInterrupt):
        train(job, TEXT_ONLY)
    assert "fold 1 of 3: answered by an earlier run" in caplog.text
    assert "fold 2 of 3: trained on the other folds" in caplog.text
    assert (folds / "0" / "answers.npz").read_bytes() == (trained_folds / "0" / "answers.npz").read_bytes()
    again, once = (np.load(folder / "1" / "answers.npz") for folder in (folds, trained_folds))
    assert set(again.files) == set(once.files)
    for name in once.files:
        np.testing.assert_allclose(again[name], once[name], atol=1e-5, err_msg=name)


def test_another_promise_needs_no_training(trained: TrainJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    job = replace(trained, bundle=tmp_path / "bundle", resume=True)
    before = sorted((trained.work_dir / "folds").rglob("answers.npz"))
    times = [path.stat().st_mtime_ns for path in before]
    train(job, replace(TEXT_ONLY, training=replace(TEXT_ONLY.training, precision_target=0.6)))
    assert [path.stat().st_mtime_ns for path in before] == times
    assert load_bundle(job.bundle).metrics["contract"]["precision_target"] == 0.6


def test_other_settings_train_the_folds_again(
    trained: TrainJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The training of the first fold is stopped once it is known that it begins."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    work_dir = Path(shutil.copytree(trained.work_dir, tmp_path / "work"))
    job = replace(trained, bundle=tmp_path / "bundle", work_dir=work_dir, resume=True)
    monkeypatch.setattr(train_module, "train_model", stop)
    with caplog.at_level("INFO"), pytest.raises(KeyboardInterrupt):
        train(job, replace(TEXT_ONLY, training=replace(TEXT_ONLY.training, epochs=1)))
    assert "fold 1 of 3: trained on the other folds" in caplog.text
    assert "answered by an earlier run" not in caplog.text


def test_pictures_are_tuned_in_every_fold(tmp_path: Path, small_backbone: ImageSettings) -> None:
    """The encoder that answers a fold must not have learned its pictures."""
    rows = [
        {name: row[name] for name in ("product_id", "image", "category")}
        for row in toy_rows(tmp_path, "p", 60)
        if "image" in row
    ]
    job = job_of(tmp_path, rows)
    image = replace(small_backbone, finetune_layers=2, finetune_epochs=1)
    metrics = train(
        job, replace(TOY_SETTINGS, image=image, training=replace(TEXT_ONLY.training, epochs=2, num_folds=2))
    )
    assert metrics["count"] == len(rows)
    assert len(list((tmp_path / "cache" / "tuned").iterdir())) == 3  # two folds and the final one


def test_two_files_or_one(tmp_path: Path) -> None:
    job = job_of(tmp_path, shop(9))
    for changed, found in (
        (replace(job, catalog=None), "none of them"),
        (replace(job, train=job.catalog), "--catalog --train"),
        (replace(job, catalog=None, train=job.catalog), "--train"),
    ):
        with pytest.raises(
            SettingsError, match=f"expected --catalog FILE, or --train FILE and --val FILE, found {found}$"
        ):
            train(changed, TEXT_ONLY)
