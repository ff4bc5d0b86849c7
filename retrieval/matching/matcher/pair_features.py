"""Features of a pair of offers, for and against their being one product.

Every feature is the same whichever offer is left, so that a pair has one probability: a feature is of both, of the one
with less and the one with more, or of the one whose source comes first by name. What is not known is NaN.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler
from rapidfuzz.process import cpdist

from retrieval.index.record import MATCHED_SPACES, Attributes
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.offers.offer_text import tokens
from retrieval.matching.offers.quantities import DIMENSIONS
from retrieval.matching.offers.word_exclusion import ALIKE
from retrieval.matching.offers.word_matrix import ComparedWords

_MEAN_OF_NEAREST = 10
_TOLERANCE = 1e-5
_NAMED_DIMENSIONS = ("storage", "count", "length", "frequency", "volume", "mass")
_SCORERS: Mapping[str, Callable[..., float]] = {
    "ratio": fuzz.ratio,
    "sorted": fuzz.token_sort_ratio,
    "set": fuzz.token_set_ratio,
    "partial": fuzz.partial_ratio,
    "partial_sorted": fuzz.partial_token_sort_ratio,
    "jaro_winkler": JaroWinkler.similarity,
}

#: (P,) float32 by name; the name begins with the group that it is explained by.
Columns = dict[str, np.ndarray]


def pair_features(table: OfferTable, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compute the features of pairs.

    Args:
        left, right: (P,) positions in the table.
    Returns:
        (P, F) float32, in the order of `feature_names`.
    """
    return np.column_stack(list(_columns(table, left, right).values())).astype(np.float32)


@cache
def feature_names() -> tuple[str, ...]:
    """Names of the features, in order."""
    table = OfferTable(["a", "b"], [Attributes(), Attributes()])
    return tuple(_columns(table, np.array([0]), np.array([1])))


def feature_group(feature: str) -> str:
    """The group that a feature is explained by: 'price.difference' belongs to 'price'."""
    return feature.partition(".")[0]


