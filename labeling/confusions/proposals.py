"""Proposals for categories that are not distinguished: merge them, or say anew what belongs where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from labeling.confusions.confusion_graph import ConfusionGraph, communities
from labeling.confusions.disputed_pairs import DisputedPairs
from labeling.settings import ConfusionSettings

Kind = Literal["merge", "split", "redefine"]

#: A model that is less often wrong than this tells most products apart.
_MOST_CONFUSION_DISTINGUISHED = 0.5
_LEAST_DISPUTED_GROUPS = 3
_LEAST_DISPUTED_SHARE = 0.1


@dataclass(frozen=True)
class Proposal:
    """One proposal; a person decides.

    Args:
        classes: ascending; of a split the leaf alone.
        toward: of a split, the class that each of its two kinds is most like.
        evidence: numbers by name.
        typical: of a split, rows of each kind, the most typical first.
    """

    kind: Kind
    classes: tuple[int, ...]
    evidence: Mapping[str, float]
    toward: tuple[int, ...] = ()
    typical: tuple[tuple[int, ...], ...] = ()


def merges(
    graph: ConfusionGraph, sizes: np.ndarray, disputed: DisputedPairs, settings: ConfusionSettings
) -> list[Proposal]:
    """Propose each community of confusion as one category, largest number of products first.

    Args:
        sizes: (K,) judged rows of each class.
    """
    members = np.flatnonzero(sizes >= settings.least_products)
    found = []
    for community in communities(graph, members, settings.least_confusion):
        pairs = np.triu_indices(len(community), 1)
        parts = {
            "confusion": graph.weights,
            "confusion_by_probability": graph.by_probability,
            "confusion_by_decision": graph.by_decision,
        }
        evidence: dict[str, float] = {
            name: round(float(matrix[community][:, community].toarray()[pairs].mean()), 4)
            for name, matrix in parts.items()
        }
        evidence |= disputed.evidence(community.tolist())
        evidence |= {
            "products": int(sizes[community].sum()),
            "products_of_the_smallest": int(sizes[community].min()),
        }
        found.append(Proposal("merge", tuple(community.tolist()), evidence))
    return sorted(found, key=lambda proposal: -proposal.evidence["products"])


def redefinitions(
    graph: ConfusionGraph, sizes: np.ndarray, disputed: DisputedPairs, settings: ConfusionSettings
) -> list[Proposal]:
    """Propose pairs whose near-duplicates are labelled both ways although the model tells most products apart."""
    weights, found = graph.weights, []
    for (first, second), num_groups in disputed.groups_by_pair.items():
        if num_groups < _LEAST_DISPUTED_GROUPS or min(sizes[first], sizes[second]) < settings.least_products:
            continue
        evidence = disputed.evidence([first, second])
        confusion = float(weights[first, second])
        is_often_disputed = num_groups >= _LEAST_DISPUTED_SHARE * evidence["near_duplicate_groups"]
        if is_often_disputed and confusion <= min(_MOST_CONFUSION_DISTINGUISHED, settings.least_confusion):
            evidence |= {"confusion": round(confusion, 4), "products": int(sizes[first] + sizes[second])}
            found.append(Proposal("redefine", (first, second), evidence))
    return sorted(found, key=lambda proposal: -proposal.evidence["disputed_groups"])
