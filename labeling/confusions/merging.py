"""The accepted merges of a plan, applied to a catalog and its tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catalog.columns import did_you_mean
from catalog.labels.label_space import LabelSpace
from labeling.confusions.plan import Plan, PlanEntry
from labeling.decisions.applying import Change
from labeling.output_files import write_table
from model.errors import LabelingError, TaxonomyError
from model.taxonomy import Taxonomy
from training.encoding.parsed_catalog import ParsedCatalog


@dataclass(frozen=True, eq=False)
class Merging:
    """The leaves of a tree after a merge.

    Args:
        new_paths: by merged leaf its path afterwards, which may be its own.
    """

    labels: LabelSpace
    new_paths: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan, file: Path, labels: LabelSpace) -> Merging:
        """Check the accepted merges of a plan.

        Args:
            file: of the plan, for messages.
        Raises:
            LabelingError: nothing is accepted, or a merge does not fit the tree or another merge.
        """
        accepted = [
            (f"{file}, proposal {number}", entry)
            for number, entry in enumerate(plan.proposals, start=1)
            if entry.accepted and entry.kind == "merge"
        ]
        if not accepted:
            raise LabelingError(
                f"{file}: expected an accepted merge, found none among {len(plan.proposals):,} proposals; set"
                ' "accepted": true where categories are to become one'
            )
        new_paths: dict[str, str] = {}
        for where, entry in accepted:
            _check(where, entry, labels, new_paths)
            new_paths |= dict.fromkeys(entry.categories, entry.new_paths[0])
        merging = cls(labels, new_paths)
        merging.taxonomy()
        return merging

    def taxonomy(self) -> Taxonomy:
        """The tree afterwards; a path that is new has no id.

        Raises:
            LabelingError: a new path lies above or below another leaf.
        """
        old = self.labels.taxonomy
        leaves = dict.fromkeys(self.new_paths.get(leaf, leaf) for leaf in old.leaves)
        try:
            new = Taxonomy(leaves)
        except TaxonomyError as error:
            raise LabelingError(f"a merge's new path does not fit the tree: {error}; choose another path") from error
        ids = {node: old.category_id(node) for node in new.nodes if old.category_id(node)}
        return Taxonomy(leaves, ids)

    def merged_classes(self) -> np.ndarray:
        """(K,) int32, of each class the one of the old tree that stands for the category that it is in afterwards."""
        leaves = self.labels.taxonomy.leaves
        first: dict[str, int] = {}
        for number, leaf in enumerate(leaves):
            first.setdefault(self.new_paths.get(leaf, leaf), number)
        return np.array([first[self.new_paths.get(leaf, leaf)] for leaf in leaves], np.int32)

    def changes(self, catalog: ParsedCatalog, changed_by: str) -> list[Change]:
        """The labels that are written anew."""
        leaves, found = self.labels.taxonomy.leaves, []
        for rows in catalog.rows():
            for row in rows:
                number = self.labels.class_of(row)
                path = leaves[number] if isinstance(number, int) else ""
                after = self.new_paths.get(path, path)
                if after != path:
                    found.append(Change(row.product_id, changed_by, row.category, after, row.line))
        return found

    def write_taxonomy(self, path: Path) -> None:
        """Write the tree afterwards as a file that `--taxonomy` reads.

        Raises:
            LabelingError: the disk refuses.
        """
        tree = self.taxonomy()
        write_table(path, ("category_id", "category"), ((tree.category_id(node), node) for node in tree.nodes))


def _check(where: str, entry: PlanEntry, labels: LabelSpace, others: Mapping[str, str]) -> None:
    """Raise what is wrong with one merge.

    Args:
        others: what the merges before it do.
    """
    leaves, new_path = labels.taxonomy.leaves, entry.new_paths[0]
    for category in entry.categories:
        if labels.taxonomy.class_of(category) is None:
            raise LabelingError(
                f"{where}: unknown category: {category!r} is no leaf of {labels.source}"
                f"{did_you_mean(category, leaves)}; correct it, or run labeling confusions again"
            )
        if category in others:
            raise LabelingError(f"{where}: {category!r} is in another accepted merge, too; accept one of them")
    is_taken = labels.taxonomy.class_of(new_path) is not None and new_path not in entry.categories
    if is_taken or new_path in others.values():
        raise LabelingError(
            f"{where}: the new path {new_path!r} is another category; add that to `categories`, or choose another path"
        )
