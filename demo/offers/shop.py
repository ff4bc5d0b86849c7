"""A marketplace where several sellers offer the same product, each in its own words and pictures."""

import csv
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from demo.galleries.camera import encode
from demo.names import compose_mall_category
from demo.offers.listing import draw_offer, write_name
from demo.offers.product import Product

_SELLERS = tuple(f"판매자{number:02d}" for number in range(1, 41))
#: How many sellers offer a product, and how often.
_NUM_OFFERS, _SHARES = (1, 2, 3, 4), (15, 45, 28, 12)
_PRICE_SPREAD = 0.06


@dataclass(frozen=True)
class OfferRow:
    """A row of the written catalog; the fields are a catalog's columns. `group_id` is planted truth."""

    product_id: str
    product_name: str
    mall_category: str
    brand: str
    image: str
    category: str
    group_id: str
    mall: str
    price: str


def write_offers(
    folder: Path, products: Sequence[Product], seed: int, on_product: Callable[[], object] = lambda: None
) -> Path:
    """Write `offers.csv`, a row an offer, and the pictures.

    Args:
        on_product: called after each product, for a progress bar.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows: list[OfferRow] = []
    for number, product in enumerate(products):
        rows += _rows(folder, product, (seed, number))
        on_product()
    random.Random(seed).shuffle(rows)
    path = folder / "offers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(OfferRow.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return path


def _rows(folder: Path, product: Product, seed: tuple[int, int]) -> Iterator[OfferRow]:
    rng = random.Random(f"{seed} offers of a product")
    sellers = rng.sample(_SELLERS, rng.choices(_NUM_OFFERS, weights=_SHARES)[0])
    for number, seller in enumerate(sellers):
        generator = np.random.default_rng((*seed, 8, number))
        product_id = f"O{seed[1]:05d}-{number}"
        picture = draw_offer(product, (*seed, 9), generator)
        image = f"images/{product_id}.jpg" if picture is not None else ""
        if picture is not None:
            (folder / image).write_bytes(encode(picture, generator))
        yield OfferRow(
            product_id,
            write_name(product, rng),
            compose_mall_category(product.group, product.leaf, rng),
            product.brand if rng.random() < 0.5 else "",
            image,
            f"{product.group.path}>{product.leaf.name}",
            product.group_id,
            seller,
            f"{product.price * np.exp(generator.normal(0, _PRICE_SPREAD)):.0f}",
        )
