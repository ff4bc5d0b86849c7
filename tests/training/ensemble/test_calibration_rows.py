"""Rows that calibrate, and what is left of them with some of their fields only."""

import dataclasses

import numpy as np
from scipy import sparse

from model.prediction.neighbors import NeighborIndex
from model.product import FIELDS
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.calibration_rows import rows_with_fields, with_fields_only
from training.ensemble.neighbor_index import neighbor_logits


def only(catalog: EncodedCatalog, kept: tuple[str, ...], max_rows: int) -> EncodedCatalog:
    return with_fields_only(catalog, kept, rows_with_fields(catalog, kept, 0, max_rows))


def test_the_other_fields_are_hidden(encoded: EncodedCatalog) -> None:
    rows = np.arange(60, dtype=np.int64)
    catalog = dataclasses.replace(encoded, arrays={**encoded.arrays, "image_feature_rows": rows})
    given = encoded.arrays["presence"][:, 1] > 0
    hidden = only(catalog, ("mall_category",), 100)
    np.testing.assert_array_equal(hidden.arrays["labels"], encoded.arrays["labels"][given])
    flags = [field == "mall_category" for field in FIELDS]
    np.testing.assert_array_equal(hidden.arrays["presence"], np.tile(np.array(flags, np.float32), (given.sum(), 1)))
    assert not any(values.any() for name, values in hidden.arrays.items() if name.startswith("name_"))
    assert (hidden.arrays["image_feature_rows"] == -1).all()
    for name in ("mall_category_ngram_ids", "mall_category_ngram_weights"):
        np.testing.assert_array_equal(hidden.arrays[name], encoded.arrays[name][given])
    assert encoded.arrays["presence"][:57, 0].all()  # the catalog itself keeps its names
    pictures = only(catalog, ("image",), 100)
    np.testing.assert_array_equal(pictures.arrays["image_feature_rows"], rows)
    assert len(only(catalog, ("image",), 10)) == 10


def test_fields_that_no_row_has_have_no_neighbours(encoded: EncodedCatalog) -> None:
    """As when every picture of a catalog is lost."""
    ngrams = sparse.csr_matrix(np.ones((4, 8), np.float32))
    index = NeighborIndex.of(ngrams, np.zeros(4, int), {"name": 1.0}, count=2, max_frequency=9)
    none = with_fields_only(encoded, ("image",), np.zeros(0, np.int64))
    assert neighbor_logits(index, none, 3).shape == (0, 3)
