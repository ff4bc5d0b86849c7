"""Rows of a catalog with their vectors as records of an index."""

import math
from pathlib import Path

from catalog.rows import CatalogRow, is_url
from retrieval.embedding.embedded_catalog import CatalogSource, EmbeddedChunk
from retrieval.index.record import Attributes, IndexRecord


def records_of(chunk: EmbeddedChunk, source: CatalogSource) -> list[IndexRecord]:
    """The rows of a chunk as records of an index."""
    folder = source.path.parent.resolve()
    return [
        IndexRecord(row.product_id, attributes_of(row, folder), vectors)
        for row, vectors in zip(chunk.rows, chunk.vectors, strict=True)
    ]


def attributes_of(row: CatalogRow, folder: Path) -> Attributes:
    """Return the attributes of a row, which an index keeps beside its vectors.

    Args:
        folder: that a relative picture is in.
    """
    group_id, item_id, mall, price = row.offer
    image = row.image if not row.image or is_url(row.image) else str(folder / row.image)
    return Attributes(
        row.text("name"), row.category, row.text("brand").strip(), mall, _price(price), group_id, item_id, image
    )


def _price(text: str) -> float:
    """A price as a number; NaN where it is none, which no filter by price finds."""
    try:
        value = float(text.replace(",", "")) if text else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
