"""Temperatures (Guo et al. 2017), held back where rows are few by smoothed targets (Platt 1999)."""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import minimize_scalar

from model.prediction.formula import prior_mass


def fit_head_temperatures(
    logits: Mapping[str, np.ndarray], labels: np.ndarray, weights: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Temperature of each single head; 1 for a head none of whose rows has its field.

    Args:
        logits: head to (N, K) float32 validation logits.
        labels: (N,) int32.
        weights: head to (N,) float32, 0 on rows that lack the head's field.
    """
    temperatures = {}
    for head, values in logits.items():
        rows = weights[head] > 0
        temperatures[head] = fit_temperature(values[rows], labels[rows]) if rows.any() else 1.0
    return temperatures


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of least cross-entropy, 0.05 to 20 (Guo et al. 2017).

    The targets leave a `prior_mass` to all leaves (Platt 1999), so that rows that are all right ask for no extreme.

    Args:
        logits: (N, K) float32.
        labels: (N,) int32.
    """
    rows, mass = np.arange(len(labels)), np.float32(prior_mass(len(labels)))
    target = (1 - mass) * logits[rows, labels] + mass * logits.mean(axis=1)

    def loss(log_temperature: float) -> float:
        scale = np.float32(np.exp(-log_temperature))
        scaled = logits * scale
        top = scaled.max(axis=1)
        log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((log_sum - target * scale).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
