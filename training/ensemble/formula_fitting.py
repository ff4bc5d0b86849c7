"""Fits the joint formula on rows that neither network, SVM nor neighbours have seen."""

import itertools
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from model.prediction.formula import HeadLogits, JointFormula, LinearPenalty
from training.ensemble.calibration import fit_temperature

#: A factor is the inverse of a temperature; these are temperatures of 20 and 0.02.
_MIN_FACTOR, _MAX_FACTOR = 0.05, 50.0
#: Of cross-fitting.
NUM_FOLDS = 5
#: Of the squares of the factors, beside the rows' log-likelihoods.
_RIDGE = 0.01
#: Standard errors from which more right answers are more than chance.
_CLEAR_ERRORS = 1.0

_log = logging.getLogger("aisle.ensemble")


@dataclass(frozen=True)
class FitOptions:
    """Rows that a fit looks at, and penalties that it tries.

    Args:
        max_rows: by which weights are fitted; two numbers need no more.
        max_compared: logits of the rows by which caps and slopes are compared: they differ by a few answers only.
        cap_quantiles: caps are tried at these shares of the rows' best scores.
        slopes: what a score above the cap counts; 1 is no cap.
        weight_factors: the penalty's weight is tried at these multiples of the most likely one, too, and taken where
            that is clearly more often right.
    """

    max_rows: int = 3000
    max_compared: int = 5_000_000
    cap_quantiles: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0)
    slopes: tuple[float, ...] = (0.0, 0.2)
    weight_factors: tuple[float, ...] = (2.0, 4.0)


_OPTIONS = FitOptions()


def fit_formula(heads: HeadLogits, labels: np.ndarray, seed: int = 0, options: FitOptions = _OPTIONS) -> JointFormula:
    """The formula of the least negative log-likelihood among those whose answers are as right as any.

    Without a cap, scores of a support vector machine, which far from the margin mean little, would make a softmax too
    sure of easy rows and too unsure of others; with a low one fewer answers may be right. Where labels are wrong, the
    likelihood trusts a network that has learned to expect wrong ones more than is right, so that more weight of the
    penalty is tried, too. As right as any is a formula that the best one does not clearly surpass, row by row.

    Args:
        labels: (N,) int32.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    num_compared = max(options.max_rows, options.max_compared // heads.network.shape[1])
    few, many = order[: options.max_rows], order[:num_compared]
    if heads.linear is None:
        (factor,) = fit_factors([heads.network[few]], labels[few])
        found = JointFormula(temperature=1 / factor)
    else:
        found = _with_penalty(heads, labels, few, many, options)
    return found if heads.neighbors is None else _with_neighbors(found, heads.take(many), labels[many])


def fit_calibrated_formula(
    heads: HeadLogits, labels: np.ndarray, seed: int = 0, options: FitOptions = _OPTIONS
) -> JointFormula:
    """`fit_formula` with its temperature fitted on all rows, where its weights need a few thousand only."""
    formula = fit_formula(heads, labels, seed, options)
    formula = formula.recalibrated(1 / formula.temperature)
    return formula.recalibrated(fit_temperature(formula.logits(heads), labels))


def neighbors_help(heads: HeadLogits, formula: JointFormula, labels: np.ndarray) -> bool:
    """True if the neighbours bring more right answers than wrong ones, by more than chance makes of it."""
    without = formula.logits(replace(heads, neighbors=None)).argmax(axis=1) == labels
    with_them = formula.logits(heads).argmax(axis=1) == labels
    gained, lost = int((with_them & ~without).sum()), int((without & ~with_them).sum())
    _log.info("neighbours: %d more answers right, %d fewer, of %d", gained, lost, len(labels))
    return _clearly_better(with_them, without)


def cross_fitted_logits(
    heads: HeadLogits,
    labels: np.ndarray,
    folds: np.ndarray,
    relative_temperatures: np.ndarray,
    seed: int = 0,
    options: FitOptions = _OPTIONS,
) -> np.ndarray:
    """(N, K) float32 calibrated logits; each fold of the rows has the formula fitted on the others.

    Args:
        labels: (N,) int32; 2 or more.
        folds: (N,) int, see `group_folds`.
        relative_temperatures: (N, 1) float32, factors of the temperature that is fitted.
    """
    fitted = np.empty_like(heads.network, dtype=np.float32)
    for fold in np.unique(folds):
        mine, others = folds == fold, folds != fold
        formula = fit_calibrated_formula(heads.take(others), labels[others], seed, options)
        temperatures = np.float32(formula.temperature) * relative_temperatures[mine]
        fitted[mine] = formula.logits(heads.take(mine), temperatures)
    return fitted


def group_folds(groups: np.ndarray, seed: int) -> np.ndarray:
    """(N,) int, the fold of each row for cross-fitting; near-duplicates share one where groups are enough.

    Args:
        groups: (N,) int, group of near-duplicates.
    """
    _, group_of_row = np.unique(groups, return_inverse=True)
    num_groups = int(group_of_row.max(initial=-1)) + 1
    if num_groups < NUM_FOLDS:
        group_of_row, num_groups = np.arange(len(groups)), len(groups)
    return np.asarray(np.random.default_rng(seed).permutation(num_groups)[group_of_row] % NUM_FOLDS)


def _with_penalty(
    heads: HeadLogits, labels: np.ndarray, few: np.ndarray, many: np.ndarray, options: FitOptions
) -> JointFormula:
    """Args: few, many: rows to fit by, and to compare by."""
    assert heads.linear is not None
    fitted, compared = (heads.take(few), labels[few]), (heads.take(many), labels[many])
    caps = np.unique(np.quantile(heads.linear[few].max(axis=1), options.cap_quantiles)).tolist()
    tried = []
    for cap, slope in itertools.product(caps, options.slopes):
        found = _fit_penalty(LinearPenalty(1.0, cap, slope), *fitted)
        for formula in (found, *(_with_more_weight(found, factor, *fitted) for factor in options.weight_factors)):
            is_right = formula.logits(compared[0]).argmax(axis=1) == compared[1]
            tried.append((formula, formula is found, is_right))
    usual = [one for one in tried if one[1]]
    best, best_usual = (max((is_right for *_, is_right in some), key=np.count_nonzero) for some in (tried, usual))
    if not _clearly_better(best, best_usual):
        tried, best = usual, best_usual
    as_right = [formula for formula, _, is_right in tried if not _clearly_better(best, is_right)]
    return min(as_right, key=lambda formula: _loss(formula, *compared))


def _clearly_better(is_right: np.ndarray, other: np.ndarray) -> bool:
    """True if of the rows that only one of two answers right it has more than chance makes of equals (McNemar 1947)."""
    gained, lost = int((is_right & ~other).sum()), int((other & ~is_right).sum())
    return gained - lost > _CLEAR_ERRORS * math.sqrt(gained + lost)


def _fit_penalty(penalty: LinearPenalty, heads: HeadLogits, labels: np.ndarray) -> JointFormula:
    """The formula of a cap and a slope whose weights make the labels most likely."""
    assert heads.linear is not None
    factor, of_penalty = fit_factors([heads.network, penalty.of(heads.linear)], labels)
    return JointFormula(replace(penalty, weight=of_penalty / factor), temperature=1 / factor)


def _with_more_weight(formula: JointFormula, factor: float, heads: HeadLogits, labels: np.ndarray) -> JointFormula:
    """The formula with a multiple of the penalty's weight, and the temperature that fits that."""
    assert formula.penalty is not None
    heavier = replace(formula, penalty=replace(formula.penalty, weight=factor * formula.penalty.weight))
    (scale,) = fit_factors([heavier.evidence(heads)], labels)
    return replace(heavier, temperature=1 / scale)


