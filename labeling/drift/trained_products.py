"""The number of products by category that a bundle learned from."""

import numpy as np

from model.bundle.bundle import Bundle


def trained_products(bundle: Bundle) -> np.ndarray | None:
    """(K,) int64 training products of each leaf; None where the bundle, of an older program, does not say.

    One with neighbours says it by these.
    """
    counts = bundle.metrics.get("training_products")
    if counts:
        return np.array(counts, np.int64)
    if bundle.neighbors is not None and len(bundle.neighbors.labels):
        return np.bincount(bundle.neighbors.labels, minlength=bundle.taxonomy.num_leaves)
    return None
