"""Hashed n-grams of texts to short vectors: a sparse random projection, which keeps their similarities."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from model.features import Features

NGRAM_DIM = 256
_NUM_SIGNS = 8
_SEED = 20_260_101
#: Weight of a field's n-grams beside the name's; what people call a product says most about which one it is.
_NAME_WEIGHT = 1.0
_OTHER_WEIGHT = 0.3


class NgramProjection:
    """A fixed matrix with eight signs a row (sparse Johnson-Lindenstrauss, Kane and Nelson 2014).

    Args:
        num_buckets: of the hashed n-grams.
        fields: text fields that are read.
    """

    def __init__(self, num_buckets: int, fields: Sequence[str]):
        random = np.random.default_rng(_SEED)
        self._num_buckets = num_buckets
        self._fields = tuple(fields)
        columns = random.integers(0, NGRAM_DIM, (num_buckets, _NUM_SIGNS))
        signs = random.choice(np.array([-1, 1], np.float32), (num_buckets, _NUM_SIGNS)) / np.float32(_NUM_SIGNS**0.5)
        rows = np.arange(num_buckets + 1) * _NUM_SIGNS
        self._matrix = csr_matrix((signs.ravel(), columns.ravel(), rows), (num_buckets, NGRAM_DIM))

    def vectors(self, features: Features) -> np.ndarray:
        """(N, NGRAM_DIM) float32, not yet of unit length.

        Args:
            features: the classifier's inputs.
        """
        count = len(features["presence"])
        total = np.zeros((count, NGRAM_DIM), np.float32)
        for field in self._fields:
            weights, ids = features[f"{field}_ngram_weights"], features[f"{field}_ngram_ids"]
            bounds = np.arange(count + 1) * weights.shape[1]
            rows = csr_matrix((weights.ravel(), ids.ravel(), bounds), (count, self._num_buckets))
            weight = _NAME_WEIGHT if field == "name" else _OTHER_WEIGHT
            total += weight * (rows @ self._matrix).toarray()
        return total
