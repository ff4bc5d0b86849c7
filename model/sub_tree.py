"""A part of the category tree that answers are restricted to."""

import difflib
from dataclasses import dataclass

import numpy as np

from model.errors import TaxonomyError
from model.taxonomy import SEPARATOR, Taxonomy, normalize_path

#: Near matches cost milliseconds among thousands of paths, and error texts travel in headers: both stay bounded.
_NUM_MATCHES = 3
_MAX_PATH_CHARS = 100


@dataclass(frozen=True, eq=False)
class SubTree:
    """A node and what lies below it.

    Args:
        path: the node; levels joined by '>'.
        leaves: (M,) int classes of its leaves, ascending, M at least 1; of a leaf its own.
    """

    path: str
    leaves: np.ndarray

    @property
    def depth(self) -> int:
        """Levels of `path`, 1 or more."""
        return self.path.count(SEPARATOR) + 1

    def holds(self, taxonomy: Taxonomy, depth: int) -> np.ndarray:
        """Flags of the nodes of one level that lie in the sub-tree.

        Args:
            depth: 1 (top) to `taxonomy.depth`; above the node itself nothing does.
        Returns:
            (number of nodes at that depth,) bool.
        """
        inside = np.zeros(len(taxonomy.levels[depth - 1]), bool)
        if depth >= self.depth:
            inside[taxonomy.leaf_to_node[depth - 1][self.leaves]] = True
        return inside


def find_sub_tree(taxonomy: Taxonomy, path: str) -> SubTree:
    """The node with this path and its leaves; spaces around levels do not matter.

    Raises:
        TaxonomyError: there is no such node; names near ones.
    """
    wanted = normalize_path(path)
    found = taxonomy.node_position(wanted)
    if found is None:
        shown = wanted if len(wanted) <= _MAX_PATH_CHARS else wanted[:_MAX_PATH_CHARS] + "..."
        raise TaxonomyError(f"expected a category of this model, found {shown!r}{_near(taxonomy, wanted)}")
    depth, node = found
    return SubTree(wanted, np.flatnonzero(taxonomy.leaf_to_node[depth - 1] == node))


def _near(taxonomy: Taxonomy, wanted: str) -> str:
    """'; did you mean ...?': nodes called like its last level first, then nodes spelled like it."""
    if not wanted or len(wanted) > _MAX_PATH_CHARS:
        return f"; its top level has {len(taxonomy.levels[0])}, such as {taxonomy.levels[0][0]!r}"
    nodes = [node for node in taxonomy.nodes if len(node) <= _MAX_PATH_CHARS]
    name = wanted.rpartition(SEPARATOR)[2].casefold()
    namesakes = [node for node in nodes if node.rpartition(SEPARATOR)[2].casefold() == name]
    spelled = difflib.get_close_matches(wanted, nodes, _NUM_MATCHES)
    near = list(dict.fromkeys(namesakes + spelled))[:_NUM_MATCHES]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
