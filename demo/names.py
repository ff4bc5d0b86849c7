"""Composes the texts of a product: a name as sellers write it, and the mall's own category."""

import random
import string

from demo.tree import Group, Leaf, load_groups, load_phrases

_SEPARATORS = (" ",) * 16 + (" / ", "_", ", ", " - ", "/")

#: Shares of names, chosen so that the other fields add information.
_WITHOUT_TYPE = 0.12
_WITH_GIFT = 0.05


def compose_name(group: Group, leaf: Leaf, brand: str, rng: random.Random) -> str:
    """Compose a seller's product name.

    About one in eight has no word for the type; one in twenty names another type, as a gift.

    Args:
        brand: '' for a product without one.
    """
    parts = _words_before(group, brand, rng)
    if rng.random() >= _WITHOUT_TYPE:
        parts += _types(leaf, rng)
    elif rng.random() < 0.2:
        parts.append(rng.choice(leaf.hints))
    parts += _words_after(group, rng)
    if rng.random() < 0.25:
        rng.shuffle(parts)
    if rng.random() < _WITH_GIFT:
        parts.append(f"({_any_leaf(rng).types[0]} 증정)")
    if rng.random() < 0.35:
        parts.insert(0, rng.choice(load_phrases().before))
    if rng.random() < 0.3:
        parts.append(rng.choice(load_phrases().after))
    return _write(parts, rng)


def compose_mall_category(group: Group, leaf: Leaf, rng: random.Random) -> str:
    """Compose the mall's own category of a product: 25 % missing, 5 % wrong, 4 % above the leaves."""
    draw = rng.random()
    if draw < 0.25:
        return ""
    if draw < 0.30:
        return rng.choice(_any_leaf(rng).mall_paths)
    if draw < 0.34:
        return group.mall_path
    usual, *others = leaf.mall_paths
    return usual if rng.random() < 0.88 else rng.choice(others)


def _words_before(group: Group, brand: str, rng: random.Random) -> list[str]:
    """Compose the words before the type: brand, words shared with siblings, material and colour."""
    parts = [brand] if brand and rng.random() < 0.85 else []
    parts += rng.sample(group.shared, rng.choice((1, 1, 2, 2, 3)))
    if rng.random() < 0.4:
        parts.append(rng.choice(group.materials))
    if rng.random() < 0.3:
        parts.append(rng.choice(load_phrases().colors))
    return parts


def _types(leaf: Leaf, rng: random.Random) -> list[str]:
    """Compose the words of the type; sometimes with a hint before it, or a second word for search engines."""
    parts = [rng.choice(leaf.hints)] if rng.random() < 0.45 else []
    parts += rng.sample(leaf.types, 2 if rng.random() < 0.15 else 1)
    return parts


def _words_after(group: Group, rng: random.Random) -> list[str]:
    """Compose the words after the type: model code, size and quantity."""
    parts = []
    if group.code and rng.random() < 0.4:
        parts.append(_code(group.code, rng))
    if rng.random() < 0.5:
        parts.append(rng.choice(group.sizes))
    if group.quantities and rng.random() < 0.5:
        parts.append(rng.choice(group.quantities))
    return parts


def _code(form: str, rng: random.Random) -> str:
    choices = {"A": string.ascii_uppercase, "9": string.digits}
    return "".join(rng.choice(choices[sign]) if sign in choices else sign for sign in form)


def _any_leaf(rng: random.Random) -> Leaf:
    return rng.choice([leaf for group in load_groups() for leaf in group.leaves])


def _write(parts: list[str], rng: random.Random) -> str:
    """Join with the separators that sellers use; some names omit spaces, some are in upper case."""
    joined = parts[0]
    for part in parts[1:]:
        joined += ("" if rng.random() < 0.05 else rng.choice(_SEPARATORS)) + part
    if rng.random() < 0.08:
        joined = joined.replace(" ", "")
    return joined.upper() if rng.random() < 0.1 else joined
