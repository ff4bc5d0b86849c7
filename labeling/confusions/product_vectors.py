"""Short vectors of products by the n-grams of their texts (latent semantic analysis, Deerwester et al. 1990)."""

import numpy as np
from scipy import sparse

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.linear_inputs import LinearInputs

_NUM_AXES = 64
_SAMPLED_ROWS = 20_000
#: An n-gram counts that at least so many of the products have, and at most this share.
_LEAST_PRODUCTS = 3
_MOST_SHARE = 0.2


def product_vectors(catalog: LabelledCatalog, rows: np.ndarray, seed: int) -> np.ndarray:
    """(len(rows), D) float32 of length one; rare n-grams count more."""
    from sklearn.decomposition import TruncatedSVD

    buckets = catalog.settings.tokenizer.hash_buckets
    inputs = LinearInputs(catalog.encoded_folder, None, catalog.field_weights, buckets).of(rows)
    counts = np.bincount(inputs.indices, minlength=inputs.shape[1])
    kept = np.flatnonzero((counts >= _LEAST_PRODUCTS) & (counts <= _MOST_SHARE * len(rows)))
    if len(kept) <= _NUM_AXES:
        return np.zeros((len(rows), 1), np.float32)
    weighted = _unit_rows(sparse.csr_matrix(inputs[:, kept].multiply(np.log(len(rows) / counts[kept]))))
    sample = np.sort(np.random.default_rng(seed).permutation(len(rows))[:_SAMPLED_ROWS])
    axes = TruncatedSVD(_NUM_AXES, random_state=seed).fit(weighted[sample])
    vectors = np.asarray(axes.transform(weighted), np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _unit_rows(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-9)) @ rows)
