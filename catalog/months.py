"""The month in which a product was listed, as catalogs write it."""

import re

#: 2026-03, 2026/3, 2026.03.31 or 2026-03-31T10:00, and 202603 or 20260331.
_SEPARATED = re.compile(r"(\d{4})[-/.](\d{1,2})(?:[-/.T ].*)?")
_JOINED = re.compile(r"(\d{4})(\d{2})(?:\d{2})?")


def month_number(text: str) -> int | None:
    """The number of a month, such that the following one is 1 more; None where the text names no month.

    Args:
        text: year and month, and what follows, in digits: 2026-03, 2026/3, 2026.03.31, 202603, 20260331.
    """
    found = _SEPARATED.fullmatch(text) or _JOINED.fullmatch(text)
    if found is None:
        return None
    year, month = int(found[1]), int(found[2])
    return year * 12 + month - 1 if 1 <= month <= 12 else None


def month_name(number: int) -> str:
    """A month for people, 2026-03.

    Args:
        number: as of `month_number`.
    """
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
