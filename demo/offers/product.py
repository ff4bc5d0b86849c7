"""The products of the demo's offers, and those that differ from one in a single fact."""

import dataclasses
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from demo.drawings import load_drawings
from demo.galleries.looks import Look, compose_look
from demo.pictures import draw_palette
from demo.tree import Group, Leaf, load_groups, load_phrases

_LEAST_PRICE, _MOST_PRICE = 5_000, 200_000
_SIBLINGS = 0.4


@dataclass(frozen=True)
class Product:
    """A product as its maker knows it.

    Args:
        group_id: equal for its offers.
        words: that most sellers write of it, in their usual order.
        code: its model; products of one series share all but the last sign.
        size, quantity: '' where it has none.
        price: usual, in won.
        look: in all of its pictures.
    """

    group_id: str
    group: Group
    leaf: Leaf
    brand: str
    words: tuple[str, ...]
    code: str
    color: str
    size: str
    quantity: str
    price: float
    look: Look


def compose_products(count: int, seed: int) -> list[Product]:
    """Compose products; the same arguments give the same ones.

    About a third are an earlier one in another size, quantity, colour or model: what is hardest to tell apart.
    """
    products: list[Product] = []
    for number in range(count):
        rng, generator = random.Random(f"{seed} offers {number}"), np.random.default_rng((seed, 7, number))
        group_id = f"G{number:05d}"
        sibling = None
        if products and rng.random() < _SIBLINGS:
            sibling = _sibling(rng.choice(products), group_id, rng, generator)
        products.append(sibling or _compose(group_id, rng, generator))
    return products


def _compose(group_id: str, rng: random.Random, generator: np.random.Generator) -> Product:
    leaves = [(group, leaf) for group in load_groups() for leaf in group.leaves]
    group, leaf = rng.choices(leaves, weights=[leaf.share for _, leaf in leaves])[0]
    words = [*rng.sample(group.shared, 2), rng.choice(group.materials), rng.choice(leaf.hints)]
    form = group.code or "AA-999"
    return Product(
        group_id,
        group,
        leaf,
        rng.choice(group.brands),
        tuple(words),
        "".join(_sign(sign, rng) for sign in form),
        rng.choice(load_phrases().colors),
        rng.choice(group.sizes) if group.sizes else "",
        rng.choice(group.quantities) if group.quantities else "",
        float(np.exp(rng.uniform(np.log(_LEAST_PRICE), np.log(_MOST_PRICE)))),
        compose_look(leaf.name, generator),
    )


def _sibling(product: Product, group_id: str, rng: random.Random, generator: np.random.Generator) -> Product | None:
    """The same product but for one fact; None where it has no other value of that."""
    fact = rng.choice(("size", "quantity", "color", "code"))
    others = [value for value in _values(product, fact) if value != getattr(product, fact)]
    if not others or not getattr(product, fact):
        return None
    changes: dict[str, Any] = {fact: rng.choice(others)}
    if fact == "quantity":
        changes["price"] = product.price * rng.choice((0.5, 2.0, 3.0))
    elif fact in ("color", "code"):  # which is seen
        changes["look"] = dataclasses.replace(product.look, palette=_palette(product, generator))
    return dataclasses.replace(product, group_id=group_id, **changes)


def _values(product: Product, fact: str) -> Sequence[str]:
    """The values that a fact of such a product may have."""
    if fact == "code":
        signs = string.digits if product.code[-1].isdigit() else string.ascii_uppercase
        return [product.code[:-1] + sign for sign in signs]
    return {"size": product.group.sizes, "quantity": product.group.quantities, "color": load_phrases().colors}[fact]


def _palette(product: Product, generator: np.random.Generator) -> dict[str, tuple[int, int, int]]:
    return draw_palette(load_drawings()[product.leaf.name], generator)


def _sign(sign: str, rng: random.Random) -> str:
    return rng.choice({"A": string.ascii_uppercase, "9": string.digits}.get(sign, sign))
