"""Simple baselines: TF-IDF with a linear SVM, a lookup by mall category, and the most frequent category."""

import logging
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from catalog.labels.label_space import LabelSpace
from catalog.read_options import ReadOptions
from catalog.rows import CatalogRow, read_catalog
from model.errors import CatalogError
from model.product import has_text
from model.taxonomy import Taxonomy, normalize_path
from training.evaluation.seen_products import SeenProducts
from training.metrics.classification import answer_metrics
from training.metrics.comparison import compare
from training.metrics.confidence import coverages_at_precisions, risk_coverage_of
from training.metrics.outcomes import Outcomes

_log = logging.getLogger("aisle.baselines")
#: Most training rows; a larger catalog is sampled at random.
MAX_TRAIN_ROWS = 500_000
#: Most rows times categories, to which the linear SVM's time is proportional: some 18 million in a minute or two.
MAX_ROW_CATEGORIES = 400_000_000
#: Weights of the linear SVM, one per class and feature: 2 GiB.
MAX_WEIGHTS = 2**28
#: Most of the evaluated rows that may equal a training row. Shops repeat themselves; the training file does so wholly.
_MAX_EQUAL_SHARE = 0.5
_FIELDS = ("name", "mall_category")
#: Words of two or more letters, as in scikit-learn; single letters only when there are no such words.
_WORD, _CHARACTER = r"\b\w\w+\b", r"\b\w+\b"
#: With this many texts, character n-grams of a single text are dropped, because they take memory and do not help.
_MANY_TEXTS = 100


@dataclass(frozen=True)
class BaselineAnswers:
    """Answers of a baseline to n rows.

    Args:
        classes: (n,) int32.
        confidences: (n,) float32 in [0, 1]; only their order is meaningful.
    """

    classes: np.ndarray
    confidences: np.ndarray


class Baseline(Protocol):
    """A fitted baseline that answers rows."""

    def answer(self, rows: Sequence[CatalogRow]) -> BaselineAnswers:
        """Predict the classes of n rows."""
        ...


@dataclass(frozen=True)
class TrainingSample:
    """The labelled rows to fit on, the number of labelled rows in the catalog, and what tells all of these again."""

    rows: list[CatalogRow]
    classes: np.ndarray
    num_rows_in_catalog: int
    seen: SeenProducts


def read_sample(
    catalog: Path, options: ReadOptions, labels: LabelSpace, max_rows: int, seed: int = 0
) -> TrainingSample:
    """Read the catalog's rows with a label of the tree, or a reservoir sample of `max_rows` of them.

    Raises:
        CatalogError: the catalog cannot be read, or no row has such a label.
    """
    rows: list[CatalogRow] = []
    classes: list[int] = []
    draw = random.Random(seed)
    count = 0
    seen = SeenProducts()
    for row, found in _labelled(catalog, options, labels):
        count += 1
        seen.add(row)
        if len(rows) < max_rows:
            rows.append(row)
            classes.append(found)
        elif (i := draw.randrange(count)) < max_rows:  # reservoir sampling, algorithm R (Vitter 1985)
            rows[i], classes[i] = row, found
    if not rows:
        raise CatalogError(
            f"{catalog}: expected rows with a category of this bundle to train the baselines on, found none;"
            " give --baseline the catalog that the bundle was trained on"
        )
    return TrainingSample(rows, np.array(classes, np.int32), count, seen)


class LinearBaseline:
    """A linear SVM on TF-IDF of words (1-2) and characters (1-3), separately for name and mall category."""

    def __init__(self, sample: TrainingSample, fields: Sequence[str]):
        from scipy.sparse import hstack
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.svm import LinearSVC

        self._stack = hstack
        num_classes = len(np.unique(sample.classes))
        max_features = MAX_WEIGHTS // num_classes // (2 * len(fields))
        self._blocks = []
        parts = []
        for field in fields:
            texts = [row.text(field) for row in sample.rows]
            pattern = _WORD if any(re.search(_WORD, text) for text in texts) else _CHARACTER
            words = {"token_pattern": pattern, "ngram_range": (1, 2)}
            min_df = 2 if len(texts) >= _MANY_TEXTS else 1
            characters = {"analyzer": "char", "ngram_range": (1, 3), "min_df": min_df}
            for settings in (words, characters):
                vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=max_features, dtype=np.float32, **settings)
                parts.append(vectorizer.fit_transform(texts))
                self._blocks.append((field, vectorizer))
        features = self._stack(parts).tocsr()
        _log.info("TF-IDF + linear SVM: %d rows, %d features, %d categories", *features.shape, num_classes)
        self.num_features = features.shape[1]
        self._svm = LinearSVC(C=1.0, random_state=0, max_iter=5000).fit(features, sample.classes)

    def answer(self, rows: Sequence[CatalogRow]) -> BaselineAnswers:
        """Predict the class with the highest margin; the confidence grows with the distance to the second."""
        texts = {field: [row.text(field) for row in rows] for field, _ in self._blocks}
        features = self._stack([vectorizer.transform(texts[field]) for field, vectorizer in self._blocks]).tocsr()
        margins = self._svm.decision_function(features)
        if margins.ndim == 1:  # for two classes there is a single margin
            margins = np.stack([-margins, margins], axis=1)
        leads = np.diff(np.partition(margins, -2, axis=1)[:, -2:], axis=1)[:, 0]
        return BaselineAnswers(self._svm.classes_[margins.argmax(axis=1)], (leads / (1 + leads)).astype(np.float32))


