"""Groups of near-duplicates: offers of one product under almost the same name, and photos of one thing in a burst."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import log

import numpy as np
from rensa import RMinHash
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from catalog.rows import CatalogRow
from model.product import TEXT_FIELDS, has_text
from tokenizer.normalize import normalize

#: Share of letter triples that two texts have in common (Jaccard) from which on they are near-duplicates.
TEXT_SIMILARITY = 0.85
#: The same of their words, each weighted by its rarity; and most rows that share a word that counts as rare.
RARE_WORD_SIMILARITY, _MAX_RARE = 0.7, 20
#: More rows are compared by equal texts only.
MAX_COMPARED_ROWS = 1_000_000
#: Mean cosine of the features of photos of one burst. ImageNet features of grocery256 fall into 609 groups by it, and
#: the nearest photo of another group shows the same product in 56 % of the cases, as across its published parts (54 %).
PHOTO_SIMILARITY = 0.75
#: Photos of a category that are compared with each other; of more each such block.
_MAX_PHOTOS = 3000
# Of near-duplicates at the limit 99 % share all numbers of a band or more (Broder 1997; Leskovec et al., ch. 3).
_NUM_HASHES, _BAND_HASHES = 128, 8
_SEED = 1
#: A text with fewer words says too little to be the same as one with a word more.
_MIN_WORDS = 3
_WORD = re.compile(r"\w+")
_CHUNK_ROWS = 100_000

#: (P, 2) int, numbers of rows that belong together.
Pairs = np.ndarray


def groups_of(pairs: Sequence[Pairs], num_rows: int) -> np.ndarray:
    """(N,) int, the group of each row; rows that a chain of pairs connects share one."""
    joined = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    graph = coo_matrix((np.ones(len(joined), bool), (joined[:, 0], joined[:, 1])), shape=(num_rows, num_rows))
    return np.asarray(connected_components(graph, directed=False)[1])


def text_groups(texts: Sequence[str]) -> np.ndarray:
    """(N,) int, the group of each row by its text alone; see `text_pairs`."""
    return groups_of([text_pairs(texts)], len(texts))


def comparable_text(row: CatalogRow) -> str:
    """Return the text that a row is compared by: the words of its name, or without a name those of its other texts."""
    name = row.text("name")
    text = name if has_text(name) else " ".join(row.text(field) for field in TEXT_FIELDS)
    return " ".join(_WORD.findall(normalize(text)))


def text_pairs(texts: Sequence[str]) -> Pairs:
    """Pairs of near-equal texts: equal words in any order, a word more, most letter triples or rare words in common.

    Letter triples, which no blank or hyphen changes, are found by MinHash (Broder 1997) and checked.

    Args:
        texts: `comparable_text` of each row; an empty one is like no other.
    """
    pairs = [_equal(texts), _one_word_more(texts)]
    if len(texts) <= MAX_COMPARED_ROWS:
        digests = np.concatenate(list(_digests(texts))) if texts else np.empty((0, _NUM_HASHES), np.uint32)
        candidates = _candidates(digests, np.array([bool(text) for text in texts], bool))
        triples = {row: set(_triples(texts[row])) for row in np.unique(candidates)}
        similar = [_jaccard(triples[a], triples[b]) >= TEXT_SIMILARITY for a, b in candidates]
        pairs += [candidates[np.array(similar, bool)], _same_rare_words(texts)]
    return np.concatenate(pairs)


def equal_pairs(keys: np.ndarray) -> Pairs:
    """Pairs of neighbouring rows with equal keys; key 0 is like no other.

    Args:
        keys: (N,) of any sortable dtype.
    """
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    same = np.flatnonzero((ranked[1:] == ranked[:-1]) & (ranked[1:] != 0))
    return np.stack([order[same], order[same + 1]], axis=1)


def photo_pairs(features: np.ndarray, labels: Sequence[str]) -> Pairs:
    """Pairs of photos of one burst: average linkage by cosine within a category.

    Args:
        features: (N, F) float32 of a pretrained backbone.
        labels: category of each photo.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    pairs: list[tuple[int, int]] = []
    names = np.array(labels)
    for label in np.unique(names):
        of_label = np.flatnonzero(names == label)
        for start in range(0, len(of_label), _MAX_PHOTOS):
            rows = of_label[start : start + _MAX_PHOTOS]
            if len(rows) > 1:
                clusters = fcluster(linkage(pdist(unit[rows], "cosine"), "average"), 1 - PHOTO_SIMILARITY, "distance")
                order = np.argsort(clusters, kind="stable")
                pairs += [(rows[a], rows[b]) for a, b in pairwise(order) if clusters[a] == clusters[b]]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _equal(texts: Sequence[str]) -> Pairs:
    keys = np.array([hash(" ".join(sorted(text.split()))) if text else 0 for text in texts], np.int64)
    return equal_pairs(keys)


