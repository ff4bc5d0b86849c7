"""The pairs that groups teach."""

import numpy as np
import pytest

from model.errors import MatcherError
from retrieval.index.record import Attributes
from retrieval.matching.candidates import NUM_CANDIDATES
from retrieval.matching.grouped_pairs import grouped_pairs
from retrieval.matching.offers.nearest_vectors import nearest_by_vectors
from retrieval.matching.offers.offer_table import OfferTable
from tests.retrieval.matching.support import offers_of, table_of


def others_of(table: OfferTable, position: int) -> set[int]:
    pairs = grouped_pairs(table, seed=0)
    left, right = pairs.left[~pairs.same], pairs.right[~pairs.same]
    return set(right[left == position].tolist()) | set(left[right == position].tolist())


def test_every_candidate_is_among_the_pairs() -> None:
    """Else a matcher would take candidates that it never saw others at for the same."""
    table = table_of(offers_of(40, seed=1))
    nearest = table.nearest.of(np.arange(len(table)))[0][:, :NUM_CANDIDATES]
    for position in range(0, len(table), 7):
        candidates = {int(j) for j in nearest[position] if j >= 0 and j // 2 != position // 2}
        others = others_of(table, position)
        assert candidates <= others
        assert others - candidates  # far ones too
        assert all(table.offers[j].source != table.offers[position].source for j in others)


def test_those_with_the_nearest_pictures_are_among_the_pairs() -> None:
    offers = [Attributes(f"offer number {i}", group_id=f"g{i // 2}") for i in range(60)]
    angles = np.random.default_rng(0).uniform(0, np.pi, 60)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    table = OfferTable([f"p{i}" for i in range(60)], offers, {"image": vectors})
    nearest = nearest_by_vectors(vectors, np.array([8]), NUM_CANDIDATES)[0]
    assert {int(j) for j in nearest if j // 2 != 4} <= others_of(table, 8)


def test_nearest_vectors() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 0], [0, 1], [0.6, 0.8]], np.float32)
    found = nearest_by_vectors(vectors, np.array([0, 2, 3]), 2)
    assert [set(row) for row in found.tolist()] == [{1, 4}, {-1}, {1, 4}]
    assert sorted(nearest_by_vectors(vectors, np.array([0]), 10)[0].tolist()) == [-1, -1, 1, 3, 4]


def test_no_group_of_two_is_an_error() -> None:
    table = table_of([Attributes("a lamp", group_id="x"), Attributes("a rug", group_id="y"), Attributes("a rug")])
    with pytest.raises(MatcherError, match="expected groups of two offers or more in group_id, found none"):
        grouped_pairs(table, seed=0)
