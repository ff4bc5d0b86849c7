"""Generates the demo catalog: products with texts and a drawn picture, divided into shop and test."""

import csv
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from demo.names import compose_mall_category, compose_name
from demo.pictures import draw_picture
from demo.tree import Group, Leaf, load_groups

SPLITS = ("shop", "test")
MIN_PRODUCTS = 1_000
"""With fewer products, a leaf may have none for training or testing."""
_MAKER_FORMS = ("(주){}", "{}코리아", "{}", "주식회사 {}")


@dataclass(frozen=True)
class DemoProduct:
    """A row of the demo catalog; the fields are the catalog's columns, '' for a missing one."""

    product_id: str
    product_name: str
    mall_category: str
    brand: str
    maker: str
    image: str
    category: str

    @property
    def leaf(self) -> str:
        """The last level of the category."""
        return self.category.rpartition(">")[2]

    @property
    def split(self) -> str:
        """The split of the product, one of SPLITS, by a hash of its id: 90 and 10 %."""
        tenth = int.from_bytes(hashlib.sha256(self.product_id.encode()).digest()[:4]) % 10
        return "test" if tenth == 0 else "shop"


def compose_products(num_products: int, seed: int) -> list[DemoProduct]:
    """Compose the catalog's rows; the same arguments give the same rows.

    Args:
        num_products: MIN_PRODUCTS or more.
    Raises:
        ValueError: too few products.
    """
    if num_products < MIN_PRODUCTS:
        raise ValueError(f"expected at least {MIN_PRODUCTS} products, found {num_products}; give a larger --products")
    leaves = [(group, leaf) for group in load_groups() for leaf in group.leaves]
    rng = random.Random(seed)
    chosen = rng.choices(leaves, weights=[leaf.share for _, leaf in leaves], k=num_products)
    return [_compose(f"D{number:06d}", group, leaf, seed) for number, (group, leaf) in enumerate(chosen, start=1)]


def write_catalog(
    folder: Path, products: Sequence[DemoProduct], seed: int, on_picture: Callable[[], object] = lambda: None
) -> dict[str, Path]:
    """Write `shop.csv`, `test.csv` and their pictures.

    Args:
        on_picture: called after each picture, for a progress bar.
    Returns:
        The file of each split.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, product in enumerate(products):
        if product.image:
            picture = draw_picture(product.leaf, np.random.default_rng((seed, number)))
            (folder / product.image).write_bytes(picture)
            on_picture()
    files = {split: folder / f"{split}.csv" for split in SPLITS}
    for split, path in files.items():
        _write_csv(path, [product for product in products if product.split == split])
    return files


def _compose(product_id: str, group: Group, leaf: Leaf, seed: int) -> DemoProduct:
    rng = random.Random(f"{seed} {product_id}")
    brand = rng.choice(group.brands)
    has_brand, has_maker, has_image = rng.random() < 0.65, rng.random() < 0.4, rng.random() < 0.9
    return DemoProduct(
        product_id=product_id,
        product_name=compose_name(group, leaf, brand, rng),
        mall_category=compose_mall_category(group, leaf, rng),
        brand=brand if has_brand else "",
        maker=rng.choice(_MAKER_FORMS).format(brand) if has_maker else "",
        image=f"images/{product_id}.jpg" if has_image else "",
        category=f"{group.path}>{leaf.name}",
    )


def _write_csv(path: Path, products: Sequence[DemoProduct]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(DemoProduct.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(product) for product in products)
