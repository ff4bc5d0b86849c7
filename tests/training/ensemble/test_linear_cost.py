"""The cost of the linear SVMs follows from held-back rows."""

import logging

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from training.ensemble import linear_cost
from training.ensemble.linear_cost import choose_cost
from training.ensemble.linear_rows import LinearRows

NUM_ROWS, NUM_WORDS = 1200, 3000


def rows(noise: float, num_classes: int = 4, num_rows: int = NUM_ROWS) -> LinearRows:
    """Names of two words of their category and ten of their own, by which an SVM can learn any label by heart."""
    random = np.random.default_rng(0)
    labels = random.integers(0, num_classes, num_rows)
    of_category = labels[:, None] * 10 + random.integers(0, 10, (num_rows, 2))
    words = np.concatenate([of_category, random.integers(num_classes * 10, NUM_WORDS, (num_rows, 10))], axis=1)
    ngrams = sparse.csr_matrix(
        (np.ones(words.size, np.float32), words.ravel(), np.arange(0, words.size + 1, 12)), (num_rows, NUM_WORDS)
    )
    wrong = random.random(num_rows) < noise
    given = np.where(wrong, (labels + random.integers(1, num_classes, num_rows)) % num_classes, labels)
    return LinearRows(ngrams, sparse.csr_matrix((num_rows, 0)), given, np.ones(num_rows))


def fit(some: LinearRows, cost: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    svm = LinearSVC(C=cost, tol=1e-2, random_state=0).fit(some.inputs, some.labels)
    return svm.classes_, svm.coef_, svm.intercept_


def test_right_labels_keep_the_usual_cost() -> None:
    assert choose_cost(rows(0.0), 0, fit) == 1.0


def test_wrong_labels_ask_for_a_lower_cost_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "aisle.linear"):
        assert choose_cost(rows(0.4), 0, fit) in (0.1, 0.3)
    assert "of 300 held-back rows as they are labelled than 1.0; labels are wrong or names say little" in caplog.text


def test_too_few_rows_are_not_asked() -> None:
    def never(*_: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pytest.fail("nothing should be fitted")

    assert choose_cost(rows(0.4, num_rows=399), 0, never) == 1.0


def test_of_many_categories_a_run_of_neighbours_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_cost, "_MAX_CATEGORIES", 10)
    monkeypatch.setattr(linear_cost, "_MAX_ROW_CATEGORIES", 4000)
    some = rows(0.0, num_classes=20, num_rows=2000)
    found = linear_cost._sampled(some.labels, seed=3)
    assert len(found) == len(set(found.tolist())) == 400
    drawn = np.unique(some.labels[found])
    assert len(drawn) == 10
    assert sum(np.diff([*drawn, drawn[0] + 20]) != 1) == 1  # one gap: they follow each other, round the end
    np.testing.assert_array_equal(found, linear_cost._sampled(some.labels, seed=3))
