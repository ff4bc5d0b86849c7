"""Classification metrics: accuracy and F1 by leaf, level, head, category and fields of a product.

A ratio over no rows is None, never NaN, so that every result is valid JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from model.prediction.answers import Answers
from model.product import head_rows
from model.taxonomy import Taxonomy
from training.metrics.confidence import coverages_at_precisions, expected_calibration_error, ratio, risk_coverage
from training.metrics.contract import acceptance_metrics, accepted_flags, contract_metrics
from training.metrics.groups import group_metrics, model_groupings
from training.metrics.hierarchy import hierarchical_metrics, mistake_metrics
from training.metrics.outcomes import Outcomes

TOP_KS = (1, 3, 5)


@dataclass(frozen=True)
class CategoryRow:
    """Metrics of one leaf that occurs among labels or answers.

    Args:
        precision: share of right answers among the products answered with this leaf; None without any.
        recall: share of this leaf's products answered right; None without any.
        f1: harmonic mean of the two, 0 to 1.
        support: number of products with this label.
        num_predicted: number of products answered with this leaf.
        confused_with: the most frequent wrong answer for this leaf, '' without any.
        num_confused: number of products with that answer.
    """

    category: str
    precision: float | None
    recall: float | None
    f1: float
    support: int
    num_predicted: int
    confused_with: str
    num_confused: int


@dataclass(frozen=True)
class ConfusedPair:
    """A leaf and a wrong answer for it.

    Args:
        count: number of products of `truth` answered with `answer`.
        share: count as a share of all products of `truth`.
    """

    truth: str
    answer: str
    count: int
    share: float


def classification_metrics(labels: np.ndarray, pred_probs: np.ndarray, taxonomy: Taxonomy) -> dict[str, Any]:
    """Compute `outcome_metrics` from probabilities.

    Args:
        labels: (N,) integer classes in [0, K).
        pred_probs: (N, K) float, calibrated; each row sums to 1. N may be 0.
    Raises:
        ValueError: shapes disagree, or a row holds no label or no probabilities; names the first such row.
    """
    if pred_probs.ndim == 2 and pred_probs.shape[1] != taxonomy.num_leaves:
        raise ValueError(f"expected {taxonomy.num_leaves} classes, one per leaf, found {pred_probs.shape[1]} columns")
    return outcome_metrics(Outcomes.of(labels, pred_probs), taxonomy)


def outcome_metrics(outcomes: Outcomes, taxonomy: Taxonomy) -> dict[str, Any]:
    """Compute the usual metrics over leaves and over every level of the tree.

    A level's answer is the node above the answered leaf, not the node of highest summed probability:
    so an answer is always one path through the tree, and accuracy never falls from a level to the one above.

    Returns:
        count, accuracy, macro_f1, weighted_f1, average_weighted_f1 (mean over levels, the score of the
        MWPD 2020 challenge), hierarchical_precision, hierarchical_recall and hierarchical_f1 (see
        `hierarchical_metrics`), top_1_accuracy, top_3_accuracy, top_5_accuracy, expected_calibration_error,
        mean_confidence, and levels: a list of depth, num_nodes, accuracy, macro_f1, weighted_f1.
    """
    count = len(outcomes)
    return {
        "count": count,
        **answer_metrics(outcomes.labels, outcomes.predicted, taxonomy),
        **{f"top_{k}_accuracy": ratio((outcomes.label_ranks <= k).sum(), count) for k in TOP_KS},
        "expected_calibration_error": expected_calibration_error(outcomes),
        "mean_confidence": _mean_confidence(outcomes),
    }


def answer_metrics(labels: np.ndarray, predicted: np.ndarray, taxonomy: Taxonomy) -> dict[str, Any]:
    """Compute the metrics that need no probabilities.

    Args:
        labels, predicted: (N,) integer classes.
    Returns:
        accuracy, macro_f1, weighted_f1, average_weighted_f1, the three hierarchical metrics and levels, as in
        `outcome_metrics`.
    """
    levels: list[dict[str, Any]] = [
        {"depth": depth, "num_nodes": len(nodes), **_agreement(above[labels], above[predicted])}
        for depth, (nodes, above) in enumerate(zip(taxonomy.levels, taxonomy.leaf_to_node, strict=True), start=1)
    ]
    return {
        **_agreement(labels, predicted),
        "average_weighted_f1": float(np.mean([level["weighted_f1"] for level in levels])) if len(labels) else None,
        **hierarchical_metrics(labels, predicted, taxonomy),
        "levels": levels,
    }


def evaluation_metrics(
    outcomes_by_head: Mapping[str, Outcomes],
    answers: Answers,
    presence: np.ndarray,
    field_names: Sequence[str],
    taxonomy: Taxonomy,
    precision_target: float,
    weights: np.ndarray | None = None,
) -> dict[str, Any]:
    """Compute all metrics of metrics.json.

    Args:
        outcomes_by_head: outcomes of the same N rows, under "joint", "linear", "neighbors" and any of `field_names`; a
            single head is measured on the rows that have its input.
        answers: answers to the N rows.
        presence: (N, len(field_names)) flags, above 0 where the row has the field.
        precision_target: what the contract promises, 0 to 1.
        weights: (N,) float, what a row counts in the intervals of contract and groups; near-duplicates share one. None
            is 1 for all.
    Returns:
        `outcome_metrics` of the joint head, coverage_at_precision ("0.98" to a share), contract
        (`contract_metrics`), mistakes (`mistake_metrics`), heads (name to `outcome_metrics`), field_combinations, and
        groups and worst_group (`group_metrics`) of `model_groupings`.
    """
    joint = outcomes_by_head["joint"]
    curve = risk_coverage(joint)
    heads = {
        head: outcomes if head == "joint" else outcomes.select(head_rows(head, presence, field_names))
        for head, outcomes in outcomes_by_head.items()
    }
    groupings = model_groupings(joint.labels, taxonomy, presence, field_names)
    return {
        **outcome_metrics(joint, taxonomy),
        "coverage_at_precision": coverages_at_precisions(curve),
        "contract": contract_metrics(joint.labels, answers, taxonomy, precision_target, weights),
        "mistakes": mistake_metrics(joint, taxonomy),
        "heads": {head: outcome_metrics(outcomes, taxonomy) for head, outcomes in heads.items()},
        "field_combinations": field_combination_metrics(
            joint, answers, presence, field_names, taxonomy, precision_target, weights
        ),
        **group_metrics(groupings, joint.is_correct, weights),
    }


def field_combination_metrics(
    outcomes: Outcomes,
    answers: Answers,
    presence: np.ndarray,
    field_names: Sequence[str],
    taxonomy: Taxonomy,
    precision_target: float,
    weights: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Compute the metrics of each combination of fields, the most frequent one first.

    Args:
        answers: answers to the same N rows.
        presence: (N, len(field_names)) flags, above 0 where the row has the field.
        weights: see `evaluation_metrics`.
    Returns:
        A dict per combination that occurs: fields, count, share, accuracy, macro_f1, weighted_f1,
        mean_confidence, expected_calibration_error, the contract's `acceptance_metrics`, leaf_accepted_share,
        leaf_accepted_precision.
    """
    if presence.shape != (len(outcomes), len(field_names)):
        raise ValueError(f"expected presence flags {(len(outcomes), len(field_names))}, found {presence.shape}")
    codes = (presence > 0) @ (1 << np.arange(len(field_names)))
    is_leaf, is_right = accepted_flags(outcomes.labels, answers, taxonomy)
    is_accepted = answers.accepted_depths > 0
    weights = np.ones(len(outcomes)) if weights is None else weights
    results = []
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        chosen = outcomes.select(rows)
        results.append(
            {
                "fields": [name for i, name in enumerate(field_names) if code >> i & 1],
                "count": len(rows),
                "share": ratio(len(rows), len(outcomes)),
                **_agreement(chosen.labels, chosen.predicted),
                "mean_confidence": _mean_confidence(chosen),
                "expected_calibration_error": expected_calibration_error(chosen),
                **acceptance_metrics(is_accepted[rows], is_right[rows], precision_target, weights[rows]),
                "leaf_accepted_share": ratio(is_leaf[rows].sum(), len(rows)),
                "leaf_accepted_precision": ratio((is_leaf & is_right)[rows].sum(), is_leaf[rows].sum()),
            }
        )
    return sorted(results, key=lambda result: -result["count"])


