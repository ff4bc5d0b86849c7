"""Affine maps into the space of products that metric learning found."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.errors import BundleError


@dataclass(frozen=True)
class Projection:
    """Inputs by kind, "image" or "text", to vectors of one space.

    Args:
        weights: (F, D) float32 by kind.
        biases: (D,) float32 by kind.
    """

    weights: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Inputs that it takes."""
        return tuple(self.weights)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return int(next(iter(self.biases.values())).shape[0])

    def vectors(self, kind: str, features: np.ndarray) -> np.ndarray:
        """(N, F) float32 to (N, D) of unit length."""
        return unit_length(features @ self.weights[kind] + self.biases[kind])

    def save(self, path: Path) -> None:
        """Write the arrays of an .npz file."""
        arrays = {f"{kind}_weights": values for kind, values in self.weights.items()}
        arrays |= {f"{kind}_biases": values for kind, values in self.biases.items()}
        np.savez(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Projection":
        """Read what `save` wrote.

        Raises:
            BundleError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                kinds = [name.removesuffix("_weights") for name in arrays.files if name.endswith("_weights")]
                weights = {kind: arrays[f"{kind}_weights"] for kind in kinds}
                return cls(weights, {kind: arrays[f"{kind}_biases"] for kind in kinds})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path} cannot be read: {error}; copy or write the bundle again") from error


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """(..., D) float32 divided by their length; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
