"""Fits the columns of new classes behind a head's old ones, which stay as they are.

With s(x) the log-sum of the old classes' exponentials, a row is of new class j with probability
exp(u_j) / (exp(s) + sum of exp(u)), u = fixed + x W + b: a logistic regression with the old evidence as offset, convex
and quick however many old classes there are. The old columns say what weights of this head are like: mean and spread
of their entries are the Gaussian prior, so that ten rows are enough.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

#: Of the prior beside the rows; chosen with the next two on held-out categories, see benchmarks/RESULTS.md.
_PRIOR_STRENGTH = 0.03
#: A new class counts like so many average old classes: a product of it is asked about more often than not.
_CLASS_WEIGHT = 3.0
_MIN_BIAS_SPREAD = 1.0
_MAX_ITERATIONS = 300


@dataclass(frozen=True, eq=False)
class ColumnRows:
    """Inputs of one head for N rows.

    Args:
        inputs: (N, D) float32, in front of the head's last layer.
        old_scores: (N,) float32, log-sum of the exponentials of the old classes' logits, temperature applied.
        fixed: (N, M) float32, what the new classes' logits are without their columns, temperature applied.
        labels: (N,) int: 0 an old class, 1 to M a new one.
        weights: (N,) float32, what each row counts.
    """

    inputs: np.ndarray
    old_scores: np.ndarray
    fixed: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def fit_columns(
    rows: ColumnRows, kernel: np.ndarray, biases: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """The new columns of most likelihood under the prior of the old ones (MAP).

    Args:
        kernel, biases: (D, K), (K,) float32, the old classes'.
        temperature: the head's.
    Returns:
        (D, M) and (M,) float32.
    """
    num_new, dim = rows.fixed.shape[1], len(kernel)
    mean, spread = kernel.mean(axis=1), kernel.std(axis=1)
    spread = spread + 1e-4 * spread.mean() + 1e-6
    bias, bias_spread = float(biases.mean()), max(float(biases.std()), _MIN_BIAS_SPREAD)
    scaled = np.column_stack([rows.inputs * spread, np.full(len(rows.inputs), bias_spread)]) / temperature
    scaled = scaled.astype(np.float64)
    start = rows.fixed + ((rows.inputs @ mean + bias) / temperature)[:, None]
    targets = np.eye(num_new + 1)[rows.labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        columns = flat.reshape(dim + 1, num_new)
        logits = np.column_stack([rows.old_scores, start + scaled @ columns])
        top = logits.max(axis=1, keepdims=True)
        log_probabilities = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        slope = rows.weights[:, None] * (np.exp(log_probabilities) - targets)
        value = -(rows.weights @ (targets * log_probabilities).sum(axis=1)) + _PRIOR_STRENGTH / 2 * (flat @ flat)
        return float(value), (scaled.T @ slope[:, 1:]).ravel() + _PRIOR_STRENGTH * flat

    found = minimize(
        loss, np.zeros((dim + 1) * num_new), jac=True, method="L-BFGS-B", options={"maxiter": _MAX_ITERATIONS}
    )
    columns = found.x.reshape(dim + 1, num_new)
    fitted = mean[:, None] + spread[:, None] * columns[:-1]
    return fitted.astype(np.float32), (bias + bias_spread * columns[-1]).astype(np.float32)


def class_weight(num_old_rows: int, num_old_classes: int, num_examples: int) -> float:
    """Weight of each of a new class's examples beside an old row of weight 1; never less than 1."""
    return max(1.0, _CLASS_WEIGHT * num_old_rows / num_old_classes / num_examples)
