"""Labelled pairs from a catalog that knows which offers are the same product (group_id)."""

import itertools
from collections.abc import Iterator

import numpy as np

from model.errors import MatcherError
from retrieval.matching.candidates import NUM_CANDIDATES
from retrieval.matching.matcher.matcher_training import LabelledPairs
from retrieval.matching.offers.nearest_vectors import nearest_by_vectors
from retrieval.matching.offers.offer_table import OfferTable

_MOST_PAIRS_OF_A_GROUP = 10
_MOST_PAIRS = 60_000
_MOST_ASKED = 6_000
#: Other offers that are drawn beside each one's nearest.
_NUM_DRAWN = 3


def grouped_pairs(table: OfferTable, seed: int) -> LabelledPairs:
    """Pair offers of one group, which are the same, and each with its nearest of other groups, which are not.

    The nearest are as many as the candidates of `candidate_pairs`, by titles and by vectors alike, and some far ones
    are drawn: offers of a group may be far from each other, and without others that are as far a matcher would take
    all such pairs for the same. Offers without a group are left out: theirs is not known.

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
    others = {
        (min(i, j), max(i, j))
        for asked, nearest in _others(table, known, random)
        for i, found in zip(asked.tolist(), nearest.tolist(), strict=True)
        for j in found
        if j >= 0 and groups[j] and groups[j] != groups[i]
    }
    pairs = np.array([*same, *sorted(others)], np.int64)
    is_same = np.arange(len(pairs)) < len(same)
    if len(pairs) > _MOST_PAIRS:
        drawn = np.sort(random.choice(len(pairs), _MOST_PAIRS, replace=False))
        pairs, is_same = pairs[drawn], is_same[drawn]
    return LabelledPairs(pairs[:, 0], pairs[:, 1], is_same)


def _others(
    table: OfferTable, known: np.ndarray, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Offers with others to be compared with, (N,) and (N, K) positions; -1 for none.

    They are of another source where the offers have different ones.
    """
    yield known, table.nearest.of(known)[0][:, :NUM_CANDIDATES]
    sources = np.array([offer.source for offer in table.offers])
    has_sources = len(set(sources)) > 1
    few = known if len(known) <= _MOST_ASKED else np.sort(random.choice(known, _MOST_ASKED, replace=False))
    found = [nearest_by_vectors(vectors, few, NUM_CANDIDATES) for vectors in table.vectors.values()]
    for others in (*found, random.choice(known, (len(few), _NUM_DRAWN))):
        is_other = sources[others] != sources[few][:, None] if has_sources else True
        yield few, np.where(is_other, others, -1)


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
