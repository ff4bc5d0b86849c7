"""Word2Vec on a corpus of a few lines."""

from pathlib import Path

import numpy as np
import pytest

from tokenizer.settings import TokenizerSettings
from tokenizer.word2vec import FIRST_WORD_ID, PADDING_ID, UNKNOWN_ID, train_word_vectors


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("red cap\nred shoe\n\nred cap blue\n", encoding="utf-8")  # red 3, cap 2, shoe 1, blue 1
    return path


def settings(**changes: int) -> TokenizerSettings:
    return TokenizerSettings(**{"vector_size": 4, "min_count": 1, "word2vec_epochs": 2, **changes})


def test_every_kept_token_has_a_finite_vector_most_frequent_first(corpus: Path) -> None:
    tokens, vectors = train_word_vectors(corpus, settings(), seed=0)
    assert tokens[:2] == ["red", "cap"]
    assert sorted(tokens[2:]) == ["blue", "shoe"]
    assert vectors.shape == (FIRST_WORD_ID + 4, 4)
    assert vectors.dtype == np.float32
    assert not vectors[PADDING_ID].any()
    np.testing.assert_allclose(vectors[UNKNOWN_ID], vectors[FIRST_WORD_ID:].mean(axis=0), rtol=1e-5)
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors[FIRST_WORD_ID:], axis=1).mean() == pytest.approx(1, rel=1e-5)


def test_a_token_below_min_count_is_left_out(corpus: Path) -> None:
    assert train_word_vectors(corpus, settings(min_count=2), 0)[0] == ["red", "cap"]
    assert train_word_vectors(corpus, settings(min_count=3), 0)[0] == ["red"]


@pytest.mark.parametrize(("limit", "kept"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4)])
def test_the_vocabulary_is_limited_even_with_ties(corpus: Path, limit: int, kept: int) -> None:
    tokens, vectors = train_word_vectors(corpus, settings(max_vocabulary=limit), 0)
    assert tokens[:2] == ["red", "cap"][:limit]
    assert len(tokens) == kept == len(vectors) - FIRST_WORD_ID


def test_the_result_depends_on_the_seed(corpus: Path) -> None:
    first, again, other = (train_word_vectors(corpus, settings(), seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_words_with_similar_contexts_are_similar(tmp_path: Path) -> None:
    """Check 200 topics of 5 words, one topic per sentence, which untrained vectors do not reflect."""
    path = tmp_path / "corpus.txt"
    random = np.random.default_rng(0)
    lines = [" ".join(f"{topic}x{word}" for word in random.permutation(5)) for topic in random.integers(0, 200, 4_000)]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert similarity_within_topics(path, epochs=10) > 0.8
    assert abs(similarity_within_topics(path, epochs=0)) < 0.1


def similarity_within_topics(path: Path, epochs: int) -> float:
    tokens, vectors = train_word_vectors(path, settings(word2vec_epochs=epochs, vector_size=16), seed=0)
    words = vectors[FIRST_WORD_ID:] - vectors[UNKNOWN_ID]
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    topics = np.array([token.split("x")[0] for token in tokens])
    same = (topics[:, None] == topics) & ~np.eye(len(topics), dtype=bool)
    return float((words @ words.T)[same].mean())


@pytest.mark.parametrize("text", ["", "\n\n", "once\n"])
def test_a_corpus_without_a_kept_token(tmp_path: Path, text: str) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text(text, encoding="utf-8")
    tokens, vectors = train_word_vectors(path, settings(min_count=2), 0)
    assert tokens == []
    np.testing.assert_array_equal(vectors, np.zeros((2, 4), np.float32))
