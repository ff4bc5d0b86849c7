"""Fields that a catalog really has: those decide the branches of the network."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from catalog.rows import presence_flags, read_catalog
from model.errors import CatalogError
from model.product import FIELDS, field_words

#: A field on fewer rows than this share cannot teach a branch.
LEAST_SHARE = 0.005


def frequent_fields(catalog: Path, columns: Mapping[str, str]) -> tuple[str, ...]:
    """The fields that at least LEAST_SHARE of the rows have, in the order of FIELDS.

    Raises:
        CatalogError: no field is given often enough.
    """
    counts, total = np.zeros(len(FIELDS)), 0
    for rows in read_catalog(catalog, columns):
        counts += presence_flags(rows).sum(axis=0)
        total += len(rows)
    fields = tuple(field for field, count in zip(FIELDS, counts, strict=True) if count and count >= LEAST_SHARE * total)
    if not fields:
        raise CatalogError(
            f"{catalog}: expected {field_words(FIELDS)}, found none in {total} rows;"
            " name the right headings with --columns product_name=HEADING"
        )
    return fields
