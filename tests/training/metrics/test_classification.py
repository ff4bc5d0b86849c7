"""Accuracy and F1 by leaf, level, head, category and field combination."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support, top_k_accuracy_score

from model.prediction.answers import Answers
from model.taxonomy import Taxonomy
from training.metrics.classification import (
    classification_metrics,
    confident_error_rows,
    confused_pairs,
    evaluation_metrics,
    field_combination_metrics,
    outcome_metrics,
    per_category_table,
)
from training.metrics.outcomes import Outcomes

LAMP, RUG, CARD = 0, 1, 2
TAXONOMY = Taxonomy(["Home>Lamp", "Home>Rug", "Gift card"])
#: Labels Lamp Lamp Rug Card; answers Lamp Rug Rug Lamp.
LABELS = np.array([LAMP, LAMP, RUG, CARD], np.int32)
PRED_PROBS = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.9, 0.06, 0.04]], np.float32)


def no_answers(count: int) -> Answers:
    zeros = np.zeros(count, np.int32)
    return Answers(zeros[:, None], np.zeros((count, 1), np.float32), zeros, zeros - 1, zeros.astype(np.float32))


def random_case(num_rows: int, taxonomy: Taxonomy, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels correlated with the answers; the last two leaves never occur among the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, taxonomy.num_leaves - 2, num_rows).astype(np.int32)
    logits = rng.normal(0, 1.2, (num_rows, taxonomy.num_leaves))
    logits[np.arange(num_rows), labels] += 2
    pred_probs = np.exp(logits)
    return labels, (pred_probs / pred_probs.sum(axis=1, keepdims=True)).astype(np.float32)


def test_by_eye() -> None:
    """Leaves: Lamp has 1 right of 2 labels and 2 answers, F1 1/2; Rug 1 of 1 and 2, F1 2/3; Card F1 0.

    Level 1: Home 3 right of 3 labels and 4 answers, F1 6/7; Card F1 0. Level 2 is the leaves.
    """
    metrics = classification_metrics(LABELS, PRED_PROBS, TAXONOMY)
    leaf_weighted = (2 * 1 / 2 + 1 * 2 / 3 + 1 * 0) / 4
    assert metrics["count"] == 4
    assert metrics["accuracy"] == metrics["top_1_accuracy"] == 0.5
    assert metrics["top_3_accuracy"] == metrics["top_5_accuracy"] == 1.0
    assert metrics["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert metrics["weighted_f1"] == pytest.approx(leaf_weighted)
    assert metrics["mean_confidence"] == pytest.approx((0.8 + 0.6 + 0.7 + 0.9) / 4)
    top, bottom = metrics["levels"]
    assert top == {
        "depth": 1,
        "num_nodes": 2,
        "accuracy": 0.75,
        "macro_f1": pytest.approx(3 / 7),
        "weighted_f1": pytest.approx(3 / 4 * 6 / 7),
    }
    assert bottom["accuracy"] == 0.5
    assert metrics["average_weighted_f1"] == pytest.approx((leaf_weighted + 3 / 4 * 6 / 7) / 2)


def test_a_levels_answer_is_the_ancestor_of_the_best_leaf() -> None:
    """Gift card is the best leaf (.4), although Home sums to .6: the answer at level 1 stays Gift card."""
    metrics = classification_metrics(np.array([LAMP]), np.array([[0.3, 0.3, 0.4]], np.float32), TAXONOMY)
    assert [level["accuracy"] for level in metrics["levels"]] == [0.0, 0.0]


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(seed: int) -> None:
    taxonomy = Taxonomy([f"{i % 3}>{i}>leaf" for i in range(11)] + ["other"])
    labels, pred_probs = random_case(400, taxonomy, seed)
    predicted = pred_probs.argmax(axis=1)
    metrics = classification_metrics(labels, pred_probs, taxonomy)
    for average in ("macro", "weighted"):
        assert metrics[f"{average}_f1"] == pytest.approx(f1_score(labels, predicted, average=average, zero_division=0))
        for level, above in zip(metrics["levels"], taxonomy.leaf_to_node, strict=True):
            expected = f1_score(above[labels], above[predicted], average=average, zero_division=0)
            assert level[f"{average}_f1"] == pytest.approx(expected)
    for k in (1, 3, 5):
        expected = top_k_accuracy_score(labels, pred_probs, k=k, labels=np.arange(taxonomy.num_leaves))
        assert metrics[f"top_{k}_accuracy"] == pytest.approx(expected)


def test_category_table_agrees_with_scikit_learn() -> None:
    taxonomy = Taxonomy([str(i) for i in range(9)])
    labels, pred_probs = random_case(300, taxonomy, seed=5)
    predicted = pred_probs.argmax(axis=1)
    rows = per_category_table(Outcomes.of(labels, pred_probs), taxonomy)
    classes = sorted(set(labels) | set(predicted))
    expected = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    assert [row.category for row in rows] == [str(i) for i in classes]
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [getattr(row, name) or 0 for row in rows] == pytest.approx(values.tolist())


def test_category_table_by_eye() -> None:
    lamp, rug, card = per_category_table(Outcomes.of(LABELS, PRED_PROBS), TAXONOMY)
    assert (lamp.category, lamp.precision, lamp.recall, lamp.support, lamp.num_predicted) == (
        "Home>Lamp",
        0.5,
        0.5,
        2,
        2,
    )
    assert (lamp.confused_with, lamp.num_confused) == ("Home>Rug", 1)
    assert (rug.precision, rug.recall, rug.confused_with, rug.num_confused) == (0.5, 1.0, "", 0)
    assert (card.precision, card.recall, card.f1, card.confused_with) == (None, 0.0, 0.0, "Home>Lamp")


def test_category_table_omits_categories_that_do_not_occur() -> None:
    rows = per_category_table(Outcomes.of(np.array([RUG]), np.array([[0.9, 0.1, 0.0]], np.float32)), TAXONOMY)
    assert [(row.category, row.recall) for row in rows] == [("Home>Lamp", None), ("Home>Rug", 0.0)]


def test_confused_pairs_come_most_frequent_first() -> None:
    labels = np.array([RUG, RUG, RUG, LAMP, CARD], np.int32)
    predicted = np.array([CARD, CARD, RUG, CARD, CARD])
    pairs = confused_pairs(Outcomes.of(labels, np.eye(3, dtype=np.float32)[predicted]), TAXONOMY)
    assert [(pair.truth, pair.answer, pair.count) for pair in pairs] == [
        ("Home>Rug", "Gift card", 2),
        ("Home>Lamp", "Gift card", 1),
    ]
    assert pairs[0].share == pytest.approx(2 / 3)


def test_confident_errors_are_sorted_by_confidence() -> None:
    outcomes = Outcomes.of(LABELS, PRED_PROBS)
    assert confident_error_rows(outcomes, limit=10).tolist() == [3, 1]
    assert confident_error_rows(outcomes, limit=1).tolist() == [3]


def test_field_combinations_by_eye() -> None:
    """Rows 0 to 2 have a name only, 2 of 3 right; row 3 has name and picture, wrong."""
    outcomes = Outcomes.of(LABELS, PRED_PROBS)
    presence = np.array([[1, 0], [1, 0], [1, 0], [1, 1]], np.float32)
    name_only, both = field_combination_metrics(outcomes, no_answers(4), presence, ("name", "image"), TAXONOMY, 0.98)
    assert (name_only["fields"], name_only["count"], name_only["share"]) == (["name"], 3, 0.75)
    assert name_only["accuracy"] == pytest.approx(2 / 3)
    assert (both["fields"], both["count"], both["accuracy"]) == (["name", "image"], 1, 0.0)
    assert both["mean_confidence"] == pytest.approx(0.9)
    assert (both["leaf_accepted_share"], both["leaf_accepted_precision"]) == (0.0, None)
    assert (both["accepted_share"], both["accepted_precision"], both["is_kept"]) == (0.0, None, None)


def test_field_combinations_count_every_row_once() -> None:
    rng = np.random.default_rng(8)
    labels, pred_probs = random_case(200, Taxonomy([str(i) for i in range(5)]), seed=8)
    outcomes = Outcomes.of(labels, pred_probs)
    results = field_combination_metrics(
        outcomes,
        no_answers(200),
        rng.random((200, 3)) < 0.5,
        ("a", "b", "c"),
        Taxonomy([str(i) for i in range(5)]),
        0.98,
    )
    assert sum(result["count"] for result in results) == 200
    assert sum(result["count"] * result["accuracy"] for result in results) == pytest.approx(outcomes.is_correct.sum())
    assert len({tuple(result["fields"]) for result in results}) == len(results) == 8


def test_presence_of_another_shape_is_an_error() -> None:
    outcomes = Outcomes.of(LABELS, PRED_PROBS)
    with pytest.raises(ValueError, match=r"expected presence flags \(4, 2\), found \(4, 1\)"):
        field_combination_metrics(outcomes, no_answers(4), np.ones((4, 1)), ("name", "image"), TAXONOMY, 0.98)


def test_a_head_is_measured_on_the_rows_that_have_its_field() -> None:
    outcomes = Outcomes.of(LABELS, PRED_PROBS)
    presence = np.array([[1, 1], [1, 1], [1, 0], [1, 0]])
    metrics = evaluation_metrics(
        {"joint": outcomes, "image": outcomes}, no_answers(4), presence, ("name", "image"), TAXONOMY, 0.98
    )
    assert metrics["heads"]["image"] == outcome_metrics(outcomes.select(np.array([0, 1])), TAXONOMY)
    assert metrics["heads"]["joint"]["accuracy"] == metrics["accuracy"] == 0.5
    assert metrics["coverage_at_precision"] == {"0.95": 0.0, "0.98": 0.0, "0.99": 0.0}
    assert metrics["contract"]["needs_review_share"] == 1.0


def test_perfect_answers() -> None:
    labels = np.arange(3).repeat(10).astype(np.int32)
    metrics = classification_metrics(labels, np.eye(3, dtype=np.float32)[labels], TAXONOMY)
    assert metrics["accuracy"] == metrics["macro_f1"] == metrics["average_weighted_f1"] == 1.0
    assert metrics["expected_calibration_error"] == 0.0


def test_no_rows_give_none_and_no_nan() -> None:
    nothing = Outcomes.of(np.empty(0, np.int32), np.empty((0, 3), np.float32))
    metrics = evaluation_metrics(
        {"joint": nothing, "name": nothing}, no_answers(0), np.empty((0, 1)), ("name",), TAXONOMY, 0.98
    )
    assert metrics["count"] == 0
    assert metrics["accuracy"] is metrics["average_weighted_f1"] is metrics["top_5_accuracy"] is None
    assert metrics["field_combinations"] == []
    assert "NaN" not in json.dumps(metrics, allow_nan=False)
    assert per_category_table(nothing, TAXONOMY) == []
    assert confused_pairs(nothing, TAXONOMY) == []
    assert confident_error_rows(nothing, limit=5).tolist() == []


def test_probabilities_over_another_tree_are_an_error() -> None:
    with pytest.raises(ValueError, match="expected 3 classes, one per leaf, found 2 columns"):
        classification_metrics(np.array([0]), np.array([[0.5, 0.5]]), TAXONOMY)
