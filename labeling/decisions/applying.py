"""Decisions applied to a catalog: a new file, a log of what was changed, and the decisions that were refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from catalog.labels.label_space import LabelSpace
from catalog.read_options import ReadOptions
from catalog.rejects import RejectSink
from catalog.rows import CatalogRow
from labeling.decisions.catalog_rewriting import rewrite_labels
from labeling.decisions.decisions import Decision
from labeling.issues.row_checksum import row_checksum
from labeling.output_files import write_table
from training.encoding.parsed_catalog import ParsedCatalog

LOG_COLUMNS = ("product_id", "changed_by", "changed_at", "before", "after", "line")


@dataclass(frozen=True)
class Change:
    """One label that was changed.

    Args:
        line: of the catalog, or row number in a Parquet file.
    """

    product_id: str
    changed_by: str
    before: str
    after: str
    line: int


@dataclass(frozen=True)
class DecisionFile:
    """The file that decisions are from, for the rejects."""

    path: Path
    rejects: RejectSink

    def refuse(self, decision: Decision, reason: str) -> None:
        """Refuse one decision."""
        self.rejects.add(self.path, decision.line, decision.product_id, reason)


def accepted_changes(
    catalog: ParsedCatalog,
    decisions: Mapping[str, Decision],
    source: DecisionFile,
    labels: LabelSpace,
    decided_by: str,
    new_categories: bool = False,
) -> list[Change]:
    """Compare decisions with the catalog as it is now; those that do not fit are refused.

    Args:
        labels: of the shop.
        decided_by: who decided where the file does not say.
        new_categories: whether a category may be new.
    """
    left = dict(decisions)
    changes = []
    for rows in catalog.rows():
        for row in rows:
            decision = left.pop(row.product_id, None)
            if decision is None:
                continue
            if reason := _fault(decision, row, labels, new_categories):
                source.refuse(decision, reason)
            elif decision.category not in ("", row.category):
                changed_by = decision.decided_by or decided_by
                changes.append(Change(row.product_id, changed_by, row.category, decision.category, row.line))
    for decision in left.values():
        source.refuse(decision, "unknown product: no row of the catalog has this product_id; correct it")
    return changes


def write_changes(catalog: Path, options: ReadOptions, changes: list[Change], out: Path, log: Path) -> None:
    """Write the new catalog and the log of its changes.

    Raises:
        LabelingError: a file cannot be written.
    """
    rewrite_labels(catalog, options, {change.line: change.after for change in changes}, out)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rows = ((c.product_id, c.changed_by, now, c.before, c.after, c.line) for c in changes)
    write_table(log, LOG_COLUMNS, rows)


def _fault(decision: Decision, row: CatalogRow, labels: LabelSpace, new_categories: bool) -> str:
    """Return the reason to refuse a decision, '' where it fits."""
    if (found := row_checksum(row)) != decision.row_checksum:
        return (
            f"changed row: expected the row with checksum {decision.row_checksum}, which was looked at, found"
            f" {found}; run labeling issues again and look anew"
        )
    if decision.category and not new_categories and decision.category not in labels:
        return f"unknown category: {decision.category!r} is no leaf of {labels.source}; correct it or --new-categories"
    return ""
