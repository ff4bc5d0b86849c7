"""Index of the training products, and the neighbours of a catalog's products in it."""

import logging
from collections.abc import Mapping

import numpy as np

from model.prediction.neighbors import NeighborIndex
from model.settings import NeighborSettings
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.ngram_matrix import ngram_matrix

_CHUNK_ROWS = 4096

_log = logging.getLogger("aisle.neighbors")


def index_neighbors(
    catalog: EncodedCatalog, field_weights: Mapping[str, float], hash_buckets: int, settings: NeighborSettings
) -> NeighborIndex | None:
    """The products of a training catalog, ready to be compared with; None where they share no rare n-gram.

    Args:
        field_weights: field to what its n-grams count, of the text fields that the model reads.
    """
    labels = np.asarray(catalog.arrays["labels"])
    ngrams = ngram_matrix(catalog, field_weights, hash_buckets)
    index = NeighborIndex.of(
        ngrams, labels, field_weights, settings.neighbor_count, max_frequency=settings.neighbor_max_frequency
    )
    if not index.postings.nnz:
        _log.info(
            "no neighbours: expected n-grams that 2 to %d products share, found none", settings.neighbor_max_frequency
        )
        return None
    _log.info("neighbours: %d products, %d n-grams", len(labels), index.postings.shape[0])
    return index


def neighbor_logits(index: NeighborIndex, catalog: EncodedCatalog, num_classes: int) -> np.ndarray:
    """(N, K) float32 of a catalog's rows; see `NeighborIndex.logits`."""
    names = [f"{field}_ngram_{kind}" for field in index.field_weights for kind in ("ids", "weights")]
    parts = []
    for start in range(0, len(catalog), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        parts.append(index.logits({name: np.asarray(catalog.arrays[name][rows]) for name in names}, num_classes))
    return np.concatenate(parts) if parts else np.zeros((0, num_classes), np.float32)
