"""The decisions from the root to each class: one among all, or with very many classes a group of like ones first."""

import numpy as np
from scipy import sparse

from model.taxonomy import Taxonomy

#: Classes, or groups of them, that are decided on in one step. One step among all ranks labels best: of as many rows as
#: 10 % planted siblings of naver2019's (20,000 rows, 107 classes) it names 75 % of them first; 50 groups and then their
#: members 70 %, the levels of the category tree, whose 10 branches are too wide for a linear classifier, 55 %.
MOST_CHILDREN = 512
_FOLDED_COLUMNS = 1024


def decision_paths(taxonomy: Taxonomy, inputs: sparse.csr_matrix, classes: np.ndarray, seed: int) -> np.ndarray:
    """Number the nodes on the way to each class.

    Of more than MOST_CHILDREN classes as many groups as that are decided on first (a label tree, as in Parabel: Prabhu
    et al. 2018), so that weights do not grow with rows times classes. A group is of one node of the deepest level that
    has not more nodes, and of like centroids.

    Args:
        inputs: (N, U) of rows that groups are made by.
        classes: (N,) int, of these rows.
    Returns:
        (K, D) int64; columns are steps, a node's number is its own in its column.
    """
    leaves = np.arange(taxonomy.num_leaves)
    if len(leaves) <= MOST_CHILDREN:
        return leaves[:, None]
    levels = [nodes for nodes in taxonomy.leaf_to_node if len(np.unique(nodes)) <= MOST_CHILDREN]
    nodes = levels[-1] if levels else np.zeros(len(leaves), np.int64)
    return np.stack([_groups(nodes, _centroids(inputs, classes, len(leaves)), seed), leaves], axis=1)


def _groups(nodes: np.ndarray, centroids: np.ndarray, seed: int) -> np.ndarray:
    """(K,) int64, the group of each class: at most MOST_CHILDREN, of each node by its number of classes."""
    from sklearn.cluster import KMeans

    _, nodes, sizes = np.unique(nodes, return_inverse=True, return_counts=True)
    shares = (MOST_CHILDREN - len(sizes)) * sizes / sizes.sum()
    groups, next_number = np.zeros(len(nodes), np.int64), 0
    for node in range(len(sizes)):
        members = np.flatnonzero(nodes == node)
        num_groups = min(1 + int(shares[node]), len(np.unique(centroids[members], axis=0)))
        if num_groups > 1:
            groups[members] = KMeans(num_groups, n_init=1, random_state=seed).fit_predict(centroids[members])
        groups[members] += next_number
        next_number += num_groups
    return groups


def _centroids(inputs: sparse.csr_matrix, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """(K, D) float32 of length 1 or 0, the mean inputs of each class's rows, neighbouring columns added up."""
    width = min(_FOLDED_COLUMNS, inputs.shape[1])
    folded = sparse.csr_matrix((inputs.data, inputs.indices % width, inputs.indptr), (inputs.shape[0], width))
    places = (classes, np.arange(len(classes)))
    members = sparse.csr_matrix((np.ones(len(classes), np.float32), places), (num_classes, len(classes)))
    sums = (members @ folded).toarray()
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9), np.float32)
