"""The checksum of a catalog's row, by which a decision notices that the row has changed since."""

import hashlib

from catalog.rows import CatalogRow

_HEX_DIGITS = 16


def row_checksum(row: CatalogRow) -> str:
    """Return the checksum of a row's texts, picture and label, 16 hexadecimal digits."""
    content = "\0".join((*row.texts, row.image, row.category))
    return hashlib.sha256(content.encode()).hexdigest()[:_HEX_DIGITS]
