"""Metrics of confidence: calibration error, risk and coverage (selective classification)."""

from dataclasses import dataclass

import numpy as np

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


def ratio(part: int | np.integer, whole: int | np.integer) -> float | None:
    """Return a share, 0 to 1; None when the whole is 0."""
    return float(part / whole) if whole else None
