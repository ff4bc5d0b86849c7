"""Training on a long tail and on dated rows: probabilities are right for the catalog's own shares."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog.read_options import ReadOptions
from model.errors import CatalogError, SettingsError
from model.predictor import Predictor
from model.product import Product
from model.settings import NoiseSettings, SamplingSettings
from tests.conftest import TOY_SETTINGS, write_catalog
from training.train import TrainJob, train

pytestmark = pytest.mark.long(seconds=60)

#: Share and word of each category; most names lack the word, so that the share alone speaks for one of them.
SHOP = {"의류>상의": (0.84, "셔츠"), "의류>하의": (0.12, "바지"), "디지털>노트북": (0.04, "gram")}
SHARE_WITH_WORD = 0.4
LETTERS = np.array(list("가나다라마바사아자차카타파하"))
TEXT_ONLY = replace(
    TOY_SETTINGS,
    training=replace(TOY_SETTINGS.training, epochs=2),
    neighbors=replace(TOY_SETTINGS.neighbors, neighbor_head="off"),
)
ALL_ALIKE = SamplingSettings("temperature", sampling_temperature=1e6)


def shop(count: int, seed: int) -> list[dict[str, str]]:
    """Rows of exactly the shares of SHOP, in an order of chance."""
    random = np.random.default_rng(seed)
    rows = []
    for category, (share, word) in SHOP.items():
        size = round(count * share)
        for i in range(size):
            own = ["".join(random.choice(LETTERS, 2)) for _ in range(2)]
            name = " ".join([*own, word if i < SHARE_WITH_WORD * size else "무료배송"])
            rows.append({"product_id": f"{seed}-{category}-{i}", "product_name": name, "category": category})
    return [rows[i] for i in random.permutation(len(rows))]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> TrainJob:
    """A long tail of 500 rows, and 300 that calibrate."""
    folder = tmp_path_factory.mktemp("tail")
    train_file, val_file = (
        write_catalog(folder / "train.csv", shop(500, 1)),
        write_catalog(folder / "val.csv", shop(300, 2)),
    )
    places = folder / "bundle", ReadOptions(), None, folder / "work", folder / "cache"
    return TrainJob(None, train_file, val_file, *places, resume=False)


def said_by_true(bundle: Path) -> dict[str, float]:
    """The sum of the probabilities of each category over new products, for each product that is of it."""
    rows = shop(1000, 3)
    sums = dict.fromkeys(SHOP, 0.0)
    predictor = Predictor.open(bundle)
    for answer in predictor.predict([Product(row["product_id"], row["product_name"]) for row in rows]):
        assert not isinstance(answer, Exception)
        for found in answer.categories:
            sums[found.category] += found.probability
    predictor.close()
    return {category: sums[category] / sum(row["category"] == category for row in rows) for category in SHOP}


def test_probabilities_are_right_for_the_shares_of_the_catalog(job: TrainJob, tmp_path: Path) -> None:
    """The network learns as many rows of each category; with the correction its probabilities are those of the shop."""
    settings = replace(TEXT_ONLY, sampling=ALL_ALIKE)
    train(job, settings)
    states = sorted((job.work_dir / "state").iterdir())
    times = [path.stat().st_mtime_ns for path in states]
    uncorrected = replace(job, bundle=tmp_path / "uncorrected", resume=True)
    train(uncorrected, replace(settings, sampling=replace(ALL_ALIKE, prior_correction="off")))
    assert [path.stat().st_mtime_ns for path in states] == times  # the network was not trained again
    right, balanced = said_by_true(job.bundle), said_by_true(uncorrected.bundle)
    head, middle, tail = SHOP
    assert right[head] == pytest.approx(1, abs=0.05)
    assert right[middle] == pytest.approx(1, abs=0.25)
    assert right[tail] == pytest.approx(1, abs=0.35)
    assert balanced[head] < 0.92
    assert balanced[middle] > 1.35
    assert balanced[tail] > 1.5
    cards = [(bundle / "MODEL_CARD.md").read_text(encoding="utf-8") for bundle in (job.bundle, uncorrected.bundle)]
    assert (
        "of a category in proportion to its rows to the power of 1 / 1e+06. Probabilities were brought back" in cards[0]
    )
    assert "Probabilities were not brought back to the shares of the catalog: rare categories are answered" in cards[1]


def test_folds_calibrate_the_correction(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each fold draws rows of its own; the served model is corrected by the answers to all of them."""
    catalog = write_catalog(tmp_path / "shop.csv", shop(500, 5))
    places = tmp_path / "bundle", ReadOptions(), None, tmp_path / "work", tmp_path / "cache"
    settings = replace(TEXT_ONLY, training=replace(TEXT_ONLY.training, num_folds=2), sampling=SamplingSettings("sqrt"))
    with caplog.at_level("INFO"):
        train(TrainJob(catalog, None, None, *places, resume=False), settings)
    assert caplog.text.count("an epoch draws 250 of 250 rows") == 2
    assert caplog.text.count("an epoch draws 500 of 500 rows") == 1
    assert caplog.text.count("joint: correction of the shares") == 1
    right = said_by_true(tmp_path / "bundle")
    head, middle, tail = SHOP
    assert right[head] == pytest.approx(1, abs=0.06)
    assert right[middle] == pytest.approx(1, abs=0.3)
    assert right[tail] == pytest.approx(1, abs=0.4)


