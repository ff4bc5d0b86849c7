"""Of two different offers at most one is the same as a third."""

import numpy as np
import pytest

from retrieval.matching.rivals import divided_among_rivals


def divided(probabilities: dict[tuple[int, int], float], sure: float = 0.9) -> dict[tuple[int, int], float]:
    """Probabilities after it, of pairs with these; pairs that are not named are not the same."""
    pairs, values = (
        np.array(sorted(probabilities), np.int64),
        np.array([probabilities[p] for p in sorted(probabilities)]),
    )

    def compare(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        assert (left < right).all()
        return np.array([probabilities.get(pair, 0.0) for pair in zip(left.tolist(), right.tolist(), strict=True)])

    found = divided_among_rivals(pairs, values, values >= sure, compare)
    return dict(zip(sorted(probabilities), found.tolist(), strict=True))


def test_an_offer_like_two_different_ones_is_surely_neither() -> None:
    found = divided({(0, 1): 0.95, (0, 2): 0.95, (1, 2): 0.0})
    assert found == {(0, 1): pytest.approx(19 / 39), (0, 2): pytest.approx(19 / 39), (1, 2): 0}


def test_two_offers_like_two_different_ones_are_not_surely_each_other() -> None:
    """0 and 1 name no model, 2 and 3 are two models of it."""
    of_either = {(0, 2): 0.9, (0, 3): 0.9, (1, 2): 0.9, (1, 3): 0.9}
    assert divided({(0, 1): 0.99, **of_either})[0, 1] == pytest.approx(0.99 * (1 - 9 / 19))
    assert divided({(0, 1): 0.99, (0, 2): 0.9, (0, 3): 0.9, (1, 2): 0.9})[0, 1] < 0.99
    assert divided({(0, 1): 0.99, (0, 2): 0.9, (1, 2): 0.9})[0, 1] == pytest.approx(0.99)


def test_a_rival_counts_less_the_likelier_it_is_the_same() -> None:
    found = [divided({(0, 1): 0.95, (0, 2): 0.95, (1, 2): same})[0, 1] for same in (0.0, 0.2, 0.4, 0.5)]
    assert found == sorted(found)
    assert found[0] < 0.5
    assert found[-1] == pytest.approx(0.95)


def test_the_surer_of_two_keeps_most() -> None:
    found = divided({(0, 1): 0.99, (0, 2): 0.5})
    assert found[0, 1] == pytest.approx(99 / 101)
    assert found[0, 2] == 0.5


def test_offers_of_one_product_are_no_rivals() -> None:
    assert divided({(0, 1): 0.95, (0, 2): 0.95, (1, 2): 0.6}) == pytest.approx(
        {(0, 1): 0.95, (0, 2): 0.95, (1, 2): 0.6}
    )


def test_certainty_is_divided_as_well() -> None:
    assert divided({(0, 2): 1.0, (1, 2): 1.0})[0, 2] == pytest.approx(0.5, abs=1e-3)


def test_no_pairs_are_none() -> None:
    nothing = np.zeros(0, np.float32)
    found = divided_among_rivals(np.zeros((0, 2), np.int64), nothing, nothing > 0, lambda left, _: np.zeros(len(left)))
    assert found.shape == (0,)