def per_category_table(outcomes: Outcomes, taxonomy: Taxonomy) -> list[CategoryRow]:
    """Build a row per leaf that occurs among labels or answers, in class order."""
    support = np.bincount(outcomes.labels, minlength=taxonomy.num_leaves)
    num_predicted = np.bincount(outcomes.predicted, minlength=taxonomy.num_leaves)
    num_right = np.bincount(outcomes.labels[outcomes.is_correct], minlength=taxonomy.num_leaves)
    worst: dict[str, ConfusedPair] = {}
    for pair in confused_pairs(outcomes, taxonomy):
        worst.setdefault(pair.truth, pair)
    rows = []
    for leaf in np.flatnonzero(support + num_predicted):
        category = taxonomy.leaves[leaf]
        pair_here = worst.get(category)
        rows.append(
            CategoryRow(
                category,
                precision=ratio(num_right[leaf], num_predicted[leaf]),
                recall=ratio(num_right[leaf], support[leaf]),
                f1=float(2 * num_right[leaf] / (support[leaf] + num_predicted[leaf])),
                support=int(support[leaf]),
                num_predicted=int(num_predicted[leaf]),
                confused_with=pair_here.answer if pair_here else "",
                num_confused=pair_here.count if pair_here else 0,
            )
        )
    return rows


