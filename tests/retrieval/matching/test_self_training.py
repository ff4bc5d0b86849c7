"""A catalog without labels teaches a matcher."""

import dataclasses

import numpy as np

from retrieval.matching.duplicates import find_duplicates
from retrieval.matching.matcher.matcher import PairScorer
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.planted_pairs import planted_pairs
from retrieval.matching.training import train_without_pairs
from retrieval.settings import MatcherSettings
from tests.retrieval.matching.support import offers_of, table_of

QUICK = MatcherSettings(num_models=1, num_trees=200, num_folds=3)


def test_a_catalog_teaches_itself() -> None:
    """Two offers of each product, in words that no edit knows; the truth is not given."""
    offers = offers_of(200, seed=1)
    table = table_of([dataclasses.replace(offer, group_id="") for offer in offers])
    matcher = train_without_pairs(table, QUICK, None)
    assert matcher.description.learned_from == "planted edits"
    assert matcher.threshold(0.98) == matcher.description.promised_threshold
    assert matcher.threshold(0.5) == 0.85
    found = find_duplicates(PairScorer(matcher, table), matcher.threshold(0.98))
    products = [{offers[position].group_id for position in group.members} for group in found.groups]
    assert len(products) > 150
    assert sum(len(group) > 1 for group in products) <= 3


def test_planted_copies_have_no_vectors_to_tell_them_by() -> None:
    table = table_of(offers_of(60, seed=1))
    with_vectors = OfferTable(table.product_ids, table.offers, {"image": np.ones((len(table), 2), np.float32)})
    assert planted_pairs(with_vectors, seed=0).table.vectors == {}
