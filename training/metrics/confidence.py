"""Metrics of confidence: calibration error, risk and coverage (selective classification), and the contract."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from model.prediction.answers import Answers
from model.taxonomy import Taxonomy
from training.metrics.outcomes import Outcomes

NUM_BINS = 15
#: Precisions at which the coverage is reported.
PRECISIONS = (0.95, 0.98, 0.99)


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """Rows grouped by confidence into bins of equal mass, lowest confidence first.

    Args:
        counts: (B,) int64 rows per bin; they differ by at most one.
        confidences: (B,) float64 mean confidence, 0 to 1.
        accuracies: (B,) float64 share of right answers, 0 to 1.
    """

    counts: np.ndarray
    confidences: np.ndarray
    accuracies: np.ndarray


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Precision and coverage of accepting answers above a threshold; an entry per distinct confidence, highest first.

    Args:
        thresholds: (M,) float32, lowest accepted confidence.
        coverages: (M,) float64 in (0, 1], share of accepted rows; strictly ascending.
        precisions: (M,) float64, share of right answers among them; the risk is 1 minus it.
    """

    thresholds: np.ndarray
    coverages: np.ndarray
    precisions: np.ndarray


def reliability_bins(outcomes: Outcomes, num_bins: int = NUM_BINS) -> ReliabilityBins:
    """Compare confidence with accuracy in bins of equal mass; with fewer rows than bins, each row is a bin.

    Rows of equal confidence share their mean accuracy, so the order of rows does not matter.

    Source: adaptive calibration error in Nixon et al. 2019, "Measuring Calibration in Deep Learning".
    """
    return reliability_bins_of(outcomes.confidences, outcomes.is_correct, num_bins)


def reliability_bins_of(confidences: np.ndarray, is_correct: np.ndarray, num_bins: int = NUM_BINS) -> ReliabilityBins:
    """Compute `reliability_bins` from arrays.

    Args:
        confidences: (N,) float32 in [0, 1].
        is_correct: (N,) bool.
    """
    count = len(confidences)
    if count == 0:
        return ReliabilityBins(np.empty(0, np.int64), np.empty(0), np.empty(0))
    values, position, tied = np.unique(confidences, return_inverse=True, return_counts=True)
    accuracy_of_value = np.bincount(position, weights=is_correct) / tied
    order = np.sort(position)
    edges = np.linspace(0, count, min(num_bins, count) + 1).astype(np.int64)
    counts = np.diff(edges)
    mean_confidences = np.add.reduceat(values.astype(np.float64)[order], edges[:-1]) / counts
    accuracies = np.add.reduceat(accuracy_of_value[order], edges[:-1]) / counts
    return ReliabilityBins(counts, mean_confidences, accuracies)


def expected_calibration_error(outcomes: Outcomes, num_bins: int = NUM_BINS) -> float | None:
    """Compute the mean distance of confidence and accuracy over bins of equal mass, 0 to 1; None without rows.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", with the bins of Nixon et al. 2019.
    """
    return calibration_error(reliability_bins(outcomes, num_bins))


def calibration_error(bins: ReliabilityBins) -> float | None:
    """Compute the `expected_calibration_error` of binned rows."""
    if not len(bins.counts):
        return None
    return float(np.average(np.abs(bins.accuracies - bins.confidences), weights=bins.counts))


def risk_coverage(outcomes: Outcomes) -> RiskCoverage:
    """Compute precision and coverage at every threshold; rows of equal confidence are accepted together.

    Source: Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks".
    """
    return risk_coverage_of(outcomes.confidences, outcomes.is_correct)


def risk_coverage_of(confidences: np.ndarray, is_correct: np.ndarray) -> RiskCoverage:
    """Compute `risk_coverage` from any measure of confidence, not only a probability.

    Args:
        confidences: (N,) float32, higher is surer.
        is_correct: (N,) bool.
    """
    order = np.argsort(-confidences, kind="stable")
    ranked = confidences[order]
    num_right = np.cumsum(is_correct[order])
    is_last_of_tie = np.append(ranked[1:] != ranked[:-1], True)[: len(order)]
    last = np.flatnonzero(is_last_of_tie)
    accepted = last + 1
    return RiskCoverage(ranked[last], accepted / max(1, len(order)), num_right[last] / accepted)


