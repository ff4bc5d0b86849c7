"""A catalog composed of a tree's leaf paths, for measuring size and speed with thousands of classes."""

import csv
from pathlib import Path

import numpy as np

_NOISE = ("무료배송", "정품", "당일발송", "1+1", "[특가]", "국내산", "신상", "대용량", "세트", "프리미엄")
_ROWS_PER_LEAF = (8, 2)


def compose_catalogs(leaves: Path, folder: Path, seed: int) -> tuple[Path, Path]:
    """Write train.csv (8 rows per leaf) and val.csv (2 rows per leaf).

    A name has one or two of the leaf's lower levels, noise words and a model number, in random order.

    Args:
        leaves: CSV with category_id and category.
    """
    random = np.random.default_rng(seed)
    with leaves.open(encoding="utf-8", newline="") as file:
        paths = [row["category"] for row in csv.DictReader(file)]
    written = []
    for split, count in zip(("train", "val"), _ROWS_PER_LEAF, strict=True):
        path = folder / f"{split}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["product_id", "product_name", "category"])
            for leaf, category in enumerate(paths):
                writer.writerows([f"{split}{leaf}-{i}", _name(category, random), category] for i in range(count))
        written.append(path)
    return written[0], written[1]


def _name(category: str, random: np.random.Generator) -> str:
    levels = category.replace("/", " ").split(">")
    words = [levels[-1], *random.choice(_NOISE, size=2, replace=False), f"{random.integers(100, 9999)}"]
    if random.random() < 0.6:
        words.append(levels[-2])
    random.shuffle(words)
    return " ".join(words)
