"""The n-grams of a catalog's rows as a sparse matrix, for linear models and neighbours."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from model.product import TEXT_FIELDS
from model.settings import FieldSettings
from training.encoding.encoded_catalog import EncodedCatalog


def ngram_field_weights(fields: Sequence[str], settings: FieldSettings) -> dict[str, float]:
    """Weight of the n-grams of each text field."""
    return {field: getattr(settings, f"linear_{field}_weight") for field in fields if field in TEXT_FIELDS}


def ngram_matrix(catalog: EncodedCatalog, field_weights: Mapping[str, float], hash_buckets: int) -> sparse.csr_matrix:
    """(N, hash_buckets) float32, the weights of each row's n-grams in all the given fields."""
    total = sparse.csr_matrix((len(catalog), hash_buckets), dtype=np.float32)
    for field, field_weight in field_weights.items():
        ids = np.asarray(catalog.arrays[f"{field}_ngram_ids"])
        weights = np.asarray(catalog.arrays[f"{field}_ngram_weights"])
        kept = weights > 0
        ends = np.concatenate([[0], kept.sum(axis=1).cumsum()])
        total += sparse.csr_matrix((np.float32(field_weight) * weights[kept], ids[kept], ends), shape=total.shape)
    return total
