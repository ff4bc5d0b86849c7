"""Reads the offers of a catalog into a table, with their vectors where an index has them."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from catalog.rows import read_catalog
from model.errors import CatalogError
from retrieval.embedding.catalog_records import attributes_of
from retrieval.index.engine import IndexEngine
from retrieval.index.record import MATCHED_SPACES, Attributes, Space
from retrieval.matching.offers.offer_table import OfferTable

_CHUNK_IDS = 4096


def read_offers(catalog: Path, options: ReadOptions, rejects: Rejects, engine: IndexEngine | None = None) -> OfferTable:
    """Read a catalog.

    Args:
        columns: {column: heading in the file}.
        engine: an index of the same products; None compares texts and prices alone.
    Raises:
        CatalogError: the catalog cannot be read, or has no good row.
    """
    product_ids: list[str] = []
    offers: list[Attributes] = []
    folder = catalog.parent.resolve()
    with tqdm(desc=f"Read {catalog.name}", unit=" rows", unit_scale=True) as bar:
        for rows in read_catalog(catalog, options, rejects=rejects):
            product_ids += [row.product_id for row in rows]
            offers += [attributes_of(row, folder) for row in rows]
            bar.update(len(rows))
    if not offers:
        raise CatalogError(f"{catalog}: expected offers, found no good row, {rejects.summary()}")
    return OfferTable(product_ids, offers, _vectors(engine, product_ids) if engine is not None else None)


def _vectors(engine: IndexEngine, product_ids: list[str]) -> dict[Space, np.ndarray]:
    """Vectors of the products; zeros for those that the index has not."""
    dims = {space: dim for space, dim in engine.description.dims.items() if space in MATCHED_SPACES}
    vectors = {space: np.zeros((len(product_ids), dim), np.float32) for space, dim in dims.items()}
    for start in range(0, len(product_ids), _CHUNK_IDS):
        for position, record in enumerate(engine.get(product_ids[start : start + _CHUNK_IDS]), start):
            for space, vector in record.vectors.items() if record is not None else ():
                if space in dims:
                    vectors[space][position] = vector
    return vectors
