"""The confident joint is cleanlab's, from the eight most probable classes alone."""

import numpy as np
import pytest
from cleanlab.count import compute_confident_joint, num_label_issues
from cleanlab.filter import find_label_issues

from labeling.answers.top_answers import TopAnswers
from labeling.issues.confident_learning import confident_joint


def noisy_answers(num_rows: int, num_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) probabilities and given classes, a tenth of them wrong."""
    random = np.random.default_rng(seed)
    true = random.integers(num_classes, size=num_rows)
    logits = random.normal(size=(num_rows, num_classes)) * 1.5
    logits[np.arange(num_rows), true] += 6
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = np.where(random.random(num_rows) < 0.1, random.integers(num_classes, size=num_rows), true)
    return probabilities.astype(np.float32), given


@pytest.mark.parametrize(("num_rows", "num_classes"), [(20_000, 100), (3000, 6)])
def test_the_issues_are_those_of_cleanlab(num_rows: int, num_classes: int) -> None:
    probabilities, given = noisy_answers(num_rows, num_classes, seed=0)
    found = confident_joint(TopAnswers.of(probabilities, given), given, num_classes)
    expected = find_label_issues(given, probabilities, filter_by="confident_learning", n_jobs=1)
    assert np.mean(found.is_issue != expected) < 0.005
    assert found.is_issue.sum() == pytest.approx(expected.sum(), rel=0.005)
    assert found.is_issue.sum() == pytest.approx(num_label_issues(given, probabilities), rel=0.005)
    joint = compute_confident_joint(given, probabilities, calibrate=False)
    assert abs(found.counts.toarray() - joint).sum() <= 0.005 * joint.sum()


def test_a_row_takes_at_most_64_bytes() -> None:
    answers = TopAnswers.empty(1000, 5000)
    assert sum(array.nbytes for array in vars(answers).values()) <= 64 * 1000
    assert TopAnswers.empty(1, 70_000).classes.dtype == np.uint32


def test_few_classes_fill_the_kept_ones() -> None:
    answers = TopAnswers.of(np.array([[0.2, 0.5, 0.3]], np.float32), np.array([2]))
    assert answers.classes[0, :3].tolist() == [1, 2, 0]
    assert answers.probabilities[0].tolist() == pytest.approx([0.5, 0.3, 0.2, 0, 0, 0, 0, 0], abs=1e-3)
    assert answers.given.tolist() == pytest.approx([0.3])
    assert answers.suggested(np.array([2])).tolist() == [1]
    assert answers.suggested(np.array([1])).tolist() == [2]
