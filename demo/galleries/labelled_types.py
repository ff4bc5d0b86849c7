"""A labelled set of pictures by image type, to train the classifier that filters pairs."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from demo.galleries.camera import encode, recut
from demo.galleries.gallery import draw_type
from demo.galleries.looks import compose_look
from demo.galleries.shop import fashion_leaves
from retrieval.pairs.image_types import IMAGE_TYPES

SPLITS = ("train", "test")
_NUM_OTHERS = 6
_WITH_OTHERS = ("multiple", "product>street")
_RECUTS = 0.3


def write_image_types(
    folder: Path, num_pictures: dict[str, int], seed: int, on_picture: Callable[[], object] = lambda: None
) -> dict[str, Path]:
    """Write `train.csv` and `test.csv` with the type of each picture as its `category`, and the pictures.

    Every picture shows items of its own, so that none of the test's was learned.

    Args:
        num_pictures: of each type, by split.
        on_picture: called after each, for a progress bar.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    files = {split: folder / f"{split}.csv" for split in SPLITS}
    for number, (split, path) in enumerate(files.items()):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("product_id", "image", "category"))
            for position in range(num_pictures[split] * len(IMAGE_TYPES)):
                image_type = IMAGE_TYPES[position % len(IMAGE_TYPES)]
                product_id = f"{split}-{position:05d}"
                image = f"images/{product_id}.jpg"
                (folder / image).write_bytes(_draw(image_type, np.random.default_rng((seed, 7, number, position))))
                writer.writerow((product_id, image, image_type))
                on_picture()
    return files


def _draw(image_type: str, generator: np.random.Generator) -> bytes:
    leaves = [leaf.name for _, leaf in fashion_leaves()]
    num_looks = 1 + (_NUM_OTHERS if image_type in _WITH_OTHERS else 0)
    look, *others = (compose_look(str(generator.choice(leaves)), generator) for _ in range(num_looks))
    image = draw_type(image_type, look, others, generator)
    return encode(recut(image, generator) if generator.random() < _RECUTS else image, generator)
