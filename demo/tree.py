"""The demo shop's category tree, read from `demo/tree.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Leaf:
    """One leaf category.

    Args:
        name: the last level of its path, and the name of its drawing.
        types: words that sellers use for such a product.
        hints: words that suggest the type without naming it.
        mall_paths: its categories in the mall.
        share: relative frequency; 1 is usual.
    """

    name: str
    types: tuple[str, ...]
    hints: tuple[str, ...]
    mall_paths: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Group:
    """Sibling leaves, and the words that their names share.

    Args:
        path: the levels above the leaves, joined by '>'.
        mall_path: the parent category in the mall, where some products are filed.
        brands, shared, materials, sizes, quantities: words that any product of the group may have.
        code: the pattern of model codes: 'A' is a letter, '9' a digit; '' without codes.
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
    """Phrases of sellers for any product: colours, and slogans before and after the name."""

    colors: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@cache
def load_groups() -> tuple[Group, ...]:
    """Load all groups of the tree, in the file's order."""
    groups = []
    for table in _read()["groups"]:
        leaves = tuple(Leaf(**_frozen(leaf)) for leaf in table.pop("leaves"))
        groups.append(Group(**_frozen(table), leaves=leaves))
    return tuple(groups)


@cache
def load_phrases() -> Phrases:
    """Load the phrases that all groups share."""
    return Phrases(**_frozen(_read()["phrases"]))


def _read() -> dict:
    return tomllib.loads(Path(__file__).with_name("tree.toml").read_text(encoding="utf-8"))


def _frozen(table: dict) -> dict:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
