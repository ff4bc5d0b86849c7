"""Chooses the cost C of the linear SVMs on training rows held back, by the labels as they are given."""

import logging
import math
from collections.abc import Callable

import numpy as np
from scipy import sparse

from training.ensemble.linear_rows import LinearRows

#: The cost unless another is clearly better; the best one where labels are right.
USUAL_COST = 1.0
#: With these a wrong label bends the weights less; the better ones where many are wrong.
_LOWER_COSTS = (0.3, 0.1)
_LEAST_ROWS = 400
#: Rows times categories of the sample, and categories: about 10 s on one core for all costs.
_MAX_ROW_CATEGORIES, _MAX_CATEGORIES = 1_200_000, 128
_HELD_BACK_SHARE = 0.25

_log = logging.getLogger("aisle.linear")

#: Fits SVMs to rows at a cost: the labels that occur (C,), their weights (C, U) and biases (C,).
Fit = Callable[[LinearRows, float], tuple[np.ndarray, np.ndarray, np.ndarray]]


def choose_cost(rows: LinearRows, seed: int, fit: Fit) -> float:
    """The cost that answers most held-back rows as they are labelled; the usual one unless a lower is clearly better.

    Wrong labels of held-back rows make all costs look equally worse, so that the choice holds for the right ones, too.
    The rows are training rows: those that calibrate stay unseen.

    Args:
        rows: distinct ones; pretrained words, which cost time, are left out of the comparison.
    """
    sample = _sampled(rows.labels, seed)
    if len(sample) < _LEAST_ROWS:
        return USUAL_COST
    held_back, fitted = np.split(sample, [int(len(sample) * _HELD_BACK_SHARE)])
    used = np.flatnonzero(rows.ngrams[fitted].getnnz(axis=0))
    learned, asked = (_some(rows, chosen, used) for chosen in (fitted, held_back))
    if len(np.unique(learned.labels)) < 2:
        return USUAL_COST
    usual, *lower = (_is_right(asked, fit(learned, cost)) for cost in (USUAL_COST, *_LOWER_COSTS))
    gains = [_clear_gain(is_right, usual) for is_right in lower]
    if max(gains) <= 0:
        return USUAL_COST
    cost = _LOWER_COSTS[int(np.argmax(gains))]
    _log.info(
        "linear head: cost %.1f, which answers %d more of %d held-back rows as they are labelled than %.1f; labels are"
        " wrong or names say little",
        *(cost, max(gains), len(held_back), USUAL_COST),
    )
    return cost


def _sampled(labels: np.ndarray, seed: int) -> np.ndarray:
    """Rows of a run of neighbouring categories, among which there are siblings, and as many as are fitted quickly."""
    found = np.unique(labels)
    draw = np.random.default_rng(seed)
    if len(found) > _MAX_CATEGORIES:
        found = np.roll(found, -int(draw.integers(len(found))))[:_MAX_CATEGORIES]
    rows = np.flatnonzero(np.isin(labels, found))
    return draw.permutation(rows)[: _MAX_ROW_CATEGORIES // max(len(found), 1)]


def _some(rows: LinearRows, chosen: np.ndarray, used: np.ndarray) -> LinearRows:
    """Some rows with some of their n-grams, without pretrained words."""
    no_words = sparse.csr_matrix((len(chosen), 0), dtype=np.float32)
    return LinearRows(rows.ngrams[chosen][:, used], no_words, rows.labels[chosen], rows.counts[chosen])


def _is_right(asked: LinearRows, svms: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """(A,) bool, whether the best score is the label's."""
    labels, weights, biases = svms
    scores = asked.ngrams @ weights.T + biases
    return np.asarray(labels[scores.argmax(axis=1)] == asked.labels)


def _clear_gain(is_right: np.ndarray, usual: np.ndarray) -> int:
    """Rows that are answered right in addition; 0 where chance may have made them."""
    gained, lost = int((is_right & ~usual).sum()), int((usual & ~is_right).sum())
    return gained - lost if gained - lost > math.sqrt(gained + lost) else 0
