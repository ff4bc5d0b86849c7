"""The measures of confusion on answers that are known."""

import numpy as np
import pytest

from labeling.answers.top_answers import TopAnswers
from labeling.confusions.category_entropy import answer_entropy, category_entropy
from labeling.confusions.confusion_graph import communities, confusion_graph
from labeling.confusions.disputed_pairs import DisputedPairs
from labeling.confusions.merge_comparison import most_probable_merged
from labeling.confusions.proposals import merges, redefinitions
from labeling.issues.confident_learning import confident_joint
from labeling.settings import ConfusionSettings


def answers_of(pairs: list[tuple[int, dict[int, float]]], num_classes: int) -> tuple[TopAnswers, np.ndarray]:
    """Rows given as their class and the probabilities of some classes; the rest goes to all in equal parts."""
    probabilities = np.zeros((len(pairs), num_classes), np.float32)
    for row, (_, found) in enumerate(pairs):
        probabilities[row] = (1 - sum(found.values())) / num_classes
        for number, probability in found.items():
            probabilities[row, number] += probability
    given = np.array([number for number, _ in pairs])
    return TopAnswers.of(probabilities, given), given


def noise(num_rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.05, 0.05, num_rows)


def test_a_large_and_a_small_category_of_one_pool_are_wholly_confused() -> None:
    rows = [(0, {0: 0.85 + x, 1: 0.15 - x}) for x in noise(900, 0)]
    rows += [(1, {0: 0.85 + x, 1: 0.15 - x}) for x in noise(100, 1)]
    rows += [(2, {2: 0.99})] * 50
    answers, given = answers_of(rows, 3)
    graph = confusion_graph(answers, given, confident_joint(answers, given, 3))
    assert graph.between(np.array([0, 1]))[0, 1] == pytest.approx(1, abs=0.15)
    assert graph.between(np.array([0, 1, 2]))[2].max() < 0.05


def test_wrong_labels_one_way_are_no_confusion_both_ways() -> None:
    rows = [(0, {0: 0.97})] * 60 + [(0, {1: 0.97})] * 40 + [(1, {1: 0.97})] * 100
    answers, given = answers_of(rows, 3)
    graph = confusion_graph(answers, given, confident_joint(answers, given, 3))
    assert graph.weights.nnz == 0
    assert graph.by_probability[0, 1] == pytest.approx(0.4, abs=0.05)


def test_a_chain_is_no_community() -> None:
    """Each of four categories is confused with the next, the first not with the last."""
    rows = []
    for number in range(4):
        for other in (number - 1, number + 1):
            if 0 <= other < 4:
                rows += [(number, {number: 0.5 + x, other: 0.5 - x}) for x in noise(40, number)]
    answers, given = answers_of(rows, 4)
    graph = confusion_graph(answers, given, confident_joint(answers, given, 4))
    found = communities(graph, np.arange(4), 0.3)
    assert [community.tolist() for community in found] == [[0, 1], [2, 3]]
    assert communities(graph, np.array([0, 3]), 0.3) == []


def test_entropy_is_of_the_kept_classes_and_one_for_the_rest() -> None:
    answers, given = answers_of([(0, {0: 1.0}), (0, {0: 0.5, 1: 0.5}), (1, {})], 1000)
    assert answer_entropy(answers)[:2].tolist() == pytest.approx([0, 1], abs=1e-3)
    rest = 1 - 8 / 1000
    expected = -8 / 1000 * np.log2(1 / 1000) - rest * np.log2(rest)
    assert answer_entropy(answers)[2] == pytest.approx(expected, abs=1e-2)
    entropy = category_entropy(answers, given, np.array([0, 1, 1]), 1000)
    assert entropy.predictions[:2].tolist() == pytest.approx([0.5, expected], abs=1e-2)
    assert entropy.labels[:2].tolist() == pytest.approx([1, 1])
    assert entropy.num_in_groups[:3].tolist() == [1, 1, 0]
    assert np.isnan(entropy.labels[2])


def test_near_duplicates_labelled_both_ways_want_a_definition_where_the_model_is_sure() -> None:
    rows = [(number, {number: 0.95}) for number in (0, 1) for _ in range(30)]
    answers, given = answers_of(rows, 3)
    graph = confusion_graph(answers, given, confident_joint(answers, given, 3))
    groups = np.arange(60)
    groups[30:35] = groups[:5]
    sizes, settings = np.bincount(given, minlength=3), ConfusionSettings()
    disputed = DisputedPairs.find(groups, given)
    (found,) = redefinitions(graph, sizes, disputed, settings)
    assert found.classes == (0, 1)
    assert found.evidence["disputed_groups"] == found.evidence["near_duplicate_groups"] == 5
    assert merges(graph, sizes, disputed, settings) == []
    groups[32:35] = np.arange(32, 35)  # two are left
    assert redefinitions(graph, sizes, DisputedPairs.find(groups, given), settings) == []
    assert redefinitions(graph, sizes, disputed, ConfusionSettings(least_products=31)) == []


def test_probabilities_of_merged_categories_are_added_up() -> None:
    answers, _ = answers_of([(0, {0: 0.4, 1: 0.3, 2: 0.3}), (0, {0: 0.5, 1: 0.3, 2: 0.2}), (3, {3: 1.0})], 4)
    assert most_probable_merged(answers, np.array([0, 1, 1, 3])).tolist() == [1, 0, 3]
