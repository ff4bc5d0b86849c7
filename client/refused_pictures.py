"""Products of a catalog that a server refused for their picture, asked about again without it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from aisle_client.prediction import Failure
from model.product import Product

T = TypeVar("T")

_AT_FAULT = "INVALID_ARGUMENT"


def ask_without_refused(
    results: list[T | Failure], products: Sequence[Product], ask: Callable[[dict[int, Product]], Sequence[T | Failure]]
) -> dict[int, str]:
    """Replace the failures of products that are answered without their picture.

    Args:
        results: of each product; changed.
        products: what was asked about.
        ask: asks about some products, by position, in their order.
    Returns:
        by position why the picture was refused, of the products that are answered now.
    """
    bare = {
        position: replace(product, image=None)
        for position, (product, result) in enumerate(zip(products, results, strict=True))
        if isinstance(result, Failure) and result.code == _AT_FAULT and product.image
    }
    bare = {position: product for position, product in bare.items() if not product.is_empty}
    lost = {}
    for position, result in zip(bare, ask(bare) if bare else (), strict=True):
        if not isinstance(result, Failure):
            refused = results[position]
            lost[position] = refused.message if isinstance(refused, Failure) else ""
            results[position] = result
    return lost
