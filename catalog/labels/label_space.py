"""The labels of a catalog: the tree they span, or the shop's own, and the class of each row."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from catalog.columns import did_you_mean
from catalog.labels.taxonomy_file import ancestors, read_taxonomy
from catalog.rows import CatalogRow
from catalog.statistics import CatalogStatistics
from model.errors import CatalogError
from model.taxonomy import SEPARATOR, Taxonomy

logger = logging.getLogger("aisle.catalog")

#: A near name costs milliseconds among thousands of leaves, so only so many labels get one.
NUM_SUGGESTIONS = 100
_SUGGESTION_CUTOFF = 0.7


class LabelSpace:
    """Labels to classes.

    Args:
        taxonomy: its leaf i is class i; a label is a leaf's path or id.
        source: what the leaves come from, for the reasons: "taxonomy.csv".
        contradictions: label to the reason why the rows that carry it are rejected.
        class_counts: (K,) int64, rows of each class in the training catalog; zeros when not given.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        source: str,
        contradictions: Mapping[str, str] | None = None,
        class_counts: np.ndarray | None = None,
    ):
        self.taxonomy = taxonomy
        self.source = source
        self.class_counts = np.zeros(taxonomy.num_leaves, np.int64) if class_counts is None else class_counts
        self._classes = _classes_by_label(taxonomy)
        self._first_below = _first_leaf_below(taxonomy)
        self._padded_ids = _padded_ids(taxonomy)
        self._reasons = {"": "no label: expected a category, found none; fill it in", **(contradictions or {})}
        self._num_reasons_given = len(self._reasons)

    def __contains__(self, label: str) -> bool:
        """True if a label has a class."""
        return label in self._classes

    def class_of(self, row: CatalogRow) -> int | str:
        """The class of a row, 0 to K - 1, or the reason to reject it: 'kind: what, what to do'."""
        return self.class_of_label(row.category)

    def class_of_label(self, label: str) -> int | str:
        """The class of a normalized label, or the reason to reject its rows; see `class_of`."""
        found = self._classes.get(label)
        return self._reason(label) if found is None else found

    def _reason(self, label: str) -> str:
        if label in self._reasons:
            return self._reasons[label]
        node = self.taxonomy.nodes_by_id.get(label, label)
        if node in self._first_below:
            below = self._first_below[node]
            return f"label above the leaves: {self.source} has others below {node!r}, such as {below!r}; give one"
        if label in self._padded_ids:
            return f"lost leading zeros: {_lost_zeros(label, self._padded_ids)}"
        reason = f"unknown label: {label!r} is not a leaf of {self.source}"
        if len(self._reasons) - self._num_reasons_given >= NUM_SUGGESTIONS:
            return reason
        reason += did_you_mean(label, self._classes, _SUGGESTION_CUTOFF)
        self._reasons[label] = reason
        return reason


def find_labels(
    statistics: CatalogStatistics, taxonomy_file: Path | None = None, separator: str = SEPARATOR
) -> LabelSpace:
    """Find the tree of a training catalog and the class of each label.

    Without a taxonomy file the tree is what the labels span. Where one label lies below another, the
    side with fewer rows is rejected (of equals the deeper), so that a sloppy row does not cost thousands.

    Args:
        taxonomy_file: CSV or TSV of category_id and category; all its leaves become classes.
        separator: text between the levels in the taxonomy file.
    Raises:
        CatalogError: the taxonomy cannot be read, or no row has a usable label.
        TaxonomyError: the taxonomy file is wrong.
    """
    tree = read_taxonomy(taxonomy_file, separator) if taxonomy_file is not None else None
    path, counts = statistics.path, _given_labels(statistics)
    if taxonomy_file is not None and tree is not None:
        taxonomy, source, contradictions = tree, taxonomy_file.name, dict[str, str]()
    else:
        leaves, contradictions = resolve_contradictions(counts)
        taxonomy, source = Taxonomy(leaves), path.name
    classes = _classes_by_label(taxonomy)
    class_counts = np.zeros(taxonomy.num_leaves, np.int64)
    for label, count in counts.items():
        if label in classes:
            class_counts[classes[label]] += count
    if not class_counts.any():
        padded = _padded_ids(taxonomy)
        lost = next((label for label in counts if label in padded), None)
        remedy = "use its paths or ids" if lost is None else f"ids lost leading zeros: {_lost_zeros(lost, padded)}"
        example = next(iter(counts))
        raise CatalogError(
            f"{path}: expected labels that are leaves of {source}, found none, but {example!r}; {remedy}"
        )
    return LabelSpace(taxonomy, source, contradictions, class_counts)


def resolve_contradictions(counts: Mapping[str, int]) -> tuple[list[str], dict[str, str]]:
    """Choose labels of which none lies below another, so that the most rows stay.

    Args:
        counts: rows by label.
    Returns:
        the chosen leaves, sorted, and {rejected label: reason}.
    """
    rows_below: Counter[str] = Counter()  # the most rows that can stay below a node
    chosen: set[str] = set()
    for label in sorted(counts, key=lambda label: label.count(SEPARATOR), reverse=True):
        gain = counts[label] - rows_below[label]
        if gain >= 0:
            chosen.add(label)
            for above in ancestors(label):
                rows_below[above] += gain
    leaves = {label for label in chosen if not chosen.intersection(ancestors(label))}
    reasons: dict[str, str] = {}
    for label in counts.keys() - leaves:
        leaf_above = leaves.intersection(ancestors(label))
        other = f"{label!r} lies below {leaf_above.pop()!r}" if leaf_above else f"others lie below {label!r}"
        reasons[label] = f"contradictory label: {other}, and fewer rows say so; give every product the deepest category"
    return sorted(leaves), reasons


def _given_labels(statistics: CatalogStatistics) -> dict[str, int]:
    for warning in statistics.label_warnings:
        logger.warning("%s: %s", statistics.path, warning)
    counts = {label: count for label, count in statistics.label_counts.items() if label}
    if not counts:
        raise CatalogError(
            f"{statistics.path}: expected rows with a category, found none; name the heading with"
            " --columns category=HEADING"
        )
    return counts


def _classes_by_label(taxonomy: Taxonomy) -> dict[str, int]:
    classes = {leaf: i for i, leaf in enumerate(taxonomy.leaves)}
    by_id = {category_id: classes[node] for category_id, node in taxonomy.nodes_by_id.items() if node in classes}
    return by_id | classes  # a path wins over an id


def _padded_ids(taxonomy: Taxonomy) -> dict[str, str]:
    """Ids that begin with zeros, by what a spreadsheet makes of them."""
    ids = [category_id for category_id in taxonomy.nodes_by_id if category_id.startswith("0")]
    return {category_id.lstrip("0") or "0": category_id for category_id in ids}


def _lost_zeros(label: str, padded_ids: Mapping[str, str]) -> str:
    return f"the id {padded_ids[label]!r} is {label!r} here; export the column as text"


def _first_leaf_below(taxonomy: Taxonomy) -> dict[str, str]:
    first: dict[str, str] = {}
    for leaf in taxonomy.leaves:
        for above in ancestors(leaf):
            first.setdefault(above, leaf)
    return first
