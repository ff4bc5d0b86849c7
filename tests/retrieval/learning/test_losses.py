"""Losses of metric learning against formulas worked out by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from retrieval.learning.losses import ArcFace, ProductCosines, SupervisedContrastive, TripletHinge

RANDOM = np.random.default_rng(0)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def value(loss: keras.losses.Loss, labels: np.ndarray, predictions: np.ndarray) -> float:
    return float(loss.call(ops.convert_to_tensor(labels), ops.convert_to_tensor(predictions.astype(np.float32))))


def test_contrastive_is_the_published_formula() -> None:
    vectors, labels = unit(RANDOM.normal(size=(6, 4))), np.array([0, 0, 1, 1, 1, 2])
    similarities, total, count = vectors @ vectors.T / 0.1, 0.0, 0
    for anchor in range(5):  # the sixth has nobody of its product
        others = [i for i in range(6) if i != anchor]
        same = [i for i in others if labels[i] == labels[anchor]]
        rest = np.log(np.exp(similarities[anchor, others]).sum())
        total -= np.mean([similarities[anchor, i] - rest for i in same])
        count += 1
    found = value(SupervisedContrastive(0.1), labels[:, None], vectors[:, None])
    assert found == pytest.approx(total / count, rel=1e-4)


def test_triplet_counts_the_broken_margins() -> None:
    vectors, labels = unit(RANDOM.normal(size=(5, 3))), np.array([0, 0, 1, 1, 2])
    similarities = vectors @ vectors.T
    broken = [
        0.2 + similarities[a, n] - similarities[a, p]
        for a in range(5)
        for p in range(5)
        for n in range(5)
        if a != p and labels[a] == labels[p] != labels[n]
    ]
    broken = [hinge for hinge in broken if hinge > 0]
    found = value(TripletHinge(0.2), labels[:, None], vectors[:, None])
    assert found == pytest.approx(np.mean(broken), rel=1e-4)


def test_arcface_widens_the_angle_to_the_right_product() -> None:
    cosines, labels = RANDOM.uniform(-0.9, 0.9, (4, 1, 3)), np.array([[0], [2], [1], [1]])
    logits = cosines[:, 0].copy()
    rows = np.arange(4)
    logits[rows, labels[:, 0]] = np.cos(np.arccos(logits[rows, labels[:, 0]]) + 0.3)
    logits *= 16
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[rows, labels[:, 0]])
    assert value(ArcFace(0.3, 16.0), labels, cosines) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", [SupervisedContrastive(0.1), TripletHinge(0.2)])
def test_entries_that_are_missing_do_not_count(loss: keras.losses.Loss) -> None:
    vectors, labels = unit(RANDOM.normal(size=(6, 1, 4))), np.array([0, 0, 1, 1, 1, 2])[:, None]
    padded = np.concatenate([vectors, unit(RANDOM.normal(size=(6, 1, 4)))], axis=1)
    missing = np.concatenate([labels, np.full((6, 1), -1)], axis=1)
    assert value(loss, missing, padded) == pytest.approx(value(loss, labels, vectors), rel=1e-4)


@pytest.mark.parametrize("loss", [SupervisedContrastive(0.1), TripletHinge(0.2), ArcFace(0.2, 8.0)])
def test_a_batch_with_nothing_to_learn_is_a_number(loss: keras.losses.Loss) -> None:
    vectors = unit(RANDOM.normal(size=(3, 1, 4)))
    assert np.isfinite(value(loss, np.full((3, 1), -1), vectors))


def test_cosines_are_those_of_unit_directions() -> None:
    layer = ProductCosines(3)
    vectors = unit(RANDOM.normal(size=(2, 1, 4))).astype(np.float32)
    found = ops.convert_to_numpy(layer(vectors))
    assert found.shape == (2, 1, 3)
    assert np.abs(found).max() <= 1 + 1e-6
