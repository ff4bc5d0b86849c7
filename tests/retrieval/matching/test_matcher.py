"""A matcher learns, is kept, and says what is true."""

import json
from pathlib import Path

import numpy as np
import pytest

from model.errors import MatcherError
from retrieval.matching.grouped_pairs import grouped_pairs
from retrieval.matching.matcher.match_metrics import best_f1_threshold, calibration_error, expected_precision_threshold
from retrieval.matching.matcher.matcher import Matcher, PairScorer
from retrieval.matching.matcher.matcher_files import load_matcher, save_matcher
from retrieval.matching.matcher.matcher_training import LabelledPairs, MatcherTrainer
from retrieval.matching.planted_pairs import OTHER_EDITS, SAME_EDITS, edited, planted_pairs
from retrieval.settings import MatcherSettings
from tests.retrieval.matching.support import labelled_pairs, offers_of, table_of

QUICK = MatcherSettings(num_models=1, num_trees=60, num_folds=3)
NUM_PRODUCTS = 150


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    """Learned from a shop of its own."""
    pairs = labelled_pairs(NUM_PRODUCTS, seed=3)
    return MatcherTrainer(table_of(offers_of(NUM_PRODUCTS, seed=1)), pairs, QUICK).train("pairs", "")


def f1_of(matcher: Matcher, num_products: int, seed: int) -> float:
    table, pairs = table_of(offers_of(num_products, seed)), labelled_pairs(num_products, seed)
    found = PairScorer(matcher, table).probabilities(pairs.left, pairs.right) >= matcher.description.f1_threshold
    hits = (found & pairs.same).sum()
    return float(2 * hits / (found.sum() + pairs.same.sum()))


def test_it_tells_the_products_of_another_shop(matcher: Matcher) -> None:
    assert f1_of(matcher, 80, seed=9) > 0.95
    measured = matcher.description.metrics["cross_fitted"]
    assert measured["f1"] > 0.95
    assert measured["calibration_error"] < 0.03
    assert measured["num_same"] == NUM_PRODUCTS


def test_labels_of_chance_teach_nothing() -> None:
    """With labels that say nothing F1 is that of chance: no feature carries a pair's label."""
    pairs = labelled_pairs(NUM_PRODUCTS, seed=3)
    shuffled = LabelledPairs(pairs.left, pairs.right, np.random.default_rng(4).permutation(pairs.same))
    trainer = MatcherTrainer(table_of(offers_of(NUM_PRODUCTS, seed=1)), shuffled, QUICK)
    trained = trainer.train("pairs", "")
    share = pairs.same.mean()
    assert trained.description.metrics["cross_fitted"]["f1"] < 2 * share / (1 + share) + 0.06
    assert trained.description.promised_threshold > 1


def test_a_promise_is_kept_where_it_can_be_shown(matcher: Matcher) -> None:
    measured = matcher.description.metrics["cross_fitted"]
    assert matcher.description.promised_threshold <= 1
    assert measured["promised_precision"] >= 0.98
    assert measured["promised_recall"] > 0.5


def test_contributions_say_what_spoke_for_a_pair(matcher: Matcher) -> None:
    table = table_of(offers_of(20, seed=5))
    features = PairScorer(matcher, table).features(np.array([0]), np.array([1]))
    contributions = matcher.contributions(features)
    assert contributions.shape == features.shape
    assert contributions.sum() > 0


