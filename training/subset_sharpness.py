"""How sure answers may be where fields are missing: fitted on validation products whose fields are hidden."""

import itertools
import logging
from collections.abc import Iterator

import keras
import numpy as np

from model.field_subsets import subset_code
from model.linear_head import LinearHead
from model.product import FIELDS
from training.batches import CatalogBatches
from training.calibrate import fit_temperature
from training.encoded_catalog import EncodedCatalog
from training.expert_weights import Experts, ExpertWeights
from training.linear_rows import given_fields
from training.linear_svm import linear_scores

#: Rows that a fit of one number needs at most, and at least.
_MAX_ROWS, _LEAST_ROWS = 3000, 30
_BATCH_SIZE = 256

_log = logging.getLogger("aisle.train")


def fit_subset_sharpness(
    trained: keras.Model, head: LinearHead | None, weights: ExpertWeights, val: CatalogBatches, seed: int
) -> np.ndarray:
    """What the joint logits count for each set of given fields, so that one temperature suits them all.

    Which fields are given changes how sure a network and a linear head are, and less how often they are right. Those
    that are too sure are told to be less so.

    Args:
        trained: from the batches' inputs to head logits.
        head: whose scores count as `weights` tells, or None.
    Returns:
        (2 ** F,) float32 up to 1, by `model.field_subsets.subset_code`; 1 of all fields, of none, and where rows are
            few.
    """
    fields = val.shape.fields
    found = np.ones(2 ** len(fields), np.float32)
    for kept in _proper_subsets(fields):
        catalog = with_fields_only(val.catalog, kept, seed)
        if len(catalog) < _LEAST_ROWS:
            continue
        batches = CatalogBatches(catalog, val.shape, _BATCH_SIZE)
        network = trained.predict(batches, verbose=0)["joint_logits"]
        experts = Experts(network, None if head is None else linear_scores(head, catalog))
        temperature = fit_temperature(weights.calibrated(experts), np.asarray(catalog.arrays["labels"]))
        # Never surer: the contract's thresholds are those of all rows, and more would pass them than are right.
        found[subset_code(kept, fields)] = min(1.0, 1 / temperature)
        _log.info("with %s only: temperature %.3g times that of others", ", ".join(kept), temperature)
    return found


def with_fields_only(catalog: EncodedCatalog, kept: tuple[str, ...], seed: int) -> EncodedCatalog:
    """Rows, drawn from a large catalog, that have all these fields; the others are hidden."""
    found = np.flatnonzero(given_fields(catalog, kept).all(axis=1))
    rows = np.sort(np.random.default_rng(seed).permutation(found)[:_MAX_ROWS])
    arrays = {name: np.array(values[rows]) for name, values in catalog.arrays.items()}
    for field in set(FIELDS) - set(kept):
        arrays["presence"][:, FIELDS.index(field)] = 0
        for name, values in arrays.items():
            if name.startswith(f"{field}_"):
                values[:] = -1 if name == "image_feature_rows" else 0
    return EncodedCatalog(arrays, catalog.image_features, 0, f"{catalog.digest} with {' '.join(kept)} only")


def _proper_subsets(fields: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for count in range(1, len(fields)):
        yield from itertools.combinations(fields, count)
