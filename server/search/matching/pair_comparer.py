"""Compares pairs in the matcher's process: the matcher, and the context of the index's catalog."""

import logging
import math
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np

from retrieval.index.index_folder import read_index_offers
from retrieval.matching.matcher.matcher import Matcher, PairScorer
from retrieval.matching.matcher.matcher_files import load_matcher
from retrieval.matching.offers.catalog_context import CatalogContext
from retrieval.matching.offers.offer_table import OfferTable
from server.search.matching.config import MatcherConfig
from server.search.matching.pair_batch import PairAnswers, PairBatch

_log = logging.getLogger("aisle.matcher")


class PairComparer:
    """Answers batches of pairs.

    Args:
        context: says what is rare and near in the catalog of the index.
    """

    def __init__(self, matcher: Matcher, context: CatalogContext):
        self.matcher = matcher
        self.context = context
        self._threshold = lru_cache(matcher.threshold)

    @classmethod
    def open(cls, config: MatcherConfig) -> Self:
        """Load the matcher and read the index.

        Raises:
            MatcherError: there is no matcher, it is damaged, or of another program.
            VectorIndexError: the index cannot be read.
        """
        matcher = load_matcher(Path(config.matcher))
        return cls(matcher, CatalogContext.of(read_index_offers(config.index)))

    def answer(self, batch: PairBatch) -> PairAnswers:
        """Compare the pairs of a batch; one that cannot be compared has NaN and costs no other."""
        try:
            probabilities = self._probabilities(batch)
        except Exception:  # whatever texts no one has thought of may do
            _log.exception("a batch of pairs cannot be compared; they are compared one by one")
            alone = [self._of_one(batch.pair(number)) for number in range(len(batch.left))]
            probabilities = np.array(alone, np.float32)
        own = self.matcher.description.precision
        return PairAnswers(probabilities, {asked: self._threshold(asked or own) for asked in batch.precisions})

    def _of_one(self, pair: PairBatch) -> float:
        try:
            return float(self._probabilities(pair)[0])
        except Exception:
            _log.exception("products %s cannot be compared", pair.product_ids)
            return math.nan

    def _probabilities(self, batch: PairBatch) -> np.ndarray:
        table = OfferTable(batch.product_ids, batch.offers, batch.vectors, context=self.context)
        return PairScorer(self.matcher, table).probabilities(batch.left, batch.right)
