"""The rows of a catalog that training would leave out, by the kind of reason."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from catalog.rows import DUPLICATE


class RejectedRows:
    """Receives rejected rows, counts them by kind, and keeps an example of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, _: Path | str, line: int, product_id: str, reason: str) -> None:
        """Count one row; see `catalog.rejects.RejectSink`."""
        kind = reason.partition(":")[0]
        self.counts[kind] += 1
        self.examples.setdefault(kind, f"line {line}, product {product_id!r}: {reason}")

    def add_labels(self, rejected: Mapping[str, int]) -> None:
        """Count rows whose label has no class.

        Args:
            rejected: rows by reason.
        """
        for reason, count in rejected.items():
            kind = reason.partition(":")[0]
            self.counts[kind] += count
            self.examples.setdefault(kind, reason)

    @property
    def num_duplicate_ids(self) -> int:
        """Rows whose product_id an earlier row has."""
        return self.counts[DUPLICATE.partition(":")[0]]