def coverage_at_precision(curve: RiskCoverage, precision: float) -> float | None:
    """Compute the largest share of rows that one threshold can accept at this precision or better.

    The threshold is chosen on the same rows, with hindsight: a metric to compare models with, not a guarantee.

    Args:
        precision: 0 to 1.
    Returns:
        0 to 1; 0 when no threshold is precise enough, None without rows.
    """
    if not len(curve.coverages):
        return None
    return float(np.max(curve.coverages, where=curve.precisions >= precision, initial=0.0))


def coverages_at_precisions(curve: RiskCoverage) -> dict[str, float | None]:
    """Compute `coverage_at_precision` at each of PRECISIONS: "0.98" to a share."""
    return {str(precision): coverage_at_precision(curve, precision) for precision in PRECISIONS}


def contract_metrics(labels: np.ndarray, answers: Answers, taxonomy: Taxonomy) -> dict[str, Any]:
    """Compute the share and precision of the answers that the precision contract accepted.

    An answer is right when the accepted node is the label or an ancestor of it. A share over no rows is None.

    Args:
        labels: (N,) integer classes.
        answers: answers to the same N rows.
    Returns:
        count; accepted_share and accepted_precision over all depths; leaf_accepted_share and
        leaf_accepted_precision; needs_review_share (no leaf accepted); depths, a list with
        depth, accepted_share and accepted_precision of the rows whose deepest accepted node is at that depth.
    """
    count = len(labels)
    if count != len(answers):
        raise ValueError(f"expected an answer for each of {count} labels, found {len(answers)}")
    is_accepted = answers.accepted_depths > 0
    is_leaf, is_right = accepted_flags(labels, answers, taxonomy)
    depths = []
    for depth in range(1, taxonomy.depth + 1):
        rows = answers.accepted_depths == depth
        shares = {
            "accepted_share": ratio(rows.sum(), count),
            "accepted_precision": ratio(is_right[rows].sum(), rows.sum()),
        }
        depths.append({"depth": depth, **shares})
    return {
        "count": count,
        "accepted_share": ratio(is_accepted.sum(), count),
        "accepted_precision": ratio(is_right.sum(), is_accepted.sum()),
        "leaf_accepted_share": ratio(is_leaf.sum(), count),
        "leaf_accepted_precision": ratio((is_right & is_leaf).sum(), is_leaf.sum()),
        "needs_review_share": ratio(count - is_leaf.sum(), count),
        "depths": depths,
    }


def accepted_flags(labels: np.ndarray, answers: Answers, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """Return flags of the rows accepted at a leaf, and of those whose accepted node is the label or an ancestor of it.

    Args:
        labels: (N,) integer classes.
        answers: answers to the same N rows.
    Returns:
        (N,) bool each; False when nothing is accepted.
    """
    is_leaf = np.zeros(len(labels), bool)
    is_right = np.zeros(len(labels), bool)
    for depth in range(1, taxonomy.depth + 1):
        rows = np.flatnonzero(answers.accepted_depths == depth)
        nodes = answers.accepted_nodes[rows]
        is_right[rows] = taxonomy.leaf_to_node[depth - 1][labels[rows]] == nodes
        is_leaf[rows] = _leaf_flags(taxonomy)[depth - 1][nodes]
    return is_leaf, is_right


def leaf_accepted_flags(labels: np.ndarray, answers: Answers, taxonomy: Taxonomy) -> tuple[np.ndarray, np.ndarray]:
    """Return flags of the rows accepted at a leaf, and of those among them that are right.

    Args:
        labels: (N,) integer classes.
        answers: answers to the same N rows.
    Returns:
        (N,) bool each.
    """
    is_leaf, is_right = accepted_flags(labels, answers, taxonomy)
    return is_leaf, is_leaf & is_right


def ratio(part: int | np.integer, whole: int | np.integer) -> float | None:
    """Return a share, 0 to 1; None when the whole is 0."""
    return float(part / whole) if whole else None


@lru_cache(maxsize=2)  # the field grid needs the same one for every batch
def _leaf_flags(taxonomy: Taxonomy) -> list[np.ndarray]:
    """Return for each level (nodes,) bool, True for leaves."""
    return [np.array([taxonomy.class_of(node) is not None for node in level]) for level in taxonomy.levels]
