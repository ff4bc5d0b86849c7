"""The state of a catalog's labels on one page: how clean, what a review brings, where to begin, what it cannot mend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeling.confusions.confusions import Confusions, find_confusions
from labeling.issues.label_issues import LabelIssues
from labeling.overview.model_gain import ModelGain, measure_gain
from labeling.overview.review import Review
from labeling.settings import AnswerSettings, ConfusionSettings, OverviewSettings
from model.taxonomy import SEPARATOR


@dataclass(frozen=True)
class CategoryPart:
    """One category in the review.

    Args:
        products: that it has.
        reviewed: of these, among the first of the list.
        expected_found: wrong labels among those reviewed.
    """

    category: str
    products: int
    reviewed: int
    expected_found: float


@dataclass(frozen=True, eq=False)
class Overview:
    """The findings.

    Args:
        gain: None where it was not measured, as there was nothing to learn or no one asked.
    """

    review: Review
    confusions: Confusions
    gain: ModelGain | None

    @property
    def issues(self) -> LabelIssues:
        """The products in the order of the list."""
        return self.review.issues

    @property
    def num_other_branch(self) -> float:
        """Expected wrong labels whose suggestion is in another branch from the first level on."""
        review, issues = self.review, self.issues
        names = np.array([leaf.split(SEPARATOR, 1)[0] for leaf in issues.catalog.labels.taxonomy.leaves])
        is_other = names[issues.catalog.classes] != names[issues.suggested]
        return float(review.wrong[is_other].sum())

    def categories(self) -> list[CategoryPart]:
        """The categories with reviewed products, those with the most wrong labels expected among these first."""
        review, catalog = self.review, self.issues.catalog
        num_classes = catalog.labels.taxonomy.num_leaves
        products = np.bincount(catalog.classes, minlength=num_classes)
        rows = review.reviewed
        reviewed = np.bincount(catalog.classes[rows], minlength=num_classes)
        found = np.bincount(catalog.classes[rows], review.wrong[rows], num_classes)
        return [
            CategoryPart(self.issues.path(number), int(products[number]), int(reviewed[number]), float(found[number]))
            for number in np.argsort(-found, kind="stable").tolist()
            if reviewed[number]
        ]

    @property
    def num_merges(self) -> int:
        """Categories that are proposed to be merged into others."""
        return sum(len(proposal.classes) for proposal in self.confusions.of_kind("merge"))

    @property
    def num_disputed_products(self) -> int:
        """Products in groups of near-duplicates with different labels."""
        return int(np.isin(self.issues.catalog.groups, list(self.issues.majorities)).sum())


def make_overview(issues: LabelIssues, overview: OverviewSettings, settings: AnswerSettings, folder: Path) -> Overview:
    """Estimate, measure, and gather.

    Args:
        folder: gets the folds of the model that learned the suggestions.
    """
    review = Review.of(issues, overview, settings.seed)
    confusions = find_confusions(issues.catalog, issues.answers, ConfusionSettings())
    gain = measure_gain(review, settings, folder) if overview.gain and len(review.likely_wrong) else None
    return Overview(review, confusions, gain)
