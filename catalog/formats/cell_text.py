"""Texts of the values that typed formats hold: JSON, Parquet, spreadsheets."""

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from catalog.columns import OFFER_COLUMNS
from catalog.formats.column_layout import ColumnLayout
from catalog.pictures.picture_list import first_of

_LARGEST_EXACT_FLOAT = 2.0**53


def cell_texts(layout: ColumnLayout, values: Sequence[object]) -> tuple[str, ...]:
    """The texts of the values of a row; the first of a list of pictures, in an offer none for what is no text.

    Raises:
        ValueError: a value of another column is neither text nor a finite number.
    """
    first = layout.num_sources - len(OFFER_COLUMNS)
    fields = list(values[:first])
    fields[layout.image] = first_of(fields[layout.image])
    return (*map(cell_text, fields), *map(_offer_text, values[first:]))


def cell_text(value: object) -> str:
    """Convert a value to text: None and NaN are '', a whole number has no '.0'.

    Bytes that are not UTF-8 become lone surrogates, as in `text_lines`.

    Raises:
        ValueError: the value is neither text nor a finite number.
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, float) and not math.isinf(value):
        if math.isnan(value):
            return ""
        # Tables store whole numbers as floats when one of them is missing.
        return str(int(value)) if value.is_integer() and abs(value) < _LARGEST_EXACT_FLOAT else repr(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"expected text or a number, found {type(value).__name__}")


def bad_cell(layout: ColumnLayout, values: Sequence[object]) -> tuple[str, str]:
    """The product_id of a row, as far as it is text, and the reason: the first value that is not a text or number."""
    texts: list[str] = []
    for name, value in zip(layout.names(), values, strict=True):
        try:
            texts.append(cell_text(first_of(value) if name == "image" else value))
        except ValueError as error:
            return "".join(texts[:1]), f"bad value: {name}: {error}; write it as text"
    raise AssertionError("called for a row without a bad value")


def _offer_text(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    try:
        return cell_text(value)
    except ValueError:
        return ""
