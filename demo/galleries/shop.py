"""A fashion shop whose items have galleries, and photos of the same products that its users took."""

import csv
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from demo.galleries import shots
from demo.galleries.camera import encode, photograph
from demo.galleries.gallery import draw_gallery
from demo.galleries.looks import Look, compose_look
from demo.names import compose_name
from demo.tree import Group, Leaf, load_groups

MIN_ITEMS = 20
"""With fewer items there is too little to be told apart."""
_FASHION = "패션"
_SECOND_OFFERS = 0.1
_NUM_OTHERS = 6
_ON_A_PERSON = 0.4


@dataclass(frozen=True)
class Item:
    """An item of the shop.

    Args:
        group_id: its product; a second offer has that of another item.
        look: of the product.
        chart: number of its size chart, which items of a brand and leaf share.
    """

    item_id: str
    group_id: str
    product_name: str
    brand: str
    category: str
    look: Look
    chart: int


@dataclass(frozen=True)
class PictureRow:
    """A row of the written catalogs: a picture. `image_type` and `shot` are planted truth, which no command reads."""

    product_id: str
    product_name: str
    brand: str
    image: str
    category: str
    group_id: str
    item_id: str
    image_type: str
    shot: str


def compose_items(num_items: int, seed: int) -> list[Item]:
    """Compose the items of a fashion shop; the same arguments give the same ones.

    Args:
        num_items: MIN_ITEMS or more; one in ten is a second offer of another's product.
    Raises:
        ValueError: too few items.
    """
    if num_items < MIN_ITEMS:
        raise ValueError(f"expected at least {MIN_ITEMS} items, found {num_items}; give a larger --items")
    leaves = fashion_leaves()
    items: list[Item] = []
    for number in range(num_items):
        rng = random.Random(f"{seed} gallery {number}")
        group, leaf = rng.choice(leaves)
        brand = rng.choice(group.brands)
        item_id, look = f"I{number:05d}", compose_look(leaf.name, np.random.default_rng((seed, 3, number)))
        group_id, category = f"G{number:05d}", f"{group.path}>{leaf.name}"
        if items and rng.random() < _SECOND_OFFERS:
            first = rng.choice(items)
            group_id, category, look = first.group_id, first.category, first.look
            group, leaf = next(pair for pair in leaves if f"{pair[0].path}>{pair[1].name}" == category)
            brand = first.brand
        chart = group.brands.index(brand) + 100 * [pair[1] for pair in leaves].index(leaf)
        items.append(Item(item_id, group_id, compose_name(group, leaf, brand, rng), brand, category, look, chart))
    return items


def fashion_leaves() -> list[tuple[Group, Leaf]]:
    """What the shop sells: all that a person wears or carries."""
    return [(group, leaf) for group in load_groups() if group.path.startswith(_FASHION) for leaf in group.leaves]


def write_galleries(
    folder: Path, items: Sequence[Item], seed: int, on_item: Callable[[], object] = lambda: None
) -> Path:
    """Write `shop.csv`, a row a picture, and the pictures.

    Args:
        on_item: called after each item, for a progress bar.
    """
    return _write(folder, "shop.csv", _gallery_rows(folder, items, seed, on_item))


def write_user_photos(
    folder: Path, items: Sequence[Item], photos: int, seed: int, on_item: Callable[[], object] = lambda: None
) -> Path:
    """Write `users.csv` and its pictures: photos of each product by its users.

    Args:
        photos: of each product.
    """
    return _write(folder, "users.csv", _user_rows(folder, items, photos, seed, on_item))


def others_of(items: Sequence[Item], generator: np.random.Generator) -> list[Look]:
    """Looks of items that lie beside one."""
    return [items[i].look for i in generator.integers(0, len(items), _NUM_OTHERS)]


def _gallery_rows(
    folder: Path, items: Sequence[Item], seed: int, on_item: Callable[[], object]
) -> Iterator[PictureRow]:
    for number, item in enumerate(items):
        generator = np.random.default_rng((seed, 4, number))
        pictures = draw_gallery(item.look, others_of(items, generator), seed, item.chart, (seed, 5, number))
        for position, picture in enumerate(pictures):
            product_id = f"{item.item_id}-{position:02d}"
            image = f"images/{product_id}.jpg"
            (folder / image).write_bytes(encode(picture.image, generator))
            yield PictureRow(
                product_id, item.product_name, item.brand, image, item.category, item.group_id, item.item_id,
                picture.image_type, str(picture.shot),
            )  # fmt: skip
        on_item()


def _user_rows(
    folder: Path, items: Sequence[Item], photos: int, seed: int, on_item: Callable[[], object]
) -> Iterator[PictureRow]:
    firsts = {item.group_id: item for item in reversed(items)}
    for number, item in enumerate(items):
        for photo in range(photos if firsts[item.group_id] is item else 0):
            generator = np.random.default_rng((seed, 6, number, photo))
            if generator.random() < _ON_A_PERSON:
                image_type, image = "model>street", shots.model_in_scene(item.look, generator)
            else:
                clutter = others_of(items, generator)[: int(generator.integers(1, 5))]
                image_type, image = "product>street", shots.product_in_scene(item.look, generator, clutter)
            product_id = f"U{number:05d}-{photo}"
            name = f"images/{product_id}.jpg"
            (folder / name).write_bytes(encode(photograph(image, generator), generator))
            yield PictureRow(product_id, "", "", name, item.category, item.group_id, "", image_type, "")
        on_item()


def _write(folder: Path, name: str, rows: Iterator[PictureRow]) -> Path:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(PictureRow.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return path
