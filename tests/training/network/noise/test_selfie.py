"""SELFIE's rules on planted losses and votes."""

import numpy as np
import pytest

from training.network.noise.method import cross_entropies, smallest
from training.network.noise.selfie import agreed_labels, least_of_classes, no_votes, remaining_noise

EMPTY = 2**16 - 1


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1.0, [True, True, True, True, True]),
        (0.6, [True, False, True, False, True]),
        (0.5, [True, False, True, False, True]),  # ceil(2.5)
        (0.2, [False, False, True, False, False]),
        (0.0, [False] * 5),
    ],
)
def test_the_rows_of_small_loss_are_rounded_up(share: float, expected: list[bool]) -> None:
    losses = np.array([0.3, 2.0, 0.1, 5.0, 0.3], np.float32)
    assert smallest(losses, share).tolist() == expected


def test_a_share_without_rounding_error_takes_no_row_more() -> None:
    assert smallest(np.arange(10.0), 1 - 0.9).sum() == 1  # 0.09999999999999998 and 0.1 are one row of ten
    assert smallest(np.arange(10.0), 1 - 0.7).sum() == 3  # 0.30000000000000004 are no fourth


def test_votes_agree_when_enough_of_them_are_for_one_class() -> None:
    votes = np.array(
        [
            [3, 3, 3, 3],
            [3, 3, 3, 7],
            [EMPTY, 3, 3, 3],
            [EMPTY, EMPTY, EMPTY, EMPTY],
            [0, 1, 2, 3],
        ],
        np.uint16,
    )
    assert agreed_labels(votes, 4).tolist() == [3, -1, -1, -1, -1]
    assert agreed_labels(votes, 3).tolist() == [3, 3, 3, -1, -1]


def test_a_vote_takes_two_bytes_unless_there_are_more_classes() -> None:
    assert no_votes(10, 4, 5000).nbytes == 10 * 4 * 2
    assert no_votes(10, 4, 70_000).dtype == np.uint32
    assert (agreed_labels(no_votes(10, 4, 70_000), 1) == -1).all()


def test_each_label_that_refurbishing_changed_is_one_less_to_expect() -> None:
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    refurbished = np.full(10, -1)
    assert remaining_noise(0.4, refurbished, labels) == pytest.approx(0.4)
    refurbished[:3] = [0, 5, 5]  # one of them agrees with its label
    assert remaining_noise(0.4, refurbished, labels) == pytest.approx(0.2)
    refurbished[3:] = 0
    assert remaining_noise(0.4, refurbished, labels) == 0.0


def test_rare_classes_keep_a_row() -> None:
    labels = np.array([0, 0, 0, 0, 2, 1, 1])
    losses = np.array([4.0, 1.0, 3.0, 2.0, 9.0, 8.0, 7.0])
    assert least_of_classes(losses, labels, 0.5).tolist() == [False, True, False, True, True, False, True]
    assert not least_of_classes(losses, labels, 0.0).any()
    assert least_of_classes(losses, labels, 1.0).all()


def test_the_losses_are_the_cross_entropies() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32)) + 1000
    np.testing.assert_allclose(cross_entropies(logits, np.array([1, 1])), -np.log([0.25, 0.8]), rtol=1e-4)
