"""Runs a bundle with Keras on its current backend (TensorFlow, JAX or PyTorch), CPU or GPU."""

import threading
from pathlib import Path

import numpy as np

from model.bundle_files import FILES
from model.engine import Features
from model.errors import EngineError


class KerasEngine:
    """See `model.engine.Engine`. Batches are padded to powers of two, so that few shapes compile."""

    name = "keras"

    def __init__(self, bundle_dir: Path):
        import keras

        import model.layers  # noqa: F401  registers the layers that the files name

        def load(path: Path) -> "keras.Model":
            try:
                return keras.saving.load_model(path, compile=False, safe_mode=True)
            except Exception as error:
                raise EngineError(f"Keras cannot load {path}: {error}") from error

        self._lock = threading.Lock()
        self._classifier = load(bundle_dir / FILES.classifier)
        encoder = bundle_dir / FILES.image_encoder
        self._image_encoder = load(encoder) if encoder.exists() else None

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 to (B, F) float32."""
        if self._image_encoder is None:
            raise EngineError("this bundle has no picture branch; leave pictures out")
        with self._lock:
            return np.asarray(self._image_encoder.predict_on_batch(_padded(images))["image_features"])[: len(images)]

    def classify(self, features: Features) -> dict[str, np.ndarray]:
        """Classifier inputs to head logits and embedding."""
        count = len(features["presence"])
        with self._lock:
            outputs = self._classifier.predict_on_batch({name: _padded(rows) for name, rows in features.items()})
        return {name: np.asarray(rows)[:count] for name, rows in outputs.items()}

    def close(self) -> None:
        """Drop the models."""
        del self._classifier, self._image_encoder


def _padded(rows: np.ndarray) -> np.ndarray:
    size = 1 << max(len(rows) - 1, 0).bit_length()
    return np.pad(rows, [(0, size - len(rows))] + [(0, 0)] * (rows.ndim - 1))
