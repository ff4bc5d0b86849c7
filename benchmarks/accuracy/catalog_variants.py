"""Catalogs derived from another one: random samples of its rows, or names without the words for the type."""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

Row = dict[str, str]


def read_rows(catalog: Path) -> list[Row]:
    """Read all rows of a CSV, with absolute image paths."""
    with catalog.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row.get("image"):
            row["image"] = str((catalog.parent / row["image"]).resolve())
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """Write one or more rows as a CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def draw_samples(rows: Sequence[Row], sizes: Sequence[int], seed: int) -> list[list[Row]]:
    """Draw disjoint random samples, one of each size.

    Raises:
        ValueError: there are too few rows.
    """
    if sum(sizes) > len(rows):
        raise ValueError(f"expected at least {sum(sizes)} rows to draw from, found {len(rows)}")
    order = np.random.default_rng(seed).permutation(len(rows))
    ends = np.cumsum([0, *sizes])
    return [[rows[i] for i in order[start:end]] for start, end in pairwise(ends)]


def type_word_remover(categories: Iterable[str]) -> Callable[[str], str]:
    """Return a function that removes the words of all categories' last levels from a name, singular or plural.

    The words of all categories are removed from every name, so that a missing word gives no information. Compounds
    are removed as a whole: of "T-Shirt" no "T" remains.
    """
    words = {word for category in categories for word in re.findall(r"\w+", category.rpartition(">")[2].lower())}
    forms = {form for word in words for form in _forms(word)}

    def remove(name: str) -> str:
        return " ".join(token for token in name.split() if not _names_a_type(token, forms))

    return remove


def _names_a_type(token: str, forms: set[str]) -> bool:
    parts = re.findall(r"\w+", token.lower())
    return "".join(parts) in forms or any(part in forms for part in parts)


def _forms(word: str) -> set[str]:
    stems = {word, word.removesuffix("s"), word.removesuffix("es")}
    return {form for stem in stems if len(stem) > 1 for form in (stem, f"{stem}s", f"{stem}es")}
