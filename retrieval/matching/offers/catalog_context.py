"""The context that a catalog gives any offer: the rarity of its words, and the titles nearest to its own."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from retrieval.index.record import Attributes
from retrieval.matching.offers.nearest_titles import NearestTitles, TitleSearch
from retrieval.matching.offers.offer_text import OfferText, grams, terms, tokens, words
from retrieval.matching.offers.word_exclusion import WordExclusion
from retrieval.matching.offers.word_matrix import WordCounts, WordMatrix


@dataclass(frozen=True)
class CatalogContext:
    """The context of a catalog, for offers of it and from outside; their texts are not kept.

    Args:
        positions: of its offers, by product id.
        words, tokens, grams, described, model_numbers: counts, see the attributes of `OfferTable`.
        titles: finds the nearest titles.
        exclusion: words that stand in each other's place.
    """

    positions: dict[str, int]
    words: WordCounts
    tokens: WordCounts
    grams: WordCounts
    described: WordCounts
    model_numbers: WordCounts
    titles: TitleSearch
    exclusion: WordExclusion

    @classmethod
    def of(cls, offers: Iterable[tuple[str, Attributes]]) -> "CatalogContext":
        """Read the offers of a catalog, each with its product id."""
        product_ids, titles, descriptions, sources, numbers = [], [], [], [], []
        for product_id, attributes in offers:
            text = OfferText.of(attributes)
            product_ids.append(product_id)
            titles.append(text.title)
            descriptions.append(text.description)
            sources.append(attributes.source)
            numbers.append(text.model_numbers)
        title_words, title_grams = WordMatrix(map(words, titles)), WordMatrix(map(grams, titles))
        described = (words(f"{title} {text}") for title, text in zip(titles, descriptions, strict=True))
        search = TitleSearch(title_words, title_grams, sources, len(titles))
        nearest = NearestTitles(search.rows, search, search.rows, sources, np.arange(len(titles)))
        return cls(
            positions={product_id: position for position, product_id in enumerate(product_ids)},
            words=title_words.word_counts,
            tokens=WordMatrix(map(tokens, titles)).word_counts,
            grams=title_grams.word_counts,
            described=WordMatrix(described).word_counts,
            model_numbers=WordMatrix(numbers).word_counts,
            titles=search,
            exclusion=WordExclusion(WordMatrix(map(terms, titles)), nearest, len(titles)),
        )
