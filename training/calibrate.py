"""Calibration on the validation split: temperatures, and the thresholds of the precision contract."""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import beta

from model.answer import Calibration, softmax
from model.settings import TrainingSettings
from model.taxonomy import Taxonomy

#: Threshold above every probability: nothing is accepted at that depth.
NEVER = 2.0
#: Coverages that the search for a threshold starts from; each has an equal part of the permitted error.
_STARTS = (0.05, 0.25, 0.5, 0.75, 1.0)
_NUM_STEPS = 200


def calibrate(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    weights: Mapping[str, np.ndarray],
    taxonomy: Taxonomy,
    settings: TrainingSettings,
) -> Calibration:
    """Fit every head's temperature and the contract's thresholds.

    Args:
        logits: head to (N, K) float32 validation logits, "joint" among them.
        labels: (N,) int32.
        weights: head to (N,) float32, 0 on rows that lack the head's field.
    """
    temperatures = {}
    for head, values in logits.items():
        rows = weights[head] > 0
        temperatures[head] = fit_temperature(values[rows], labels[rows]) if rows.any() else 1.0
    temperature = temperatures.pop("joint")
    probabilities = softmax(logits["joint"], temperature)
    thresholds, coverages = [], []
    for depth in range(1, taxonomy.depth + 1):
        level = taxonomy.node_probabilities(probabilities, depth)
        correct = level.argmax(axis=1) == taxonomy.leaf_to_node[depth - 1][labels]
        threshold, coverage = precision_threshold(
            level.max(axis=1), correct, settings.precision_target, settings.precision_confidence
        )
        thresholds.append(threshold)
        coverages.append(coverage)
    return Calibration(
        temperature,
        temperatures,
        settings.precision_target,
        settings.precision_confidence,
        tuple(thresholds),
        tuple(coverages),
    )


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of least negative log-likelihood, 0.05 to 20 (Guo et al. 2017).

    Args:
        logits: (N, K) float32.
        labels: (N,) int32.
    """
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.float32(np.exp(log_temperature))
        top = scaled.max(axis=1)
        log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((log_sum - scaled[rows, labels]).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def precision_threshold(
    confidences: np.ndarray, is_correct: np.ndarray, target: float, confidence: float
) -> tuple[float, float]:
    """The least threshold above which precision is at least `target` with the given confidence.

    Walks from each of a few coverages to all rows, in steps fixed beforehand, as long as the exact binomial lower
    bound (Clopper and Pearson 1934) reaches the target. A walk ends with its first failure, so however many steps it
    takes, it errs no more often than its first wrong one; only the walks share the error (fixed sequence testing,
    Bauer 1991; "Learn then Test", Angelopoulos et al. 2021).

    Args:
        confidences: (N,) float32 probability of each row's answer.
        is_correct: (N,) bool.
    Returns:
        threshold and the share of rows at or above it; (NEVER, 0.0) when no coverage qualifies.
    """
    order = np.argsort(-confidences, kind="stable")
    ranked, hits = confidences[order], np.cumsum(is_correct[order])
    level = (1 - confidence) / len(_STARTS)
    best = 0
    for start in _STARTS:
        for count in np.unique(np.linspace(start * len(ranked), len(ranked), _NUM_STEPS).astype(int)):
            if count == 0:
                break
            total = int(np.searchsorted(-ranked, -ranked[count - 1], side="right"))  # ties are accepted together
            if precision_lower_bound(int(hits[total - 1]), total, level) < target:
                break
            best = max(best, total)
    return (float(ranked[best - 1]), best / len(ranked)) if best else (NEVER, 0.0)


def precision_lower_bound(hits: int, total: int, level: float) -> float:
    """Exact one-sided lower bound of a binomial share at error `level`."""
    return float(beta.ppf(level, hits, total - hits + 1)) if hits else 0.0
