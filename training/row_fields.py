"""A catalog row seen by the model's field names."""

from collections.abc import Sequence

import numpy as np

from model.product import FIELDS, TEXT_FIELDS, has_text
from training.catalog import CatalogRow


def row_text(row: CatalogRow, field: str) -> str:
    """The text of one of TEXT_FIELDS."""
    return row.product_name if field == "name" else str(getattr(row, field))


def row_presence(rows: Sequence[CatalogRow]) -> np.ndarray:
    """(N, 5) float32 over FIELDS, 1.0 where a row has the field."""
    flags = [[*(has_text(row_text(row, field)) for field in TEXT_FIELDS), bool(row.image)] for row in rows]
    return np.array(flags, np.float32).reshape(len(rows), len(FIELDS))
