"""Products that have text but no name: how sure the answers about them may be."""

import logging

import keras
import numpy as np

from model.linear_head import LinearHead, knows_products_without_names
from model.product import FIELDS
from training.batches import CatalogBatches
from training.calibrate import fit_temperature
from training.encoded_catalog import EncodedCatalog
from training.expert_weights import Experts, ExpertWeights
from training.linear_rows import given_fields
from training.linear_svm import linear_scores

#: Rows that a fit of one number needs at most.
_MAX_ROWS = 3000
_BATCH_SIZE = 256

_log = logging.getLogger("aisle.linear")


def fit_nameless_sharpness(
    trained: keras.Model, head: LinearHead, weights: ExpertWeights, val: CatalogBatches, seed: int
) -> float:
    """What the joint logits of such products are multiplied with, so that one temperature suits them, too.

    Fitted on validation products whose names are hidden: machines that read one mall category are surer of its products
    than those whose names tell them apart.

    Args:
        trained: from the batches' inputs to head logits.
    Returns:
        1 where the head does not know such products, or the catalog has none.
    """
    catalog = without_names(val.catalog, tuple(head.field_weights), seed)
    if not len(catalog):
        return 1.0
    batches = CatalogBatches(catalog, val.shape, _BATCH_SIZE)
    experts = Experts(trained.predict(batches, verbose=0)["joint_logits"], linear_scores(head, catalog))
    temperature = fit_temperature(weights.calibrated(experts), np.asarray(catalog.arrays["labels"]))
    _log.info("products without a name: temperature %.3g times that of others", temperature)
    return 1 / temperature


def without_names(catalog: EncodedCatalog, text_fields: tuple[str, ...], seed: int) -> EncodedCatalog:
    """Rows, drawn from a large catalog, that have other text than their name; without that name."""
    others = [field for field in text_fields if field != "name"]
    found = np.flatnonzero(given_fields(catalog, others).any(axis=1) & knows_products_without_names(text_fields))
    rows = np.sort(np.random.default_rng(seed).permutation(found)[:_MAX_ROWS])
    arrays = {name: np.array(values[rows]) for name, values in catalog.arrays.items()}
    for name, values in arrays.items():
        if name.startswith("name_"):
            values[:] = 0
    arrays["presence"][:, FIELDS.index("name")] = 0
    return EncodedCatalog(arrays, catalog.image_features, 0, f"{catalog.digest} without names")


def is_nameless(catalog: EncodedCatalog, text_fields: tuple[str, ...]) -> np.ndarray:
    """(N,) bool."""
    if not knows_products_without_names(text_fields):
        return np.zeros(len(catalog), bool)
    given = given_fields(catalog, text_fields)
    return np.asarray(given.any(axis=1) & ~given[:, text_fields.index("name")])
