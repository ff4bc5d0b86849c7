"""From logits to answers, by eye."""

import numpy as np
import pytest

from model.prediction.answers import ScoredCategory, largest, softmax
from model.prediction.calibration import Calibration
from model.taxonomy import Taxonomy
from tests.conftest import answered

TREE = Taxonomy(("A>x", "A>y", "B"), {"A": "1", "A>y": "12"})


def logits(*probabilities: float) -> np.ndarray:
    return np.log(np.array([probabilities], np.float32))


def test_softmax_by_eye() -> None:
    np.testing.assert_allclose(softmax(np.log([[1.0, 2.0, 5.0]])), [[0.125, 0.25, 0.625]], rtol=1e-6)
    # temperature 2 takes the square root of each probability: 1, 2, 3 of 6
    np.testing.assert_allclose(softmax(np.log([[1.0, 4.0, 9.0]]), 2.0), [[1 / 6, 2 / 6, 3 / 6]], rtol=1e-6)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1e30, 0, -1e30], [1, 0, 0]),
        ([1e38, 1e38, -1e38], [0.5, 0.5, 0]),
        ([-1e30, -1e30, -1e30], [1 / 3] * 3),
        ([-90, 5, 5], [0, 0.5, 0.5]),
        ([1000, 1000 + np.log(3), 0], [0.25, 0.75, 0]),
    ],
)
def test_softmax_of_huge_logits(row: list[float], expected: list[float]) -> None:
    probabilities = softmax(np.array([row], np.float32))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, [expected], atol=1e-4)


def test_softmax_leaves_its_input_alone() -> None:
    given = np.array([[1, 2]], np.float32)
    softmax(given)
    assert given.tolist() == [[1, 2]]


def test_top_k_best_first() -> None:
    found = answered(np.concatenate([logits(0.2, 0.5, 0.3), logits(0.7, 0.1, 0.2)]), TREE, Calibration(), top_k=2)
    assert len(found) == 2
    assert found.top_classes.tolist() == [[1, 2], [0, 2]]
    np.testing.assert_allclose(found.top_probabilities, [[0.5, 0.3], [0.7, 0.2]], rtol=1e-5)
    assert found.categories(0, TREE) == (
        ScoredCategory("A>y", "12", pytest.approx(0.5)),
        ScoredCategory("B", "", pytest.approx(0.3)),
    )


def test_equal_categories_keep_class_order() -> None:
    assert answered(np.zeros((1, 3), np.float32), TREE, Calibration(), 3).top_classes.tolist() == [[0, 1, 2]]
    assert answered(logits(0.4, 0.2, 0.4), TREE, Calibration(), 3).top_classes.tolist() == [[0, 2, 1]]


@pytest.mark.parametrize("top_k", [3, 4, 512])
def test_more_than_all_is_all(top_k: int) -> None:
    assert answered(logits(0.2, 0.5, 0.3), TREE, Calibration(), top_k).top_classes.shape == (1, 3)


def test_top_k_agrees_with_a_full_sort() -> None:
    random = np.random.default_rng(0)
    tree = Taxonomy(f"c{i}" for i in range(300))
    given = random.normal(size=(20, 300)).astype(np.float32)
    found = answered(given, tree, Calibration(), top_k=7)
    np.testing.assert_array_equal(found.top_classes, np.argsort(-given, axis=1)[:, :7])


@pytest.mark.parametrize(
    ("probabilities", "thresholds", "accepted", "needs_review"),
    [
        ((0.45, 0.5, 0.05), (0.9, 0.8), ScoredCategory("A", "1", pytest.approx(0.95)), True),
        ((0.05, 0.9, 0.05), (0.9, 0.8), ScoredCategory("A>y", "12", pytest.approx(0.9)), False),
        ((0.3, 0.3, 0.4), (0.9, 0.8), None, True),
        ((0.01, 0.01, 0.98), (0.9, 2.0), ScoredCategory("B", "", pytest.approx(0.98)), False),  # a leaf at the top
        ((0.01, 0.98, 0.01), (2.0, 2.0), None, True),  # above 1 means never
        ((0.01, 0.98, 0.01), (2.0, 0.9), ScoredCategory("A>y", "12", pytest.approx(0.98)), False),
        ((0.01, 0.98, 0.01), (), None, True),
    ],
)
def test_the_deepest_accepted_node(
    probabilities: tuple[float, ...], thresholds: tuple[float, ...], accepted: ScoredCategory | None, needs_review: bool
) -> None:
    found = answered(logits(*probabilities), TREE, Calibration(thresholds=thresholds), 1)
    assert found.accepted(0, TREE) == accepted
    assert found.needs_review(0, TREE) is needs_review


def test_a_probability_equal_to_the_threshold_is_accepted() -> None:
    found = answered(np.zeros((1, 2), np.float32), Taxonomy(("A", "B")), Calibration(thresholds=(0.5,)), 1)
    assert found.accepted_depths.tolist() == [1]
    assert found.accepted_nodes.tolist() == [0]


def test_rows_are_answered_one_by_one() -> None:
    rows = np.concatenate([logits(0.45, 0.5, 0.05), logits(0.3, 0.3, 0.4), logits(0.05, 0.9, 0.05)])
    calibration = Calibration(thresholds=(0.9, 0.8))
    together = answered(rows, TREE, calibration, 2)
    assert together.accepted_depths.tolist() == [1, 0, 2]
    assert together.accepted_nodes.tolist() == [0, -1, 1]
    for i in range(3):
        alone = answered(rows[i : i + 1], TREE, calibration, 2)
        assert alone.categories(0, TREE) == together.categories(i, TREE)
        assert alone.accepted(0, TREE) == together.accepted(i, TREE)


def test_no_rows() -> None:
    assert len(answered(np.zeros((0, 3), np.float32), TREE, Calibration(thresholds=(0.5, 0.5)), 5)) == 0


@pytest.mark.parametrize(("num_columns", "count"), [(5, 5), (64, 1), (1000, 5), (4967, 5), (4967, 100), (6400, 50)])
def test_the_largest_are_those_of_a_full_sort(num_columns: int, count: int) -> None:
    values = np.random.default_rng(num_columns).normal(size=(7, num_columns)).astype(np.float32)
    values[0, -1] = 99  # behind the last whole block
    values[1, :count] = 7
    expected = np.argsort(-values, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(largest(values, count), expected)
    alone = np.concatenate([largest(row[None], count) for row in values])
    np.testing.assert_array_equal(alone, expected)
