"""Offers of a catalog, ready to be compared in pairs."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from model.errors import VectorIndexError
from retrieval.index.record import Attributes, Space
from retrieval.matching.offers.catalog_context import CatalogContext
from retrieval.matching.offers.nearest_titles import NearestTitles, TitleSearch, title_rows
from retrieval.matching.offers.offer_text import OfferText, grams, terms, tokens, words
from retrieval.matching.offers.quantities import DIMENSIONS, Quantity, find_quantities
from retrieval.matching.offers.word_exclusion import WordExclusion
from retrieval.matching.offers.word_matrix import WordMatrix


class OfferTable:
    """Offers with their words, numbers and quantities as matrices, and what the catalog says about each.

    They are the catalog themselves, or some of it and from outside, with its context.

    Args:
        product_ids: unique.
        offers: their attributes, in the same order.
        vectors: by space, (N, D) float32 of unit length; rows of zeros where an offer has none.
        num_listed: offers that the catalog lists, the first ones; those after them are nobody's nearest.
        context: of another catalog, which then says what is rare and near; with it nothing of these is listed.
    Raises:
        VectorIndexError: vectors of another number of offers.
    """

    def __init__(
        self,
        product_ids: Sequence[str],
        offers: Sequence[Attributes],
        vectors: Mapping[Space, np.ndarray] | None = None,
        num_listed: int | None = None,
        context: CatalogContext | None = None,
    ):
        self.product_ids = list(product_ids)
        self.offers = list(offers)
        self.vectors = dict(vectors or {})
        for space, found in self.vectors.items():
            if len(found) != len(self.offers):
                raise VectorIndexError(f"expected {len(self.offers)} {space} vectors, found {len(found)}")
        self.num_listed = len(self.offers) if num_listed is None else num_listed
        self._context = context
        self.positions = {product_id: position for position, product_id in enumerate(self.product_ids)}
        self.texts = [OfferText.of(offer) for offer in self.offers]
        titles = [text.title for text in self.texts]
        described = (words(f"{text.title} {text.description}") for text in self.texts)
        self.words = WordMatrix(map(words, titles), context.words if context else None)
        self.tokens = WordMatrix(map(tokens, titles), context.tokens if context else None)
        self.grams = WordMatrix(map(grams, titles), context.grams if context else None)
        self.described = WordMatrix(described, context.described if context else None)
        self.model_numbers = WordMatrix(
            (text.model_numbers for text in self.texts), context.model_numbers if context else None
        )
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
        """The offers of the catalog, of other sources, with the most alike titles."""
        sources = [offer.source for offer in self.offers]
        if self._context is None:
            search = TitleSearch(self.words, self.grams, sources, self.num_listed)
            return NearestTitles(search.rows, search, search.rows, sources, np.arange(len(self)))
        search, known = self._context.titles, self._context.positions
        own = np.array([known.get(product_id, -1) for product_id in self.product_ids], np.int64)
        asked = search.rows_of(self.words, self.grams)
        return NearestTitles(title_rows(self.words, self.grams), search, asked, sources, own)

    @cached_property
    def terms(self) -> WordMatrix:
        """Words, with quantities as one."""
        return WordMatrix(terms(text.title) for text in self.texts)

    @cached_property
    def exclusion(self) -> WordExclusion:
        """Words and quantities that stand in each other's place in the titles of the catalog."""
        if self._context is not None:
            return self._context.exclusion
        return WordExclusion(self.terms, self.nearest, self.num_listed)
