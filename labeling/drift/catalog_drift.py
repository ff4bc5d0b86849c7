"""A new catalog beside what a bundle was trained and measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from labeling.drift.trained_products import trained_products
from labeling.drift.word_shares import WordCounter, WordShare
from labeling.likelihood_ratio import log_likelihood_ratio
from model.bundle.bundle import Bundle
from training.predict.answered_catalog import AnsweredChunk

Change = Literal["grew", "shrank", "gone", ""]

#: Categories of each answer that are counted by their probability.
NUM_COUNTED = 8
#: A share counts as changed from this factor on: a model's errors move small shares a little by themselves.
_LEAST_FACTOR = 1.5
#: The probability that a catalog drawn like the training products has one changed category or more.
_FALSE_ALARM = 0.01


@dataclass(frozen=True)
class CategoryDrift:
    """One category as the bundle predicts it.

    Args:
        products: that are predicted to be in it.
        likely_share: of the products, by their probability of being in it: what a model answers too seldom, as it is
            unsure of it, has its share nevertheless.
        trained_share: of the products that the bundle learned from; NaN where it does not say.
        mean_confidence: of these predictions.
        change: of the share since training, where it is surely another; "gone" where no product is predicted.
    """

    category: str
    products: int
    share: float
    likely_share: float
    trained_share: float
    mean_confidence: float
    change: Change

    @property
    def expected_wrong(self) -> float:
        """Predictions that are wrong, if confidence is calibrated."""
        return self.products * (1 - self.mean_confidence)


@dataclass(frozen=True)
class FieldDrift:
    """The share of products that have a field: of the new catalog, and of the rows that the bundle was measured on."""

    field: str
    share: float
    measured_share: float


@dataclass(frozen=True)
class CatalogDrift:
    """The changes from the training data to a new catalog.

    Args:
        expected_accuracy: without labels: of each set of given fields the measured accuracy, less what the mean
            confidence fell (difference of confidences, Guillory et al. 2021).
        categories: those with the most wrong answers, by their confidence, first.
        words: that are more frequent now, the strongest evidence first.
    """

    num_rows: int
    expected_accuracy: float
    measured_accuracy: float
    mean_confidence: float
    measured_confidence: float
    categories: list[CategoryDrift]
    fields: list[FieldDrift]
    words: list[WordShare]

    @property
    def knows_shares(self) -> bool:
        """True if the bundle says how the products that it learned from were distributed."""
        return not any(np.isnan(one.trained_share) for one in self.categories)

    def changed(self, *changes: Change) -> list[CategoryDrift]:
        """The categories that changed in one of some ways, the largest difference of shares first."""
        found = [one for one in self.categories if one.change in changes]
        return sorted(found, key=lambda one: -abs(one.likely_share - one.trained_share))


class DriftCounter:
    """Adds up answered rows."""

    def __init__(self, bundle: Bundle):
        self._bundle = bundle
        self._words = WordCounter(bundle.tokenizer)
        self._products = np.zeros(bundle.taxonomy.num_leaves, np.int64)
        self._confidences = np.zeros(bundle.taxonomy.num_leaves)
        self._likely_products = np.zeros(bundle.taxonomy.num_leaves)
        num_sets = 1 << len(bundle.fields)
        self._rows_of_set = np.zeros(num_sets, np.int64)
        self._confidence_of_set = np.zeros(num_sets)

    def add(self, chunk: AnsweredChunk) -> None:
        """Count the rows of a chunk, each with the first NUM_COUNTED categories of its answer."""
        top, confidence = chunk.answers.top_classes[:, 0], chunk.answers.top_probabilities[:, 0]
        np.add.at(self._products, top, 1)
        np.add.at(self._confidences, top, confidence)
        np.add.at(self._likely_products, chunk.answers.top_classes, chunk.answers.top_probabilities)
        codes = (chunk.features["presence"] > 0) @ (1 << np.arange(len(self._bundle.fields)))
        np.add.at(self._rows_of_set, codes, 1)
        np.add.at(self._confidence_of_set, codes, confidence)
        fields = self._bundle.preprocessor.text_fields
        self._words.add({field: [row.text(field) for row in chunk.rows] for field in fields})

    def drift(self) -> CatalogDrift:
        """Compare what was counted, one row or more, with what the bundle says of itself."""
        metrics, num_rows = self._bundle.metrics, int(self._products.sum())
        combinations = metrics["field_combinations"]
        return CatalogDrift(
            num_rows,
            self._expected_accuracy(combinations),
            float(metrics["accuracy"]),
            float(self._confidences.sum() / num_rows),
            float(metrics["mean_confidence"]),
            sorted(self._categories(num_rows), key=lambda category: -category.expected_wrong),
            list(self._fields(num_rows, combinations)),
            self._words.risen(),
        )

    def _expected_accuracy(self, combinations: Sequence[dict[str, Any]]) -> float:
        fields, metrics = self._bundle.fields, self._bundle.metrics
        measured = {sum(1 << fields.index(name) for name in one["fields"]): one for one in combinations}
        total = 0.0
        for code in np.flatnonzero(self._rows_of_set).tolist():
            known = measured.get(code, metrics)  # a new set of fields is compared with all rows
            count = self._rows_of_set[code]
            change = self._confidence_of_set[code] / count - known["mean_confidence"]
            total += count * min(max(known["accuracy"] + change, 0.0), 1.0)
        return float(total / self._rows_of_set.sum())

    def _categories(self, num_rows: int) -> Iterator[CategoryDrift]:
        trained = trained_products(self._bundle)
        shares = np.full(len(self._products), np.nan) if trained is None else trained / trained.sum()
        beyond = num_rows - self._likely_products.sum()  # what is not among the counted ones, as it was in training
        likely = self._likely_products + beyond * np.nan_to_num(shares)
        for number, category in enumerate(self._bundle.taxonomy.leaves):
            products = int(self._products[number])
            confidence = float(self._confidences[number] / products) if products else 1.0
            change: Change = ""
            if trained is not None:
                count = int(trained[number])
                change = self._change(products, likely[number], num_rows, count, int(trained.sum()))
            yield CategoryDrift(
                category, products, products / num_rows, float(likely[number] / num_rows), float(shares[number]),
                confidence, change,
            )  # fmt: skip

    def _change(self, products: int, likely: float, num_rows: int, trained: int, num_trained: int) -> Change:
        """The change of one leaf from its share in training to its likely share."""
        from scipy.stats import chi2

        evidence = log_likelihood_ratio(min(round(likely), num_rows), num_rows, trained, num_trained)
        if evidence < chi2.isf(_FALSE_ALARM / len(self._products), 1):
            return ""
        before, now = trained / num_trained, likely / num_rows
        if now > before:
            return "grew" if now >= _LEAST_FACTOR * before else ""
        if not products:
            return "gone"
        return "shrank" if _LEAST_FACTOR * now <= before else ""

    def _fields(self, num_rows: int, combinations: Sequence[dict[str, Any]]) -> Iterator[FieldDrift]:
        codes = np.arange(len(self._rows_of_set))
        for position, field in enumerate(self._bundle.fields):
            share = self._rows_of_set[codes >> position & 1 == 1].sum() / num_rows
            yield FieldDrift(field, float(share), sum(one["share"] for one in combinations if field in one["fields"]))
