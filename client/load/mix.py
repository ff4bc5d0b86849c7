"""Random requests drawn from the products of a catalog, serialised at little cost."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from aisle_client.errors import InputError
from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2
from client.catalog import CatalogItem
from model.product import Product


class Mix:
    """The products to draw requests from, each serialised once.

    A serialised request is its head followed by its serialised products, so that drawing one only copies bytes.

    Args:
        items: rows of a catalog; those with a problem are skipped.
        picture_share: share of the products that carry a picture; None draws rows unchanged.
        head: the request without products.
    Attributes:
        num_skipped: number of skipped rows.
        num_lost_pictures: rows that lost their picture.
    Raises:
        InputError: no row has the picture or text that the share requires.
    """

    def __init__(self, items: Iterable[CatalogItem], picture_share: float | None, head: classifier_pb2.ClassifyRequest):
        rows = list(items)
        products = [item.product for item in rows if not item.problem]
        self.num_skipped = len(rows) - len(products)
        self.num_lost_pictures = sum(bool(item.lost_picture) for item in rows)
        self._head = head.SerializeToString()
        # Products are drawn from two groups; this is the share of the first.
        if picture_share is None:
            self._share = 1.0
            self._first, self._second = _serialised([p for p in products if not p.is_empty], 1.0, "a field"), []
        else:
            bare = [replace(product, image=None) for product in products]
            self._share = picture_share
            self._first = _serialised([p for p in products if p.has_image], picture_share, "a picture")
            self._second = _serialised([p for p in bare if not p.is_empty], 1 - picture_share, "a text")

    def requests(self, num_products: int, rng: np.random.Generator) -> Iterator[bytes]:
        """Yield serialised requests of `num_products` products each, endlessly."""
        for _ in itertools.count():
            draws = rng.random((2, num_products))
            yield self._head + b"".join(
                self._draw(self._first if group < self._share else self._second, position)
                for group, position in draws.T
            )

    @staticmethod
    def _draw(products: Sequence[bytes], position: float) -> bytes:
        return products[int(position * len(products))]


def _serialised(products: Sequence[Product], share: float, content: str) -> list[bytes]:
    if share and not products:
        raise InputError(f"expected a row of the catalog with {content} that can be read, found none")
    return [
        classifier_pb2.ClassifyRequest(products=[product_message(product)]).SerializeToString() for product in products
    ]
