"""Labelled pairs from a catalog that knows which offers are the same product (group_id)."""

import itertools

import numpy as np

from model.errors import MatcherError
from retrieval.matching.matcher.matcher_training import LabelledPairs
from retrieval.matching.offers.offer_table import OfferTable

_MOST_PAIRS_OF_A_GROUP = 10
_NEAREST = 6
_MOST_PAIRS = 60_000


def grouped_pairs(table: OfferTable, seed: int) -> LabelledPairs:
    """Pair offers of one group, which are the same, and each with its nearest of other groups, which are not.

    Offers without a group are left out: theirs is not known.

    Args:
        seed: of what is drawn where there are too many.
    Raises:
        MatcherError: no group has two offers.
    """
    random = np.random.default_rng(seed)
    groups = np.array([offer.group_id for offer in table.offers])
    same = _pairs_of_groups(groups, random)
    if not same:
        raise MatcherError("expected groups of two offers or more in group_id, found none; label pairs (--train-pairs)")
    known = np.flatnonzero(groups != "")
    nearest, _ = table.nearest.of(known)
    others = {
        (min(i, j), max(i, j))
        for i, found in zip(known.tolist(), nearest[:, :_NEAREST].tolist(), strict=True)
        for j in found
        if j >= 0 and groups[j] and groups[j] != groups[i]
    }
    pairs = np.array([*same, *sorted(others)], np.int64)
    is_same = np.arange(len(pairs)) < len(same)
    if len(pairs) > _MOST_PAIRS:
        drawn = np.sort(random.choice(len(pairs), _MOST_PAIRS, replace=False))
        pairs, is_same = pairs[drawn], is_same[drawn]
    return LabelledPairs(pairs[:, 0], pairs[:, 1], is_same)


def _pairs_of_groups(groups: np.ndarray, random: np.random.Generator) -> list[tuple[int, int]]:
    order = np.argsort(groups, kind="stable")
    found: list[tuple[int, int]] = []
    for name, members in itertools.groupby(order.tolist(), key=lambda position: groups[position]):
        if not name:
            continue
        pairs = list(itertools.combinations(members, 2))
        if len(pairs) > _MOST_PAIRS_OF_A_GROUP:
            pairs = [pairs[i] for i in random.choice(len(pairs), _MOST_PAIRS_OF_A_GROUP, replace=False)]
        found += pairs
    return found
