"""A small shop whose products several sellers list, each in words of its own."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrieval.index.record import Attributes
from retrieval.matching.matcher.matcher_training import LabelledPairs
from retrieval.matching.offers.offer_table import OfferTable

_COLUMNS = ("product_name", "category", "brand", "mall", "price", "group_id", "source")
_BRANDS = ("Acme", "Umbra", "Nordic", "Sona", "Vela")
_KINDS = ("kettle", "toaster", "blender", "lamp", "speaker", "router", "drill", "scale")
_COLORS = ("black", "white", "red", "blue")


def offers_of(num_products: int, seed: int) -> list[Attributes]:
    """Two offers of each product, of two sources; group_id says which belong together."""
    random = np.random.default_rng(seed)
    offers = []
    for number in range(num_products):
        brand, kind, color = (str(random.choice(names)) for names in (_BRANDS, _KINDS, _COLORS))
        model = f"{kind[:2].upper()}-{random.integers(100, 999)}"
        liters, price = int(random.integers(1, 9)), float(random.uniform(10, 200))
        long = f"{brand} {kind} {model} {color} {liters} l"
        short = f"{kind} {model.replace('-', '')} {'' if random.random() < 0.3 else brand} {liters * 1000}ml"
        group_id = f"g{number}"
        offers.append(Attributes(long, f"Home>{kind}", brand, price=price, group_id=group_id, source="left"))
        moved = price * float(random.uniform(0.9, 1.1))
        offers.append(Attributes(short, f"Home>{kind}", price=moved, group_id=group_id, source="right"))
    return offers


def table_of(offers: list[Attributes]) -> OfferTable:
    return OfferTable([f"p{i}" for i in range(len(offers))], offers)


def labelled_pairs(num_products: int, seed: int, num_others: int = 4) -> LabelledPairs:
    """The two offers of each product, and its first with some of other products."""
    random = np.random.default_rng(seed)
    pairs = [(2 * i, 2 * i + 1, True) for i in range(num_products)]
    for i in range(num_products):
        others = random.choice(num_products, num_others, replace=False)
        pairs += [(2 * i, 2 * int(j) + 1, False) for j in others if j != i]
    left, right, same = (np.array(column) for column in zip(*pairs, strict=True))
    return LabelledPairs(left, right, same)


def write_catalog(path: Path, offers: Sequence[Attributes], without: Sequence[str] = ()) -> Path:
    names = [name for name in _COLUMNS if name not in without]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("product_id", *names))
        for number, offer in enumerate(offers):
            writer.writerow((f"p{number}", *(fields(offer).get(name, "") for name in names)))
    return path


def write_pairs(path: Path, num_products: int, seed: int) -> Path:
    pairs = labelled_pairs(num_products, seed)
    rows = [f"p{i},p{j},{int(same)}" for i, j, same in zip(pairs.left, pairs.right, pairs.same, strict=True)]
    path.write_text("\n".join(["left_id,right_id,same", *rows]) + "\n", encoding="utf-8")
    return path


def fields(offer: Attributes) -> dict[str, object]:
    return {name: getattr(offer, name) for name in _COLUMNS if not (name == "price" and math.isnan(offer.price))}
