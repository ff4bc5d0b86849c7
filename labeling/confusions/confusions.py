"""The categories of a catalog that are not distinguished, with all that is known about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.top_answers import TopAnswers
from labeling.confusions.category_entropy import CategoryEntropy, category_entropy
from labeling.confusions.confusion_graph import ConfusionGraph, confusion_graph
from labeling.confusions.disputed_pairs import DisputedPairs
from labeling.confusions.proposals import Proposal, merges, redefinitions
from labeling.confusions.splits import splits
from labeling.issues.confident_learning import confident_joint
from labeling.settings import ConfusionSettings


@dataclass(frozen=True, eq=False)
class Confusions:
    """The findings in a catalog of K classes."""

    catalog: LabelledCatalog
    answers: TopAnswers
    entropy: CategoryEntropy
    graph: ConfusionGraph
    disputed: DisputedPairs
    proposals: list[Proposal]
    settings: ConfusionSettings

    @property
    def classes(self) -> np.ndarray:
        """(N,) int64, given."""
        return self.catalog.classes.astype(np.int64)

    @property
    def num_too_small(self) -> int:
        """Categories with products, but too few to be judged."""
        sizes = self.entropy.num_judged
        return int(((sizes > 0) & (sizes < self.settings.least_products)).sum())

    def path(self, number: int) -> str:
        """The path of a class."""
        return self.catalog.labels.taxonomy.leaves[number]

    def of_kind(self, kind: str) -> list[Proposal]:
        """The proposals of one kind."""
        return [proposal for proposal in self.proposals if proposal.kind == kind]

    def pairs(self) -> list[tuple[int, int, float]]:
        """Judged classes with their confusion, the most confused pair first."""
        weights = self.graph.weights.tocoo()
        is_judged = self.entropy.num_judged >= self.settings.least_products
        kept = (weights.row < weights.col) & is_judged[weights.row] & is_judged[weights.col] & (weights.data > 0)
        found = zip(weights.row[kept].tolist(), weights.col[kept].tolist(), weights.data[kept].tolist(), strict=True)
        return sorted(found, key=lambda pair: (-pair[2], pair[:2]))


def find_confusions(catalog: LabelledCatalog, answers: TopAnswers, settings: ConfusionSettings) -> Confusions:
    """Find categories that are not distinguished, and what could be done.

    Args:
        answers: out of fold.
    """
    classes, num_classes = catalog.classes.astype(np.int64), catalog.labels.taxonomy.num_leaves
    entropy = category_entropy(answers, classes, catalog.groups, num_classes)
    graph = confusion_graph(answers, classes, confident_joint(answers, classes, num_classes))
    disputed = DisputedPairs.find(catalog.groups, classes)
    proposals = [
        *merges(graph, entropy.num_judged, disputed, settings),
        *redefinitions(graph, entropy.num_judged, disputed, settings),
        *splits(catalog, answers, settings),
    ]
    return Confusions(catalog, answers, entropy, graph, disputed, proposals, settings)
