"""Training catalogs after `labeling issues`: without the issues, or with right labels, as people would give them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy.catalog_variants import Row, read_rows, write_rows
from catalog.read_options import ReadOptions
from labeling.answers.labelled_catalog import read_labelled
from labeling.answers.out_of_fold import answer_out_of_fold
from labeling.issues.label_issues import find_issues
from labeling.settings import AnswerSettings

PRUNED, REVIEWED = "pruned", "reviewed"


def cleaned_catalog(path: Path, right: Sequence[Row], method: str, cache_dir: Path) -> Path:
    """Write a catalog's cleaned form beside it, or find it there.

    Args:
        right: the same rows with the right labels.
        method: `pruned` leaves the issues out, `reviewed` gives them their right labels.
    """
    target = path.with_name(f"{path.stem}-{method}.csv")
    if target.exists():
        return target
    issues = _issue_ids(path, cache_dir)
    kept = [
        row if row["product_id"] not in issues else true
        for row, true in zip(read_rows(path), right, strict=True)
        if method == REVIEWED or row["product_id"] not in issues
    ]
    return write_rows(target, kept)


def _issue_ids(path: Path, cache_dir: Path) -> set[str]:
    catalog = read_labelled(path, ReadOptions(), None, path.with_name("rejects.csv"), cache_dir, image_weights="none")
    answers = answer_out_of_fold(catalog, AnswerSettings(), path.with_name("folds"))
    found = find_issues(catalog, answers).joint.is_issue
    return {catalog.rows.product_ids[row] for row in np.flatnonzero(found)}
