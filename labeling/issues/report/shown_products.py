"""Products as the pages show them."""

from collections.abc import Collection
from typing import Any

from catalog.pictures.thumbnail import thumbnail_url
from catalog.rows import CatalogRow
from labeling.answers.labelled_catalog import LabelledCatalog


def shown_products(catalog: LabelledCatalog, wanted: Collection[int]) -> dict[int, dict[str, Any]]:
    """By row what a page shows of a product: its id, name, picture as a data URL, and the given category.

    Args:
        wanted: rows, which are read again.
    """
    places = {int(catalog.encoded.arrays["rows"][row]): row for row in wanted}
    found: dict[int, dict[str, Any]] = {}
    start = 0
    for rows in catalog.parsed.rows():
        for place in [place for place in places if start <= place < start + len(rows)]:
            found[places[place]] = _shown(catalog, places[place], rows[place - start])
        start += len(rows)
    return found


def _shown(catalog: LabelledCatalog, row: int, read: CatalogRow) -> dict[str, Any]:
    picture = str(catalog.parsed.path.parent / read.image) if read.image and "://" not in read.image else ""
    return {
        "product_id": read.product_id,
        "name": read.text("name"),
        "picture": thumbnail_url(picture),
        "given": catalog.labels.taxonomy.leaves[catalog.classes[row]],
    }
