"""The cost of a feature whose correlation fails, and the groups in which it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.top_answers import TopAnswers
from labeling.correlations.correlation import Correlation, Example
from labeling.correlations.failing_pairs import FailingPairs, HeldOut
from labeling.correlations.features import Feature
from labeling.correlations.group_column import GroupColumn
from labeling.correlations.held_out_groups import HeldOutAnswers

_NUM_EXAMPLES = 5


class Effects:
    """Says what a correlation costs, and in which groups it holds."""

    def __init__(
        self,
        catalog: LabelledCatalog,
        groups: GroupColumn,
        held: HeldOut,
        rows: np.ndarray,
        has: sparse.csr_matrix,
        held_out: HeldOutAnswers,
    ):
        self._catalog, self._groups, self._held, self._rows = catalog, groups, held, rows
        self._columns = has.tocsc()
        self._held_out = held_out

    def correlation(self, feature: Feature, number: int, category: int, pairs: FailingPairs) -> Correlation:
        """Judge one feature and category by its pairs, one or more."""
        train_share = float(pairs.train_hits.sum() / pairs.train_counts.sum())
        held_share = float(pairs.held_hits.sum() / pairs.held_counts.sum())
        rows = self._rows[self._columns.indices[self._columns.indptr[number] : self._columns.indptr[number + 1]]]
        held = rows[np.isin(self._held.units[rows], pairs.units)]
        holds_in, fails_in = self._by_group(rows, category, (train_share + held_share) / 2)
        effect = self._effect(number, category, held, pairs.units) if feature.is_read else _NO_EFFECT
        return Correlation(
            feature=feature,
            category=self._catalog.labels.taxonomy.leaves[category],
            train_share=train_share,
            held_share=held_share,
            held_products=len(held),
            holds_in=holds_in,
            fails_in=fails_in,
            **effect,
        )

    def _by_group(self, rows: np.ndarray, category: int, middle: float) -> tuple[list[str], list[str]]:
        rows = rows[self._groups.numbers[rows] >= 0]
        numbers, positions, counts = np.unique(self._groups.numbers[rows], return_inverse=True, return_counts=True)
        hits = np.bincount(positions, self._catalog.classes[rows] == category, len(numbers))
        order = np.argsort(-counts, kind="stable")
        holds = hits[order] >= middle * counts[order]
        names = [self._groups.names[number] for number in numbers[order].tolist()]
        return [n for n, yes in zip(names, holds, strict=True) if yes], [
            n for n, yes in zip(names, holds, strict=True) if not yes
        ]

    def _effect(self, number: int, category: int, held: np.ndarray, units: np.ndarray) -> Mapping[str, Any]:
        """The change that taking the feature out of held-out rows makes."""
        answers, classes = self._held_out.answers, self._catalog.classes
        misled = made_wrong = made_right = 0.0
        falls, worst, others = [np.zeros(0)], [], []
        is_estimated = False
        for unit in units.tolist():
            in_unit = held[self._held.units[held] == unit]
            fold = self._held.folds[in_unit[0]]
            altered, without = self._held_out.altered[fold], self._held_out.without[fold]
            tried = np.flatnonzero((altered.features == number) & (self._held.units[altered.rows] == unit))
            is_estimated |= len(in_unit) > len(tried)
            scale = len(in_unit) / len(tried)
            tried = tried[answers.classes[altered.rows[tried], 0] == category]
            rows, after = altered.rows[tried], without.classes[tried, 0]
            falls.append(answers.probabilities[rows, 0].astype(np.float64) - _probability(without, tried, category))
            is_given, is_other = classes[rows] == category, after != category
            is_made_wrong = ~is_given & (after == classes[rows])
            misled += scale * (~is_given & is_other).sum()
            made_wrong += scale * is_made_wrong.sum()
            made_right += scale * (is_given & is_other).sum()
            worst += _examples(rows, category, after, is_made_wrong)
            others += _examples(rows, category, after, ~is_given & is_other & ~is_made_wrong)
        all_falls = np.concatenate(falls)
        return {
            "reliance": float(all_falls.mean()) if len(all_falls) else 0.0,
            "misled": round(misled),
            "made_wrong": round(made_wrong),
            "made_right": round(made_right),
            "is_estimated": is_estimated,
            "examples": (worst + others)[:_NUM_EXAMPLES],
        }


_NO_EFFECT: Mapping[str, Any] = {
    "reliance": 0.0, "misled": 0, "made_wrong": 0, "made_right": 0, "is_estimated": False, "examples": [],
}  # fmt: skip


def _probability(answers: TopAnswers, rows: np.ndarray, category: int) -> np.ndarray:
    """(n,) float64, of a category in some answers; 0 where it is not among the kept ones."""
    is_it = answers.classes[rows] == category
    return np.asarray((answers.probabilities[rows].astype(np.float64) * is_it).sum(axis=1))


def _examples(rows: np.ndarray, answered: int, without: np.ndarray, chosen: np.ndarray) -> list[Example]:
    found = np.flatnonzero(chosen)[:_NUM_EXAMPLES]
    return [Example(int(rows[i]), answered, int(without[i])) for i in found]
