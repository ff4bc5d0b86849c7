"""One file split, two files compared, on real files."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog.labels.label_space import find_labels
from catalog.read_options import ReadOptions
from model.errors import CatalogError
from tests.conftest import TOY_SETTINGS, TOY_SHOP, toy_picture, write_catalog
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.splitting import split as split_module
from training.splitting.split import Split, split_one, split_two, too_few_to_promise

FIELDS = ("name", "brand")


def shop(count: int, prefix: str, seed: int = 0) -> list[dict[str, str]]:
    """Build rows with names that are like no other, of three categories."""
    random = np.random.default_rng(seed)
    letters = np.array(list("가나다라마바사아자차카타파하"))
    return [
        {
            "product_id": f"{prefix}{i}",
            "product_name": " ".join("".join(random.choice(letters, 5)) for _ in range(4)),
            "brand": f"brand{i % 3}",
            "category": list(TOY_SHOP)[i % 3],
        }
        for i in range(count)
    ]


def parsed(folder: Path, name: str, rows: list[dict[str, str]]) -> ParsedCatalog:
    return parse_catalog(write_catalog(folder / name, rows), ReadOptions(), folder / "cache")


def split_file(folder: Path, rows: list[dict[str, str]], fields: tuple[str, ...] = FIELDS, **training: object) -> Split:
    catalog = parsed(folder, "shop.csv", rows)
    settings = replace(TOY_SETTINGS, training=replace(TOY_SETTINGS.training, **training))  # type: ignore[arg-type]
    labels = find_labels(catalog.statistics)
    return split_one(catalog, labels, fields, settings, folder / "work", folder / "cache")


def ids(catalog: ParsedCatalog) -> list[str]:
    return [row.product_id for rows in catalog.rows() for row in rows]


def test_few_rows_calibrate_out_of_fold(tmp_path: Path) -> None:
    rows = shop(60, "p")
    rows += [
        {**row, "product_id": f"copy{i}", "product_name": f"{row['product_name']} 정품"}
        for i, row in enumerate(rows[:9])
    ]
    rows.append({**rows[0], "product_id": "unlabelled", "category": ""})
    found = split_file(tmp_path, rows, num_folds=3)
    assert found.val is None
    assert found.folds is not None
    assert ids(found.train) == [row["product_id"] for row in rows]
    np.testing.assert_array_equal(found.folds[60:69], found.folds[:9])  # a copy is never torn from its original
    assert found.folds[69] == -1
    assert sorted(np.bincount(found.folds[:69])) == [23, 23, 23]
    with (tmp_path / "work" / "split.csv").open(encoding="utf-8", newline="") as file:
        kept = list(csv.DictReader(file))
    assert [row["product_id"] for row in kept] == [row["product_id"] for row in rows]
    assert [row["part"] for row in kept] == [f"fold {fold}" for fold in found.folds[:69]] + ["none"]


def test_rows_are_held_out_on_request(tmp_path: Path) -> None:
    found = split_file(tmp_path, shop(90, "p"), calibration="held-out")
    assert found.val is not None
    train, val = ids(found.train), ids(found.val)
    assert sorted(train + val) == sorted(f"p{i}" for i in range(90))
    assert len(val) == len(found.groups) == 30  # of few rows as many as a third
    assert found.train.statistics.num_rows == 60
    assert set(found.train.statistics.label_counts.values()) == {20}


def test_many_rows_are_held_out_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_module, "MAX_OUT_OF_FOLD_ROWS", 50)
    assert split_file(tmp_path, shop(60, "p")).val is not None
    assert split_file(tmp_path, shop(60, "p"), calibration="out-of-fold").val is None


def test_equal_pictures_are_near_duplicates_but_a_placeholder_is_none(tmp_path: Path) -> None:
    rows = shop(12, "p")
    for i, row in enumerate(rows):
        shown = {0: 0, 3: 0}.get(i, "none")  # two products of a category show one picture, all others "no picture yet"
        row["image"] = f"{shown}.jpg"
    (tmp_path / "0.jpg").write_bytes(toy_picture((9, 9, 9), 0))
    (tmp_path / "none.jpg").write_bytes(toy_picture((9, 9, 9), 1))
    found = split_file(tmp_path, rows, ("name", "image"))
    assert found.groups[0] == found.groups[3]
    assert len(np.unique(found.groups)) == 11


def test_a_file_of_one_product_cannot_be_split(tmp_path: Path) -> None:
    rows = [{**shop(1, "p")[0], "product_id": str(i)} for i in range(9)]
    with pytest.raises(
        CatalogError, match=r"shop\.csv: expected labelled products to train on .* only near-duplicates"
    ):
        split_file(tmp_path, rows)


def test_two_files_that_overlap_are_refused_dropped_or_kept(tmp_path: Path) -> None:
    rows = shop(60, "t")
    train = parsed(tmp_path, "train.csv", rows)
    val = parsed(
        tmp_path, "val.csv", [{**row, "product_id": f"v{i}"} for i, row in enumerate(rows[:5])] + shop(25, "w", 1)
    )
    labels = find_labels(train.statistics)

    def split(mode: str) -> Split:
        settings = replace(TOY_SETTINGS, training=replace(TOY_SETTINGS.training, overlap=mode))  # type: ignore[arg-type]
        return split_two(train, val, labels, FIELDS, settings, tmp_path / "cache")

    with pytest.raises(CatalogError, match=re.escape("val.csv: expected products that ")) as caught:
        split("refuse")
    assert "5 equal one in texts and picture" in str(caught.value)
    dropped, kept = split("drop"), split("keep")
    assert ids(dropped.train) == [f"t{i}" for i in range(5, 60)]
    assert ids(kept.train) == [f"t{i}" for i in range(60)]
    assert dropped.val is val
    assert len(dropped.groups) == 30


def test_two_files_are_joined_where_folds_calibrate(tmp_path: Path) -> None:
    train, val = parsed(tmp_path, "train.csv", shop(40, "t")), parsed(tmp_path, "val.csv", shop(20, "v", 1))
    training = replace(TOY_SETTINGS.training, calibration="out-of-fold", num_folds=4)
    settings = replace(TOY_SETTINGS, training=training)
    found = split_two(train, val, find_labels(train.statistics), FIELDS, settings, tmp_path / "cache")
    assert found.val is None
    assert found.folds is not None
    assert ids(found.train) == [f"t{i}" for i in range(40)] + [f"v{i}" for i in range(20)]
    assert sorted(np.bincount(found.folds)) == [14, 15, 15, 16]
    assert ids(found.train.select(found.folds == 0)) == [
        product_id for product_id, fold in zip(ids(found.train), found.folds, strict=True) if fold == 0
    ]


def test_what_a_promise_needs_is_said() -> None:
    assert too_few_to_promise(149, TOY_SETTINGS.training) == ""
    warning = too_few_to_promise(148, TOY_SETTINGS.training)
    assert "to promise that 98% of the accepted answers are right, with 95% confidence, 149 products" in warning
    assert "there are 148 (near-duplicates count once): nothing will be accepted" in warning
    assert too_few_to_promise(20, replace(TOY_SETTINGS.training, precision_target=0.8)) == ""
