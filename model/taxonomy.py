"""The shop's category tree: leaves, the nodes above them, and probabilities summed along it."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from model.errors import TaxonomyError

SEPARATOR = ">"
#: Control characters, soft hyphen, zero-width characters, bidi controls and byte-order marks.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+"
)
#: Every space and line end of Unicode, and the two fillers that Korean keyboards type as a blank.
_SPACES = re.compile(r"[\s\u3164\uffa0]+")


def normalize_path(path: str) -> str:
    """Make one spelling of a category path; the only function that a path passes on its way in.

    Levels lose invisible characters and the spaces around them, spaces inside become one plain space, and the rest
    is composed (Unicode NFC); empty levels are dropped: ' A >  B  C >' becomes 'A>B C'. Letter case, and all else
    that can be seen, stays.
    """
    return SEPARATOR.join(filter(None, map(_normalize_level, path.split(SEPARATOR))))


def _normalize_level(level: str) -> str:
    visible = _INVISIBLE.sub("", level)  # first, as one may stand between a letter and its accent
    return unicodedata.normalize("NFC", _SPACES.sub(" ", visible).strip())


class Taxonomy:
    """An immutable tree given by its leaf paths; leaf i is class i everywhere.

    A leaf above the deepest level stands for itself at every level below it, so each level is a
    partition of the leaves.

    Args:
        leaves: leaf paths joined by '>', in class order, each unique.
        category_ids: path to the shop's own id, for any node; a missing one reads as ''.
    Raises:
        TaxonomyError: a path is empty, repeated, or lies below another leaf.
    """

    def __init__(self, leaves: Iterable[str], category_ids: dict[str, str] | None = None):
        self.leaves = tuple(leaves)
        self.category_ids = dict(category_ids or {})
        self._index = {leaf: i for i, leaf in enumerate(self.leaves)}
        self._check()
        split = [leaf.split(SEPARATOR) for leaf in self.leaves]
        self.depth = max(len(levels) for levels in split)
        self.levels: list[tuple[str, ...]] = []
        self.leaf_to_node: list[np.ndarray] = []
        self._sums: list[_LevelSum] = []
        for depth in range(1, self.depth + 1):
            names = [SEPARATOR.join(levels[:depth]) for levels in split]
            nodes = tuple(dict.fromkeys(names))
            position = {node: i for i, node in enumerate(nodes)}
            self.levels.append(nodes)
            self.leaf_to_node.append(np.array([position[name] for name in names], dtype=np.int32))
            self._sums.append(_LevelSum(self.leaf_to_node[-1], len(nodes)))

    def _check(self) -> None:
        if not self.leaves:
            raise TaxonomyError("expected at least one category, found none; give labelled rows or --taxonomy")
        if len(self._index) != len(self.leaves):
            raise TaxonomyError("a category path stands twice among the leaves; list each leaf once")
        for leaf in self.leaves:
            levels = leaf.split(SEPARATOR)
            normalized = normalize_path(leaf)
            if not normalized:
                raise TaxonomyError(f"expected levels joined by '>' in a category path, found {leaf!a}; name one")
            if normalized != leaf:
                raise TaxonomyError(f"expected normalized category paths, found {leaf!a}; write {normalized!a}")
            for depth in range(1, len(levels)):
                above = SEPARATOR.join(levels[:depth])
                if above in self._index:
                    raise TaxonomyError(f"category {leaf!r} lies below {above!r}, which is itself a leaf")

    @property
    def num_leaves(self) -> int:
        """Number of classes K."""
        return len(self.leaves)

    @property
    def checksum(self) -> str:
        """SHA-256 over the leaves in class order, hexadecimal."""
        return hashlib.sha256("\n".join(self.leaves).encode()).hexdigest()

    def class_of(self, path: str) -> int | None:
        """Class of a leaf path, or None when the path is not a leaf."""
        return self._index.get(path)

    @property
    def nodes(self) -> Iterable[str]:
        """The paths of all nodes, leaves included, the top level first."""
        return self._positions.keys()

    def node_position(self, path: str) -> tuple[int, int] | None:
        """Depth of a node, 1 at the top, and its place in `levels[depth - 1]`; None when there is no such node."""
        return self._positions.get(path)

    @cached_property
    def _positions(self) -> dict[str, tuple[int, int]]:
        positions: dict[str, tuple[int, int]] = {}
        for depth, level in enumerate(self.levels, start=1):
            for i, node in enumerate(level):
                positions.setdefault(node, (depth, i))  # a leaf stands again in the levels below
        return positions

    @cached_property
    def nodes_by_id(self) -> dict[str, str]:
        """Paths by the shop's ids, normalized like a label, which may be an id."""
        return {normalize_path(category_id): node for node, category_id in self.category_ids.items() if category_id}

    def category_id(self, path: str) -> str:
        """The shop's id of a node, '' where the tree has none."""
        return self.category_ids.get(path, "")

    def node_probabilities(self, leaf_probabilities: np.ndarray, depth: int) -> np.ndarray:
        """Sum leaf probabilities into the nodes of one level.

        Args:
            leaf_probabilities: (N, K) float.
            depth: 1 (top) to `self.depth`.
        Returns:
            (N, number of nodes at that depth), same dtype; rows keep their sum. May be the argument itself.
        """
        return self._sums[depth - 1].of(leaf_probabilities)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"leaves": list(self.leaves), "category_ids": self.category_ids}

    @classmethod
    def from_dict(cls, values: dict) -> "Taxonomy":
        """Undo `to_dict`."""
        return cls(values["leaves"], values["category_ids"])


class _LevelSum:
    """Sums leaf columns by node; leaves that already lie in their nodes' order are not moved."""

    def __init__(self, nodes: np.ndarray, num_nodes: int):
        order = np.argsort(nodes, kind="stable")
        is_sorted = bool((order == np.arange(len(nodes))).all())
        self._order = None if is_sorted else order
        self._starts = np.searchsorted(nodes[order], np.arange(num_nodes))
        self._is_identity = is_sorted and num_nodes == len(nodes)

    def of(self, leaf_values: np.ndarray) -> np.ndarray:
        """(N, K) to (N, number of nodes)."""
        if self._is_identity:
            return leaf_values
        ordered = leaf_values if self._order is None else leaf_values[:, self._order]
        return np.add.reduceat(ordered, self._starts, axis=1)
