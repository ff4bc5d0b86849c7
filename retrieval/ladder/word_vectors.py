"""Vectors of names from Word2Vec: the mean of their words', rare ones counting more."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.settings import FieldSettings, text_fields
from retrieval.embedding.projection import unit_length
from tokenizer.settings import TokenizerSettings
from tokenizer.tokenizer import Tokenizer, fit_tokenizer
from tokenizer.word2vec import FIRST_WORD_ID

_FIELD = "name"
_CHUNK_NAMES = 4096
#: Names that Word2Vec sees in all its passes at least; with fewer all words of a small catalog stay alike.
_LEAST_NAMES_SEEN = 100_000


def tokenizer_of_names(names: Sequence[str], seed: int) -> Tokenizer:
    """Train Word2Vec on names, on rare words too, as these tell products apart.

    Raises:
        AnalyzerError: the morpheme analyser is not installed.
    """
    usual = TokenizerSettings()
    epochs = max(usual.word2vec_epochs, _LEAST_NAMES_SEEN // max(len(names), 1))
    settings = TokenizerSettings(min_count=1, word2vec_epochs=epochs)
    with tempfile.TemporaryDirectory(prefix="aisle-words-") as folder:
        corpus = Path(folder) / "names.txt"
        return fit_tokenizer([{_FIELD: names}], settings, text_fields([_FIELD], FieldSettings()), seed, corpus)


def reads_names(tokenizer: Tokenizer) -> bool:
    """True for a tokenizer that reads names word by word."""
    return _FIELD in tokenizer.sequence_fields


def name_vectors(tokenizer: Tokenizer, names: Sequence[str]) -> np.ndarray:
    """Average the words of each name, without what all words share (Mu and Viswanath 2018), by how rare they are.

    Returns:
        (N, D) float32 of unit length; zeros for a name of which no word is known.
    """
    words = tokenizer.word_vectors - tokenizer.word_vectors[FIRST_WORD_ID:].mean(axis=0, dtype=np.float32)
    words = unit_length(words)
    words[:FIRST_WORD_ID] = 0
    ids = tokenizer.encode({_FIELD: names})[f"{_FIELD}_token_ids"]
    counts = np.bincount(ids.ravel(), minlength=len(words))
    rarity = np.log((len(names) + 1) / (np.minimum(counts, len(names)) + 0.5)).astype(np.float32)
    means = np.zeros((len(names), words.shape[1]), np.float32)
    for start in range(0, len(names), _CHUNK_NAMES):
        part = ids[start : start + _CHUNK_NAMES]
        means[start : start + len(part)] = np.einsum("nld,nl->nd", words[part], rarity[part])
    return unit_length(means)
