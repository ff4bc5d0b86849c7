"""A seller's listing of a product: a name in words of its own, and a picture of its own or the maker's in a new cut."""

import random

import numpy as np
from PIL import Image

from demo.galleries import shots
from demo.galleries.camera import photograph, recut
from demo.offers.product import Product
from demo.tree import load_phrases

#: Shares of offers that leave a fact out, which then only the picture or the price can tell.
_WITHOUT_BRAND, _WITHOUT_CODE, _WITHOUT_COLOR, _WITHOUT_SIZE, _WITHOUT_QUANTITY = 0.2, 0.45, 0.35, 0.15, 0.1
_WITHOUT_PICTURE = 0.06


def write_name(product: Product, rng: random.Random) -> str:
    """Write a name as one of the product's sellers does."""
    words = [word for word in product.words if rng.random() < 0.65]
    kind = rng.choice(product.leaf.types[:2])
    middle = [*words, kind] if rng.random() < 0.7 else [kind, *words]
    parts = [product.brand] if rng.random() >= _WITHOUT_BRAND else []
    parts += middle
    facts = (
        (_written_code(product.code, rng), _WITHOUT_CODE),
        (product.color, _WITHOUT_COLOR),
        (product.size, _WITHOUT_SIZE),
        (product.quantity, _WITHOUT_QUANTITY),
    )
    parts += [fact for fact, without in facts if fact and rng.random() >= without]
    if rng.random() < 0.2:
        rng.shuffle(parts)
    if rng.random() < 0.35:
        parts.insert(0, rng.choice(load_phrases().before))
    if rng.random() < 0.3:
        parts.append(rng.choice(load_phrases().after))
    name = " ".join(parts)
    return name.upper() if rng.random() < 0.08 else name


def draw_offer(product: Product, shared_seed: tuple[int, ...], generator: np.random.Generator) -> Image.Image | None:
    """Draw the picture of an offer; None for an offer without one.

    Args:
        shared_seed: of the maker's picture, which some sellers cut anew.
    """
    kind = generator.random()
    if kind < _WITHOUT_PICTURE:
        return None
    if kind < 0.4:
        return recut(shots.product_in_shop(product.look, np.random.default_rng(shared_seed)), generator)
    if kind < 0.7:
        return shots.product_in_shop(product.look, generator)
    if kind < 0.85:
        return shots.product_in_scene(product.look, generator)
    return photograph(shots.product_in_scene(product.look, generator), generator)


def _written_code(code: str, rng: random.Random) -> str:
    """'AB-123' as some write it: without the dash, or in small letters."""
    written = code.replace("-", "") if rng.random() < 0.3 else code
    return written.lower() if rng.random() < 0.2 else written