def _loss(formula: JointFormula, heads: HeadLogits, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of the labels, without neighbours."""
    logits = formula.logits(replace(heads, neighbors=None))
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(labels)), labels]
    return float((np.log(np.exp(logits).sum(axis=1)) - own).mean())


def _with_neighbors(found: JointFormula, heads: HeadLogits, labels: np.ndarray) -> JointFormula:
    """Network and penalty keep their weights relative to each other."""
    assert heads.neighbors is not None
    factor, weight = fit_factors([found.logits(replace(heads, neighbors=None)), heads.neighbors], labels)
    return replace(found, temperature=found.temperature / factor, neighbor_weight=weight)


def fit_factors(addends: Sequence[np.ndarray], labels: np.ndarray, most: float = _MAX_FACTOR) -> list[float]:
    """Factors of a sum of (N, K) logits, 0 or more, the first at least _MIN_FACTOR: a convex problem.

    A weak ridge, which a few thousand rows outvote, holds them back where errors are few.

    Args:
        most: that a factor after the first may be.
    """
    rows = np.arange(len(labels))

    def loss(factors: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.zeros(addends[0].shape, np.float32)
        for values, factor in zip(addends, factors, strict=True):
            total += np.float32(factor) * values
        total -= total.max(axis=1, keepdims=True)
        own = total[rows, labels]
        np.exp(total, out=total)
        sums = total.sum(axis=1)
        total /= sums[:, None]  # now probabilities
        slopes = [float(np.vdot(total, values) - values[rows, labels].sum()) for values in addends]
        ridge = _RIDGE / len(labels)
        value = float((np.log(sums) - own).mean() + ridge * (factors @ factors) / 2)
        return value, np.array(slopes) / len(labels) + ridge * factors

    bounds = [(_MIN_FACTOR, _MAX_FACTOR), *((0.0, most) for _ in addends[1:])]
    found = minimize(loss, np.ones(len(addends)), jac=True, method="L-BFGS-B", bounds=bounds)
    return [float(factor) for factor in found.x]
