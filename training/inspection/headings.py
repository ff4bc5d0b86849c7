"""The headings of a file: the column that each is taken for, and what lies below it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Distinct values that are counted of a heading; more are "more than".
MAX_DISTINCT = 100_000
_EXAMPLE_CHARS = 60


@dataclass(frozen=True)
class HeadingSummary:
    """One heading of the file.

    Args:
        columns: of `catalog.columns.COLUMNS`, mostly one; none for a heading that nobody reads.
        share: of the rows that have a value, 0 to 1.
        num_distinct: values that differ, MAX_DISTINCT at most.
        example: a value, shortened; '' without any.
    """

    heading: str
    columns: tuple[str, ...]
    share: float
    num_distinct: int
    example: str

    @property
    def distinct_text(self) -> str:
        """'1,234', or 'over 100,000'."""
        return f"over {MAX_DISTINCT:,}" if self.num_distinct >= MAX_DISTINCT else f"{self.num_distinct:,}"


@dataclass
class _Values:
    num_filled: int = 0
    distinct: set[int] = field(default_factory=set)
    example: str = ""


class HeadingCounter:
    """Counts what lies below each heading, row by row.

    Args:
        headings: as in the file.
    """

    def __init__(self, headings: Sequence[str]):
        self.headings = list(headings)
        self.num_rows = 0
        self._values = [_Values() for _ in headings]

    def add(self, row: Sequence[str]) -> None:
        """Count a row of texts, one a heading."""
        self.num_rows += 1
        for values, text in zip(self._values, row, strict=True):
            if text and not text.isspace():
                values.num_filled += 1
                if len(values.distinct) < MAX_DISTINCT:
                    values.distinct.add(hash(text.strip()))
                values.example = values.example or shortened(text.strip())

    def summaries(self, located: Mapping[str, Sequence[str]]) -> list[HeadingSummary]:
        """Summarise the headings.

        Args:
            located: headings by column, see `catalog.columns.locate_columns`.
        """
        num_rows = max(self.num_rows, 1)
        return [
            HeadingSummary(
                heading,
                tuple(column for column, found in located.items() if heading in found),
                values.num_filled / num_rows,
                len(values.distinct),
                values.example,
            )
            for heading, values in zip(self.headings, self._values, strict=True)
        ]


def shortened(text: str, num_chars: int = _EXAMPLE_CHARS) -> str:
    """The beginning of a text, in one line."""
    text = " ".join(text.split())
    return text if len(text) <= num_chars else f"{text[: num_chars - 1]}…"
