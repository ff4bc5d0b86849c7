"""Calibration on the validation split: temperatures, and the thresholds of the precision contract."""

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import beta

from model.prediction.calibration import Calibration
from model.taxonomy import Taxonomy

#: Threshold above every probability: nothing is accepted at that depth.
NEVER = 2.0
#: Coverages that are tried for a threshold, in parts of all rows, from the first of the starts on. One more start is
#: found for each threshold; half of the permitted error belongs to it, the other half to these in equal parts.
_NUM_STEPS = 400
_STARTS: tuple[int, ...] = (20, 100, 200, 300, 400)


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


def depth_thresholds(
    probabilities: np.ndarray, labels: np.ndarray, taxonomy: Taxonomy, promise: Calibration
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per depth the threshold that keeps a promise on these rows, and the share of them that it accepts.

    Args:
        probabilities: (N, K) float32, calibrated.
        labels: (N,) int32.
        promise: its precision and confidence count.
    """
    found = [
        precision_threshold(confidences, is_correct, promise.precision_target, promise.precision_confidence)
        for confidences, is_correct in depth_outcomes(probabilities, labels, taxonomy)
    ]
    return tuple(threshold for threshold, _ in found), tuple(coverage for _, coverage in found)


def depth_outcomes(
    probabilities: np.ndarray, labels: np.ndarray, taxonomy: Taxonomy
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per depth the (N,) float32 probability of each row's best node, and (N,) bool, True where it is the label's."""
    for depth in range(1, taxonomy.depth + 1):
        level = taxonomy.node_probabilities(probabilities, depth)
        yield level.max(axis=1), level.argmax(axis=1) == taxonomy.leaf_to_node[depth - 1][labels]


def can_be_shown(num_rows: int, promise: Calibration) -> bool:
    """True if so many rows, all of them right, would show the promised precision with the promised confidence."""
    return promise.precision_target**num_rows <= 1 - promise.precision_confidence


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

    Walks over coverages fixed beforehand, from the smallest to all rows. One qualifies if the exact binomial lower
    bound (Clopper and Pearson 1934) reaches the target with the error permitted there: what the step before was
    permitted, if it qualified, and at a start a part of the whole. So the parts of several starts add up as long as
    nothing fails, and a walk that fails begins anew at the next start (fallback procedure, Wiens 2003; "Learn then
    Test", Angelopoulos et al. 2021). One start is where the confidences, were they true, would show the target most
    clearly; that they are found without labels is what permits it.

    Args:
        confidences: (N,) float32 probability of each row's answer.
        is_correct: (N,) bool.
    Returns:
        threshold and the share of rows at or above it; (NEVER, 0.0) when no coverage qualifies.
    """
    order = np.argsort(-confidences, kind="stable")
    ranked, hits = confidences[order], np.cumsum(is_correct[order])
    starts = _starts(ranked, target, 1 - confidence)
    best, level = 0, 0.0
    for step in range(min(starts), _NUM_STEPS + 1):
        level += starts.get(step, 0.0)
        count = step * len(ranked) // _NUM_STEPS
        total = int(np.searchsorted(-ranked, -ranked[count - 1], side="right")) if count else 0  # ties go together
        if total and level and precision_lower_bound(int(hits[total - 1]), total, level) >= target:
            best = total
        else:
            level = 0.0
    return (float(ranked[best - 1]), best / len(ranked)) if best else (NEVER, 0.0)


def _starts(ranked: np.ndarray, target: float, error: float) -> dict[int, float]:
    """Steps at which a walk begins, each with its part of the permitted error.

    None is spent where rows are too few to show the target even if all are right.

    Args:
        ranked: (N,) float32 confidences, falling.
    """
    promising, half = _promising_start(ranked, target), error / 2
    if target ** (promising * len(ranked) // _NUM_STEPS) > half:
        fixed = _useful_starts(len(ranked), target, error)
        return dict.fromkeys(fixed, error / len(fixed))
    fixed = _useful_starts(len(ranked), target, half)
    parts = dict.fromkeys(fixed, half / len(fixed))
    parts[promising] = parts.get(promising, 0.0) + half
    return parts


def _promising_start(ranked: np.ndarray, target: float) -> int:
    """The step that expects the fewest errors below what the target permits, in their standard deviations."""
    counts = np.arange(1, _NUM_STEPS + 1) * len(ranked) // _NUM_STEPS
    expected = np.concatenate([[0.0], np.cumsum(1 - ranked, dtype=np.float64)])[counts]
    return 1 + int(np.argmax(((1 - target) * counts - expected) / np.sqrt(np.maximum(counts, 1))))


def _useful_starts(num_rows: int, target: float, error: float) -> tuple[int, ...]:
    """Without those whose rows are too few to show the target even if all are right."""
    starts = _STARTS
    while len(starts) > 1 and target ** (starts[0] * num_rows // _NUM_STEPS) > error / len(starts):
        starts = starts[1:]
    return starts


def precision_lower_bound(hits: int, total: int, level: float) -> float:
    """Exact one-sided lower bound of a binomial share at error `level`."""
    return float(beta.ppf(level, hits, total - hits + 1)) if hits else 0.0
