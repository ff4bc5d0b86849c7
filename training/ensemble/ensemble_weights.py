"""How much network, linear head and neighbours have to say: fitted on validation rows, which none has seen."""

import itertools
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from model.network.linear_head import LinearVote

#: A weight is the inverse of a temperature; these are temperatures of 20 and 0.02.
_LEAST, _MOST = 0.05, 50.0
#: What network and linear head usually count: it decides where rows, a few hundred, leave their weights open.
_USUAL_WEIGHTS = (0.5, 5.0)
#: Caps are tried at these shares of the rows' best scores.
_CAP_QUANTILES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0)
_SLOPES = (0.0, 0.2)
#: Rows that a fit of two numbers needs at most.
_MAX_ROWS = 3000
#: Numbers of the rows, so many or fewer, by which caps and slopes are compared: they differ by a few answers only.
_MAX_COMPARED = 5_000_000
_NUM_FOLDS = 5

_log = logging.getLogger("aisle.neighbors")


@dataclass(frozen=True)
class ExpertWeights:
    """What turns the experts' logits into log-probabilities.

    Args:
        network: factor of all that follows, the inverse of a temperature.
        vote: of the linear head, relative to the network's logits; None without one.
        loss: mean negative log-likelihood of the labels.
        neighbors: what the neighbours' votes count, relative to the network's logits.
    """

    network: float
    vote: LinearVote | None
    loss: float
    neighbors: float = 0.0

    def logits(self, experts: "Experts", sharpness: float | np.ndarray = 1.0) -> np.ndarray:
        """(N, K) float32, uncalibrated.

        Args:
            sharpness: what network and linear head count before neighbours vote, or (N, 1) float32 of each row.
        """
        total = experts.network
        if self.vote is not None and experts.linear is not None:
            total = total + self.vote.of(experts.linear)
        total = total * np.float32(sharpness)
        if self.neighbors and experts.neighbors is not None:
            total = total + np.float32(self.neighbors) * experts.neighbors
        return total

    def calibrated(self, experts: "Experts") -> np.ndarray:
        """(N, K) float32 logits whose softmax is the probability."""
        return np.asarray(np.float32(self.network) * self.logits(experts))


@dataclass(frozen=True, eq=False)
class Experts:
    """What each says of the same N rows, (N, K) float32.

    Args:
        network: logits.
        linear: scores of the linear head, or None.
        neighbors: votes of the neighbours, or None.
    """

    network: np.ndarray
    linear: np.ndarray | None = None
    neighbors: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Experts":
        """Some of the rows, by number or flag."""
        linear, neighbors = (None if said is None else said[rows] for said in (self.linear, self.neighbors))
        return Experts(self.network[rows], linear, neighbors)


