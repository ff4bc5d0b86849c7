"""The demo shop's category tree, read from `demo/tree.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Leaf:
    """One leaf category.

    Args:
        name: its last level, and the name of its drawing.
        types: what sellers call such a product.
        hints: words that suggest it without naming it.
        mall_paths: how the other shop files it.
        share: how common it is beside the others; 1 is usual.
    """

    name: str
    types: tuple[str, ...]
    hints: tuple[str, ...]
    mall_paths: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Group:
    """Sister leaves, and what their names share.

    Args:
        path: the levels above the leaves, joined by '>'.
        mall_path: what the other shop has above its leaves; some products are filed only this far.
        brands, shared, materials, sizes, quantities: words that any product of the group may have.
        code: a model code's form: 'A' stands for a letter, '9' for a digit; '' where products have none.
    """

    path: str
    mall_path: str
    brands: tuple[str, ...]
    shared: tuple[str, ...]
    materials: tuple[str, ...]
    sizes: tuple[str, ...]
    quantities: tuple[str, ...]
    code: str
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class Phrases:
    """What sellers write around any product: colours, and shouts before and after the name."""

    colors: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@cache
def load_groups() -> tuple[Group, ...]:
    """Every group of the tree, in the file's order."""
    groups = []
    for table in _read()["groups"]:
        leaves = tuple(Leaf(**_frozen(leaf)) for leaf in table.pop("leaves"))
        groups.append(Group(**_frozen(table), leaves=leaves))
    return tuple(groups)


@cache
def load_phrases() -> Phrases:
    """The phrases that every group shares."""
    return Phrases(**_frozen(_read()["phrases"]))


def _read() -> dict:
    return tomllib.loads(Path(__file__).with_name("tree.toml").read_text(encoding="utf-8"))


def _frozen(table: dict) -> dict:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
