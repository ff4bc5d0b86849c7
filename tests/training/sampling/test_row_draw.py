"""Rows that an epoch draws: how many of each category and group, which ones, and the shares that follow."""

import numpy as np
import pytest

from model.settings import SamplingSettings
from training.sampling.row_draw import RowDraw, draw_by_category

#: Rows of four categories; the last one has none.
SIZES = (400, 100, 25)
LABELS = np.repeat(np.arange(3), SIZES)


def draw(settings: SamplingSettings, **arrays: np.ndarray) -> RowDraw:
    return draw_by_category(LABELS, 4, settings, **arrays)


def sizes(found: RowDraw, epoch: int = 0) -> list[int]:
    return np.bincount(LABELS[found.rows(0, epoch)], minlength=3).tolist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (SamplingSettings(logit_adjustment=1.0), [400, 100, 25]),
        (SamplingSettings("cap", sampling_cap=60), [60, 60, 25]),
        (SamplingSettings("cap"), [100, 100, 25]),  # the median
        (SamplingSettings("sqrt"), [300, 150, 75]),  # 20 : 10 : 5 of 525
        (SamplingSettings("temperature", sampling_temperature=1.0), [400, 100, 25]),
        (SamplingSettings("temperature", sampling_temperature=2.0), [300, 150, 75]),
        (SamplingSettings("temperature", sampling_temperature=1e6), [175, 175, 175]),
    ],
)
def test_an_epoch_has_as_many_rows_of_a_category_as_the_settings_say(
    settings: SamplingSettings, expected: list[int]
) -> None:
    found = draw(settings)
    assert found.num_rows == sum(expected)
    for epoch in range(3):
        assert np.abs(np.subtract(sizes(found, epoch), expected)).max() <= (settings.sampling == "temperature")
    np.testing.assert_allclose(found.drawn_shares[:3] / found.drawn_shares[:3].sum(), found_shares(expected), rtol=1e-4)


def found_shares(counts: list[int]) -> np.ndarray:
    return np.array(counts) / sum(counts)


def test_rows_are_drawn_anew_and_all_come_in_time() -> None:
    found = draw(SamplingSettings("cap", sampling_cap=50))
    epochs = [found.rows(0, epoch) for epoch in range(100)]
    assert all(len(np.unique(rows)) == len(rows) for rows in epochs)  # none twice: no count is above 1
    assert not np.array_equal(np.sort(epochs[0]), np.sort(epochs[1]))
    times = np.bincount(np.concatenate(epochs), minlength=len(LABELS)) / 100
    np.testing.assert_allclose(times[400:], found.counts[400:], atol=0.2)
    assert times.min() > 0
    assert times[:400].mean() == pytest.approx(50 / 400)


def test_a_repeated_row_comes_as_often_as_the_others_of_its_category_or_once_more() -> None:
    found = draw(SamplingSettings("temperature", sampling_temperature=1e6))
    times = np.bincount(found.rows(3, 1), minlength=len(LABELS))
    assert set(times[500:]) == {7}  # 175 of 25 rows
    assert set(times[400:500]) == {1, 2}
    assert set(times[:400]) == {0, 1}


def test_seed_and_epoch_alone_decide() -> None:
    one, other = draw(SamplingSettings("sqrt")), draw(SamplingSettings("sqrt"))
    np.testing.assert_array_equal(one.rows(5, 2), other.rows(5, 2))
    assert not np.array_equal(one.rows(5, 2), one.rows(5, 3))
    assert not np.array_equal(one.rows(5, 2), one.rows(6, 2))


def test_groups_of_a_category_weigh_the_same_and_its_share_stays() -> None:
    groups = np.zeros(525, np.int64)
    groups[:10] = 2  # 10 of 400
    groups[10:60] = 1
    groups[400:420] = 5  # 20 of 100; the last category has one group
    for settings, expected in ((SamplingSettings(), [400, 100, 25]), (SamplingSettings("sqrt"), [300, 150, 75])):
        found = draw(settings, groups=groups)
        rows = found.rows(1, 0)
        assert sizes(found) == expected
        head, middle, _ = expected
        assert np.abs(np.bincount(groups[rows[rows < 400]]) - head / 3).max() < 1
        assert np.abs(np.bincount(groups[rows[(rows >= 400) & (rows < 500)]])[[0, 5]] - middle / 2).max() < 1
        np.testing.assert_allclose(found.true_shares[:3] / found.true_shares[:3].sum(), found_shares([400, 100, 25]))


def test_age_changes_the_true_shares_and_sampling_the_drawn_ones() -> None:
    weights = np.ones(525)
    weights[:400] = 0.25  # all of the largest category are old
    found = draw(SamplingSettings(), weights=weights)
    np.testing.assert_allclose(found.true_shares[:3] / found.true_shares[:3].sum(), found_shares([100, 100, 25]))
    np.testing.assert_allclose(found.drawn_shares, found.true_shares)
    assert not found.changes_answers
    assert found.num_rows == 525
    capped = draw(SamplingSettings("cap", sampling_cap=60), weights=weights)
    np.testing.assert_allclose(capped.true_shares, found.true_shares)
    assert capped.changes_answers
    assert draw(SamplingSettings(logit_adjustment=0.1)).changes_answers
    for epoch in range(20):
        assert max(sizes(capped, epoch)) <= 60
    assert sizes(draw(SamplingSettings("sqrt"), weights=weights)) == [210, 210, 105]


def test_offsets_lead_from_the_drawn_to_the_true_shares() -> None:
    """A model of the drawn rows that knows nothing but the shares becomes one of the true ones."""
    for tau in (0.0, 0.5, 1.0):
        found = draw(SamplingSettings("sqrt", logit_adjustment=tau))
        learned = np.log(found.drawn_shares) - found.loss_offsets  # the loss of these logits + its offsets is least
        corrected = np.exp(learned + found.network_offsets)
        np.testing.assert_allclose(corrected / corrected.sum(), found.true_shares, rtol=1e-5)
        plain = np.exp(np.log(found.drawn_shares) + found.linear_offsets)
        np.testing.assert_allclose(plain / plain.sum(), found.true_shares, rtol=1e-5)


def test_a_category_without_rows_is_taken_for_as_rare_as_the_rarest() -> None:
    found = draw(SamplingSettings("sqrt"))
    assert found.true_shares[3] == found.true_shares[2]
    assert found.drawn_shares[3] == found.drawn_shares[2]
    assert (found.true_shares.sum(), found.drawn_shares.sum()) == (pytest.approx(1), pytest.approx(1))
