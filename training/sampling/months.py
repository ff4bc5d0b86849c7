"""Months of the training rows: the last ones of a catalog, and what a row counts by its age."""

import numpy as np

from catalog.months import month_number
from model.errors import CatalogError
from training.encoding.parsed_catalog import ParsedCatalog

#: A row that is older yet counts no less, so that its weight stays above 0.
_MOST_HALF_LIVES = 30


def row_months(catalog: ParsedCatalog, needed_by: str) -> np.ndarray:
    """(N,) int64 number of each row's month, see `catalog.months`; a row that names none counts as the oldest.

    Args:
        needed_by: the flag that needs them, for the error text.
    Raises:
        CatalogError: no row names a month.
    """
    texts = catalog.offer_column("month")
    numbers = {text: month_number(text) for text in set(texts)}
    known = [number for number in numbers.values() if number is not None]
    if not known:
        found = next((f"such as {text!r}" for text in texts if text), "none at all")
        raise CatalogError(
            f"{catalog.path}: {needed_by} needs the month in which a product was listed, such as 2026-03 in the column"
            f" month, found {found}; name its heading with --columns month=HEADING"
        )
    oldest = min(known)
    return np.array([oldest if (number := numbers[text]) is None else number for text in texts], np.int64)


def in_window(catalog: ParsedCatalog, window_months: int) -> ParsedCatalog:
    """The rows of a catalog's last months; all of them where the window is 0.

    Raises:
        CatalogError: no row names a month.
    """
    if not window_months:
        return catalog
    months = row_months(catalog, "--window-months")
    return catalog.select(months > months.max() - window_months, has_rejects=True)


def age_weights(months: np.ndarray, half_life_months: float) -> np.ndarray:
    """(N,) float64 above 0, what a row counts: 1 in the newest month, half of it a half-life before.

    Args:
        months: (N,) int.
    """
    half_lives = (months.max() - months) / half_life_months
    return np.asarray(0.5 ** np.minimum(half_lives, _MOST_HALF_LIVES))
