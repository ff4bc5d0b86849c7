"""Validation products with some of their fields hidden, and the logits of their rows."""

from dataclasses import dataclass

import keras
import numpy as np

from model.network.linear_head import LinearHead
from model.prediction.formula import HeadLogits
from model.prediction.neighbors import NeighborIndex
from model.product import FIELDS
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.linear_rows import given_fields
from training.ensemble.linear_svm import linear_scores
from training.ensemble.neighbor_index import neighbor_logits
from training.network.batches import CatalogBatches

_BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class HiddenFields:
    """The validation catalog with fields hidden, and the heads of the joint formula.

    Args:
        trained: from the batches' inputs to head logits.
        head: the linear head, or None.
        neighbors: the index of training products, or None.
        val: batches of the validation catalog.
        seed: of the draw from a large catalog.
        max_rows: that are drawn; a temperature and the thresholds of a set of fields need no more.
    """

    trained: keras.Model
    head: LinearHead | None
    neighbors: NeighborIndex | None
    val: CatalogBatches
    seed: int
    max_rows: int = 3000

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the model."""
        return self.val.shape.fields

    def catalog(self, kept: tuple[str, ...]) -> EncodedCatalog:
        """Products that have all of these fields, with no other."""
        return with_fields_only(self.val.catalog, kept, self.seed, self.max_rows)

    def heads(self, catalog: EncodedCatalog) -> HeadLogits:
        """Logits of a catalog's rows, 1 or more."""
        network = self.trained.predict(CatalogBatches(catalog, self.val.shape, _BATCH_SIZE), verbose=0)["joint_logits"]
        linear = None if self.head is None else linear_scores(self.head, catalog)
        if self.neighbors is None:
            return HeadLogits(network, linear)
        return HeadLogits(network, linear, neighbor_logits(self.neighbors, catalog, self.val.shape.num_classes))


def with_fields_only(catalog: EncodedCatalog, kept: tuple[str, ...], seed: int, max_rows: int) -> EncodedCatalog:
    """Rows, drawn from a large catalog, that have all these fields; the others are hidden."""
    found = np.flatnonzero(given_fields(catalog, kept).all(axis=1))
    rows = np.sort(np.random.default_rng(seed).permutation(found)[:max_rows])
    arrays = {name: np.array(values[rows]) for name, values in catalog.arrays.items()}
    for field in set(FIELDS) - set(kept):
        arrays["presence"][:, FIELDS.index(field)] = 0
        for name, values in arrays.items():
            if name.startswith(f"{field}_"):
                values[:] = -1 if name == "image_feature_rows" else 0
    return EncodedCatalog(arrays, catalog.image_features, 0, f"{catalog.digest} with {' '.join(kept)} only")
