"""Pictures as a few numbers a row: what is alike stays alike, and a row without one has none."""

from pathlib import Path

import numpy as np
import pytest

from labeling.answers.picture_inputs import write_picture_inputs
from training.encoding.encoded_catalog import EncodedCatalog


def test_pictures_of_a_kind_stay_together(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kinds = np.arange(300) % 3
    features = random.normal(size=(3, 1280))[kinds] + random.normal(size=(300, 1280))
    places = np.where(np.arange(300) % 10 == 9, -1, np.arange(300))
    encoded = EncodedCatalog({"image_feature_rows": places, "labels": kinds}, features.astype(np.float32), 0, "")
    write_picture_inputs(encoded, tmp_path / "pictures.npy", seed=0)
    inputs = np.load(tmp_path / "pictures.npy").astype(np.float32)
    shown = places >= 0
    assert inputs.shape == (300, 128)
    assert np.linalg.norm(inputs[shown], axis=1) == pytest.approx(np.ones(int(shown.sum())), abs=0.01)
    assert not inputs[~shown].any()
    cosines = inputs[shown] @ inputs[shown].T
    is_same = kinds[shown][:, None] == kinds[shown]
    assert cosines[is_same].mean() > 0.3
    assert cosines[~is_same].mean() < 0


def test_rows_that_all_lost_their_picture_have_none(tmp_path: Path) -> None:
    arrays = {"image_feature_rows": np.full(4, -1), "labels": np.zeros(4, int)}
    write_picture_inputs(EncodedCatalog(arrays, np.zeros((0, 1280), np.float32), 0, ""), tmp_path / "p.npy", seed=0)
    assert np.array_equal(np.load(tmp_path / "p.npy"), np.zeros((4, 128)))