def test_a_matcher_is_kept_whole(matcher: Matcher, tmp_path: Path) -> None:
    table = table_of(offers_of(20, seed=5))
    features = PairScorer(matcher, table).features(np.arange(0, 20), np.arange(20, 40))
    for _ in range(2):  # the second replaces the first
        save_matcher(matcher, tmp_path / "matcher")
    loaded = load_matcher(tmp_path / "matcher")
    assert loaded.description == matcher.description
    np.testing.assert_allclose(loaded.probabilities(features), matcher.probabilities(features), rtol=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == {"matcher"}


def test_a_damaged_matcher_is_refused(matcher: Matcher, tmp_path: Path) -> None:
    folder = tmp_path / "matcher"
    with pytest.raises(MatcherError, match=r"matcher is no matcher: matcher\.json cannot be read \(No such file"):
        load_matcher(folder)
    save_matcher(matcher, folder)
    description = json.loads((folder / "matcher.json").read_text())
    for change, message in (
        ({"format_version": 9}, "has format 9, this program reads format 1; train it again"),
        ({"features": ["other"]}, "reads features that this program does not compute; train it again"),
        ({"sha256": None}, "is damaged: it names no files"),
        ({"unknown": 1}, "is damaged: TypeError"),
    ):
        (folder / "matcher.json").write_text(json.dumps({**description, **change}))
        with pytest.raises(MatcherError, match=message):
            load_matcher(folder)
    (folder / "matcher.json").write_text(json.dumps(description))
    (folder / "trees_0.txt").write_text("tree")
    with pytest.raises(MatcherError, match=r"trees_0\.txt is damaged: its checksum is another"):
        load_matcher(folder)


def test_a_folder_with_something_else_is_not_written_to(matcher: Matcher, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear shop")
    with pytest.raises(MatcherError, match="exists and is no matcher; choose another folder or remove it"):
        save_matcher(matcher, tmp_path)


def test_too_few_pairs_of_a_kind_are_refused() -> None:
    pairs = labelled_pairs(10, seed=3)
    with pytest.raises(MatcherError, match="expected at least 20 pairs that are the same to learn from, found 10"):
        MatcherTrainer(table_of(offers_of(10, seed=1)), pairs, QUICK)


def test_groups_give_pairs_that_are_the_same_and_near_ones_that_are_not() -> None:
    offers = offers_of(40, seed=1)
    pairs = grouped_pairs(table_of(offers), seed=0)
    is_same = [offers[i].group_id == offers[j].group_id for i, j in zip(pairs.left, pairs.right, strict=True)]
    assert pairs.same.tolist() == is_same
    assert (int(pairs.same.sum()), int((~pairs.same).sum()) > 100) == (40, True)
    with pytest.raises(MatcherError, match="expected groups of two offers or more in group_id, found none"):
        grouped_pairs(table_of(offers[::2]), seed=0)


def test_planted_edits_teach_without_labels() -> None:
    offers = offers_of(120, seed=1)[::2]
    planted = planted_pairs(table_of(offers), seed=0)
    assert len(planted.table) > len(offers)
    assert 100 < planted.pairs.same.sum() < len(planted.pairs.same)
    trainer = MatcherTrainer(planted.table, planted.pairs, QUICK, learns_words=False)
    matcher = trainer.train("planted edits", "")
    assert list(matcher.evidence.words) == []
    assert matcher.description.metrics["cross_fitted"]["f1"] > 0.9


def test_pairs_count_by_their_weights() -> None:
    """Wrong labels of no weight are not learned."""
    table, pairs = table_of(offers_of(NUM_PRODUCTS, seed=1)), labelled_pairs(NUM_PRODUCTS, seed=3)
    wrong = LabelledPairs(
        np.tile(pairs.left, 2),
        np.tile(pairs.right, 2),
        np.concatenate([pairs.same, ~pairs.same]),
        np.repeat([1.0, 0.0], len(pairs.same)),
    )
    matcher = MatcherTrainer(table, wrong, QUICK).train("pairs", "")
    found = PairScorer(matcher, table).probabilities(pairs.left, pairs.right) >= 0.5
    assert (found == pairs.same).mean() > 0.95


def test_an_expected_precision_is_the_mean_probability() -> None:
    probabilities = np.array([0.99, 0.97, 0.9, 0.2], np.float32)
    assert expected_precision_threshold(probabilities, 0.95) == pytest.approx(0.9)
    assert expected_precision_threshold(probabilities, 0.98) == pytest.approx(0.97)
    assert expected_precision_threshold(probabilities, 0.7) == 0.85
    assert expected_precision_threshold(probabilities, 0.995) > 1
    assert expected_precision_threshold(np.zeros(0, np.float32), 0.9) > 1


def test_edits_are_repeatable_and_change_something() -> None:
    offer = offers_of(1, seed=1)[0]
    for edits in (SAME_EDITS, OTHER_EDITS):
        one, two = (edited(offer, edits, np.random.default_rng(7)) for _ in range(2))
        assert one == two != offer


def test_the_best_threshold_is_half_of_the_best_f1() -> None:
    sure = np.array([1, 1, 0, 0], np.float32)
    assert best_f1_threshold(sure) == pytest.approx(0.5)
    assert best_f1_threshold(np.full(100, 0.1, np.float32)) == pytest.approx(0.1 / 1.1, abs=1e-3)
    assert best_f1_threshold(np.zeros(4, np.float32)) == 1


def test_calibration_error_is_the_mean_gap() -> None:
    assert calibration_error(np.array([0.75, 0.75, 0.15, 0.15]), np.array([True, True, False, False])) == pytest.approx(
        0.2
    )
