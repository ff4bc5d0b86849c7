"""The decisions from the root to each class: one among all, or with very many classes those of the category tree."""

import numpy as np
from scipy import sparse

from model.taxonomy import Taxonomy

#: Classes, or children of a node, that are decided on in one step; more are first narrowed down by their parents or,
#: of one parent, in groups of like ones. One step ranks labels better: of as many rows as 10 % planted siblings of
#: naver2019's (20,000 rows, 107 classes) it names 76 % of them first, the tree 58 %.
MOST_CHILDREN = 512
_FOLDED_COLUMNS = 1024


def decision_paths(taxonomy: Taxonomy, inputs: sparse.csr_matrix, classes: np.ndarray, seed: int) -> np.ndarray:
    """Number the nodes on the way to each class.

    A wide node gets a step before it, to groups of children with like centroids (a label tree, as in Parabel: Prabhu
    et al. 2018), so that the weights of a tree without levels do not grow with rows times classes.

    Args:
        inputs: (N, U) of rows that groups are made by.
        classes: (N,) int, of these rows.
    Returns:
        (K, D) int64; columns are steps, a node's number is its own in its column.
    """
    if taxonomy.num_leaves <= MOST_CHILDREN:
        return np.arange(taxonomy.num_leaves)[:, None]
    columns: list[np.ndarray] = []
    parents = np.zeros(taxonomy.num_leaves, np.int64)
    for nodes in taxonomy.leaf_to_node:
        children = nodes.astype(np.int64)
        wide = [parent for parent in np.unique(parents) if _num_children(children, parents == parent) > MOST_CHILDREN]
        if wide:
            columns.append(_grouped(children, parents, wide, inputs, classes, seed))
        columns.append(children)
        parents = children
    return np.stack(columns, axis=1)


def _num_children(children: np.ndarray, of_parent: np.ndarray) -> int:
    return len(np.unique(children[of_parent]))


def _grouped(
    children: np.ndarray,
    parents: np.ndarray,
    wide: list[int],
    inputs: sparse.csr_matrix,
    classes: np.ndarray,
    seed: int,
) -> np.ndarray:
    """(K,) the step before: groups of the children of wide nodes, and nothing to decide below the others."""
    from sklearn.cluster import KMeans

    step = np.zeros(len(children), np.int64)
    next_number = 0
    for parent in np.unique(parents).tolist():
        of_parent = parents == parent
        if parent not in wide:
            step[of_parent] = next_number
            next_number += 1
            continue
        nodes, positions = np.unique(children[of_parent], return_inverse=True)
        centroids = _centroids(inputs, children[classes], nodes)
        num_groups = int(np.ceil(np.sqrt(len(nodes))))
        groups = KMeans(num_groups, n_init=1, random_state=seed).fit_predict(centroids)
        step[of_parent] = next_number + groups[positions]
        next_number += num_groups
    return step


def _centroids(inputs: sparse.csr_matrix, nodes_of_rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """(C, D) float32 of length 1, the mean inputs of each node's rows, neighbouring columns added up."""
    width = min(_FOLDED_COLUMNS, inputs.shape[1])
    folded = sparse.csr_matrix((inputs.data, inputs.indices % width, inputs.indptr), (inputs.shape[0], width))
    rows = np.flatnonzero(np.isin(nodes_of_rows, nodes))
    members = sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (np.searchsorted(nodes, nodes_of_rows[rows]), rows)),
        (len(nodes), inputs.shape[0]),
    )
    sums = (members @ folded).toarray()
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9), np.float32)
