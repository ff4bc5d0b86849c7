"""A noise model of labels: the probability that each one is wrong, from answers out of fold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from labeling.answers.top_answers import TopAnswers
from model.taxonomy import SEPARATOR, Taxonomy

#: Bounds of the logarithm of the exponent that sharpens the answers; they were calibrated on labels with noise.
_LOG_EXPONENTS = (-0.7, 1.6)
_EXPONENT_FACTORS = (0.8, 0.9, 1.0, 1.1, 1.25)
_NUM_STEPS = 60
_CHUNK_ROWS = 65_536
_TINY = 1e-12


@dataclass(frozen=True)
class NoiseModel:
    """The sources of a label: the answer, or noise.

    A share of the labels is drawn from the answer, as sharp as the labels say it is; of the others some are siblings
    of what the answer says, some are of any other category, as frequent as it is. Three shares and the exponent are
    fitted by maximum likelihood (expectation maximisation, Dempster et al. 1977). A wrong label that the words speak
    for as much as for the right one cannot be distinguished from a right one, and is counted as right.

    Args:
        exponent: of the answers' probabilities.
        shares: of labels from the answer, from siblings, from any other category; their sum is 1.
    """

    exponent: float
    shares: tuple[float, float, float]

    @classmethod
    def fit(cls, answers: TopAnswers, classes: np.ndarray, taxonomy: Taxonomy) -> NoiseModel:
        """Fit to N rows.

        Args:
            answers: out of fold.
            classes: (N,) int, given; rows without another of their class do not count.
        """
        judged = np.flatnonzero(~np.isnan(answers.given))
        sources, weights = _Sources(answers.take(judged), classes[judged], classes, taxonomy), np.ones(len(judged))

        def loss(log_exponent: float) -> float:
            return _mixed(sources.likelihoods(np.exp(log_exponent)), weights)[1]

        found = minimize_scalar(loss, bounds=_LOG_EXPONENTS, method="bounded", options={"xatol": 0.01})
        exponent = float(np.exp(found.x))
        shares, _ = _mixed(sources.likelihoods(exponent), weights)
        return cls(exponent, (float(shares[0]), float(shares[1]), float(shares[2])))

    def wrong(self, answers: TopAnswers, classes: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
        """(N,) float64, the probability that each label is wrong; 0 where it could not be judged."""
        found = np.zeros(len(answers))
        for start in range(0, len(found), _CHUNK_ROWS):
            rows = np.arange(start, min(start + _CHUNK_ROWS, len(found)))
            rows = rows[~np.isnan(answers.given[rows])]
            sources = _Sources(answers.take(rows), classes[rows], classes, taxonomy)
            found[rows] = _noise(sources.likelihoods(self.exponent), np.array(self.shares))
        return found

    def resampled(
        self, answers: TopAnswers, classes: np.ndarray, taxonomy: Taxonomy, weights: Iterable[np.ndarray]
    ) -> Iterator[np.ndarray]:
        """Fit again near this model, once for each set of weights.

        Args:
            answers, classes: of M rows that could all be judged.
            weights: (M,) float64 each, how often each row counts.
        Yields:
            (M,) float64, the probability that each label is wrong.
        """
        sources = _Sources(answers, classes, classes, taxonomy)
        choices = [sources.likelihoods(self.exponent * factor) for factor in _EXPONENT_FACTORS]
        for one in weights:
            fits = [(*_mixed(likelihoods, one), likelihoods) for likelihoods in choices]
            shares, _, likelihoods = min(fits, key=lambda fit: fit[1])
            yield _noise(likelihoods, shares)


def _noise(likelihoods: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(M,) the probability that each label does not come from the answer."""
    parts = likelihoods * shares
    return np.asarray(1 - parts[:, 0] / np.maximum(parts.sum(axis=1), _TINY))


def _mixed(likelihoods: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """The shares of the sources that make the labels most likely, and the mean loss, -log likelihood."""
    shares = np.array([0.9, 0.05, 0.05])
    total = max(float(weights.sum()), _TINY)
    for _ in range(_NUM_STEPS):
        parts = likelihoods * shares
        parts /= np.maximum(parts.sum(axis=1, keepdims=True), _TINY)
        shares = (weights @ parts) / total
    return shares, float(-(weights @ np.log(np.maximum(likelihoods @ shares, _TINY))) / total)


class _Sources:
    """The probability of each given label by where it may come from.

    Args:
        answers: to M rows.
        given: (M,) int, their classes.
        classes: (N,) int, of the whole catalog, for their frequencies.
    """

    def __init__(self, answers: TopAnswers, given: np.ndarray, classes: np.ndarray, taxonomy: Taxonomy):
        self._kept = answers.classes.astype(np.int64)
        self._probabilities = answers.probabilities.astype(np.float64)
        self._given_probability = np.maximum(answers.given.astype(np.float64), _TINY)
        self._rest = np.maximum(1 - self._probabilities.sum(axis=1), 0)
        self._num_rest = max(taxonomy.num_leaves - self._kept.shape[1], 1)
        names = [leaf.rpartition(SEPARATOR)[0] for leaf in taxonomy.leaves]
        parents = np.unique(names, return_inverse=True)[1]
        num_siblings = np.maximum(np.bincount(parents)[parents] - 1, 1)
        is_sibling = (parents[self._kept] == parents[given][:, None]) & (self._kept != given[:, None])
        self._by_sibling = is_sibling / num_siblings[self._kept]
        frequencies = np.bincount(classes, minlength=taxonomy.num_leaves) / len(classes)
        self._frequency = frequencies[given]
        self._is_other = self._kept != given[:, None]
        self._by_other = self._is_other / np.maximum(1 - frequencies[self._kept], _TINY)

    def likelihoods(self, exponent: float) -> np.ndarray:
        """(M, 3) from the answer, from siblings of it, from any other category than it."""
        kept = self._probabilities**exponent
        rest = self._num_rest * (self._rest / self._num_rest) ** exponent
        total = np.maximum(kept.sum(axis=1) + rest, _TINY)
        answer = np.minimum(self._given_probability**exponent / total, 1)
        siblings = (kept / total[:, None] * self._by_sibling).sum(axis=1)
        beyond = np.maximum(rest / total - np.where(self._is_other.all(axis=1), answer, 0), 0)
        others = self._frequency * ((kept / total[:, None] * self._by_other).sum(axis=1) + beyond)
        return np.stack([answer, siblings, others], axis=1)
