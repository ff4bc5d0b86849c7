"""Entropy of the model's answers and of the labels in each category, in bits."""

from dataclasses import dataclass

import numpy as np

from labeling.answers.top_answers import TopAnswers


@dataclass(frozen=True, eq=False)
class CategoryEntropy:
    """Means over the rows of each of K classes; NaN where there is no row to tell by.

    Args:
        predictions: (K,) entropy of the answers, 1 bit is as between two equally probable classes.
        labels: (K,) entropy of the labels in a row's group of near-duplicates, over rows that have near-duplicates.
        num_judged: (K,) rows with an answer.
        num_in_groups: (K,) rows that have near-duplicates.
    """

    predictions: np.ndarray
    labels: np.ndarray
    num_judged: np.ndarray
    num_in_groups: np.ndarray


def category_entropy(answers: TopAnswers, classes: np.ndarray, groups: np.ndarray, num_classes: int) -> CategoryEntropy:
    """Average entropies by the class that was given.

    Args:
        classes: (N,) int, given.
        groups: (N,) int, of near-duplicates.
    """
    is_judged = ~np.isnan(answers.given)
    of_labels, has_duplicates = _label_entropy(groups, classes)
    predictions, num_judged = _means(answer_entropy(answers)[is_judged], classes[is_judged], num_classes)
    labels, num_in_groups = _means(of_labels[has_duplicates], classes[has_duplicates], num_classes)
    return CategoryEntropy(predictions, labels, num_judged, num_in_groups)


def answer_entropy(answers: TopAnswers) -> np.ndarray:
    """(N,) float32 bits; what is not among the kept classes counts as one more class, so that it is a lower bound."""
    kept = answers.probabilities.astype(np.float32)
    rest = np.maximum(1 - kept.sum(axis=1, keepdims=True), 0)
    return _bits(np.hstack([kept, rest])).sum(axis=1)


def _label_entropy(groups: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) bits of the labels in each row's group, and (N,) bool, whether the group has other rows."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    span = int(classes.max(initial=0)) + 1
    kinds, counts = np.unique(group.astype(np.int64) * span + classes, return_counts=True)
    of_kind = kinds // span
    entropy = np.bincount(of_kind, _bits(counts / sizes[of_kind]), len(sizes))
    return entropy[group], sizes[group] > 1


def _bits(shares: np.ndarray) -> np.ndarray:
    """-p log2 p, elementwise."""
    return -shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0)


def _means(values: np.ndarray, classes: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(classes, minlength=num_classes)
    sums = np.bincount(classes, values, num_classes)
    return np.divide(sums, counts, out=np.full(num_classes, np.nan), where=counts > 0), counts
