"""Variants of a product as rows of their own, where only the first says what the product is, as shops export them."""

import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from catalog.columns import COLUMNS
from catalog.formats.row import Row
from model.product import TEXT_COLUMNS

_log = logging.getLogger("aisle.catalog")

#: Positions among COLUMNS.
_GROUP, _IMAGE = COLUMNS.index("group_id"), COLUMNS.index("image")
_TAKEN = frozenset(map(COLUMNS.index, (*TEXT_COLUMNS, "category")))


def with_group_texts(path: Path, rows: Iterable[Row]) -> Iterator[Row]:
    """Give a row without any text and label those of the first row of its group_id, and its picture where it has none.

    The rows of a group have to follow each other: only one row is remembered. All other rows pass as they are.

    Args:
        path: of the catalog, to say how many rows were filled in.
        rows: see `catalog.formats.row`.
    """
    first: tuple[str, ...] = ("",) * len(COLUMNS)
    num_filled = 0
    for line, texts in rows:
        if not texts[_GROUP] or texts[_GROUP] != first[_GROUP]:
            first = texts
        elif not _has_own(texts) and _has_own(first) and _is_clean(first):
            num_filled += 1
            yield line, tuple(map(_filled, range(len(COLUMNS)), texts, first))
            continue
        yield line, texts
    if num_filled:
        _say_filled(path, num_filled)


def _has_own(texts: tuple[str, ...]) -> bool:
    return any(texts[i] and not texts[i].isspace() for i in _TAKEN)


def _filled(position: int, text: str, first: str) -> str:
    return first if position in _TAKEN or (position == _IMAGE and not text.strip()) else text


def _is_clean(texts: tuple[str, ...]) -> bool:
    """True for a row without the bytes for which it, and with it those that take its texts, would be left out."""
    joined = "".join(texts)
    return "\0" not in joined and not any("\ud800" <= character <= "\udfff" for character in joined)


@lru_cache
def _say_filled(path: Path, num_filled: int) -> None:
    _log.info("%s: %d rows without text and label have those of the first row of their group_id", path, num_filled)
