"""Fixtures: a real bundle at toy size, trained once per test run, and its training catalog."""

import csv
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.read_options import ReadOptions

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import pytest

from catalog.columns import COLUMNS
from catalog.rows import CatalogRow
from model.prediction.answers import Answers, answer
from model.prediction.calibration import Calibration
from model.product import TEXT_FIELDS
from model.settings import FieldSettings, ImageSettings, ModelSettings, NeighborSettings, Settings, TrainingSettings
from model.sub_tree import SubTree
from model.taxonomy import Taxonomy
from tests.toy_backbone import TOY_BACKBONE, TOY_IMAGE_SIZE
from tokenizer.settings import TokenizerSettings
from training.encoding.file_lock import exclusive

if TYPE_CHECKING:
    from model.predictor import Predictor

#: The words of its names, its mall category and the colour (B, G, R) of its pictures, by category.
TOY_SHOP = {
    "의류>상의>티셔츠": (("반팔 티셔츠", "라운드 티", "면 반팔티"), "패션 > 탑", (40, 40, 220)),
    "의류>하의>청바지": (("데님 청바지", "일자 진", "스키니 데님"), "패션 > 팬츠", (200, 80, 30)),
    "디지털>노트북": (("LG gram 노트북", "게이밍 laptop", "울트라북 15인치"), "PC", (60, 200, 60)),
}

TOY_SETTINGS = Settings(
    FieldSettings(name_ngrams=48, mall_category_ngrams=24, brand_ngrams=8, maker_ngrams=8),
    TokenizerSettings(
        min_count=1, ngram_min_count=1, hash_buckets=1024, word2vec_epochs=1, vector_size=8,
    ),
    ModelSettings(hidden_dim=8, fcl_dim=16, ngram_dim=8, modality_dropout_rate=0.3),
    ImageSettings(image_size=TOY_IMAGE_SIZE, image_weights=str(TOY_BACKBONE)),
    TrainingSettings(
        batch_size=16, epochs=6, learning_rate=0.02, warmup_steps=2, patience=6, label_smoothing=0.0,
        overlap="keep",  # its names are few
    ),
    neighbors=NeighborSettings(neighbor_head="on"),
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=2, help="times that the tests of the search kill a process of it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no process of pytest-xdist is left alone with one at the end."""
    marks = {item: item.get_closest_marker("long") for item in items}
    items.sort(key=lambda item: -mark.kwargs["seconds"] if (mark := marks[item]) else 0)


def write_catalog(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write a CSV with all columns; values that a row lacks are empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def catalog_row(
    line: int, product_id: str, texts: Mapping[str, str] | None = None, image: str = "", category: str = ""
) -> CatalogRow:
    """Build a row of a catalog; fields missing in `texts` are empty."""
    return CatalogRow(line, product_id, tuple((texts or {}).get(field, "") for field in TEXT_FIELDS), image, category)


def toy_picture(color: tuple[int, int, int], seed: int, size: int = 40) -> bytes:
    """Draw a JPEG of one colour with noise."""
    noise = np.random.default_rng(seed).integers(-20, 20, (size, size, 3))
    pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def answered(
    joint_logits: np.ndarray, taxonomy: Taxonomy, calibration: Calibration, top_k: int, sub_tree: SubTree | None = None
) -> Answers:
    """Answer products that lack no field."""
    thresholds = np.tile(np.float32(calibration.thresholds), (len(joint_logits), 1))
    masses = np.full((len(joint_logits), 1), calibration.formula.prior_mass, np.float32)
    return answer(joint_logits, masses, taxonomy, calibration, thresholds, top_k, sub_tree)


def softened(predictor: "Predictor", temperature: float) -> "Predictor":
    """Return the model with this temperature for all sets of fields; with its own, other leaves get nothing."""
    from model.predictor import Predictor

    calibration = predictor.bundle.calibration
    formula = calibration.formula.recalibrated(temperature / calibration.formula.temperature)
    calibration = replace(calibration, formula=replace(formula, subset_temperatures={}))
    return Predictor(replace(predictor.bundle, calibration=calibration), predictor.engine)


def toy_rows(folder: Path, prefix: str, count: int) -> list[dict[str, str]]:
    """Build labelled rows of TOY_SHOP; every third has no mall category, every fourth no picture."""
    rows = []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i in range(count):
        category, (names, mall_category, color) = list(TOY_SHOP.items())[i % len(TOY_SHOP)]
        row = {"product_id": f"{prefix}{i}", "category": category, "brand": f"brand{i % 5}", "maker": "maker"}
        row["product_name"] = f"{names[i // 3 % len(names)]} {i} 무료배송"
        if i % 7:
            row["mall_category"] = mall_category
        if i % 4:
            row["image"] = f"images/{prefix}{i}.jpg"
            (folder / row["image"]).write_bytes(toy_picture(color, i))
        rows.append(row)
    return rows


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the processes of one test run share: pytest-xdist gives each a folder in the same one."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Have the first process of the test run that asks for a folder fill it; others wait for that.

    Args:
        folder: not to be changed by tests.
        make: fills it, and makes it first where it wants one that does not exist.
    """
    made = folder.with_name(f"{folder.name}.made")
    with exclusive(folder.with_name(f"{folder.name}.lock")):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that could not make it
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def toy_catalogs(run_folder: Path) -> tuple[Path, Path]:
    """The training (90 rows) and validation (45 rows) CSV."""

    def make(folder: Path) -> None:
        write_catalog(folder / "train.csv", toy_rows(folder, "t", 90))
        write_catalog(folder / "val.csv", toy_rows(folder, "v", 45))

    folder = made_once(run_folder / "catalogs", make)
    return folder / "train.csv", folder / "val.csv"


@pytest.fixture(scope="session")
def toy_cache(run_folder: Path) -> Path:
    """A cache of encoded catalogs for the whole test run."""
    return run_folder / "cache"


@pytest.fixture(scope="session")
def toy_bundle(run_folder: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path) -> Path:
    """A trained bundle with all five fields, in a `models/<name>/<version>/` folder."""

    def make(models: Path) -> None:
        from model.network.keras_backend import prepare_keras
        from training.train import TrainJob, train

        prepare_keras(TOY_SETTINGS.training)
        bundle = models / "toy" / "1"
        bundle.parent.mkdir(parents=True)
        train(
            TrainJob(None, *toy_catalogs, bundle, ReadOptions(), None, models / "work", toy_cache, resume=False),
            TOY_SETTINGS,
        )

    return made_once(run_folder / "models", make) / "toy" / "1"
