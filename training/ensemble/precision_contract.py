"""The precision contract: thresholds by which the answers handed out are right as often as promised.

A product is handed the deepest node whose probability reaches the threshold of its depth. So the thresholds are fitted
from the leaves up, each on the rows that the deeper ones left, and what stops at a depth keeps the promise by itself.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from model.prediction.answers import is_proven
from model.prediction.calibration import NEVER, Calibration
from model.taxonomy import Taxonomy

#: Coverages that are tried for a threshold, in parts of all rows.
_NUM_STEPS = 400
#: Part of the permitted error that the walk from the most promising coverage has; the rest has one from half of it.
_PROMISING_PART = 0.8


@dataclass(frozen=True, eq=False)
class DepthOutcomes:
    """The best node of each row at each depth.

    Args:
        confidences: (N, D) float32, its probability.
        is_right: (N, D) bool, True where it is the label's node.
        weights: (N,) float, what a row counts, 0 to 1: near-duplicates share one, for they say one thing only.
    """

    confidences: np.ndarray
    is_right: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls,
        probabilities: np.ndarray,
        labels: np.ndarray,
        taxonomy: Taxonomy,
        weights: np.ndarray | None = None,
        unproven: tuple[str, ...] = (),
    ) -> "DepthOutcomes":
        """The outcomes of (N, K) calibrated probabilities and their (N,) labels.

        Args:
            weights: None counts each row as 1.
            unproven: leaves that are not accepted, nor nodes above them; such a best node has the confidence -1.
        """
        confidences, is_right = [], []
        for depth, node_of_leaf in enumerate(taxonomy.leaf_to_node, start=1):
            level = taxonomy.node_probabilities(probabilities, depth)
            best = level.argmax(axis=1)
            confidences.append(np.where(is_proven(taxonomy, unproven, depth)[best], level.max(axis=1), np.float32(-1)))
            is_right.append(best == node_of_leaf[labels])
        weights = np.ones(len(labels)) if weights is None else weights
        return cls(np.stack(confidences, axis=1), np.stack(is_right, axis=1), weights)

    def take(self, rows: np.ndarray) -> "DepthOutcomes":
        """Some of the rows, by number or flag."""
        return DepthOutcomes(self.confidences[rows], self.is_right[rows], self.weights[rows])

    def accepted_depths(self, thresholds: np.ndarray) -> np.ndarray:
        """(N,) int32, the depth at which each row is handed out, 0 for none.

        Args:
            thresholds: (N, D) or (D,) float.
        """
        depths = np.arange(1, self.confidences.shape[1] + 1)
        return np.asarray(np.where(self.confidences >= thresholds, depths, 0).max(axis=1), np.int32)


def fit_thresholds(
    outcomes: DepthOutcomes, promise: Calibration, floors: np.ndarray | None = None
) -> tuple[float, ...]:
    """The threshold of each depth, by which what is handed out there keeps the promise on these rows.

    From the deepest up, each on the rows that are handed nothing deeper. That the deeper thresholds were found on the
    same rows errs on the safe side: what they left has more wrong leaves than new rows would have.

    Args:
        promise: its precision and confidence count.
        floors: (N, D) float32, least probability of each row for another reason, see `SubsetThresholds`.
    """
    num_rows, depth = outcomes.confidences.shape
    floors = np.zeros((num_rows, depth), np.float32) if floors is None else floors
    waiting, thresholds = np.ones(num_rows, bool), [NEVER] * depth
    for level in reversed(range(depth)):
        confidences = outcomes.confidences[:, level]
        rows = np.flatnonzero(waiting & (confidences >= floors[:, level]))
        thresholds[level] = precision_threshold(
            confidences[rows],
            outcomes.is_right[rows, level],
            promise.precision_target,
            promise.precision_confidence,
            outcomes.weights[rows],
        )
        waiting[rows] &= confidences[rows] < thresholds[level]
    return tuple(thresholds)


def cross_fitted_thresholds(
    outcomes: DepthOutcomes, promise: Calibration, folds: np.ndarray, floors: np.ndarray
) -> np.ndarray:
    """(N, D) float32, for each row the thresholds that the rows of the other folds give, and its floors.

    Args:
        folds: (N,) int; two different ones or more.
        floors: (N, D) float32, see `fit_thresholds`.
    """
    thresholds = np.array(floors, np.float32)
    for fold in np.unique(folds):
        others = folds != fold
        found = fit_thresholds(outcomes.take(others), promise, floors[others])
        thresholds[~others] = np.maximum(thresholds[~others], np.array(found, np.float32))
    return thresholds


def can_be_shown(num_rows: float, promise: Calibration) -> bool:
    """True if so many rows, all of them right, would show the promised precision with the promised confidence."""
    return num_rows >= rows_to_show(promise.precision_target, promise.precision_confidence)


def rows_to_show(target: float, confidence: float) -> int:
    """The least number of rows that show a precision with a confidence when all of them are right."""
    return int(np.ceil(np.log(1 - confidence) / np.log(target)))


def precision_threshold(
    confidences: np.ndarray,
    is_correct: np.ndarray,
    target: float,
    confidence: float,
    weights: np.ndarray | None = None,
) -> float:
    """The least threshold above which precision is at least `target` with the given confidence.

    Walks over coverages that are found without labels, upwards from two starts. A coverage qualifies if the exact
    binomial lower bound (Clopper and Pearson 1934) reaches the target with the error permitted there: what the step
    before was permitted, if it qualified, and at a start a part of the whole. So the parts add up as long as nothing
    fails, and where the first walk fails, the second begins anew (fallback procedure, Wiens 2003; "Learn then Test",
    Angelopoulos et al. 2021). The second start is where the confidences, were they true, would show the target most
    clearly; the first at half of that coverage.

    Args:
        confidences: (N,) float32 probability of each row's answer.
        is_correct: (N,) bool.
        weights: (N,) float, what a row counts, 0 to 1; None is 1 for all.
    Returns:
        the threshold; NEVER when no coverage qualifies.
    """
    order = np.argsort(-confidences, kind="stable")
    ranked, ranked_weights = confidences[order], np.ones(len(order)) if weights is None else weights[order]
    masses, hits = np.cumsum(ranked_weights), np.cumsum(ranked_weights * is_correct[order])
    starts = _starts(ranked, ranked_weights, target, 1 - confidence)
    best, level = 0, 0.0
    for step in range(min(starts, default=_NUM_STEPS + 1), _NUM_STEPS + 1):
        level += starts.get(step, 0.0)
        count = step * len(ranked) // _NUM_STEPS
        total = int(np.searchsorted(-ranked, -ranked[count - 1], side="right")) if count else 0  # ties go together
        if total and level and precision_lower_bound(hits[total - 1], masses[total - 1], level) >= target:
            best = total
        else:
            level = 0.0
    return float(ranked[best - 1]) if best else NEVER


def _starts(ranked: np.ndarray, weights: np.ndarray, target: float, error: float) -> dict[int, float]:
    """Steps at which a walk begins, each with its part of the permitted error.

    None where rows are too few to show the target even if all are right.

    Args:
        ranked, weights: (N,) confidences, falling, and what their rows count.
    """
    counts = np.arange(_NUM_STEPS + 1) * len(ranked) // _NUM_STEPS
    masses = np.concatenate([[0.0], np.cumsum(weights)])[counts]
    lost = np.concatenate([[0.0], np.cumsum((1 - ranked) * weights, dtype=np.float64)])[counts]
    is_enough = target**masses <= error
    if not is_enough.any():
        return {}
    # Expected errors below what the target permits, in standard deviations but for a factor.
    margins = ((1 - target) * masses - lost) / np.sqrt(np.maximum(masses, 1))
    promising = int(np.argmax(np.where(is_enough, margins, -np.inf)))
    rest = (1 - _PROMISING_PART) * error
    if target ** masses[promising // 2] > rest or target ** masses[promising] > error - rest:
        return {promising: error}
    return {promising // 2: rest, promising: error - rest}


def precision_lower_bound(hits: float, total: float, level: float) -> float:
    """Exact one-sided lower bound of a binomial share at error `level`; of weighted rows a cautious one."""
    return float(beta.ppf(level, hits, max(total - hits, 0.0) + 1)) if hits > 0 else 0.0
