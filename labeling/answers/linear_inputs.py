"""The inputs of linear classifiers: n-grams of a catalog's rows, and their pictures where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.picture_inputs import write_picture_inputs
from training.encoding.array_store import open_arrays
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.ngram_matrix import ngram_matrix


@dataclass(frozen=True)
class LinearInputs:
    """The place of the inputs, small enough for other processes.

    Args:
        encoded: folder of the encoded catalog.
        pictures: file of `write_picture_inputs`; None without pictures.
        field_weights: of the n-grams of each text field.
    """

    encoded: Path
    pictures: Path | None
    field_weights: Mapping[str, float]
    hash_buckets: int

    @classmethod
    def prepare(cls, catalog: LabelledCatalog, folder: Path, seed: int) -> LinearInputs:
        """Write what other processes cannot compute for themselves.

        Args:
            folder: gets pictures.npy where the catalog has pictures.
        """
        pictures = None
        if catalog.encoded.image_features is not None:
            pictures = folder / "pictures.npy"
            write_picture_inputs(catalog.encoded, pictures, seed)
        buckets = catalog.settings.tokenizer.hash_buckets
        return cls(catalog.encoded_folder, pictures, catalog.field_weights, buckets)

    def of(self, rows: np.ndarray) -> sparse.csr_matrix:
        """(len(rows), hash_buckets + D) float32."""
        arrays = open_arrays(self.encoded)
        part = {name: values[rows] for name, values in arrays.items() if "_ngram_" in name or name == "labels"}
        ngrams = ngram_matrix(EncodedCatalog(part, None, 0, ""), self.field_weights, self.hash_buckets)
        if self.pictures is None:
            return ngrams
        pictures = np.load(self.pictures, mmap_mode="r")[rows].astype(np.float32)
        return sparse.hstack([ngrams, sparse.csr_matrix(pictures)], format="csr")
