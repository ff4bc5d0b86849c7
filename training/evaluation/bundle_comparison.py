"""The comparison of two bundles on the same rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catalog.rejects import Rejects, see_rejects
from model.bundle.bundle import Bundle
from model.errors import CatalogError
from model.predictor import Predictor
from model.taxonomy import Taxonomy
from training.metrics.comparison import compare
from training.metrics.confidence import calibration_error, ratio, reliability_bins_of
from training.metrics.contract import leaf_accepted_flags
from training.predict.answered_catalog import CatalogSource, answer_catalog

_REJECTS = "rejects-compared.csv"
#: Class of an answer that is not in the tree of the evaluated bundle; always wrong.
_NOT_IN_TREE = -1


@dataclass(frozen=True)
class RowAnswers:
    """The answers of one bundle by row, to be compared.

    Args:
        lines: (N,) int64, ascending, the line of each row in the catalog.
        classes: (N,) int32, the most probable classes.
        confidences: (N,) float32 in [0, 1].
        is_leaf_accepted: (N,) bool, True where a leaf was accepted.
    """

    lines: np.ndarray
    classes: np.ndarray
    confidences: np.ndarray
    is_leaf_accepted: np.ndarray

    def select(self, rows: np.ndarray) -> "RowAnswers":
        """Select rows by number."""
        return RowAnswers(self.lines[rows], self.classes[rows], self.confidences[rows], self.is_leaf_accepted[rows])


def check_comparable(taxonomy: Taxonomy, other: Bundle) -> None:
    """Refuse a bundle of another tree, which could only be wrong.

    Args:
        taxonomy: the evaluated bundle's.
    Raises:
        CatalogError: the trees have no leaf in common.
    """
    theirs = other.taxonomy
    if not set(taxonomy.leaves) & set(theirs.leaves):
        raise CatalogError(
            f"--compare-to {other.path}: expected a bundle with some of the same categories, found none of the"
            f" {taxonomy.num_leaves:,}, such as {taxonomy.leaves[0]!r}, among its {theirs.num_leaves:,}, such as"
            f" {theirs.leaves[0]!r}; give a bundle of the same tree"
        )


def compare_bundles(
    answers: RowAnswers,
    labels: np.ndarray,
    taxonomy: Taxonomy,
    other: Predictor,
    catalog: CatalogSource,
    report_dir: Path,
) -> dict[str, Any]:
    """Answer the evaluated rows with another bundle, and compare; rows that it cannot answer are excluded.

    Rows whose label is not in the other bundle's tree count as its mistakes.

    Args:
        answers: the answers of the evaluated bundle.
        labels: (N,) integer classes of the same rows.
        taxonomy: the evaluated bundle's tree.
        report_dir: folder for rejects-compared.csv.
    Returns:
        The entries of `compare`; name, version and fields of the other bundle; num_left_out; num_categories of the
        evaluated bundle, num_categories_other_lacks of these, num_categories_only_other and
        num_label_unknown_to_other, rows; this and other:
        expected_calibration_error, leaf_accepted_share and leaf_accepted_precision on the rows compared.
    Raises:
        CatalogError: the other bundle can answer none of these rows, or knows the category of none.
    """
    all_theirs = _answers_of(other, taxonomy, catalog, report_dir)
    _, here, there = np.intersect1d(answers.lines, all_theirs.lines, assume_unique=True, return_indices=True)
    if not len(here):
        raise CatalogError(
            f"--compare-to {other.bundle.path}: expected a bundle that answers these products, but it reads only"
            f" {', '.join(other.bundle.fields)}{see_rejects(report_dir / _REJECTS)}"
        )
    ours, theirs, labels = answers.select(here), all_theirs.select(there), labels[here]
    bundle = other.bundle
    is_known = np.array([bundle.taxonomy.class_of(leaf) is not None for leaf in taxonomy.leaves])
    if not is_known[labels].any():
        raise CatalogError(
            f"--compare-to {bundle.path}: expected a bundle that knows categories of these products, found none of"
            f" them among its {bundle.taxonomy.num_leaves:,}; give a bundle of the same tree, or another --catalog"
        )
    num_common = int(is_known.sum())
    return {
        **compare(ours.classes == labels, theirs.classes == labels, labels, taxonomy),
        "name": bundle.name,
        "version": bundle.version,
        "fields": list(bundle.fields),
        "num_left_out": len(answers.lines) - len(here),
        "num_categories": taxonomy.num_leaves,
        "num_categories_other_lacks": taxonomy.num_leaves - num_common,
        "num_categories_only_other": bundle.taxonomy.num_leaves - num_common,
        "num_label_unknown_to_other": int((~is_known[labels]).sum()),
        "this": _figures(ours, labels),
        "other": _figures(theirs, labels),
    }


def _answers_of(other: Predictor, taxonomy: Taxonomy, catalog: CatalogSource, report_dir: Path) -> RowAnswers:
    """Answer all rows that a bundle can answer, with classes of `taxonomy`."""
    found = [taxonomy.class_of(leaf) for leaf in other.bundle.taxonomy.leaves]
    class_here = np.array([_NOT_IN_TREE if leaf is None else leaf for leaf in found], np.int32)
    parts: list[tuple[np.ndarray, ...]] = []
    with Rejects(report_dir / _REJECTS) as rejects:
        for chunk in answer_catalog(other, catalog, rejects, top_k=1):
            top = chunk.answers.top_classes[:, 0]
            is_leaf_accepted, _ = leaf_accepted_flags(top, chunk.answers, other.bundle.taxonomy)
            lines = np.array([row.line for row in chunk.rows], np.int64)
            parts.append((lines, class_here[top], chunk.answers.top_probabilities[:, 0], is_leaf_accepted))
    if not parts:
        return RowAnswers(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, bool))
    lines, classes, confidences, is_leaf_accepted = (np.concatenate(column) for column in zip(*parts, strict=True))
    return RowAnswers(lines, classes, np.minimum(confidences, 1.0), is_leaf_accepted)


def _figures(answers: RowAnswers, labels: np.ndarray) -> dict[str, float | None]:
    is_right, is_leaf_accepted = answers.classes == labels, answers.is_leaf_accepted
    return {
        "expected_calibration_error": calibration_error(reliability_bins_of(answers.confidences, is_right)),
        "leaf_accepted_share": ratio(is_leaf_accepted.sum(), len(is_leaf_accepted)),
        "leaf_accepted_precision": ratio((is_right & is_leaf_accepted).sum(), is_leaf_accepted.sum()),
    }
