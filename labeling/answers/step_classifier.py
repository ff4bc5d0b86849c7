"""Tells the children of one node apart: linear support vector machines over sparse inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

_TOLERANCE = 1e-2
_MAX_ITERATIONS = 100
_CHILDREN_AT_A_TIME = 8
_REST = -1


@dataclass(frozen=True, eq=False)
class StepClassifier:
    """Margins of a node's children.

    Args:
        children: (C,) int, ascending.
        columns: (U,) int, of the inputs that occurred below the node.
        weights: (U, C) float32.
        biases: (C,) float32.
    """

    children: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    biases: np.ndarray

    @classmethod
    def fit(
        cls,
        inputs: sparse.csr_matrix,
        children: np.ndarray,
        cost: float,
        seed: int,
        on_progress: Callable[[float], object],
        row_weights: np.ndarray | None = None,
    ) -> StepClassifier:
        """Fit an SVM a child against the rest (squared hinge, LIBLINEAR, Fan et al. 2008).

        Args:
            inputs: (N, W) of the rows below the node.
            children: (N,) int, two different ones at least.
            on_progress: called with the share of the children that is done since the last call.
            row_weights: (N,) float, by which the cost of each row is multiplied; None is 1.
        """
        columns, found = np.unique(inputs.indices), np.unique(children)
        used = inputs[:, columns]
        weights = np.zeros((len(columns), len(found)), np.float32)
        biases = np.zeros(len(found), np.float32)
        for start in range(0, len(found), _CHILDREN_AT_A_TIME):
            part = found[start : start + _CHILDREN_AT_A_TIME]
            labels = np.where(np.isin(children, part), np.searchsorted(part, children), _REST)
            svm = LinearSVC(C=cost, dual=True, tol=_TOLERANCE, max_iter=_MAX_ITERATIONS, random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # rows that still move do not change an answer
                svm.fit(used, labels, row_weights)
            own = slice(start, start + len(part))
            weights[:, own], biases[own] = _of_children(svm, len(part))
            on_progress(len(part) / len(found))
        return cls(found, columns, weights, biases)

    def margins(self, inputs: sparse.csr_matrix) -> np.ndarray:
        """(N, C) float32, of rows."""
        return np.asarray(inputs[:, self.columns] @ self.weights + self.biases, np.float32)


def _of_children(svm: LinearSVC, num_children: int) -> tuple[np.ndarray, np.ndarray]:
    """(U, C) weights and (C,) biases, without those of the rest."""
    if len(svm.classes_) > 2:
        return svm.coef_[-num_children:].T, svm.intercept_[-num_children:]
    if num_children == 2:  # of two labels LIBLINEAR fits the second
        return np.vstack([-svm.coef_, svm.coef_]).T, np.concatenate([-svm.intercept_, svm.intercept_])
    return svm.coef_.T, svm.intercept_
