"""Pairs of feature and category that go together in training groups and not in held-out ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.stats import chi2

from labeling.likelihood_ratio import LEAST_EVIDENCE, log_likelihood_ratio

#: Share of its lift that a failing pair keeps at most among held-out groups.
_MOST_KEPT_LIFT = 0.5


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The parts of M rows that are held out.

    Args:
        folds: (M,) int, what is held out together; -1 for rows that never are.
        units: (M,) int, parts of folds, each judged by itself; -1 as above.
    """

    folds: np.ndarray
    units: np.ndarray

    def select(self, rows: np.ndarray) -> HeldOut:
        """Some of the rows."""
        return HeldOut(self.folds[rows], self.units[rows])


@dataclass(frozen=True, eq=False)
class FailingPairs:
    """P pairs, each of a unit; all arrays are (P,).

    Args:
        features, categories, units: int.
        train_counts, train_hits: rows outside of the unit's fold that have the feature, and those of the category
            among them.
        held_counts, held_hits: the same of the unit.
    """

    features: np.ndarray
    categories: np.ndarray
    units: np.ndarray
    train_counts: np.ndarray
    train_hits: np.ndarray
    held_counts: np.ndarray
    held_hits: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """(P,) float64, held-out products that the feature would put into the category if it meant what it did."""
        return np.asarray(self.held_counts * (self.train_hits / self.train_counts - self.held_hits / self.held_counts))

    def select(self, chosen: np.ndarray) -> FailingPairs:
        """Some of the pairs."""
        return FailingPairs(*(values[chosen] for values in vars(self).values()))


def failing_pairs(
    has: sparse.csr_matrix, classes: np.ndarray, held_out: HeldOut, least_products: int, false_discovery_rate: float
) -> FailingPairs:
    """Find the pairs that surely fail.

    A category is predicted where more of a feature's training rows lie in it than of all (log-likelihood ratio, Dunning
    1993). The pair fails where held-out rows with the feature keep at most half of that lift, and surely lie there less
    often, by the same ratio, at a false discovery rate over all pairs and units (Benjamini and Hochberg 1995).

    Args:
        has: (M, V) int32, 1 where a row has a feature.
        classes: (M,) int.
        least_products: with a feature in training and held out, and in training of the category.
    """
    num_classes = int(classes.max()) + 1
    everything = _Counts.of(has, classes, np.arange(len(classes)), num_classes)
    parts, p_values = [], []
    for fold in np.unique(held_out.folds[held_out.folds >= 0]).tolist():
        in_fold = np.flatnonzero(held_out.folds == fold)
        train = everything.less(_Counts.of(has, classes, in_fold, num_classes))
        for unit in np.unique(held_out.units[in_fold]).tolist():
            held = _Counts.of(has, classes, in_fold[held_out.units[in_fold] == unit], num_classes)
            pairs, tested = _tested(train, held, unit, least_products)
            parts.append(pairs)
            p_values.append(tested)
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    joined = FailingPairs(*(np.concatenate(values) for values in columns))
    return joined.select(_discovered(np.concatenate(p_values), false_discovery_rate))


@dataclass(frozen=True, eq=False)
class _Counts:
    """Counts of some rows.

    Args:
        with_feature: (V,) int, rows with each feature.
        hits: (V, K) int, rows with a feature and of a category.
        sizes: (K,) int, rows of each category.
    """

    with_feature: np.ndarray
    hits: sparse.csr_matrix
    sizes: np.ndarray

    @classmethod
    def of(cls, has: sparse.csr_matrix, classes: np.ndarray, rows: np.ndarray, num_classes: int) -> _Counts:
        ones, chosen = np.ones(len(rows), np.int32), has[rows]
        member = sparse.csr_matrix((ones, (np.arange(len(rows)), classes[rows])), (len(rows), num_classes))
        sizes = np.bincount(classes[rows], minlength=num_classes)
        return cls(np.asarray(chosen.sum(axis=0))[0], (chosen.T @ member).tocsr(), sizes)

    def less(self, part: _Counts) -> _Counts:
        """The counts of the other rows."""
        hits = self.hits - part.hits
        return _Counts(self.with_feature - part.with_feature, hits.tocsr(), self.sizes - part.sizes)


def _tested(train: _Counts, held: _Counts, unit: int, least_products: int) -> tuple[FailingPairs, np.ndarray]:
    """The pairs that predict in training, and (P,) how probably chance makes them fail so; 1 for those that hold."""
    found = train.hits.tocoo()
    possible = (found.data >= least_products) & (held.with_feature[found.row] >= least_products)
    features, categories, hits = found.row[possible], found.col[possible], found.data[possible]
    counts, num_train = train.with_feature[features], train.sizes.sum()
    share, base = hits / counts, train.sizes[categories] / num_train
    evidence = log_likelihood_ratio(hits, counts, train.sizes[categories] - hits, num_train - counts)
    kept = (share > base) & (evidence >= LEAST_EVIDENCE)
    features, categories, hits, counts = features[kept], categories[kept], hits[kept], counts[kept]
    held_hits = np.zeros(0, np.int64)
    if len(features):  # SciPy answers no index with a matrix
        held_hits = np.asarray(held.hits[features, categories]).reshape(-1)
    pairs = FailingPairs(
        features, categories, np.full(len(features), unit), counts, hits, held.with_feature[features], held_hits
    )
    held_share, lift = held_hits / pairs.held_counts, share[kept] - base[kept]
    held_lift = held_share - held.sizes[categories] / held.sizes.sum()
    fails = (held_share < share[kept]) & (held_lift <= _MOST_KEPT_LIFT * lift)
    fall = log_likelihood_ratio(held_hits, pairs.held_counts, hits, counts)
    return pairs, np.where(fails, chi2.sf(fall, 1) / 2, 1.0)


def _discovered(p_values: np.ndarray, rate: float) -> np.ndarray:
    """(P,) bool, below the threshold of Benjamini and Hochberg."""
    ranked = np.sort(p_values)
    passing = np.flatnonzero(ranked <= rate * np.arange(1, len(ranked) + 1) / max(len(ranked), 1))
    return p_values <= (ranked[passing[-1]] if len(passing) else -1.0)
