"""Features of pairs: symmetric, from the catalog alone, and what they say."""

import numpy as np
import pytest

from model.errors import VectorIndexError
from retrieval.index.record import Attributes
from retrieval.matching.matcher.pair_features import feature_group, feature_names, pair_features
from retrieval.matching.offers.nearest_titles import NUM_NEAREST
from retrieval.matching.offers.offer_table import OfferTable
from tests.retrieval.matching.support import offers_of, table_of


def features_of(offers: list[Attributes], left: int = 0, right: int = 1) -> dict[str, float]:
    found = pair_features(table_of(offers), np.array([left]), np.array([right]))
    return dict(zip(feature_names(), found[0].tolist(), strict=True))


def test_a_pair_is_the_same_whichever_offer_is_left() -> None:
    table = table_of(offers_of(30, seed=1))
    random = np.random.default_rng(2)
    left, right = random.integers(0, len(table), (2, 200))
    found = pair_features(table, left, right)
    assert found.shape == (200, len(feature_names()))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pair_features(table, right, left), rtol=1e-5, atol=1e-5)


def test_features_of_a_pair_do_not_depend_on_the_other_pairs() -> None:
    """They are taken from the catalog: which pairs are asked about, or are the same, does not matter."""
    table = table_of(offers_of(30, seed=1))
    left, right = np.arange(0, 40, 2), np.arange(1, 41, 2)
    whole = pair_features(table, left, right)
    alone = np.concatenate([pair_features(table, left[i : i + 1], right[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(whole, alone, rtol=1e-5, atol=1e-5)


def test_quantities_agree_across_units_and_contradict_each_other() -> None:
    same = features_of([Attributes("oil 0.5 l 2-pack"), Attributes("oil 500ml pack of 2")])
    other = features_of([Attributes("oil 500 ml"), Attributes("oil 1 l")])
    assert (same["quantities.agree"], same["quantities.contradict"], same["quantities.volume"]) == (2, 0, 1)
    assert (other["quantities.agree"], other["quantities.contradict"], other["quantities.volume"]) == (0, 1, -1)


def test_a_model_number_is_found_in_the_description_of_the_other() -> None:
    found = features_of(
        [Attributes("Sona speaker", model_number="SP-4410"), Attributes("speaker", description="the sp 4410 model")]
    )
    assert found["model number.found_most"] == len("sp4410")


def test_what_is_not_known_is_nan() -> None:
    found = features_of([Attributes("kettle"), Attributes("toaster", brand="Acme", price=5.0)])
    for name in ("price.difference", "brand.alike", "category.alike", "image.cosine", "text.cosine", "price.rise"):
        assert np.isnan(found[name]), name


def test_prices_of_two_sources_are_compared_by_who_asks_more() -> None:
    offers = [Attributes("kettle", price=10.0, source="left"), Attributes("kettle", price=20.0, source="right")]
    assert features_of(offers)["price.rise"] == features_of(offers, 1, 0)["price.rise"] == pytest.approx(np.log(2))


def test_candidates_are_those_of_other_sources() -> None:
    offers = [Attributes("red kettle", source=source) for source in ("left", "left", "right")]
    found, cosines = table_of(offers).nearest.of(np.array([0, 2]))
    assert found.shape == (2, NUM_NEAREST)
    assert found[0].tolist()[:2] == [2, -1]
    assert sorted(found[1].tolist()[:2]) == [0, 1]
    alone, _ = table_of([Attributes("red kettle"), Attributes("red kettle")]).nearest.of(np.array([0]))
    assert alone[0].tolist()[:2] == [1, -1]
    assert cosines[0, 1:].tolist() == [0] * (NUM_NEAREST - 1)


def test_vectors_are_compared_where_both_have_one() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 0]], np.float32)
    table = OfferTable(["a", "b", "c"], [Attributes("kettle")] * 3, {"image": vectors})
    found = pair_features(table, np.array([0, 0]), np.array([1, 2]))[:, feature_names().index("image.cosine")]
    assert found[0] == pytest.approx(0.6)
    assert np.isnan(found[1])
    with pytest.raises(VectorIndexError, match="expected 2 image vectors, found 3"):
        OfferTable(["a", "b"], [Attributes()] * 2, {"image": vectors})


def test_features_are_explained_by_groups() -> None:
    groups = {feature_group(name) for name in feature_names()}
    assert {"words", "numbers", "model number", "quantities", "price", "brand", "context", "image", "text"} <= groups


def test_offers_without_any_text_are_compared() -> None:
    found = features_of([Attributes(), Attributes()])
    assert found["words.weighted_shared"] == 0
    assert np.isnan(found["words.weighted_share_of_less"])
