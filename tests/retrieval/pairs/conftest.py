"""Fixtures: a bundle that tells image types apart by their colour, and galleries in these colours."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.read_options import ReadOptions
from model.settings import FieldSettings
from retrieval.pairs.image_types import IMAGE_TYPES
from tests.conftest import TOY_SETTINGS, made_once, toy_picture

#: Blue, green, red of each type's toy pictures.
COLORS = {
    "product>shop": (40, 40, 220), "product>street": (40, 220, 40), "model>shop": (220, 40, 40),
    "model>street": (30, 220, 220), "multiple": (220, 30, 220), "detail": (220, 220, 30), "chart": (235, 235, 235),
    "other": (25, 25, 25),
}  # fmt: skip
TYPE_SETTINGS = replace(
    TOY_SETTINGS,
    fields=FieldSettings(image_dropout_rate=0.0),
    model=replace(TOY_SETTINGS.model, fcl_dim=32, joint_dropout_rate=0.0, modality_dropout_rate=0.0),
    training=replace(TOY_SETTINGS.training, epochs=40, patience=40, learning_rate=0.01),
    neighbors=replace(TOY_SETTINGS.neighbors, neighbor_head="off"),
)


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def labelled(folder: Path, split: str, count: int) -> Path:
    rows = []
    for number in range(count * len(IMAGE_TYPES)):
        image_type = IMAGE_TYPES[number % len(IMAGE_TYPES)]
        name = f"{split}{number}"
        (folder / f"{name}.jpg").write_bytes(toy_picture(COLORS[image_type], number + 1000 * (split == "val")))
        rows.append({"product_id": name, "image": f"{name}.jpg", "category": image_type})
    return write_rows(folder / f"{split}.csv", rows)


@pytest.fixture(scope="session")
def toy_types(run_folder: Path, toy_cache: Path) -> Path:
    """A trained bundle over pictures with the image types as its categories."""

    def make(folder: Path) -> None:
        from model.network.keras_backend import prepare_keras
        from training.train import TrainJob, train

        prepare_keras(TYPE_SETTINGS.training)
        bundle = folder / "types" / "1"
        bundle.parent.mkdir(parents=True)
        catalogs = labelled(folder, "train", 8), labelled(folder, "val", 4)
        train(
            TrainJob(None, *catalogs, bundle, ReadOptions(), None, folder / "work", toy_cache, resume=False),
            TYPE_SETTINGS,
        )

    return made_once(run_folder / "types", make) / "types" / "1"


@pytest.fixture
def galleries(tmp_path: Path) -> Path:
    """Two items with a shot, its copy, another shot, a detail and a chart; one of them with a broken picture."""
    rows = []
    kinds = ("product>shop", "product>shop", "model>street", "detail", "chart")
    for item in ("i1", "i2"):
        shot = toy_picture(COLORS["product>shop"], 7 if item == "i1" else 8)
        for number, kind in enumerate(kinds):
            name = f"{item}-{number}"
            picture = shot if number < 2 else toy_picture(COLORS[kind], 100 * number + len(rows))
            (tmp_path / f"{name}.jpg").write_bytes(picture)
            rows.append({"product_id": name, "image": f"{name}.jpg", "item_id": item})
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff cut off")
    rows.append({"product_id": "i1-broken", "image": "broken.jpg", "item_id": "i1"})
    rows.append({"product_id": "lonely", "image": "i1-0.jpg", "item_id": "i3"})
    rows.append({"product_id": "without", "image": "i1-0.jpg", "item_id": ""})
    return write_rows(tmp_path / "galleries.csv", rows)
