"""Correlations that hold in some groups of products and mislead in others, and what each of them costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.out_of_fold import answer_out_of_fold
from labeling.answers.top_answers import TopAnswers
from labeling.correlations.altered_rows import AlteredRows
from labeling.correlations.correlation import Correlation
from labeling.correlations.effects import Effects
from labeling.correlations.failing_pairs import FailingPairs, HeldOut, failing_pairs
from labeling.correlations.features import Feature, joined_features
from labeling.correlations.group_column import GroupColumn
from labeling.correlations.held_out_groups import HeldOutAnswers, answer_held_out
from labeling.correlations.word_matrix import WordMatrix
from labeling.settings import AnswerSettings, CorrelationSettings
from training.metrics.groups import Grouping, group_metrics

#: Words of which features are made; a feature needs two rows of numbers for each other one.
_MOST_WORDS = 1_000
#: Mean fall of a category's probability when a feature is taken out, from which a model relies on it.
_LEAST_RELIANCE = 0.01


@dataclass(frozen=True, eq=False)
class Correlations:
    """The findings in the N rows of a catalog.

    Args:
        known: answers out of fold, by classifiers that knew other products of the same groups.
        found: the most costly first.
    """

    catalog: LabelledCatalog
    groups: GroupColumn
    held_out: HeldOutAnswers
    known: TopAnswers
    found: list[Correlation]

    @cached_property
    def is_right(self) -> np.ndarray:
        """(N,) bool, answered rightly with the group held out; False for rows without a group."""
        return (self.held_out.answers.classes[:, 0] == self.catalog.classes) & self.held_out.is_held_out

    @cached_property
    def is_right_known(self) -> np.ndarray:
        """(N,) bool, answered rightly by a classifier that knew the group."""
        return np.asarray(self.known.classes[:, 0] == self.catalog.classes)

    @property
    def accuracy(self) -> float:
        """Of products whose group was held out."""
        return float(self.is_right[self.held_out.is_held_out].mean())

    @property
    def accuracy_known(self) -> float:
        """Of the same products, by classifiers that knew their groups."""
        return float(self.is_right_known[self.held_out.is_held_out].mean())

    @cached_property
    def costly(self) -> list[Correlation]:
        """The correlations that make more products wrong than right."""
        return [one for one in self.found if one.cost > 0]

    @cached_property
    def worst_group(self) -> dict[str, Any] | None:
        """See `training.metrics.groups.group_metrics`; None where no group is large enough."""
        rows = np.flatnonzero(self.held_out.is_held_out)
        _, positions, sizes = np.unique(self.catalog.groups[rows], return_inverse=True, return_counts=True)
        grouping = Grouping(self.groups.names, self.groups.numbers[rows])
        worst = group_metrics({self.groups.column: grouping}, self.is_right[rows], 1 / sizes[positions])["worst_group"]
        return dict(worst) if worst else None


def find_correlations(
    catalog: LabelledCatalog,
    groups: GroupColumn,
    answer_settings: AnswerSettings,
    settings: CorrelationSettings,
    folder: Path,
) -> Correlations:
    """Find them; answers that an earlier run has finished are found again.

    Args:
        folder: gets the answers.
    Raises:
        LabelingError: there is too little to learn from, the disk refused, or a process was killed.
    """
    folds = groups.folds(answer_settings.num_folds)
    held = HeldOut(folds, groups.units(folds))
    matrix = WordMatrix.read(catalog, groups.column, settings.least_products, answer_settings.seed)
    once = _counted_once(catalog, matrix.rows, folds)
    features, has, pairs = _failing_features(catalog, matrix, held, once, settings)
    altered = _altered(features, has, matrix.rows, held, pairs, answer_settings.seed)
    held_out = answer_held_out(catalog, folds, altered, features, answer_settings, folder / "held_out")
    known = answer_out_of_fold(catalog, answer_settings, folder / "folds")
    effects = Effects(catalog, groups, held, matrix.rows, has, held_out)
    found = [
        effects.correlation(features[feature], int(feature), int(category), pairs.select(chosen))
        for feature, category, chosen in _by_feature_and_category(pairs)
    ]
    listed = [one for one in found if one.reliance >= _LEAST_RELIANCE or one.misled or not one.feature.is_read]
    listed.sort(key=lambda one: (-one.cost, -one.misled, -one.held_products * (one.train_share - one.held_share)))
    return Correlations(catalog, groups, held_out, known, listed)


def _counted_once(catalog: LabelledCatalog, rows: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """(O,) positions in `rows` of which no two are near-duplicates of the same fold and category."""
    keys = np.stack([catalog.groups[rows], folds[rows], catalog.classes[rows]])
    return np.sort(np.unique(keys, axis=1, return_index=True)[1])


def _failing_features(
    catalog: LabelledCatalog, matrix: WordMatrix, held: HeldOut, once: np.ndarray, settings: CorrelationSettings
) -> tuple[list[Feature], sparse.csr_matrix, FailingPairs]:
    """The features whose correlations fail most, whether (M, F) a row has each, and their failing pairs."""
    classes, counted = catalog.classes[matrix.rows[once]], held.select(matrix.rows[once])

    def failing(has: sparse.csr_matrix) -> FailingPairs:
        return failing_pairs(has[once], classes, counted, settings.least_products, settings.false_discovery_rate)

    pairs = failing(matrix.has)
    order = np.argsort(-pairs.excess, kind="stable")
    _, first = np.unique(pairs.features[order], return_index=True)
    words = pairs.features[order][np.sort(first)][:_MOST_WORDS]
    if not len(words):
        return [], sparse.csr_matrix((len(matrix.rows), 0), dtype=np.int32), pairs
    features, has = joined_features(matrix, words)
    pairs = failing(has)
    order = np.argsort(-pairs.excess, kind="stable")
    return features, has, pairs.select(order[: settings.most_correlations])


def _altered(
    features: list[Feature],
    has: sparse.csr_matrix,
    rows: np.ndarray,
    held: HeldOut,
    pairs: FailingPairs,
    seed: int,
) -> list[AlteredRows]:
    """By fold, the rows to answer without the features that fail there."""
    columns, found = has.tocsc(), []
    for fold in range(held.folds.max() + 1):
        wanted = {}
        units = np.unique(held.units[held.folds == fold])
        in_fold = np.isin(pairs.units, units)
        for feature, unit in set(zip(pairs.features[in_fold].tolist(), pairs.units[in_fold].tolist(), strict=True)):
            if features[feature].is_read:
                with_it = rows[columns.indices[columns.indptr[feature] : columns.indptr[feature + 1]]]
                wanted[feature, unit] = with_it[held.units[with_it] == unit]
        found.append(AlteredRows.draw(wanted, seed + fold))
    return found


def _by_feature_and_category(pairs: FailingPairs) -> list[tuple[int, int, np.ndarray]]:
    """Each feature and category with the positions of its pairs."""
    keys = np.stack([pairs.features, pairs.categories])
    found, positions = np.unique(keys, axis=1, return_inverse=True)
    return [
        (int(feature), int(category), np.flatnonzero(positions.reshape(-1) == number))
        for number, (feature, category) in enumerate(found.T)
    ]
