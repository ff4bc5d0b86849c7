import csv
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.catalog import MIN_PRODUCTS, SPLITS, DemoProduct, compose_products, write_catalog
from demo.tree import load_groups

LEAVES = {f"{group.path}>{leaf.name}" for group in load_groups() for leaf in group.leaves}


@pytest.fixture(scope="module")
def products() -> list[DemoProduct]:
    return compose_products(4_000, seed=0)


def share(products: list[DemoProduct], field: str) -> float:
    return sum(bool(getattr(product, field)) for product in products) / len(products)


def test_same_seed_gives_the_same_rows_and_another_seed_does_not():
    assert compose_products(MIN_PRODUCTS, seed=3) == compose_products(MIN_PRODUCTS, seed=3)
    assert compose_products(MIN_PRODUCTS, seed=3) != compose_products(MIN_PRODUCTS, seed=4)


def test_every_leaf_is_in_every_split(products):
    for split in SPLITS:
        assert {product.category for product in products if product.split == split} == LEAVES


def test_smallest_catalog_still_trains_every_leaf():
    smallest = compose_products(MIN_PRODUCTS, seed=0)
    assert {product.category for product in smallest if product.split == "shop"} == LEAVES


def test_too_few_products_are_an_error():
    with pytest.raises(ValueError, match="expected at least 1000 products, found 10; give a larger --products"):
        compose_products(10, seed=0)


def test_splits_are_about_90_10(products):
    counts = Counter(product.split for product in products)
    assert 3_550 <= counts["shop"] <= 3_650
    assert 350 <= counts["test"] <= 450


def test_a_product_keeps_its_split_when_the_catalog_grows(products):
    splits = {product.product_id: product.split for product in products}
    smaller = compose_products(MIN_PRODUCTS, seed=9)
    assert all(splits[product.product_id] == product.split for product in smaller)


def test_missing_fields_have_their_documented_shares(products):
    assert share(products, "product_name") == 1.0
    assert share(products, "mall_category") == pytest.approx(0.75, abs=0.03)
    assert share(products, "brand") == pytest.approx(0.65, abs=0.03)
    assert share(products, "maker") == pytest.approx(0.40, abs=0.03)
    assert share(products, "image") == pytest.approx(0.90, abs=0.02)


def test_about_one_mall_category_in_twenty_is_that_of_another_leaf(products):
    own = {
        f"{group.path}>{leaf.name}": {*leaf.mall_paths, group.mall_path}
        for group in load_groups()
        for leaf in group.leaves
    }
    wrong = [
        product for product in products if product.mall_category and product.mall_category not in own[product.category]
    ]
    assert len(wrong) / len(products) == pytest.approx(0.05, abs=0.015)


def test_some_names_have_no_word_for_the_type(products):
    types = {f"{group.path}>{leaf.name}": leaf.types for group in load_groups() for leaf in group.leaves}
    # Sellers may omit spaces and use upper case, so both are ignored.
    vague = [
        product
        for product in products
        if not any(
            word.replace(" ", "").upper() in product.product_name.replace(" ", "").upper()
            for word in types[product.category]
        )
    ]
    assert len(vague) / len(products) == pytest.approx(0.12, abs=0.03)


def test_files_hold_disjoint_rows_and_pictures_that_decode(tmp_path: Path):
    products = compose_products(MIN_PRODUCTS, seed=1)
    with_picture = [product for product in products if product.image][:60]
    drawn: list[None] = []
    files = write_catalog(tmp_path, [*with_picture, *products[-40:]], seed=1, on_picture=lambda: drawn.append(None))
    rows = {split: read_rows(path) for split, path in files.items()}
    ids = [row["product_id"] for split in SPLITS for row in rows[split]]
    assert len(ids) == len(set(ids)) == len({*with_picture, *products[-40:]})
    named = [row["image"] for split in SPLITS for row in rows[split] if row["image"]]
    assert len(named) == len(drawn) >= 60
    for name in named:
        pixels = cv2.imdecode(np.fromfile(tmp_path / name, np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape == (128, 128, 3)


def test_text_survives_the_file(tmp_path: Path):
    products = [product for product in compose_products(MIN_PRODUCTS, seed=2) if not product.image]
    files = write_catalog(tmp_path, products, seed=2)
    rows = [row for path in files.values() for row in read_rows(path)]
    assert sorted(rows, key=lambda row: row["product_id"]) == [vars(product) for product in products]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
