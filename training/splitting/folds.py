"""Folds of a catalog: whole groups of near-duplicates, every category spread as evenly as they permit."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np


def assign_folds(groups: np.ndarray, labels: Sequence[str], num_folds: int, seed: int) -> np.ndarray:
    """The fold of each row, 0 to num_folds - 1.

    A group counts for the category of its first row. Largest groups first, each goes to the fold with the fewest rows
    of its category, of equals to the smallest fold.

    Args:
        groups: (N,) int; rows of a group share a fold.
        labels: category of each row.
        num_folds: 2 or more.
    """
    members, positions, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    first_rows = np.full(len(members), len(groups))
    np.minimum.at(first_rows, positions, np.arange(len(groups)))
    order = np.random.default_rng(seed).permutation(len(members))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of_group = np.empty(len(members), np.int64)
    in_fold = [0] * num_folds
    in_category: defaultdict[str, list[int]] = defaultdict(lambda: [0] * num_folds)
    for group in order.tolist():
        counts = in_category[labels[first_rows[group]]]
        fold = min(range(num_folds), key=lambda candidate: (counts[candidate], in_fold[candidate]))
        fold_of_group[group] = fold
        counts[fold] += int(sizes[group])
        in_fold[fold] += int(sizes[group])
    return np.asarray(fold_of_group[positions])


def held_out_rows(groups: np.ndarray, labels: Sequence[str], share: float, seed: int) -> np.ndarray:
    """(N,) bool, about a share of the rows of every category in whole groups; no category is held out altogether.

    Args:
        groups, labels: see `assign_folds`.
        share: 0 to 0.5.
    """
    folds = assign_folds(groups, labels, max(2, round(1 / share)), seed)
    is_held_out = folds == 0
    names = np.array(labels)
    trained = set(names[~is_held_out].tolist())
    return is_held_out & np.array([label in trained for label in labels], bool)
