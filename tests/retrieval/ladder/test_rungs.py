"""Similarities, thresholds and pools, on offers that are counted by hand."""

import math

import numpy as np
import pytest

from model.errors import CatalogError
from retrieval.index.record import Attributes
from retrieval.ladder.group_score import group_f1
from retrieval.ladder.pool import Pool, grouped_offers, joined, split_by_group
from retrieval.ladder.rungs import best_threshold, learn_both, learn_threshold
from retrieval.ladder.similarity import Similarity, name_similarity
from retrieval.ladder.word_vectors import name_vectors, tokenizer_of_names

NAMES = ["acme kettle ak-100 black", "kettle acme ak100 black", "nordic lamp nl-7 oak", "lamp nordic oak nl-7", "", "x"]


def pool_of(names: list[str], groups: list[int]) -> Pool:
    return Pool([f"p{i}" for i in range(len(names))], [Attributes(name) for name in names], np.array(groups))


def circle(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_nearest_pairs_of_vectors() -> None:
    rows = np.concatenate([circle(0, 10, 90, 95), np.zeros((1, 2), np.float32)])
    similarity = Similarity(rows)
    assert similarity.nearest_pairs(1).tolist() == [[0, 1], [2, 3]]
    assert len(similarity.nearest_pairs(50)) == 6  # every two of those that have a vector
    cosines = similarity.cosines(np.array([[0, 1], [0, 4]]))
    assert cosines[0] == pytest.approx(math.cos(math.radians(10)))
    assert math.isnan(cosines[1])


def test_nearest_pairs_of_names() -> None:
    similarity = name_similarity(NAMES)
    assert similarity.is_there.tolist() == [True, True, True, True, False, True]
    assert similarity.nearest_pairs(1).tolist() == [[0, 1], [2, 3]]
    near, far = similarity.cosines(np.array([[0, 1], [0, 5]]))
    assert near > 0.5
    assert far == 0
    assert similarity.cosines(np.array([[0, 0]]))[0] == pytest.approx(1)


def test_word_vectors_of_names() -> None:
    names = NAMES[:4] * 10
    tokenizer = tokenizer_of_names(names, seed=0)
    found = name_vectors(tokenizer, [*NAMES, "never seen"])
    assert np.linalg.norm(found, axis=1).round(3).tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert found[2] @ found[3] == pytest.approx(1, abs=1e-3)  # the same words in another order
    assert found[0] @ found[2] < 0.5


def test_the_threshold_with_the_highest_f1() -> None:
    groups = np.array([0, 0, 1, 1, 2, 3])
    pairs, scores = np.array([[0, 1], [2, 3], [3, 4], [0, 5]]), np.array([0.9, 0.7, 0.5, 0.1])
    assert best_threshold(groups, pairs, scores) == (0.7, 1.0)
    shuffled = [2, 0, 3, 1]
    assert best_threshold(groups, pairs[shuffled], scores[shuffled]) == (0.7, 1.0)


def test_scores_that_tell_nothing_call_nothing_the_same() -> None:
    groups = np.array([0, 0, 1, 1])
    threshold, f1 = best_threshold(groups, np.array([[0, 2], [1, 3]]), np.array([0.9, 0.1]))
    assert threshold == math.inf
    assert f1 == pytest.approx(group_f1(groups, np.zeros((0, 2), np.int64)).mean())
    assert best_threshold(groups, np.zeros((0, 2), np.int64), np.zeros(0))[0] == math.inf


def test_pairs_with_equal_scores_stand_or_fall_together() -> None:
    groups = np.array([0, 0, 1, 2])
    threshold, f1 = best_threshold(groups, np.array([[0, 1], [0, 2], [1, 3]]), np.full(3, 0.5))
    assert (threshold, f1) == (math.inf, 0.8333333333333333)


def test_what_was_learned_on_one_pool_is_asked_about_another() -> None:
    tuning, asked = pool_of(NAMES[:4], [0, 0, 1, 1]), pool_of(["oak lamp", "oak lamp", "pine rug"], [5, 5, 6])
    learned = learn_threshold(lambda pool: name_similarity(pool.names), tuning)
    assert learned.calls_same(asked).tolist() == [[0, 1]]


def test_pictures_tell_apart_what_names_do_not() -> None:
    """Names say the kind, pictures which one; an offer without a picture is compared by its name."""
    names = ["red lamp", "red lamp", "red lamp", "red lamp", "blue rug", "rug blue"]
    pool = pool_of(names, [0, 0, 1, 1, 2, 2])
    pictures = np.concatenate([circle(0, 2, 80, 82), np.zeros((2, 2), np.float32)])
    learned = learn_both(lambda each: name_similarity(each.names), lambda _: Similarity(pictures), pool)
    assert learned.calls_same(pool).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert learned.chosen.keys() == {"threshold", "picture_weight"}


def test_groups_are_dealt_out_whole() -> None:
    names, groups = [f"n{i}" for i in range(33)], [*np.repeat(np.arange(9), 3), *range(9, 15)]
    pool = pool_of(names, groups)
    parts = split_by_group(pool, 3, seed=0)
    assert [(len(part.offers), part.num_groups) for part in parts] == [(11, 5)] * 3
    found = [set(part.groups.tolist()) for part in parts]
    assert not found[0] & found[1] | found[0] & found[2] | found[1] & found[2]
    assert sorted(joined(parts).product_ids) == sorted(pool.product_ids)
    again, other = split_by_group(pool, 3, seed=0), split_by_group(pool, 3, seed=1)
    assert again[0].product_ids == parts[0].product_ids != other[0].product_ids


def test_offers_without_a_group_are_left_out_and_sources_are_not_looked_at() -> None:
    offers = [
        Attributes("a", group_id="x", source="left"),
        Attributes("b"),
        Attributes("c", group_id="x", source="right"),
    ]
    pool = grouped_offers(["p", "q", "r"], offers, least_groups=1)
    assert pool.product_ids == ["p", "r"]
    assert pool.groups.tolist() == [0, 0]
    assert {offer.source for offer in pool.offers} == {""}
    message = "expected 2 or more groups of two offers or more in the column group_id, found 1; say which offers are"
    with pytest.raises(CatalogError, match=message):
        grouped_offers(["p", "q", "r"], offers, least_groups=2)
    with pytest.raises(CatalogError, match="in the column group_id, found 0"):
        grouped_offers(["q"], offers[1:2], least_groups=2)
