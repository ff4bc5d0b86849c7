"""The demo's marketplace: what is planted in it, and that it is there."""

import csv
import dataclasses
from collections import Counter
from pathlib import Path

from demo.offers.product import Product, compose_products
from demo.offers.shop import write_offers

FACTS = ("code", "color", "size", "quantity")


def series_of(product: Product) -> tuple:
    return product.leaf.name, product.brand, product.words


def test_products_and_those_that_differ_in_one_fact() -> None:
    products = compose_products(150, seed=1)
    assert list(map(repr, products)) == list(map(repr, compose_products(150, seed=1)))
    assert len({product.group_id for product in products}) == 150
    differences: Counter[str] = Counter()
    seen: dict[tuple, list[Product]] = {}
    for product in products:
        for other in seen.get(series_of(product), []):
            changed = [fact for fact in FACTS if getattr(product, fact) != getattr(other, fact)]
            if len(changed) == 1:
                differences[changed[0]] += 1
                break
        seen.setdefault(series_of(product), []).append(product)
    assert set(differences) == set(FACTS)
    assert 0.2 < differences.total() / len(products) < 0.45


def test_offers_of_several_sellers(tmp_path: Path) -> None:
    drawn: list[None] = []
    products = compose_products(30, seed=1)
    path = write_offers(tmp_path, products, 1, lambda: drawn.append(None))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(drawn) == 30
    sizes = Counter(row["group_id"] for row in rows)
    assert set(sizes) == {product.group_id for product in products}
    assert set(sizes.values()) <= {1, 2, 3, 4}
    assert sum(size in (2, 3) for size in sizes.values()) > len(sizes) / 2
    assert len({(row["group_id"], row["mall"]) for row in rows}) == len(rows)
    assert len({row["product_name"] for row in rows}) > 0.9 * len(rows)  # each in words of its own
    pictures = [row["image"] for row in rows if row["image"]]
    assert 0.8 * len(rows) < len(pictures) == len(set(pictures))
    assert all((tmp_path / picture).stat().st_size > 500 for picture in pictures)
    by_group = {product.group_id: product for product in products}
    assert all(0.7 < float(row["price"]) / by_group[row["group_id"]].price < 1.4 for row in rows)
    again = write_offers(tmp_path / "again", [dataclasses.replace(product) for product in products], 1)
    assert again.read_bytes() == path.read_bytes()
