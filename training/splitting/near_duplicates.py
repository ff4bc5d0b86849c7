"""Groups of near-duplicates: offers of one product under almost the same name, and photos of one thing in a burst."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from rensa import RMinHash
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from catalog.rows import CatalogRow
from model.product import TEXT_FIELDS, has_text
from tokenizer.normalize import normalize
from training.splitting.word_table import WordTable

#: Share of letter triples that two texts have in common (Jaccard) from which on they are near-duplicates.
TEXT_SIMILARITY = 0.85
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
_FNV_PRIME = np.uint64(0x100000001B3)
_WORD = re.compile(r"\w+")
_CHUNK_ROWS = 10_000

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
    words = WordTable.of(texts)
    pairs = [_equal(texts), words.one_more()]
    if 0 < len(texts) <= MAX_COMPARED_ROWS:
        candidates = _candidates(
            np.concatenate(list(_band_keys(texts))), np.array([bool(text) for text in texts], bool)
        )
        pairs += [candidates[_are_similar(texts, candidates)], words.same_rare()]
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


def _band_keys(texts: Sequence[str]) -> Iterator[np.ndarray]:
    """(chunk, bands) uint64, equal where all hashes of a band are."""
    for start in range(0, len(texts), _CHUNK_ROWS):
        sets = [_triples(text) for text in texts[start : start + _CHUNK_ROWS]]
        digests = np.array(RMinHash.digests_from_token_sets(sets, num_perm=_NUM_HASHES, seed=_SEED), np.uint64)
        keys = np.zeros((len(sets), _NUM_HASHES // _BAND_HASHES), np.uint64)
        for position in range(_BAND_HASHES):  # FNV-1a (Fowler, Noll, Vo), on whole hashes
            keys = (keys ^ digests[:, position::_BAND_HASHES]) * _FNV_PRIME
        yield keys


def _are_similar(texts: Sequence[str], pairs: Pairs) -> np.ndarray:
    """(P,) bool, whether two texts have most of their letter triples in common."""
    found = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), _CHUNK_ROWS):
        chunk = pairs[start : start + _CHUNK_ROWS]
        triples = {row: set(_triples(texts[row])) for row in np.unique(chunk)}
        found[start : start + len(chunk)] = [_jaccard(triples[a], triples[b]) >= TEXT_SIMILARITY for a, b in chunk]
    return found


def _triples(text: str) -> list[str]:
    text = text.replace(" ", "")
    return [text[i : i + 3] for i in range(max(1, len(text) - 2))]


def _candidates(band_keys: np.ndarray, is_given: np.ndarray) -> Pairs:
    """Pairs that agree in a whole band: each row with the one before it and with the first of its bucket."""
    found = [np.empty((0, 2), np.int64)]
    rows = np.flatnonzero(is_given)
    for keys in band_keys[rows].T:
        order = np.argsort(keys, kind="stable")
        is_first = np.append(True, keys[order][1:] != keys[order][:-1])[: len(order)]
        firsts = order[np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))]
        later = np.flatnonzero(~is_first)
        found += [np.stack([rows[others], rows[order[later]]], axis=1) for others in (order[later - 1], firsts[later])]
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second)
