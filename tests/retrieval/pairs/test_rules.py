import numpy as np

from retrieval.pairs.rules import KEPT, RULES, rules_of_pairs
from retrieval.settings import PairSettings
from tests.retrieval.pairs.support import gallery


def names(found: np.ndarray) -> list[str]:
    return ["" if rule == KEPT else RULES[rule].name for rule in found]


def test_a_pair_falls_to_the_first_rule_that_it_meets() -> None:
    """p0 and p1 are cuts of one shot, p2 has nearly the vector of p0, p3 is a chart, p4 is in ten items, p5 is fine."""
    hashes = [0, 0b11, 0b11111 << 20, 0b1111 << 30, 0b1111 << 40, 0b1111111 << 50]
    vectors = np.eye(6)
    vectors[2] = [0.96, 0, 0.28, 0, 0, 0]
    types = ["product>shop", "product>shop", "model>shop", "chart", "product>shop", "model>street"]
    pictures = gallery(["a"] * 6, hashes, vectors, types)
    num_items = np.array([1, 1, 1, 10, 10, 1])
    settings = PairSettings(hash_distance=4)
    left, right = np.array([0, 0, 0, 0, 0, 1]), np.array([1, 2, 3, 4, 5, 5])
    found = rules_of_pairs(pictures, num_items, left, right, settings)
    assert names(found) == ["same_hash", "same_vector", "type_chart", "shared_picture", "", ""]


def test_limits_are_settings() -> None:
    pictures = gallery(["a"] * 2, [0, 0b111], np.array([[1, 0], [0.8, 0.6]]))
    one = np.array([0]), np.array([1])
    assert names(rules_of_pairs(pictures, np.array([2, 1]), *one, PairSettings(hash_distance=2))) == [""]
    assert names(rules_of_pairs(pictures, np.array([2, 1]), *one, PairSettings(hash_distance=3))) == ["same_hash"]
    strict = PairSettings(hash_distance=2, vector_similarity=0.79)
    assert names(rules_of_pairs(pictures, np.array([2, 1]), *one, strict)) == ["same_vector"]
    assert names(rules_of_pairs(pictures, np.array([2, 1]), *one, PairSettings(hash_distance=2, max_items=2))) == [""]
    alone = PairSettings(hash_distance=2, max_items=1)
    assert names(rules_of_pairs(pictures, np.array([2, 1]), *one, alone)) == ["shared_picture"]


def test_each_junk_type_has_its_rule() -> None:
    types = ["model>shop", "multiple", "detail", "chart", "other"]
    pictures = gallery(["a"] * 5, types=types)
    found = rules_of_pairs(pictures, np.ones(5), np.zeros(4, int), np.arange(1, 5), PairSettings(hash_distance=0))
    assert names(found) == ["type_multiple", "type_detail", "type_chart", "type_other"]
