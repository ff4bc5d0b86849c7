"""Temperatures."""

import numpy as np
import pytest

from model.prediction.answers import softmax
from tests.training.conftest import honest_logits
from training.ensemble.calibration import fit_head_temperatures, fit_temperature


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_known_factor(factor: float) -> None:
    logits, labels = honest_logits(20_000, 4, 0)
    assert fit_temperature(logits * np.float32(factor), labels) == pytest.approx(factor, rel=0.04)


def test_rows_without_an_error_ask_for_no_more_confidence_than_they_support() -> None:
    """n rows that are all right support (n + 1) / (n + 2) on average, however far apart their logits are."""
    for count in (10, 100, 1000):
        labels = np.arange(count) % 3
        logits = 8 * np.eye(3, dtype=np.float32)[labels]
        confidences = softmax(logits, fit_temperature(logits, labels)).max(axis=1)
        assert confidences.mean() == pytest.approx(1 - 2 / 3 / (count + 2), abs=0.002 / count**0.5)


def test_extreme_temperatures_stay_in_their_bounds() -> None:
    labels = np.array([0, 1], np.int32)
    right = np.eye(2, dtype=np.float32)
    assert fit_temperature(right * 1e-4, labels) == pytest.approx(0.05, rel=0.01)
    assert fit_temperature(right[::-1] * 1e4, labels) == pytest.approx(20.0, rel=0.01)


def test_a_head_is_calibrated_on_the_rows_that_have_its_field() -> None:
    logits, labels = honest_logits(4000, 4, 1)
    name = np.zeros_like(logits)
    name[:2000] = 2 * logits[:2000]  # the other rows have no name
    weights = {"name": (np.arange(4000) < 2000).astype(np.float32), "image": np.zeros(4000, np.float32)}
    found = fit_head_temperatures({"name": name, "image": logits}, labels, weights)
    assert found == {"name": pytest.approx(2.0, rel=0.1), "image": 1.0}
