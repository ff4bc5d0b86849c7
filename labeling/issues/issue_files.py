"""The files of `labeling issues`: every row with its quality, near-duplicates that disagree, noise by category."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow
from pyarrow import parquet

from labeling.issues.label_issues import LabelIssues
from labeling.issues.row_checksum import row_checksum
from labeling.output_files import output_file, write_table
from model.errors import LabelingError

ISSUE_COLUMNS = ("product_id", "given", "suggested", "quality", "reason", "group", "is_issue", "row_checksum")
_GROUP_COLUMNS = ("group", "product_id", "given", "majority")
_CATEGORY_COLUMNS = ("category", "products", "wrong_share", "wrong_products", "most_often")
_CHUNK_ROWS = 65_536


def write_issues(folder: Path, issues: LabelIssues, form: Literal["csv", "parquet"]) -> Path:
    """Write issues.csv or issues.parquet, the most suspicious row first.

    Raises:
        LabelingError: the disk refuses.
    """
    checksums = _checksums(issues)
    rows = (_issue(issues, row, checksums[row]) for row in issues.order.tolist())
    path = folder / f"issues.{form}"
    if form == "csv":
        write_table(path, ISSUE_COLUMNS, ((*values[:3], f"{values[3]:.6f}", *values[4:]) for values in rows))
    else:
        _write_parquet(path, rows)
    return path


def write_near_duplicates(folder: Path, issues: LabelIssues) -> Path:
    """Write near_duplicates.csv: the rows of groups with different labels."""
    groups, catalog = issues.catalog.groups, issues.catalog
    rows = np.flatnonzero(np.isin(groups, list(issues.majorities)))
    path = folder / "near_duplicates.csv"
    found = (
        (int(groups[row]), catalog.rows.product_ids[row], issues.path(catalog.classes[row]), _majority(issues, row))
        for row in rows[np.argsort(groups[rows], kind="stable")].tolist()
    )
    write_table(path, _GROUP_COLUMNS, found)
    return path


def write_categories(folder: Path, issues: LabelIssues) -> Path:
    """Write categories.csv: the estimated noise of each category, the most wrong products first."""
    path = folder / "categories.csv"
    write_table(
        path,
        _CATEGORY_COLUMNS,
        ((name, count, f"{wrong / count:.4f}", wrong, other) for name, count, wrong, other in categories(issues)),
    )
    return path


def write_summary(folder: Path, issues: LabelIssues) -> Path:
    """Write summary.json: num_rows, and how many of them and what share are estimated to be wrong.

    `training train --noise-from` reads the share.

    Raises:
        LabelingError: the disk refuses.
    """
    path, num_rows = folder / "summary.json", len(issues.catalog)
    estimated = issues.joint.num_issues
    share = estimated / num_rows if num_rows else 0.0
    values = {"num_rows": num_rows, "num_estimated": estimated, "estimated_share": round(share, 6)}
    try:
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise LabelingError(
            f"{path} cannot be written: {error.strerror}; free space or choose another --out"
        ) from error
    return path


def categories(issues: LabelIssues) -> list[tuple[str, int, int, str]]:
    """By category its path, products, wrong ones, and the category where its products belong most often instead.

    The most wrong products come first.
    """
    sizes, wrong, counts = issues.joint.class_sizes, issues.joint.class_issues, issues.joint.counts
    found = []
    for number in np.flatnonzero(sizes).tolist():
        row = counts.getrow(number)
        others = row.indices != number
        place = int(row.indices[others][np.argmax(row.data[others])]) if others.any() else -1
        name = issues.path(place) if place >= 0 else ""
        found.append((issues.path(number), int(sizes[number]), int(wrong[number]), name))
    return sorted(found, key=lambda entry: -entry[2])


def _issue(issues: LabelIssues, row: int, checksum: str) -> tuple[Any, ...]:
    catalog = issues.catalog
    group = int(catalog.groups[row])
    return (
        catalog.rows.product_ids[row],
        issues.path(catalog.classes[row]),
        issues.path(issues.suggested[row]),
        float(issues.qualities[row]),
        issues.reason(row),
        str(group) if group in issues.majorities else "",
        int(issues.joint.is_issue[row]),
        checksum,
    )


def _checksums(issues: LabelIssues) -> list[str]:
    kept = np.asarray(issues.catalog.encoded.arrays["rows"])
    found: list[str] = []
    start = 0
    for rows in issues.catalog.parsed.rows():
        chosen = kept[np.searchsorted(kept, start) : np.searchsorted(kept, start + len(rows))] - start
        found += [row_checksum(rows[position]) for position in chosen.tolist()]
        start += len(rows)
    return found


def _majority(issues: LabelIssues, row: int) -> str:
    number = issues.majorities[int(issues.catalog.groups[row])]
    return issues.path(number) if number >= 0 else ""


def _write_parquet(path: Path, rows: Iterator[tuple[Any, ...]]) -> None:
    kinds = dict.fromkeys(ISSUE_COLUMNS, pyarrow.string())
    schema = pyarrow.schema({**kinds, "quality": pyarrow.float32(), "is_issue": pyarrow.int8()})
    with output_file(path) as aside, parquet.ParquetWriter(aside, schema) as writer:
        chunk: list[tuple[Any, ...]] = []
        for values in rows:
            chunk.append(values)
            if len(chunk) == _CHUNK_ROWS:
                writer.write_table(_table(chunk, schema))
                chunk = []
        writer.write_table(_table(chunk, schema))


def _table(rows: list[tuple[Any, ...]], schema: pyarrow.Schema) -> pyarrow.Table:
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [[]] * len(schema)
    return pyarrow.table(
        [pyarrow.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema
    )
