"""The contract as measured: what was handed out, how much of it is right, and whether the promise is kept."""

import numpy as np
import pytest
from scipy.stats import binomtest

from model.prediction.answers import Answers
from model.prediction.calibration import Calibration
from model.taxonomy import Taxonomy
from tests.conftest import answered
from training.metrics.contract import acceptance_metrics, contract_metrics, share_interval

TAXONOMY = Taxonomy(["Home>Lamp", "Home>Rug", "Gift card"])


def answers_of(depths: list[int], nodes: list[int]) -> Answers:
    count = len(depths)
    empty = np.zeros((count, 1), np.int32)
    return Answers(
        empty,
        empty.astype(np.float32),
        np.array(depths, np.int32),
        np.array(nodes, np.int32),
        np.zeros(count, np.float32),
    )


def test_contract_by_eye() -> None:
    """Depth 1: Home, Gift card. Depth 2: Home>Lamp, Home>Rug, Gift card.

    | label     | accepted             | leaf | right |
    | Home>Lamp | depth 2 Home>Lamp    | yes  | yes   |
    | Home>Lamp | depth 2 Home>Rug     | yes  | no    |
    | Home>Rug  | depth 1 Home         | no   | yes   |
    | Gift card | depth 1 Gift card    | yes  | yes   |  a leaf already at depth 1
    | Home>Rug  | nothing              | no   | no    |
    """
    metrics = contract_metrics(np.array([0, 0, 1, 2, 1]), answers_of([2, 2, 1, 1, 0], [0, 1, 0, 1, -1]), TAXONOMY, 0.6)
    assert metrics == {
        "count": 5,
        "precision_target": 0.6,
        "num_accepted": 4,
        "accepted_share": pytest.approx(4 / 5),
        "accepted_precision": pytest.approx(3 / 4),
        "precision_interval": list(share_interval(3, 4)),
        "is_kept": True,
        "leaf_accepted_share": pytest.approx(3 / 5),
        "leaf_accepted_precision": pytest.approx(2 / 3),
        "needs_review_share": pytest.approx(2 / 5),
        "depths": [
            {
                "depth": 1,
                "num_accepted": 2,
                "accepted_share": pytest.approx(2 / 5),
                "accepted_precision": 1.0,
                "precision_interval": list(share_interval(2, 2)),
                "is_kept": True,
            },
            {
                "depth": 2,
                "num_accepted": 2,
                "accepted_share": pytest.approx(2 / 5),
                "accepted_precision": 0.5,
                "precision_interval": list(share_interval(1, 2)),
                "is_kept": False,
            },
        ],
    }


def test_contract_agrees_with_the_answers_themselves() -> None:
    rng = np.random.default_rng(7)
    answers = answered(rng.normal(0, 3, (300, 3)), TAXONOMY, Calibration(thresholds=(0.6, 0.8)), top_k=1)
    labels = rng.integers(0, 3, 300)
    metrics = contract_metrics(labels, answers, TAXONOMY, 0.9)
    accepted = [answers.accepted(row, TAXONOMY) for row in range(300)]
    right = [
        TAXONOMY.leaves[labels[row]] == scored.category
        or TAXONOMY.leaves[labels[row]].startswith(scored.category + ">")
        for row, scored in enumerate(accepted)
        if scored is not None
    ]
    assert metrics["accepted_precision"] == pytest.approx(np.mean(right))
    assert metrics["needs_review_share"] == pytest.approx(
        np.mean([answers.needs_review(row, TAXONOMY) for row in range(300)])
    )


def test_contract_without_rows_or_without_acceptance() -> None:
    nothing = contract_metrics(np.empty(0, np.int32), answers_of([], []), TAXONOMY, 0.9)
    assert nothing["count"] == 0
    assert nothing["accepted_share"] is None
    refused = contract_metrics(np.array([1, 2]), answers_of([0, 0], [-1, -1]), TAXONOMY, 0.9)
    assert refused["accepted_share"] == 0.0
    assert refused["accepted_precision"] is refused["precision_interval"] is refused["is_kept"] is None
    assert refused["needs_review_share"] == 1.0


def test_contract_needs_as_many_answers_as_labels() -> None:
    with pytest.raises(ValueError, match="expected an answer for each of 2 labels, found 1"):
        contract_metrics(np.array([0, 1]), answers_of([0], [-1]), TAXONOMY, 0.9)


@pytest.mark.parametrize(("hits", "total"), [(0, 5), (5, 5), (97, 100), (980, 1000)])
def test_the_interval_is_the_exact_one(hits: int, total: int) -> None:
    exact = binomtest(hits, total).proportion_ci(0.95, method="exact")
    assert share_interval(hits, total) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_kept_is_what_reaches_the_promise() -> None:
    is_accepted = np.arange(100) < 50
    is_right = np.arange(100) % 50 != 0  # one of the 50 accepted is wrong
    assert acceptance_metrics(is_accepted, is_right, 0.98)["is_kept"] is True
    assert acceptance_metrics(is_accepted, is_right, 0.99)["is_kept"] is False
