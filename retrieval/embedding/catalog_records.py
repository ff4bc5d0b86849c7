"""Rows of a catalog with their vectors as records of an index."""

import math
from pathlib import Path

from catalog.rows import CatalogRow, is_url
from retrieval.embedding.embedded_catalog import CatalogSource, EmbeddedChunk
from retrieval.index.record import Attributes, IndexRecord, kept_description


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
    image = row.image if not row.image or is_url(row.image) else str(folder / row.image)
    return Attributes(
        product_name=row.text("name"),
        category=row.category,
        brand=row.text("brand").strip(),
        mall=row.offer_text("mall"),
        price=_price(row.offer_text("price")),
        group_id=row.offer_text("group_id"),
        item_id=row.offer_text("item_id"),
        image=image,
        maker=row.text("maker").strip(),
        mall_category=row.text("mall_category"),
        description=kept_description(row.text("description")),
        model_number=row.offer_text("model_number"),
        source=row.offer_text("source"),
    )


def _price(text: str) -> float:
    """A price as a number; NaN where it is none, which no filter by price finds."""
    try:
        value = float(text.replace(",", "")) if text else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
