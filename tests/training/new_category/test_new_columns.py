"""Columns of new classes from a few rows."""

import numpy as np
import pytest

from training.new_category.new_columns import ColumnRows, class_weight, fit_columns

#: Three old classes that read a feature each; the fourth feature is nobody's.
KERNEL = np.array([[4, 0, 0], [0, 4, 0], [0, 0, 4], [1, 0, -1]], np.float32)
BIASES = np.zeros(3, np.float32)


def rows(inputs: np.ndarray, labels: np.ndarray, num_new: int = 1, weight: float = 1.0) -> ColumnRows:
    inputs = inputs.astype(np.float32)
    old_scores = np.logaddexp.reduce(inputs @ KERNEL + BIASES, axis=1)
    return ColumnRows(
        inputs, old_scores, np.zeros((len(inputs), num_new), np.float32), labels, np.full(len(inputs), weight)
    )


def shop(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the old classes (label 0) and of one that lights up the fourth feature (label 1)."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 4, count)
    return np.eye(4)[kinds] + random.normal(size=(count, 4)) * 0.1, (kinds == 3).astype(int)


def test_a_new_class_is_found_and_the_old_ones_stay() -> None:
    inputs, labels = shop(60, seed=0)
    kernel, biases = fit_columns(rows(inputs, labels), KERNEL, BIASES, temperature=1.0)
    assert (kernel.shape, biases.shape, kernel.dtype) == ((4, 1), (1,), np.float32)
    inputs, labels = shop(200, seed=1)
    is_new = (inputs @ kernel + biases)[:, 0] > (inputs @ KERNEL).max(axis=1)
    assert is_new.tolist() == (labels == 1).tolist()


def test_without_weight_a_column_is_the_mean_of_the_old_ones() -> None:
    inputs, labels = shop(10, seed=0)
    kernel, biases = fit_columns(rows(inputs, labels, weight=0.0), KERNEL, BIASES + 2, temperature=1.0)
    np.testing.assert_allclose(kernel[:, 0], KERNEL.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(biases, [2.0], atol=1e-6)


def test_temperature_makes_logits_larger_and_not_probabilities() -> None:
    inputs, labels = shop(60, seed=0)
    given = rows(inputs, labels)
    hot = ColumnRows(given.inputs, np.logaddexp.reduce(inputs @ KERNEL / 2, axis=1), given.fixed, labels, given.weights)
    one, two = (fit_columns(of, KERNEL, BIASES, temperature) for of, temperature in ((given, 1.0), (hot, 2.0)))
    assert np.linalg.norm(two[0]) > np.linalg.norm(one[0])


def test_what_other_parts_of_the_network_say_is_made_up_for() -> None:
    inputs, labels = shop(60, seed=0)
    given = rows(inputs, labels)
    voted = ColumnRows(given.inputs, given.old_scores, given.fixed - 7, labels, given.weights)
    kernel, biases = fit_columns(voted, KERNEL, BIASES, temperature=1.0)
    is_new = (inputs @ kernel + biases - 7)[:, 0] > (inputs @ KERNEL).max(axis=1)
    assert is_new.tolist() == (labels == 1).tolist()


def test_two_new_classes_share_a_fit() -> None:
    random = np.random.default_rng(0)
    kinds = np.arange(60) % 6
    kernel = np.pad(KERNEL[:3], ((0, 2), (0, 0))) + random.normal(size=(5, 3)) * 0.5
    inputs = np.eye(6)[kinds][:, :5] + random.normal(size=(60, 5)) * 0.05
    labels = np.maximum(kinds - 3, 0) % 3
    labels[kinds == 5] = 0
    scores = np.logaddexp.reduce(inputs @ kernel, axis=1)
    given = ColumnRows(inputs, scores, np.zeros((60, 2)), labels, np.ones(60))
    new_kernel, new_biases = fit_columns(given, kernel, np.zeros(3), temperature=1.0)
    logits = np.column_stack([scores, inputs @ new_kernel + new_biases])
    assert (logits.argmax(axis=1) == labels).mean() > 0.95


@pytest.mark.parametrize(("old_rows", "classes", "examples", "expected"), [(1000, 10, 10, 30.0), (40, 40, 10, 1.0)])
def test_a_new_class_counts_like_three_average_ones(
    old_rows: int, classes: int, examples: int, expected: float
) -> None:
    assert class_weight(old_rows, classes, examples) == expected