def confused_pairs(outcomes: Outcomes, taxonomy: Taxonomy) -> list[ConfusedPair]:
    """List the pairs of label and wrong answer, the most frequent first; ties in class order."""
    wrong = outcomes.select(~outcomes.is_correct)
    support = np.bincount(outcomes.labels, minlength=taxonomy.num_leaves)
    pairs, counts = np.unique(wrong.labels.astype(np.int64) * taxonomy.num_leaves + wrong.predicted, return_counts=True)
    truths, answers = np.divmod(pairs, taxonomy.num_leaves)
    return [
        ConfusedPair(
            taxonomy.leaves[truths[i]],
            taxonomy.leaves[answers[i]],
            int(counts[i]),
            float(counts[i] / support[truths[i]]),
        )
        for i in np.argsort(-counts, kind="stable")
    ]


def confident_error_rows(outcomes: Outcomes, limit: int) -> np.ndarray:
    """Return (M,) row numbers of the wrong answers with the highest confidence, descending, at most `limit`."""
    wrong = np.flatnonzero(~outcomes.is_correct)
    return wrong[np.argsort(-outcomes.confidences[wrong], kind="stable")][:limit]


def concatenate_answers(parts: Sequence[Answers]) -> Answers:
    """Concatenate the answers of one or more batches, in order."""
    return Answers(**{entry.name: np.concatenate([getattr(p, entry.name) for p in parts]) for entry in fields(Answers)})


def _agreement(truth: np.ndarray, answer: np.ndarray) -> dict[str, float | None]:
    """Compute accuracy and F1; the macro mean is over classes that occur in either array, as in scikit-learn."""
    if not len(truth):
        return {"accuracy": None, "macro_f1": None, "weighted_f1": None}
    num_classes = int(max(truth.max(), answer.max())) + 1
    support = np.bincount(truth, minlength=num_classes)
    occurrences = support + np.bincount(answer, minlength=num_classes)
    num_right = np.bincount(truth[truth == answer], minlength=num_classes)
    f1 = 2 * num_right / np.maximum(occurrences, 1)
    return {
        "accuracy": ratio(num_right.sum(), len(truth)),
        "macro_f1": float(f1[occurrences > 0].mean()),
        "weighted_f1": float(np.average(f1, weights=support)),
    }


def _mean_confidence(outcomes: Outcomes) -> float | None:
    return float(outcomes.confidences.mean(dtype=np.float64)) if len(outcomes) else None
