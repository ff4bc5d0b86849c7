"""Hashed word and character n-grams of many texts at once, in numpy.

A text becomes ' word word ' (any character that is neither letter nor digit is a space). Character
n-grams include the spaces, so that they mark where words begin; word n-grams are over words.
Each is hashed into one of `hash_buckets` (feature hashing, Weinberger et al. 2009).
"""

from collections.abc import Sequence

import numpy as np

_MAX_CODE = 0x30000
_SPACE = np.uint64(32)
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MAX_WORD_CHARS = 64
_NO_HASHES = (np.zeros(0, np.int64), np.zeros(0, np.uint64))


def _word_characters() -> np.ndarray:
    return np.fromiter((chr(code).isalnum() for code in range(_MAX_CODE)), dtype=bool, count=_MAX_CODE)


_IS_WORD = _word_characters()
_POWERS = np.cumprod(np.full(_MAX_WORD_CHARS, _PRIME, np.uint64), dtype=np.uint64)


def hashed_ngrams(
    texts: Sequence[str],
    salt: int,
    word_orders: Sequence[int],
    character_orders: Sequence[int],
    hash_buckets: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hash the n-grams of N normalised texts and count them per text.

    Args:
        salt: separates the n-grams of one field from those of another.
        word_orders, character_orders: lengths of the n-grams.
        hash_buckets: a power of two.
    Returns:
        rows (M,) int64 ascending, buckets (M,) int64, is_word (M,) bool, counts (M,) int64: one
        entry for each distinct bucket and kind of each text.
    """
    codes, row_of_code, starts = _codes(texts)
    by_kind = (
        _character_hashes(codes, row_of_code, character_orders),
        _word_hashes(codes, row_of_code, starts, word_orders),
    )
    row_and_kinds, salted = [], []
    for kind, hashes in enumerate(by_kind):
        for order, (rows, values) in enumerate(hashes):
            offset = (salt * 64 + kind * 32 + order + 1) * int(_PRIME) % 2**64
            row_and_kinds.append(rows * 2 + kind)
            salted.append(values + np.uint64(offset))
    if not salted:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty.astype(bool), empty
    shift = np.uint64(64 - int(hash_buckets).bit_length() + 1)
    buckets = (_mix(np.concatenate(salted)) >> shift).astype(np.int64)
    keys = np.concatenate(row_and_kinds) * hash_buckets + buckets
    keys.sort()
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    positions = np.flatnonzero(first)
    counts = np.diff(np.append(positions, len(keys)))
    unique = keys[positions]
    row_and_kind = unique // hash_buckets
    return row_and_kind // 2, unique % hash_buckets, row_and_kind % 2 == 1, counts


def _codes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the code points of ' text ' after ' text ', the text of each, and the positions where words begin."""
    joined = "".join([f" {text} " for text in texts])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.fromiter((len(text) + 2 for text in texts), dtype=np.int64, count=len(texts))
    rows = np.repeat(np.arange(len(texts)), lengths)
    is_word = _IS_WORD[np.minimum(codes, _MAX_CODE - 1)] | (codes >= _MAX_CODE)
    keep = is_word.copy()
    keep[1:] |= is_word[:-1]  # the first space after a word
    if len(rows):
        keep[0] = True
        keep[1:] |= rows[1:] != rows[:-1]  # the space that opens a text
    spaced = np.where(is_word, codes, 32).astype(np.uint64)[keep]
    rows = rows[keep]
    begins = np.zeros(len(spaced), bool)
    begins[1:] = (spaced[1:] != _SPACE) & (spaced[:-1] == _SPACE)
    return spaced, rows, np.flatnonzero(begins)


def _character_hashes(
    codes: np.ndarray, rows: np.ndarray, orders: Sequence[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rows and hashes of each order; the hash of a longer n-gram extends that of the shorter one."""
    is_letter = codes != _SPACE
    values, letters = np.zeros(len(codes), np.uint64), np.zeros(len(codes), bool)
    found = {}
    for order in range(1, min(max(orders, default=0), len(codes)) + 1):
        count = len(codes) - order + 1
        values = (values[:count] + codes[order - 1 :]) * _PRIME
        values ^= values >> np.uint64(29)
        letters = letters[:count] | is_letter[order - 1 :]
        if order in orders:
            valid = letters & (rows[:count] == rows[order - 1 :])
            found[order] = rows[:count][valid], values[valid]
    return [found.get(order, _NO_HASHES) for order in orders]


def _word_hashes(
    codes: np.ndarray, rows: np.ndarray, starts: np.ndarray, orders: Sequence[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rows and hashes of each order."""
    if not len(starts):
        return [_NO_HASHES for _ in orders]
    positions = np.flatnonzero(codes != _SPACE)
    word_of_letter = np.searchsorted(starts, positions, side="right") - 1
    within = np.minimum(positions - starts[word_of_letter], _MAX_WORD_CHARS - 1)
    words = _mix(np.add.reduceat(codes[positions] * _POWERS[within], np.searchsorted(positions, starts)))
    word_rows = rows[starts]
    return [_joined_words(words, word_rows, order) for order in orders]


def _joined_words(words: np.ndarray, rows: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    if order == 1:
        return rows, words
    count = len(words) - order + 1
    if count <= 0:
        return _NO_HASHES
    values = words[:count]
    for offset in range(1, order):
        values = values * _PRIME + words[offset : offset + count]
    valid = rows[:count] == rows[order - 1 :]
    return rows[:count][valid], values[valid]


def _mix(values: np.ndarray) -> np.ndarray:
    """Apply the finaliser of SplitMix64 (Steele et al. 2014), in which every input bit affects every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