def _digests(texts: Sequence[str]) -> Iterator[np.ndarray]:
    for start in range(0, len(texts), _CHUNK_ROWS):
        sets = [_triples(text) for text in texts[start : start + _CHUNK_ROWS]]
        yield np.array(RMinHash.digests_from_token_sets(sets, num_perm=_NUM_HASHES, seed=_SEED), np.uint32)


def _one_word_more(texts: Sequence[str]) -> Pairs:
    """Pairs of texts of which one has the words of the other and one more."""
    words = [set(text.split()) for text in texts]
    rows = np.array([row for row, own in enumerate(words) for _ in own], np.int64)
    hashes = np.array([hash(word) for own in words for word in own], np.int64)
    sums, counts = np.zeros(len(texts), np.int64), np.array([len(own) for own in words], np.int64)
    np.add.at(sums, rows, hashes)  # wraps around, which does no harm
    shorter = np.flatnonzero(counts >= _MIN_WORDS)
    order = shorter[np.argsort(sums[shorter], kind="stable")]
    without = sums[rows] - hashes
    place = np.searchsorted(sums[order], without)
    found = place < len(order)
    found[found] = sums[order[place[found]]] == without[found]
    pairs = np.stack([order[place[found]], rows[found]], axis=1)
    return pairs[counts[pairs[:, 0]] + 1 == counts[pairs[:, 1]]]


def _same_rare_words(texts: Sequence[str]) -> Pairs:
    """Pairs of texts that share most of their words, each weighted by how rare it is (inverse document frequency)."""
    words = [set(text.split()) for text in texts]
    counts = Counter(word for own in words for word in own)
    rarity = {word: log((len(texts) + 1) / count) for word, count in counts.items()}
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, own in enumerate(words):
        for word in own:
            if 2 <= counts[word] <= _MAX_RARE:
                rows_of[word].append(row)
    totals = [sum(rarity[word] for word in own) for own in words]
    pairs = set()
    for pair in {pair for rows in rows_of.values() for pair in combinations(rows, 2)}:
        common = sum(rarity[word] for word in words[pair[0]] & words[pair[1]])
        if common >= RARE_WORD_SIMILARITY * (totals[pair[0]] + totals[pair[1]] - common):
            pairs.add(pair)
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def _triples(text: str) -> list[str]:
    text = text.replace(" ", "")
    return [text[i : i + 3] for i in range(max(1, len(text) - 2))]


def _candidates(digests: np.ndarray, is_given: np.ndarray) -> Pairs:
    """Pairs that agree in a whole band: each row with the one before it and with the first of its bucket."""
    found = [np.empty((0, 2), np.int64)]
    rows = np.flatnonzero(is_given)
    for band in range(0, digests.shape[1], _BAND_HASHES):
        keys = np.ascontiguousarray(digests[rows, band : band + _BAND_HASHES]).view(f"V{4 * _BAND_HASHES}").ravel()
        order = np.argsort(keys, kind="stable")
        is_first = np.append(True, keys[order][1:] != keys[order][:-1])[: len(order)]
        firsts = order[np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))]
        later = np.flatnonzero(~is_first)
        found += [np.stack([rows[others], rows[order[later]]], axis=1) for others in (order[later - 1], firsts[later])]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second)
