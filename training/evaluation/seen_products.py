"""Products of a training catalog that an evaluated catalog has, too: whoever learned them knows their answers."""

import hashlib
from array import array
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from catalog.rows import CatalogRow

_BETWEEN = "\x1f"


class SeenProducts:
    """The products of a catalog by hashes of 64 bits, 16 bytes a row."""

    def __init__(self) -> None:
        self._products, self._contents = array("Q"), array("Q")

    def add(self, row: CatalogRow) -> None:
        """Add a labelled row; to be called before the properties are read."""
        self._products.append(_product(row))
        self._contents.append(_content(row))

    def has(self, rows: Sequence[CatalogRow]) -> np.ndarray:
        """(N,) bool, whether each row is one of the products: it has the product_id, all texts and the picture."""
        return np.isin(np.array([_product(row) for row in rows], np.uint64), self._known_products)

    def equal(self, rows: Sequence[CatalogRow]) -> np.ndarray:
        """(N,) bool, whether each row has all texts, the picture and the category of a product, under any id."""
        return np.isin(np.array([_content(row) for row in rows], np.uint64), self._known_contents)

    @cached_property
    def _known_products(self) -> np.ndarray:
        return np.unique(np.array(self._products, np.uint64))

    @cached_property
    def _known_contents(self) -> np.ndarray:
        return np.unique(np.array(self._contents, np.uint64))


def _product(row: CatalogRow) -> int:
    return _hash(row.product_id, *row.texts, row.image)


def _content(row: CatalogRow) -> int:
    return _hash(*row.texts, row.image, row.category)


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b(_BETWEEN.join(parts).encode(), digest_size=8).digest())
