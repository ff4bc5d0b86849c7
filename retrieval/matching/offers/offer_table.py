"""Offers of a catalog, ready to be compared in pairs."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from model.errors import VectorIndexError
from retrieval.index.record import Attributes, Space
from retrieval.matching.offers.nearest_titles import NearestTitles
from retrieval.matching.offers.offer_text import OfferText, grams, terms, tokens, words
from retrieval.matching.offers.quantities import DIMENSIONS, Quantity, find_quantities
from retrieval.matching.offers.word_exclusion import WordExclusion
from retrieval.matching.offers.word_matrix import WordMatrix

#: Offers, evenly over the table, whose nearest tell which words titles agree in, and how many of each.
_MOST_OFFERS_WITH_NEAREST, _NUM_NEAREST = 20_000, 3


class OfferTable:
    """Offers with their words, numbers and quantities as matrices, and what the catalog says about each.

    Args:
        product_ids: unique.
        offers: their attributes, in the same order.
        vectors: by space, (N, D) float32 of unit length; rows of zeros where an offer has none.
        num_listed: offers that the catalog lists, the first ones; those after them are nobody's nearest.
    Raises:
        VectorIndexError: vectors of another number of offers.
    """

    def __init__(
        self,
        product_ids: Sequence[str],
        offers: Sequence[Attributes],
        vectors: Mapping[Space, np.ndarray] | None = None,
        num_listed: int | None = None,
    ):
        self.product_ids = list(product_ids)
        self.offers = list(offers)
        self.vectors = dict(vectors or {})
        for space, found in self.vectors.items():
            if len(found) != len(self.offers):
                raise VectorIndexError(f"expected {len(self.offers)} {space} vectors, found {len(found)}")
        self.num_listed = len(self.offers) if num_listed is None else num_listed
        self.positions = {product_id: position for position, product_id in enumerate(self.product_ids)}
        self.texts = [OfferText.of(offer) for offer in self.offers]
        self.words = WordMatrix(words(text.title) for text in self.texts)
        self.tokens = WordMatrix(tokens(text.title) for text in self.texts)
        self.grams = WordMatrix(grams(text.title) for text in self.texts)
        self.described = WordMatrix(words(f"{text.title} {text.description}") for text in self.texts)
        self.model_numbers = WordMatrix(text.model_numbers for text in self.texts)
        self.quantities = WordMatrix(find_quantities(text.title) for text in self.texts)
        self.prices = np.array([offer.price for offer in self.offers], np.float32)
        self.num_words = np.diff(self.words.present.indptr)

    def __len__(self) -> int:
        return len(self.offers)

    @cached_property
    def is_number(self) -> np.ndarray:
        """(W,) bool, the columns of `words` that are numbers."""
        return np.array([str(word)[0].isdigit() for word in self.words.columns] or [False])

    @cached_property
    def quantity_dimensions(self) -> np.ndarray:
        """(Q, len(DIMENSIONS)) float32 of 0 and 1, the dimension of each column of `quantities`."""
        dimensions = np.zeros((self.quantities.present.shape[1], len(DIMENSIONS)), np.float32)
        for quantity, column in self.quantities.columns.items():
            assert isinstance(quantity, Quantity)
            dimensions[column, DIMENSIONS.index(quantity.dimension)] = 1
        return dimensions

    @cached_property
    def nearest(self) -> NearestTitles:
        """The offers of other sources with the most alike titles."""
        return NearestTitles(self.words, self.grams, [offer.source for offer in self.offers], self.num_listed)

    @cached_property
    def exclusion(self) -> WordExclusion:
        """Words and quantities that stand in each other's place in titles."""
        matrix = WordMatrix(terms(text.title) for text in self.texts)
        asked = np.unique(np.linspace(0, self.num_listed - 1, _MOST_OFFERS_WITH_NEAREST).astype(np.int64))
        nearest = self.nearest.of(asked)[0][:, :_NUM_NEAREST]
        left, right = np.repeat(asked, nearest.shape[1]), nearest.ravel()
        return WordExclusion(matrix, self.num_listed, left[right >= 0], right[right >= 0])
