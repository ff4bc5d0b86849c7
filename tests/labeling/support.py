"""A shop whose labels are planted: names of words that belong to a category, some of them labelled otherwise."""

import csv
from pathlib import Path

import numpy as np

TREE = {
    "Home>Kitchen>Kettles": ("kettle", "boil", "spout", "whistle", "steam"),
    "Home>Kitchen>Pans": ("pan", "fry", "skillet", "nonstick", "wok"),
    "Home>Garden>Hoses": ("hose", "nozzle", "sprinkler", "reel", "water"),
    "Toys>Puzzles": ("puzzle", "pieces", "jigsaw", "board", "picture"),
    "Toys>Dolls": ("doll", "dress", "hair", "house", "plush"),
}
_USUAL = ("new", "sale", "best", "gift", "free", "set")


def planted_rows(num_rows: int, noise: float, seed: int) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Rows of all categories in turn, and the right label of those that were given another, by product id."""
    random = np.random.default_rng(seed)
    rows, truth = [], {}
    paths = list(TREE)
    for number in range(num_rows):
        path = paths[number % len(paths)]
        words = [*random.choice(TREE[path], 3, replace=False), *random.choice(_USUAL, 2, replace=False)]
        row = {
            "product_id": f"p{number}",
            "product_name": f"{' '.join(words)} {random.integers(10**6)}",
            "color": "red",
        }
        row["category"] = path
        if random.random() < noise:
            row["category"] = str(random.choice([other for other in paths if other != path]))
            truth[row["product_id"]] = path
        rows.append(row)
    return rows, truth


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
