"""Hierarchical F1 and mistakes among siblings."""

import numpy as np
import pytest

from model.taxonomy import SEPARATOR, Taxonomy
from training.metrics.hierarchy import SiblingPair, hierarchical_metrics, mistake_metrics, sibling_pairs
from training.metrics.outcomes import Outcomes

LAMP, RUG, DESK, CARD = range(4)
TAXONOMY = Taxonomy(["Home>Decor>Lamp", "Home>Decor>Rug", "Home>Desk", "Gift card"])


def outcomes_of(labels: list[int], predicted: list[int], num_classes: int = 4) -> Outcomes:
    return Outcomes.of(np.array(labels, np.int32), np.eye(num_classes, dtype=np.float32)[predicted])


def test_hierarchical_f1_by_eye() -> None:
    """Answers 3 + 3 + 2 + 1 = 9 levels long, labels 3 + 3 + 3 + 2 = 11.

    Shared: Lamp and Lamp 3, Lamp and Rug 2, Rug and Desk 1, Desk and Gift card 0; 6 in all.
    """
    metrics = hierarchical_metrics(np.array([LAMP, LAMP, RUG, DESK]), np.array([LAMP, RUG, DESK, CARD]), TAXONOMY)
    assert metrics["hierarchical_precision"] == pytest.approx(6 / 9)
    assert metrics["hierarchical_recall"] == pytest.approx(6 / 11)
    assert metrics["hierarchical_f1"] == pytest.approx(12 / 20)


def test_hierarchical_f1_agrees_with_sets_of_ancestors() -> None:
    rng = np.random.default_rng(0)
    taxonomy = Taxonomy([f"{i % 3}>{i % 5}>{i}" for i in range(20)] + [f"x>{i}" for i in range(4)] + ["y", "z"])
    labels, predicted = rng.integers(0, taxonomy.num_leaves, (2, 300))

    def with_ancestors(leaf: int) -> set[str]:
        levels = taxonomy.leaves[leaf].split(SEPARATOR)
        return {SEPARATOR.join(levels[: i + 1]) for i in range(len(levels))}

    pairs = [(with_ancestors(p), with_ancestors(t)) for p, t in zip(predicted, labels, strict=True)]
    shared = sum(len(p & t) for p, t in pairs)
    metrics = hierarchical_metrics(labels, predicted, taxonomy)
    assert metrics["hierarchical_precision"] == pytest.approx(shared / sum(len(p) for p, _ in pairs))
    assert metrics["hierarchical_recall"] == pytest.approx(shared / sum(len(t) for _, t in pairs))


def test_a_flat_tree_gives_the_accuracy_and_no_row_no_figure() -> None:
    flat = Taxonomy(["a", "b"])
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert set(hierarchical_metrics(labels, predicted, flat).values()) == {0.75}
    nothing = np.empty(0, np.int32)
    assert set(hierarchical_metrics(nothing, nothing, flat).values()) == {None}


def test_mistakes_by_eye() -> None:
    """Lamp for Rug is a sibling, Desk for Lamp lies in the same top level, Gift card for Desk in another."""
    found = mistake_metrics(outcomes_of([LAMP, LAMP, RUG, DESK], [LAMP, RUG, DESK, CARD]), TAXONOMY)
    assert found == {
        "count": 3,
        "sibling_share": pytest.approx(1 / 3),
        "same_top_share": pytest.approx(2 / 3),
        "other_top_share": pytest.approx(1 / 3),
    }
    none = mistake_metrics(outcomes_of([LAMP], [LAMP]), TAXONOMY)
    assert none == {"count": 0, "sibling_share": None, "same_top_share": None, "other_top_share": None}


def test_siblings_are_counted_in_both_directions() -> None:
    outcomes = outcomes_of([LAMP, LAMP, LAMP, RUG, RUG, DESK, LAMP], [RUG, RUG, LAMP, LAMP, RUG, LAMP, CARD])
    assert sibling_pairs(outcomes, TAXONOMY) == [SiblingPair("Home>Decor", "Lamp", "Rug", 4, 2, 2, 1)]


def test_pairs_of_most_mistakes_come_first_and_the_top_has_no_parent() -> None:
    flat = Taxonomy(["a", "b", "c"])
    pairs = sibling_pairs(outcomes_of([0, 1, 1, 2], [1, 2, 2, 1], num_classes=3), flat)
    assert [(pair.first, pair.second, pair.num_first_as_second, pair.num_second_as_first) for pair in pairs] == [
        ("b", "c", 2, 1),
        ("a", "b", 1, 0),
    ]
    assert {pair.parent for pair in pairs} == {""}
