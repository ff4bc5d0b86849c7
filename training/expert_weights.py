"""How much the network and the linear head have to say: fitted on validation rows, which neither has seen."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from model.linear_head import LinearVote

#: A weight is the inverse of a temperature; these are temperatures of 20 and 0.02.
_LEAST, _MOST = 0.05, 50.0
#: Caps are tried at these shares of the rows' best scores.
_CAP_QUANTILES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0)
_SLOPES = (0.0, 0.2)
#: Rows that a fit of two numbers needs at most.
_MAX_ROWS = 3000
#: Numbers of the rows, so many or fewer, by which caps and slopes are compared: they differ by a few answers only.
_MAX_COMPARED = 5_000_000
_NUM_FOLDS = 5


@dataclass(frozen=True)
class ExpertWeights:
    """What turns the experts' logits into log-probabilities.

    Args:
        network: factor of the network's logits plus the vote, the inverse of a temperature.
        vote: of the linear head, relative to the network's logits; None without one.
        loss: mean negative log-likelihood of the labels.
    """

    network: float
    vote: LinearVote | None
    loss: float

    def join(self, network: np.ndarray, linear: np.ndarray | None) -> np.ndarray:
        """(N, K) float32 calibrated logits."""
        total = network if self.vote is None or linear is None else network + self.vote.of(linear)
        return np.asarray(np.float32(self.network) * total)


def fit_expert_weights(
    network: np.ndarray, linear: np.ndarray | None, labels: np.ndarray, seed: int = 0
) -> ExpertWeights:
    """The weights, cap and slope of the least negative log-likelihood among those whose answers are as right as any.

    Without a cap, scores of a support vector machine, which far from the margin mean little, would make a softmax too
    sure of easy rows and too unsure of others; with a low one fewer answers may be right. As right as any is who has at
    most half a standard error less accuracy than the best.

    Args:
        network: (N, K) float32 logits.
        linear: (N, K) float32 scores of the linear head, or None.
        labels: (N,) int32.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    few, many = order[:_MAX_ROWS], order[: max(_MAX_ROWS, _MAX_COMPARED // network.shape[1])]
    if linear is None:
        (weight,), loss = _fit([network[few]], labels[few])
        return ExpertWeights(weight, None, loss)
    fitted, compared = (network[few], linear[few], labels[few]), (network[many], linear[many], labels[many])
    caps = np.unique(np.quantile(fitted[1].max(axis=1), _CAP_QUANTILES)).tolist()
    tried = [_try(LinearVote(1.0, cap, slope), fitted, compared) for cap, slope in itertools.product(caps, _SLOPES)]
    best = max(accuracy for accuracy, _ in tried)
    least = best - 0.5 * math.sqrt(best * (1 - best) / len(many))
    return min((found for accuracy, found in tried if accuracy >= least), key=lambda found: found.loss)


def _try(
    vote: LinearVote,
    fitted: tuple[np.ndarray, np.ndarray, np.ndarray],
    compared: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[float, ExpertWeights]:
    """Weights for one cap and slope from some rows, and the accuracy they have, and their loss, on more."""
    network, linear, labels = fitted
    (weight, of_linear), _ = _fit([network, vote.of(linear)], labels)
    network, linear, labels = compared
    found = ExpertWeights(weight, LinearVote(of_linear / weight, vote.cap, vote.slope), 0.0)
    logits = found.join(network, linear)
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(labels)), labels]
    loss = float((np.log(np.exp(logits).sum(axis=1)) - own).mean())
    return accuracy, replace(found, loss=loss)


def cross_fitted_logits(network: np.ndarray, linear: np.ndarray | None, labels: np.ndarray, seed: int) -> np.ndarray:
    """(N, K) float32 calibrated logits; each fifth of the rows has the weights of the other four.

    Args:
        network, linear, labels: as of `fit_expert_weights`; 2 rows or more.
    """
    folds = np.random.default_rng(seed).permutation(len(labels)) % _NUM_FOLDS
    fitted = np.empty_like(network, dtype=np.float32)
    for fold in np.unique(folds):
        mine, others = folds == fold, folds != fold
        some, rest = (None, None) if linear is None else (linear[mine], linear[others])
        fitted[mine] = fit_expert_weights(network[others], rest, labels[others], seed).join(network[mine], some)
    return fitted


def _fit(experts: Sequence[np.ndarray], labels: np.ndarray) -> tuple[list[float], float]:
    """Weights of a sum of (N, K) logits, 0 or more, the first at least _LEAST, and their loss: a convex problem."""
    rows = np.arange(len(labels))

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
        return float((np.log(sums) - own).mean()), np.array(slopes) / len(labels)

    bounds = [(_LEAST, _MOST), *((0.0, _MOST) for _ in experts[1:])]
    found = minimize(loss, np.ones(len(experts)), jac=True, method="L-BFGS-B", bounds=bounds)
    return [float(weight) for weight in found.x], float(found.fun)