def fit_expert_weights(experts: Experts, labels: np.ndarray, seed: int = 0) -> ExpertWeights:
    """The weights, cap and slope of the least negative log-likelihood among those whose answers are as right as any.

    Without a cap, scores of a support vector machine, which far from the margin mean little, would make a softmax too
    sure of easy rows and too unsure of others; with a low one fewer answers may be right. As right as any is who has at
    most half a standard error less accuracy than the best.

    Args:
        labels: (N,) int32.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    few, many = order[:_MAX_ROWS], order[: max(_MAX_ROWS, _MAX_COMPARED // experts.network.shape[1])]
    if experts.linear is None:
        (weight,), loss = _fit([experts.network[few]], labels[few])
        found = ExpertWeights(weight, None, loss)
    else:
        found = _with_linear(experts, labels, few, many)
    return found if experts.neighbors is None else _with_neighbors(found, experts.take(many), labels[many])


def answers_more(experts: Experts, weights: ExpertWeights, labels: np.ndarray) -> bool:
    """Whether the neighbours bring clearly more right answers than wrong ones: by more than chance makes of it."""
    without = weights.logits(replace(experts, neighbors=None)).argmax(axis=1) == labels
    with_them = weights.logits(experts).argmax(axis=1) == labels
    gained, lost = int((with_them & ~without).sum()), int((without & ~with_them).sum())
    _log.info("neighbours: %d more answers right, %d fewer, of %d", gained, lost, len(labels))
    return gained - lost > math.sqrt(gained + lost)


def _with_linear(experts: Experts, labels: np.ndarray, few: np.ndarray, many: np.ndarray) -> ExpertWeights:
    """Args: few, many: rows to fit by, and to compare by."""
    assert experts.linear is not None
    fitted, compared = (experts.take(few), labels[few]), (experts.take(many), labels[many])
    caps = np.unique(np.quantile(experts.linear[few].max(axis=1), _CAP_QUANTILES)).tolist()
    tried = [_try(LinearVote(1.0, cap, slope), fitted, compared) for cap, slope in itertools.product(caps, _SLOPES)]
    best = max(accuracy for accuracy, _ in tried)
    least = best - 0.5 * math.sqrt(best * (1 - best) / len(many))
    return min((found for accuracy, found in tried if accuracy >= least), key=lambda found: found.loss)


def _with_neighbors(found: ExpertWeights, experts: Experts, labels: np.ndarray) -> ExpertWeights:
    """The other experts keep their weights relative to each other."""
    assert experts.neighbors is not None
    (scale, weight), loss = _fit([found.calibrated(replace(experts, neighbors=None)), experts.neighbors], labels)
    network = scale * found.network
    return replace(found, network=network, neighbors=weight / network, loss=loss)


def _try(
    vote: LinearVote, fitted: tuple[Experts, np.ndarray], compared: tuple[Experts, np.ndarray]
) -> tuple[float, ExpertWeights]:
    """Weights for one cap and slope from some rows, and the accuracy they have, and their loss, on more."""
    experts, labels = fitted
    assert experts.linear is not None
    (weight, of_linear), _ = _fit([experts.network, vote.of(experts.linear)], labels, _USUAL_WEIGHTS)
    experts, labels = compared
    found = ExpertWeights(weight, LinearVote(of_linear / weight, vote.cap, vote.slope), 0.0)
    logits = found.calibrated(replace(experts, neighbors=None))
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(labels)), labels]
    loss = float((np.log(np.exp(logits).sum(axis=1)) - own).mean())
    return accuracy, replace(found, loss=loss)


def cross_fitted_logits(experts: Experts, labels: np.ndarray, seed: int) -> np.ndarray:
    """(N, K) float32 calibrated logits; each fifth of the rows has the weights of the other four.

    Args:
        labels: (N,) int32; 2 or more.
    """
    folds = np.random.default_rng(seed).permutation(len(labels)) % _NUM_FOLDS
    fitted = np.empty_like(experts.network, dtype=np.float32)
    for fold in np.unique(folds):
        mine, others = folds == fold, folds != fold
        weights = fit_expert_weights(experts.take(others), labels[others], seed)
        fitted[mine] = weights.calibrated(experts.take(mine))
    return fitted


def _fit(experts: Sequence[np.ndarray], labels: np.ndarray, usual: Sequence[float] = ()) -> tuple[list[float], float]:
    """Weights of a sum of (N, K) logits, 0 or more, the first at least _LEAST, and their loss: a convex problem.

    Args:
        usual: weights expected beforehand, above 0, each with a standard deviation of its own size; empty: none.
    """
    rows = np.arange(len(labels))
    expected = np.array(usual or np.zeros(len(experts)))
    deviations = expected if usual else np.inf

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.zeros(experts[0].shape, np.float32)
        for values, weight in zip(experts, weights, strict=True):
            total += np.float32(weight) * values
        total -= total.max(axis=1, keepdims=True)
        own = total[rows, labels]
        np.exp(total, out=total)
        sums = total.sum(axis=1)
        total /= sums[:, None]  # now probabilities
        slopes = [float(np.vdot(total, values) - values[rows, labels].sum()) for values in experts]
        away = (weights - expected) / deviations
        value = float((np.log(sums) - own).sum() + away @ away / 2)
        return value / len(labels), (np.array(slopes) + away / deviations) / len(labels)

    bounds = [(_LEAST, _MOST), *((0.0, _MOST) for _ in experts[1:])]
    found = minimize(loss, np.ones(len(experts)), jac=True, method="L-BFGS-B", bounds=bounds)
    return [float(weight) for weight in found.x], float(found.fun)