def _columns(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    columns: Columns = {}
    texts = (_words, _exclusive_words, _spelling, _unmatched, _model_numbers, _quantities)
    for part in (*texts, _fields, _context, _vectors, _of_sources):
        columns |= part(table, left, right)
    return columns


def _words(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """Compute the shared part of the titles, by how rare it is: words, numbers and letters apart, words as written."""
    rarity, is_number = table.words.rarity, table.is_number
    words = table.words.compare(left, right)
    columns = _overlap("words", words)
    columns |= _overlap("numbers", words, rarity * is_number)
    columns |= _overlap("letters", words, rarity * ~is_number)
    columns |= _overlap("numbers.counted", words, is_number.astype(np.float32))
    columns |= _overlap("words.written", table.tokens.compare(left, right))
    columns |= _overlap("description.words", table.described.compare(left, right))
    columns["spelling.grams"] = table.grams.compare(left, right).overlap().cosine
    columns |= _both("words.count", table.num_words[left], table.num_words[right])
    return columns


def _overlap(name: str, words: ComparedWords, weights: np.ndarray | None = None) -> Columns:
    found = words.overlap(weights)
    ours, theirs = found.shared + found.left_only, found.shared + found.right_only
    prefix = name if "." in name else f"{name}.weighted"
    return {
        f"{prefix}_shared": found.shared,
        f"{prefix}_share_of_less": _ratio(found.shared, np.minimum(ours, theirs)),
        f"{prefix}_share_of_more": _ratio(found.shared, np.maximum(ours, theirs)),
        f"{prefix}_largest_shared": found.largest_shared,
        f"{prefix}_cosine": found.cosine,
        **_both(f"{prefix}_only", found.left_only, found.right_only),
        **_both(f"{prefix}_largest_only", found.largest_left_only, found.largest_right_only),
    }


def _exclusive_words(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """Words that stand in each other's place, such as two colours: one title has the one, the other the other."""
    names = ("strongest", "sum", "count")
    found = table.exclusion.of(table.terms, left, right)
    return {f"exclusive words.{name}": values for name, values in zip(names, found, strict=True)}


def _spelling(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """Distances between the names, letter by letter (RapidFuzz)."""
    names = [table.texts[i].name for i in left], [table.texts[i].name for i in right]
    return {f"spelling.{name}": cpdist(*names, scorer=scorer) for name, scorer in _SCORERS.items()}


def _unmatched(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """Words of one title without a counterpart in the other, where one that is spelled alike is a counterpart."""
    rows = []
    for i, j in zip(left, right, strict=True):
        ours, theirs = set(tokens(table.texts[i].title)), set(tokens(table.texts[j].title))
        pair = _without_counterpart(ours - theirs, theirs - ours)
        rows.append((*sorted(map(len, pair)), sum(len(word) for words in pair for word in words)))
    least, most, letters = np.array(rows, np.float32).reshape(-1, 3).T
    return {"spelling.unmatched_least": least, "spelling.unmatched_most": most, "spelling.unmatched_letters": letters}


def _without_counterpart(ours: set[str], theirs: set[str]) -> tuple[set[str], set[str]]:
    """What is left of the words that each title has alone."""
    left, right = set(ours), set(theirs)
    for word in ours:
        for other in theirs:
            if word.isalpha() and other.isalpha() and fuzz.ratio(word, other) >= ALIKE:
                left.discard(word)
                right.discard(other)
    return left, right


def _model_numbers(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """Compare model numbers, and look for each in the other's texts."""
    columns = _overlap("model number", table.model_numbers.compare(left, right))
    texts = table.texts
    columns["model number.of_its_field"] = _compared([t.model_number for t in texts], left, right, fuzz.ratio)
    alike, least, most = [], [], []
    for i, j in zip(left, right, strict=True):
        ours, theirs = texts[i].model_numbers, texts[j].model_numbers
        alike.append(max((fuzz.ratio(a, b) for a in ours for b in theirs), default=np.nan))
        found = _longest_found(ours, texts[j].joined), _longest_found(theirs, texts[i].joined)
        least.append(np.fmin(*found))
        most.append(np.fmax(*found))
    return columns | {
        "model number.most_alike": np.array(alike),
        "model number.found_least": np.array(least),
        "model number.found_most": np.array(most),
    }


def _longest_found(numbers: frozenset[str], joined: str) -> float:
    """Length of the longest model number that stands in the other's texts; NaN without any to look for."""
    return max((len(number) if number in joined else 0 for number in numbers), default=np.nan)


def _quantities(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """Dimensions in which quantities agree (1), contradict each other (-1) or are not known of both (0)."""
    present, dimensions = table.quantities.present, table.quantity_dimensions
    agree = present[left].multiply(present[right]) @ dimensions > 0
    ours, theirs = present[left] @ dimensions > 0, present[right] @ dimensions > 0
    contradict = ours & theirs & ~agree
    columns = {
        "quantities.agree": agree.sum(axis=1),
        "quantities.contradict": contradict.sum(axis=1),
        "quantities.of_one": (ours ^ theirs).sum(axis=1),
    }
    for name in _NAMED_DIMENSIONS:
        column = DIMENSIONS.index(name)
        columns[f"quantities.{name}"] = agree[:, column].astype(np.int8) - contradict[:, column]
    return columns


def _fields(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """Brand, the mall's category and price."""
    texts = table.texts
    found = [
        (_present(texts[i].brand, texts[j].title), _present(texts[j].brand, texts[i].title))
        for i, j in zip(left, right, strict=True)
    ]
    prices = table.prices[left], table.prices[right]
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.abs(np.log(prices[0] / prices[1]))
    difference[~np.isfinite(difference)] = np.nan
    return {
        "brand.alike": _compared([text.brand for text in texts], left, right, fuzz.token_set_ratio),
        **_both("brand.found", *np.array(found, np.float32).reshape(-1, 2).T),
        "category.alike": _compared([text.category for text in texts], left, right, fuzz.token_set_ratio),
        "price.difference": difference,
        **_both("price.price", *prices),
    }


def _context(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """The place of each offer among those that the catalog has for the other, by their titles."""
    nearest = table.nearest
    cosines = nearest.cosines(left, right)
    ranks, ratios, gaps, means, seconds = [], [], [], [], []
    asked, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    found = nearest.of(asked)[1]
    for best in np.split(found[places], 2):
        ranks.append((best > cosines[:, None] + _TOLERANCE).sum(axis=1))
        ratios.append(cosines / np.maximum(best[:, 0], _TOLERANCE))
        is_best = np.abs(best[:, 0] - cosines) < _TOLERANCE
        gaps.append(cosines - np.where(is_best, best[:, 1], best[:, 0]))
        means.append(best[:, :_MEAN_OF_NEAREST].mean(axis=1))
        seconds.append(best[:, 1])
    return {
        "context.cosine": cosines,
        **_both("context.rank", *ranks),
        **_both("context.share_of_best", *ratios),
        **_both("context.before_next", *gaps),
        **_both("context.mean_of_nearest", *means),
        **_both("context.second", *seconds),
    }


def _vectors(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """Cosines of the embeddings of pictures and texts, NaN where one of the two has none."""
    columns: Columns = {}
    for space in MATCHED_SPACES:
        vectors = table.vectors.get(space)
        if vectors is None:
            columns[f"{space}.cosine"] = np.full(len(left), np.nan)
            continue
        cosines = np.einsum("pd,pd->p", vectors[left], vectors[right])
        has_both = vectors[left].any(axis=1) & vectors[right].any(axis=1)
        columns[f"{space}.cosine"] = np.where(has_both, cosines, np.nan)
    return columns


def _of_sources(table: OfferTable, left: np.ndarray, right: np.ndarray) -> Columns:
    """What one source does otherwise than the other: longer titles, higher prices. NaN within one source."""
    sources = np.array([offer.source for offer in table.offers])
    is_swapped, differ = sources[left] > sources[right], sources[left] != sources[right]
    first, second = np.where(is_swapped, right, left), np.where(is_swapped, left, right)
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.log(table.prices[second] / table.prices[first])
    columns = {
        "price.rise": np.where(np.isfinite(rise), rise, np.nan),
        "price.of_first": table.prices[first],
        "words.count_of_first": table.num_words[first].astype(np.float32),
        "words.count_of_second": table.num_words[second].astype(np.float32),
    }
    return {name: np.where(differ, values, np.nan) for name, values in columns.items()}


def _compared(texts: Sequence[str], left: np.ndarray, right: np.ndarray, scorer: Callable[..., float]) -> np.ndarray:
    """(P,) similarities of a field's texts, 0 to 100; NaN where one of the two is empty."""
    ours, theirs = [texts[i] for i in left], [texts[j] for j in right]
    scores = cpdist(ours, theirs, scorer=scorer)
    scores[[not (a and b) for a, b in zip(ours, theirs, strict=True)]] = np.nan
    return np.asarray(scores)


def _present(text: str, other: str) -> float:
    return float(text in other) if text else np.nan


def _both(name: str, left: np.ndarray, right: np.ndarray) -> Columns:
    """The smaller and the larger of two values, whichever is known where one is not."""
    return {f"{name}_least": np.fmin(left, right), f"{name}_most": np.fmax(left, right)}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan, np.float32), where=whole > 0)
