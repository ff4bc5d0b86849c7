"""The ways to call offers the same, each learned on one pool of offers and asked about another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from retrieval.ladder.group_score import group_f1
from retrieval.ladder.pool import Pool, table_of
from retrieval.ladder.similarity import Similarity, name_similarity
from retrieval.matching.candidates import NUM_CANDIDATES
from retrieval.matching.grouped_pairs import grouped_pairs
from retrieval.matching.grouping import group_offers
from retrieval.matching.matcher.matcher import Matcher, PairScorer
from retrieval.matching.training import train_matcher
from retrieval.settings import MatcherSettings

#: Nearest offers of each that may be called the same, as many as Shopee's task allows.
NUM_NEAREST = 50
#: Weights of the picture that are tried beside the name.
_WEIGHTS = tuple(weight / 10 for weight in range(1, 10))
_NUM_THRESHOLDS = 400

#: Pairs (P, 2) int64 of a pool's offers that are called the same, each once.
CallsSame = Callable[[Pool], np.ndarray]
#: Vectors of a pool's offers.
Compares = Callable[[Pool], Similarity]
#: (N, D) float32 of the pictures of a pool's offers; zeros where there is none.
Pictures = Callable[[Pool], np.ndarray]


@dataclass(frozen=True)
class Learned:
    """A rung after learning.

    Args:
        calls_same: asked about offers that it has not learned from.
        chosen: what it chose, by name.
    """

    calls_same: CallsSame
    chosen: Mapping[str, float]


def alone() -> Learned:
    """Call no two offers the same: what any rung has to beat."""
    return Learned(lambda _: np.zeros((0, 2), np.int64), {})


def learn_threshold(compares: Compares, tuning: Pool) -> Learned:
    """Choose the least cosine of nearest neighbours with the highest F1."""
    similarity = compares(tuning)
    pairs = similarity.nearest_pairs(NUM_NEAREST)
    threshold, _ = best_threshold(tuning.groups, pairs, similarity.cosines(pairs))

    def calls_same(pool: Pool) -> np.ndarray:
        found = compares(pool)
        near = found.nearest_pairs(NUM_NEAREST)
        return near[found.cosines(near) >= threshold]

    return Learned(calls_same, {"threshold": threshold})


def learn_both(names: Compares, pictures: Compares, tuning: Pool) -> Learned:
    """Choose the weight of the picture beside the name, and the least weighted mean of their cosines."""
    pairs, cosines = _both_cosines(names(tuning), pictures(tuning))
    tried = {weight: best_threshold(tuning.groups, pairs, _weighted(cosines, weight)) for weight in _WEIGHTS}
    weight = max(tried, key=lambda each: tried[each][1])
    threshold, _ = tried[weight]

    def calls_same(pool: Pool) -> np.ndarray:
        near, found = _both_cosines(names(pool), pictures(pool))
        return near[_weighted(found, weight) >= threshold]

    return Learned(calls_same, {"threshold": threshold, "picture_weight": weight})


def train_on_groups(pictures: Pictures | None, tuning: Pool, settings: MatcherSettings) -> Matcher:
    """Train a matcher on the groups.

    Args:
        pictures: None compares texts and prices alone.
    Raises:
        MatcherError: there are too few pairs of a kind.
    """
    table = table_of(tuning, None if pictures is None else pictures(tuning))
    return train_matcher(table, grouped_pairs(table, settings.seed), settings, None, "group_id")


def by_matcher(matcher: Matcher, pictures: Pictures | None, are_grouped: bool) -> Learned:
    """Call candidates the same where the matcher does.

    Args:
        are_grouped: whether they are grouped as `retrieval duplicates` does, so that no offer is in two groups.
    """
    threshold = matcher.description.f1_threshold

    def calls_same(pool: Pool) -> np.ndarray:
        vectors = None if pictures is None else pictures(pool)
        scorer = PairScorer(matcher, table_of(pool, vectors))
        near = [name_similarity(pool.names).nearest_pairs(NUM_CANDIDATES)]
        if vectors is not None:
            near.append(Similarity(vectors).nearest_pairs(NUM_CANDIDATES))
        pairs = np.unique(np.concatenate(near), axis=0)
        probabilities = scorer.probabilities(*pairs.T)
        if not are_grouped:
            return pairs[probabilities >= threshold]
        groups = group_offers(pairs, probabilities, threshold, scorer.probabilities)
        return _pairs_of([group.members for group in groups])

    return Learned(calls_same, {"threshold": threshold})


def best_threshold(groups: np.ndarray, pairs: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """The score from which pairs are to be called the same for the highest mean F1, and that F1.

    Args:
        pairs: (P, 2) int64 positions, each pair once.
        scores: (P,) float32; infinite where no threshold finds any pair better than none.
    """
    order = np.argsort(-scores, kind="stable")
    pairs, scores = pairs[order], scores[order]
    best = (float("inf"), float(group_f1(groups, pairs[:0]).mean()))
    # close together where few pairs are called the same, as each counts more there
    for count in np.unique(np.geomspace(1, len(pairs), _NUM_THRESHOLDS).astype(int)) if len(pairs) else ():
        num_called = int(np.searchsorted(-scores, -scores[count - 1], side="right"))
        f1 = float(group_f1(groups, pairs[:num_called]).mean())
        if f1 > best[1]:
            best = (float(scores[count - 1]), f1)
    return best


def _both_cosines(names: Similarity, pictures: Similarity) -> tuple[np.ndarray, np.ndarray]:
    """Nearest pairs by either, and (2, P) cosines of both."""
    pairs = np.unique(np.concatenate([each.nearest_pairs(NUM_NEAREST) for each in (names, pictures)]), axis=0)
    return pairs, np.stack([names.cosines(pairs), pictures.cosines(pairs)])


def _weighted(cosines: np.ndarray, weight: float) -> np.ndarray:
    """(P,) means of cosines; of one alone where the other is not known."""
    name, picture = cosines
    mean = (1 - weight) * name + weight * picture
    return np.where(np.isnan(picture), name, np.where(np.isnan(name), picture, mean))


def _pairs_of(groups: list[np.ndarray]) -> np.ndarray:
    parts = [np.zeros((0, 2), np.int64)]
    parts += [members[np.column_stack(np.triu_indices(len(members), 1))] for members in groups]
    return np.concatenate(parts)