def test_the_last_months_are_learned_the_newest_most(
    job: TrainJob, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of three months the first is left out, with a category that has no later product."""
    rows = [{**row, "month": f"2026-0{1 + i % 3}", "mall": f"mall{i % 2}"} for i, row in enumerate(shop(90, 4))]
    rows.append({"product_id": "old", "product_name": "책", "category": "도서", "month": "2026-01"})
    dated = replace(job, train=write_catalog(tmp_path / "dated.csv", rows), bundle=tmp_path / "bundle")
    sampling = SamplingSettings(balance_by="mall", window_months=2, half_life_months=1.0)
    settings = replace(TEXT_ONLY, training=replace(TEXT_ONLY.training, epochs=1), sampling=sampling)
    with caplog.at_level("INFO"):
        train(replace(dated, work_dir=tmp_path / "work"), settings)
    assert "window: 2026-02 to 2026-03, 60 of 92 rows" in caplog.text
    assert "an epoch draws 60 of 60 rows" in caplog.text
    assert "correction of the shares" not in caplog.text  # neither changes a category's share
    card = (dated.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Predicts one of 3 categories" in card
    assert "Trained on 60 products" in card
    assert (
        "\nTraining rows are those of the last 2 months. Within a category the values of mall weigh the same."
        " A row counts half after 1 month.\n" in card
    )


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (SamplingSettings(balance_by="mall"), r"train\.csv: --balance-by mall needs the column mall"),
        (SamplingSettings(window_months=3), r"train\.csv: --window-months needs the month"),
        (SamplingSettings(half_life_months=3.0), r"train\.csv: --half-life-months needs the month"),
    ],
)
def test_a_missing_column_is_an_error_before_the_work(
    job: TrainJob, sampling: SamplingSettings, message: str, tmp_path: Path
) -> None:
    new = replace(job, bundle=tmp_path / "bundle", cache_dir=tmp_path / "cache", work_dir=tmp_path / "work")
    with pytest.raises(CatalogError, match=message):
        train(new, replace(TEXT_ONLY, sampling=sampling))
    assert {path.name for path in new.cache_dir.iterdir()} == {"catalogs", "locks"}  # the file was read, no more
    assert [path.name for path in new.work_dir.iterdir()] == ["lock"]


def test_a_contradiction_is_an_error_before_the_work(job: TrainJob, tmp_path: Path) -> None:
    settings = replace(TEXT_ONLY, sampling=SamplingSettings("cap"), noise=NoiseSettings("elr"))
    new = replace(job, bundle=tmp_path / "bundle", work_dir=tmp_path / "work")
    with pytest.raises(SettingsError, match="--noise elr follows the answers to every row"):
        train(new, settings)
    assert not new.work_dir.exists()
