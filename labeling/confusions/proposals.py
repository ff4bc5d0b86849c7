"""Proposals for categories that are not distinguished: merge them, split one, or say anew what belongs where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from labeling.answers.top_answers import TopAnswers
from labeling.confusions.confusion_graph import ConfusionGraph, communities
from labeling.confusions.disputed_pairs import DisputedPairs
from labeling.settings import ConfusionSettings

Kind = Literal["merge", "split", "redefine"]

#: A model that is less often wrong than this tells most products apart.
_MOST_CONFUSION_DISTINGUISHED = 0.5
_LEAST_DISPUTED_GROUPS = 3
_LEAST_DISPUTED_SHARE = 0.1
#: A product is drawn to another class that has this probability or more.
_LEAST_DRAWN = 0.1
#: Of a leaf's products, how many each of two others draws, so that it falls in two.
_LEAST_DRAWN_SHARE = 0.25
#: And of those, how many at most both draw.
_MOST_BETWEEN_SHARE = 0.1


@dataclass(frozen=True)
class Proposal:
    """One proposal; a person decides.

    Args:
        classes: ascending; of a split the leaf alone.
        toward: of a split, the two classes that draw its products.
        evidence: numbers by name.
    """

    kind: Kind
    classes: tuple[int, ...]
    evidence: Mapping[str, float]
    toward: tuple[int, ...] = ()


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


def splits(
    answers: TopAnswers, classes: np.ndarray, graph: ConfusionGraph, settings: ConfusionSettings
) -> list[Proposal]:
    """Propose leaves of whose products two others draw a part each, and hardly any both.

    Only products that the model puts in the leaf count, so that wrong labels make no split.

    Args:
        classes: (N,) int, given.
    """
    order = np.argsort(classes, kind="stable")
    numbers, starts = np.unique(classes[order], return_index=True)
    found = []
    for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        own = rows[answers.classes[rows, 0] == number]
        if len(own) < 2 * settings.least_products:
            continue
        seconds, drawn = np.unique(
            answers.classes[own[answers.probabilities[own, 1] >= _LEAST_DRAWN], 1], return_counts=True
        )
        if len(seconds) < 2:
            continue
        first, second = seconds[np.argsort(-drawn, kind="stable")[:2]].tolist()
        counts = np.sort(drawn)[::-1][:2]
        between = _drawn_to(answers, own, first) & _drawn_to(answers, own, second)
        if (
            counts[1] >= max(_LEAST_DRAWN_SHARE * len(own), settings.least_products)
            and between.sum() <= _MOST_BETWEEN_SHARE * counts.sum()
            and graph.between(np.array([number, first, second])).max() < settings.least_confusion
        ):
            evidence = {
                "products": len(own), "drawn_to_first": int(counts[0]), "drawn_to_second": int(counts[1]),
                "drawn_to_both": int(between.sum()),
            }  # fmt: skip
            found.append(Proposal("split", (number,), evidence, (first, second)))
    return sorted(found, key=lambda proposal: -proposal.evidence["products"])


def _drawn_to(answers: TopAnswers, rows: np.ndarray, number: int) -> np.ndarray:
    is_drawn = (answers.classes[rows] == number) & (answers.probabilities[rows] >= _LEAST_DRAWN)
    return np.asarray(is_drawn.any(axis=1))
