"""Outcomes: the reduction of (N, K) probabilities to four numbers per row."""

import numpy as np
import pytest

from training.metrics import outcomes as outcomes_module
from training.metrics.outcomes import Outcomes


def random_case(num_rows: int, num_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pred_probs = rng.dirichlet(np.full(num_classes, 0.3), num_rows).astype(np.float32)
    return rng.integers(0, num_classes, num_rows).astype(np.int32), pred_probs


def test_by_eye() -> None:
    """Check row 0, whose label is the most probable class, rank 1, and row 1, whose label has rank 3."""
    outcomes = Outcomes.of(np.array([2, 1]), np.array([[0.1, 0.2, 0.7], [0.5, 0.1, 0.4]], np.float32))
    assert outcomes.predicted.tolist() == [2, 0]
    assert outcomes.label_ranks.tolist() == [1, 3]
    assert outcomes.confidences.tolist() == pytest.approx([0.7, 0.5])
    assert outcomes.is_correct.tolist() == [True, False]


def test_equal_probabilities_rank_by_class_as_argmax_does() -> None:
    outcomes = Outcomes.of(np.array([0, 1, 2]), np.full((3, 3), 1 / 3, np.float32))
    assert outcomes.predicted.tolist() == [0, 0, 0]
    assert outcomes.label_ranks.tolist() == [1, 2, 3]


def test_chunks_and_batches_do_not_change_the_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, pred_probs = random_case(53, 7, seed=1)
    whole = Outcomes.of(labels, pred_probs)
    joined = Outcomes.concatenate(
        [Outcomes.of(labels[rows], pred_probs[rows]) for rows in (slice(20), slice(20, None))]
    )
    monkeypatch.setattr(outcomes_module, "CHUNK_VALUES", 7 * 10)
    for other in (
        Outcomes.of(labels, pred_probs),
        joined,
        whole.select(np.arange(53)),
        whole.select(np.ones(53, bool)),
    ):
        for name in ("labels", "predicted", "confidences", "label_ranks"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(other, name))


def test_more_classes_than_a_chunk_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes_module, "CHUNK_VALUES", 3)
    labels, pred_probs = random_case(4, 9, seed=2)
    np.testing.assert_array_equal(Outcomes.of(labels, pred_probs).predicted, pred_probs.argmax(axis=1))


def test_no_rows() -> None:
    assert len(Outcomes.of(np.empty(0, np.int32), np.empty((0, 3), np.float32))) == 0
    assert len(Outcomes.concatenate([])) == 0


def test_a_probability_slightly_above_one_becomes_one() -> None:
    assert Outcomes.of(np.array([0]), np.array([[1.0000002]], np.float32)).confidences[0] == 1.0


@pytest.mark.parametrize(
    ("labels", "pred_probs", "message"),
    [
        (
            np.array([0, 1]),
            np.ones((1, 2)),
            r"expected labels \(N,\) and pred_probs \(N, K\), found \(2,\) and \(1, 2\)",
        ),
        (np.array([0]), np.ones((1, 0)), r"found \(1,\) and \(1, 0\); give one row of probabilities for each label"),
        (np.array([0.0]), np.ones((1, 2)), "expected labels as whole numbers, found float64; give class numbers"),
        (
            np.array([0, -1]),
            np.ones((2, 2)),
            "row 1: expected a label from 0 to 1, found -1; leave unlabelled rows out",
        ),
        (np.array([0, 2]), np.ones((2, 2)), "row 1: expected a label from 0 to 1, found 2"),
        (
            np.array([0, 0]),
            np.array([[0.5, 0.5], [0.5, np.nan]]),
            "row 1: expected probabilities from 0 to 1, found .* nan",
        ),
        (np.array([0]), np.array([[-3.0, 8.0]]), "found a highest value of 8.0; turn logits into probabilities first"),
    ],
)
def test_invalid_labels_and_probabilities_are_errors(labels: np.ndarray, pred_probs: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outcomes.of(labels, pred_probs)