class LookupBaseline:
    """A lookup of the most frequent category by mall category; for an unknown one the most frequent of all."""

    def __init__(self, sample: TrainingSample):
        counts: dict[str, Counter[int]] = {}
        for row, found in zip(sample.rows, sample.classes.tolist(), strict=True):
            for key in {normalize_path(row.text("mall_category")), ""}:  # '' stands for all rows
                counts.setdefault(key, Counter())[found] += 1
        self._answers = {key: _most_frequent(counter) for key, counter in counts.items()}

    def answer(self, rows: Sequence[CatalogRow]) -> BaselineAnswers:
        """Predict by lookup; the confidence is the category's share of the mall category's rows."""
        majority = self._answers[""]
        found = [self._answers.get(normalize_path(row.text("mall_category")), majority) for row in rows]
        return BaselineAnswers(np.array([c for c, _ in found], np.int32), np.array([s for _, s in found], np.float32))


class MajorityBaseline:
    """A constant answer: the most frequent category."""

    def __init__(self, sample: TrainingSample):
        self._answer = _most_frequent(Counter(sample.classes.tolist()))

    def answer(self, rows: Sequence[CatalogRow]) -> BaselineAnswers:
        """Predict the most frequent category; the confidence is its share."""
        found, share = self._answer
        return BaselineAnswers(np.full(len(rows), found, np.int32), np.full(len(rows), share, np.float32))


class Baselines:
    """All baselines that can be fitted to a training catalog, and their answers to a stream of rows.

    Args:
        evaluated: catalog whose rows will be added; those that the training catalog has, too, are left out.
    Raises:
        CatalogError: a catalog cannot be read, or most of the evaluated rows are training rows.
    """

    def __init__(self, catalog: Path, options: ReadOptions, labels: LabelSpace, evaluated: Path):
        max_rows = min(MAX_TRAIN_ROWS, MAX_ROW_CATEGORIES // labels.taxonomy.num_leaves)
        sample = read_sample(catalog, options, labels, max_rows)
        self._seen = sample.seen
        self._check_apart(catalog, evaluated, options, labels)
        self._is_seen: list[np.ndarray] = []
        self._catalog = catalog.name
        self._num_rows, self._num_rows_in_catalog = len(sample.rows), sample.num_rows_in_catalog
        fields = [field for field in _FIELDS if any(has_text(row.text(field)) for row in sample.rows)]
        self._baselines: dict[str, Baseline] = {}
        if fields and len(np.unique(sample.classes)) > 1:
            self._baselines["tfidf_linear_svm"] = LinearBaseline(sample, fields)
        if "mall_category" in fields:
            self._baselines["mall_category_lookup"] = LookupBaseline(sample)
        self._baselines["majority"] = MajorityBaseline(sample)
        self._answers: dict[str, list[BaselineAnswers]] = {name: [] for name in self._baselines}

    def add(self, rows: Sequence[CatalogRow]) -> None:
        """Answer one or more further rows."""
        self._is_seen.append(self._seen.has(rows))
        for name, baseline in self._baselines.items():
            self._answers[name].append(baseline.answer(rows))

    def metrics(self, aisle: Outcomes, taxonomy: Taxonomy) -> dict[str, Any]:
        """Compute the metrics of each baseline and of the model on the rows that were added and not left out.

        Args:
            aisle: the joint head's outcomes of the same rows.
        Returns:
            catalog, num_rows, num_rows_in_catalog; num_left_out; aisle: metrics; baselines: name to metrics. Metrics
            are those of `answer_metrics` and coverage_at_precision; a baseline also has comparison, see `compare`.
        """
        found = {}
        kept = ~np.concatenate(self._is_seen)
        labels, is_correct = aisle.labels[kept], aisle.is_correct[kept]
        for name, parts in self._answers.items():
            classes = np.concatenate([part.classes for part in parts])[kept]
            confidences = np.concatenate([part.confidences for part in parts])[kept]
            comparison = compare(is_correct, classes == labels, labels, taxonomy)
            found[name] = {**_figures(labels, classes, confidences, taxonomy), "comparison": comparison}
        return {
            "catalog": self._catalog,
            "num_rows": self._num_rows,
            "num_rows_in_catalog": self._num_rows_in_catalog,
            "num_left_out": int((~kept).sum()),
            "aisle": _figures(labels, aisle.predicted[kept], aisle.confidences[kept], taxonomy),
            "baselines": found,
        }

    def _check_apart(self, catalog: Path, evaluated: Path, options: ReadOptions, labels: LabelSpace) -> None:
        """Refuse the training file, or a copy of it, before anything is fitted."""
        num_rows = num_equal = 0
        for rows in read_catalog(evaluated, options):
            labelled = [row for row in rows if not isinstance(labels.class_of(row), str)]
            num_rows += len(labelled)
            num_equal += int((self._seen.has(labelled) | self._seen.equal(labelled)).sum())
        if num_equal > _MAX_EQUAL_SHARE * num_rows:
            raise CatalogError(
                f"--baseline {catalog}: {num_equal:,} of the {num_rows:,} products of {evaluated} are in it, too, so"
                " that the baselines would know their answers; evaluate on products that were not trained on"
            )


def _figures(labels: np.ndarray, classes: np.ndarray, confidences: np.ndarray, taxonomy: Taxonomy) -> dict[str, Any]:
    curve = risk_coverage_of(confidences, classes == labels)
    return {**answer_metrics(labels, classes, taxonomy), "coverage_at_precision": coverages_at_precisions(curve)}


def _labelled(catalog: Path, options: ReadOptions, labels: LabelSpace) -> Iterator[tuple[CatalogRow, int]]:
    for rows in read_catalog(catalog, options):
        for row in rows:
            found = labels.class_of(row)
            if not isinstance(found, str):
                yield row, found


def _most_frequent(counts: Counter[int]) -> tuple[int, float]:
    """Return the most frequent class, the lowest of equals, and its share."""
    found, count = min(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return found, count / counts.total()
