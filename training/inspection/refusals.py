"""Catalogs that teach nothing: refused before any work."""

import logging
from collections.abc import Sequence
from pathlib import Path

from catalog.labels.label_space import LabelSpace
from model.errors import CatalogError
from training.encoding.parsed_catalog import ParsedCatalog
from training.inspection.leaks import find_leaks, leak_refusal

_log = logging.getLogger("aisle.train")


def refuse_nothing_to_learn(
    catalog: ParsedCatalog, labels: LabelSpace, fields: Sequence[str], allow_leaks: bool
) -> None:
    """Refuse a catalog with one category, or whose inputs hold the label.

    Args:
        fields: of `model.product.FIELDS`, those that the model reads.
        allow_leaks: whether an input may hold the label.
    Raises:
        CatalogError: it is such a catalog.
    """
    if refusal := single_category_refusal(catalog.path, labels):
        raise CatalogError(refusal)
    leaks = [] if allow_leaks else find_leaks(catalog, labels, fields)
    if refusal := leak_refusal(catalog.path, leaks, fields):
        raise CatalogError(refusal)
    for leak in leaks:
        _log.warning("%s: %s; where products to come lack it, the answers are worse", catalog.path, leak.sentence())


def single_category_refusal(path: Path, labels: LabelSpace) -> str:
    """The sentence with which training refuses a catalog of one category; '' for more."""
    filled = labels.class_counts.nonzero()[0]
    if len(filled) > 1:
        return ""
    return (
        f"{path}: expected products of two categories or more, found {labels.taxonomy.leaves[filled[0]]!r} for all"
        f" {labels.class_counts.sum():,} labelled rows, so that there is nothing to tell apart; add products of other"
        " categories, or name the right heading with --columns category=HEADING"
    )
