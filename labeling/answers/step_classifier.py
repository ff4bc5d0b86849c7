"""Tells the children of one node apart: linear support vector machines over sparse inputs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

_TOLERANCE = 1e-2
_MAX_ITERATIONS = 100


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
    def fit(cls, inputs: sparse.csr_matrix, children: np.ndarray, cost: float, seed: int) -> StepClassifier:
        """Fit an SVM a child against the rest (squared hinge, LIBLINEAR, Fan et al. 2008).

        Args:
            inputs: (N, W) of the rows below the node.
            children: (N,) int, two different ones at least.
        """
        columns = np.unique(inputs.indices)
        svm = LinearSVC(C=cost, dual=True, tol=_TOLERANCE, max_iter=_MAX_ITERATIONS, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # rows that still move do not change an answer
            svm.fit(inputs[:, columns], children)
        weights, biases = svm.coef_.T.astype(np.float32), svm.intercept_.astype(np.float32)
        if len(svm.classes_) == 2:  # LIBLINEAR fits one of the two
            weights, biases = np.hstack([-weights, weights]), np.concatenate([-biases, biases])
        return cls(svm.classes_, columns, np.ascontiguousarray(weights), biases)

    def margins(self, inputs: sparse.csr_matrix) -> np.ndarray:
        """(N, C) float32, of rows."""
        return np.asarray(inputs[:, self.columns] @ self.weights + self.biases, np.float32)
