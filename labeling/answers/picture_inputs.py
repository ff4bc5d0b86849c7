"""Pictures of a catalog as a few numbers a row, for linear classifiers beside n-grams."""

from pathlib import Path

import numpy as np

from training.encoding.encoded_catalog import EncodedCatalog

#: Principal axes that are kept of the features.
NUM_AXES = 128
#: What a picture counts beside the n-grams of one field, whose words and letters are each of length 1.
_LENGTH = 1.0
_SAMPLED_ROWS = 20_000
_CHUNK_ROWS = 8192


def write_picture_inputs(encoded: EncodedCatalog, path: Path, seed: int) -> None:
    """Write (N, D) float16 as .npy: unit features of each row's picture on their principal axes; zeros without one.

    Args:
        encoded: with the features of a frozen image encoder.
    """
    assert encoded.image_features is not None
    places = np.asarray(encoded.arrays["image_feature_rows"])
    shown = np.flatnonzero(places >= 0)
    inputs = np.zeros((len(places), min(NUM_AXES, encoded.image_features.shape[1])), np.float16)
    if len(shown):
        sample = np.sort(np.random.default_rng(seed).permutation(shown)[:_SAMPLED_ROWS])
        features = _unit(encoded.image_features[places[sample]])
        mean = features.mean(axis=0)
        axes = np.linalg.eigh((features - mean).T @ (features - mean))[1][:, ::-1][:, :NUM_AXES]
    for start in range(0, len(shown), _CHUNK_ROWS):
        rows = shown[start : start + _CHUNK_ROWS]
        inputs[rows] = _LENGTH * _unit((_unit(encoded.image_features[places[rows]]) - mean) @ axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, inputs, allow_pickle=False)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
