"""Examples for metric learning from catalogs: features of each row, and which rows are the same product."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from catalog.rejects import Rejects
from catalog.rows import CatalogRow, read_catalog
from model.errors import CatalogError
from model.product import TEXT_FIELDS
from retrieval.embedding.embedded_catalog import CatalogSource, FeatureChunk, catalog_features
from retrieval.embedding.embedder import Embedder
from retrieval.learning.examples import Examples
from retrieval.learning.pair_products import product_of_rows

NUM_VIEWS = 2
_log = logging.getLogger("aisle.retrieval")


def read_examples(
    embedder: Embedder,
    sources: Sequence[CatalogSource],
    rejects: Rejects,
    products_of_pairs: Mapping[str, str] | None = None,
) -> Examples:
    """Read catalogs and compute what is learned from.

    Rows with the same group_id are the same product. Where no row has one, those of the same leaf category are taken
    for it; where some have, the others are left out.

    Args:
        embedder: of a bundle without a projection.
        products_of_pairs: see `read_products_of_pairs`; these are then the products.
    Raises:
        CatalogError: a catalog cannot be read, or has neither group_id nor category.
    """
    chunks = list(_chunks(embedder, sources, rejects))
    rows = [row for chunk, _, _ in chunks for row in chunk.rows]
    products, kept = product_names(rows, sources, products_of_pairs)
    names = sorted({products[i] for i in kept})
    numbers = {name: number for number, name in enumerate(names)}
    has_picture = np.concatenate([chunk.has_picture for chunk, _, _ in chunks])
    has_text = np.concatenate([found for _, _, found in chunks])
    pictures = _joined([chunk.views for chunk, _, _ in chunks], has_picture)
    texts = _joined([vectors for _, vectors, _ in chunks], has_text)
    labels = np.array([numbers[products[i]] for i in kept], np.int32)
    return Examples(
        labels,
        names,
        None if pictures is None else pictures[kept],
        has_picture[kept],
        None if texts is None else texts[kept],
        has_text[kept],
    )


def _chunks(
    embedder: Embedder, sources: Sequence[CatalogSource], rejects: Rejects
) -> Iterator[tuple[FeatureChunk, np.ndarray | None, np.ndarray]]:
    """Chunks with unit features of pictures in half precision, the vectors of the texts, and which rows have one."""
    for source in sources:
        with tqdm(desc=f"Embed {source.path.name}", unit=" rows", unit_scale=True) as bar:
            for chunk in catalog_features(embedder, source, rejects, NUM_VIEWS):
                texts, has_text = _text_vectors(embedder, chunk)
                yield _with_units(embedder, chunk), texts, has_text
                bar.update(len(chunk.rows))


def _text_vectors(embedder: Embedder, chunk: FeatureChunk) -> tuple[np.ndarray | None, np.ndarray]:
    has_text = np.zeros(len(chunk.rows), bool)
    if "text" not in embedder.dims:
        return None, has_text
    texts = {field: [row.text(field) for row in chunk.rows] for field in TEXT_FIELDS}
    vectors = np.zeros((len(chunk.rows), embedder.dims["text"]), np.float32)
    for i, found in enumerate(embedder.vectors(chunk.texts, texts, None, np.zeros(len(chunk.rows), bool), ("text",))):
        if "text" in found:
            vectors[i], has_text[i] = found["text"], True
    return vectors, has_text


def _with_units(embedder: Embedder, chunk: FeatureChunk) -> FeatureChunk:
    if chunk.views is None or embedder.pictures is None:
        return chunk
    units = embedder.pictures.unit(chunk.views).astype(np.float16)
    return FeatureChunk(chunk.rows, chunk.texts, units, chunk.has_picture, chunk.picture_errors)


def _joined(parts: Sequence[np.ndarray | None], is_there: np.ndarray) -> np.ndarray | None:
    """All rows of a feature; None where fewer than two rows have it."""
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if found and np.count_nonzero(is_there) > 1 else None


def read_products_of_pairs(pairs: Path, sources: Sequence[CatalogSource], rejects: Rejects) -> dict[str, str]:
    """Read which product each row of the catalogs is from a file of pairs, before a picture is looked at.

    Returns:
        product by product_id; rows in no pair have none.
    Raises:
        CatalogError: a file cannot be read, or no pair is good.
    """
    ids = {
        row.product_id for source in sources for rows in read_catalog(source.path, source.read_options) for row in rows
    }
    return product_of_rows(pairs, ids, rejects)


def product_names(
    rows: Sequence[CatalogRow], sources: Sequence[CatalogSource], products_of_pairs: Mapping[str, str] | None = None
) -> tuple[list[str], np.ndarray]:
    """The product of each row, '' for none, and (M,) positions of the rows that have one.

    Args:
        products_of_pairs: product by product_id; None takes group_id, or category.
    Raises:
        CatalogError: there is neither group_id nor category.
    """
    where = ", ".join(str(source.path) for source in sources)
    groups = [row.offer_text("group_id") for row in rows]
    if products_of_pairs is not None:
        what, products = "pairs", [products_of_pairs.get(row.product_id, "") for row in rows]
    elif any(groups):
        what, products = "group_id", groups
    else:
        what, products = "category", [row.category for row in rows]
    kept = np.array([i for i, name in enumerate(products) if name], np.int64)
    if not len(kept):
        raise CatalogError(
            f"{where}: expected rows with a group_id, or a category, found none; say which rows are the same product"
        )
    counts = Counter(products[i] for i in kept)
    _log.info("%s: %d products by %s, %d rows, %d left out", where, len(counts), what, len(kept), len(rows) - len(kept))
    return products, kept
