"""The tokenizer: text fields to ids and weights, with a small vocabulary."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tokenizer.normalize import normalize_all
from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField
from tokenizer.tokenizer import Tokenizer, fit_tokenizer, text_ngrams

SETTINGS = TokenizerSettings(
    analyzer="script",
    vector_size=4,
    min_count=1,
    word2vec_epochs=1,
    hash_buckets=2**14,
    ngram_min_count=1,
)
NAME, BRAND = TextField("name", 0, 4, 40), TextField("brand", 2, 0, 20)
FIELDS = (NAME, TextField("mall_category", 1, 2, 30), BRAND, TextField("maker", 3, 0, 20))
NGRAM_FIELDS, SEQUENCE_FIELDS = [field.name for field in FIELDS], ["name", "mall_category"]
SHOP = {
    "name": ["red cap", "red shoe", "RED  hat 15.6인치", ""],
    "mall_category": ["cap>hat", "", "shoe", "hat"],
    "brand": ["Acme", "acme", "", "bolt"],
    "maker": ["", "", "", "acme"],
}
#: Known, empty, unknown, one letter, no letter, long, astral, unusual spaces.
TEXTS = ["red cap", "", "zebra", "a", "!?😀", "red cap shoe hat " * 40, "\U00020000", "\tＲＥＤ\n"]


@pytest.fixture
def tokenizer(tmp_path: Path) -> Tokenizer:
    return fit(tmp_path, SETTINGS)


def fit(tmp_path: Path, settings: TokenizerSettings, fields: Sequence[TextField] = FIELDS) -> Tokenizer:
    return fit_tokenizer([SHOP], settings, fields, 0, tmp_path / "corpus.txt")


def test_shapes_and_dtypes(tokenizer: Tokenizer) -> None:
    encoded = tokenizer.encode(dict.fromkeys(NGRAM_FIELDS, TEXTS))
    assert {name: (values.shape, values.dtype.name) for name, values in encoded.items()} == {
        "name_token_ids": ((8, 4), "int32"),
        "name_ngram_ids": ((8, 40), "int32"),
        "name_ngram_weights": ((8, 40), "float32"),
        "mall_category_token_ids": ((8, 2), "int32"),
        "mall_category_ngram_ids": ((8, 30), "int32"),
        "mall_category_ngram_weights": ((8, 30), "float32"),
        "brand_ngram_ids": ((8, 20), "int32"),
        "brand_ngram_weights": ((8, 20), "float32"),
        "maker_ngram_ids": ((8, 20), "int32"),
        "maker_ngram_weights": ((8, 20), "float32"),
    }
    assert encoded["name_ngram_ids"].max() < SETTINGS.hash_buckets


def test_pretrained_words_are_encoded_saved_and_loaded(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with_words = fit(tmp_path, dataclasses.replace(SETTINGS, pretrained_words="on"))
    encoded = with_words.encode(dict.fromkeys(NGRAM_FIELDS, TEXTS))
    assert encoded.keys() - tokenizer.encode(dict.fromkeys(NGRAM_FIELDS, TEXTS)).keys() == {
        "name_pretrained", "mall_category_pretrained",
    }  # fmt: skip
    assert with_words.pretrained is not None
    np.testing.assert_array_equal(encoded["name_pretrained"], with_words.pretrained.encode(normalize_all(TEXTS)))
    with_words.save(tmp_path / "saved")
    loaded = Tokenizer.load(tmp_path / "saved")
    assert loaded.digest == with_words.digest != tokenizer.digest
    np.testing.assert_array_equal(loaded.encode({"name": SHOP["name"]})["name_pretrained"][:2], encoded_names(loaded))


def encoded_names(tokenizer: Tokenizer) -> np.ndarray:
    """The encoding of two known names."""
    assert tokenizer.pretrained is not None
    return tokenizer.pretrained.encode(["red cap", "red shoe"])


def test_token_ids_by_eye(tokenizer: Tokenizer) -> None:
    assert tokenizer.tokens[:2] in {("red", "hat"), ("hat", "red")}  # three times each
    red, cap, hat = (2 + tokenizer.tokens.index(word) for word in ("red", "cap", "hat"))
    names = ["Red CAP", "", "red zebra cap", "hat hat hat hat red"]
    assert tokenizer.encode({"name": names})["name_token_ids"].tolist() == [
        [red, cap, 0, 0],
        [0, 0, 0, 0],
        [red, 1, cap, 0],  # 1 is unknown
        [hat, hat, hat, hat],
    ]
    assert tokenizer.vocabulary_size == 2 + len(tokenizer.tokens) == len(tokenizer.word_vectors)


def test_frequencies_count_texts_that_are_not_empty(tokenizer: Tokenizer) -> None:
    assert tokenizer.num_texts == {"name": 3, "mall_category": 3, "brand": 3, "maker": 1}
    _, buckets, is_word, _ = text_ngrams(["red"], NAME, SETTINGS)
    assert tokenizer.ngram_frequencies[buckets[is_word]].tolist() == [3]
    _, buckets, is_word, _ = text_ngrams(["acme"], BRAND, SETTINGS)
    assert tokenizer.ngram_frequencies[buckets[is_word]].tolist() == [2]


def test_chunks_do_not_change_the_counts(tmp_path: Path, tokenizer: Tokenizer) -> None:
    halves = [{field: texts[part] for field, texts in SHOP.items()} for part in (slice(2), slice(2, None))]
    parted = fit_tokenizer(halves, SETTINGS, FIELDS, 0, tmp_path / "parted.txt")
    assert sorted(parted.tokens) == sorted(tokenizer.tokens)
    assert parted.num_texts == tokenizer.num_texts
    np.testing.assert_array_equal(parted.ngram_frequencies, tokenizer.ngram_frequencies)


def test_weights_by_eye(tmp_path: Path) -> None:
    """Check weights of words: 'red' in 3 of 3 names, idf log(4/4) + 1; 'cap' in 1, log(4/2) + 1; unknown words 0."""
    settings = dataclasses.replace(SETTINGS, word_orders=(1,), character_orders=())
    weights = fit(tmp_path, settings).encode({"name": ["red cap cap zebra"]})["name_ngram_weights"][0]
    red, cap = 1.0, (1 + np.log(2)) * (np.log(2) + 1)
    expected = np.sort([red, cap]) / np.hypot(red, cap)
    np.testing.assert_allclose(np.sort(weights[weights > 0]), expected, rtol=1e-6)


def test_an_ngram_below_min_count_has_no_weight(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, word_orders=(1,), character_orders=(), ngram_min_count=2)
    weights = fit(tmp_path, settings).encode({"name": ["red cap", "cap"]})["name_ngram_weights"]
    assert sorted(weights[0].tolist())[-2:] == [0.0, 1.0]
    assert not weights[1].any()


def test_words_and_characters_each_have_unit_length(tokenizer: Tokenizer) -> None:
    encoded = tokenizer.encode({"name": ["red cap"]})
    _, buckets, is_word, _ = text_ngrams(["red cap"], NAME, SETTINGS)
    by_bucket = dict(zip(encoded["name_ngram_ids"][0].tolist(), encoded["name_ngram_weights"][0].tolist(), strict=True))
    for kind in (is_word, ~is_word):
        assert np.linalg.norm([by_bucket[bucket] for bucket in buckets[kind]]) == pytest.approx(1, rel=1e-6)


def test_over_the_width_the_largest_weights_are_kept(tmp_path: Path, tokenizer: Tokenizer) -> None:
    narrow = fit(tmp_path, SETTINGS, (dataclasses.replace(NAME, num_ngrams=5), *FIELDS[1:]))
    texts = {"name": ["red cap", "red", "", "red shoe hat"]}
    wide, kept = tokenizer.encode(texts)["name_ngram_weights"], narrow.encode(texts)["name_ngram_weights"]
    assert kept.shape == (4, 5)
    np.testing.assert_allclose(kept, -np.sort(-wide, axis=1)[:, :5], rtol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "!?😀", "\x00"])
def test_a_text_without_letters_is_all_zeros(tokenizer: Tokenizer, text: str) -> None:
    for values in tokenizer.encode({field: [text] for field in NGRAM_FIELDS}).values():
        assert not values.any()
        assert np.isfinite(values).all()


def test_a_row_is_the_same_alone_and_in_any_batch(tokenizer: Tokenizer) -> None:
    together = tokenizer.encode(dict.fromkeys(NGRAM_FIELDS, TEXTS))
    for row, text in enumerate(TEXTS):
        alone = tokenizer.encode({field: [text] for field in NGRAM_FIELDS})
        for field in SEQUENCE_FIELDS:
            np.testing.assert_array_equal(alone[f"{field}_token_ids"][0], together[f"{field}_token_ids"][row])
        for field in NGRAM_FIELDS:
            assert bag(alone, field, 0) == bag(together, field, row)


def bag(encoded: dict[str, np.ndarray], field: str, row: int) -> dict[int, float]:
    """Return the n-grams as a bag, whose order does not matter."""
    ids, weights = encoded[f"{field}_ngram_ids"][row], encoded[f"{field}_ngram_weights"][row]
    return {int(i): float(weight) for i, weight in zip(ids, weights, strict=True) if weight}


def test_no_texts(tokenizer: Tokenizer) -> None:
    assert {name: len(values) for name, values in tokenizer.encode({"name": []}).items()} == {
        "name_token_ids": 0,
        "name_ngram_ids": 0,
        "name_ngram_weights": 0,
    }
    assert tokenizer.encode({}) == {}


def test_load_undoes_save(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = tmp_path / "saved" / "tokenizer"
    tokenizer.save(folder)
    loaded = Tokenizer.load(folder)
    assert (loaded.settings, loaded.tokens, loaded.num_texts, loaded.digest) == (
        tokenizer.settings,
        tokenizer.tokens,
        tokenizer.num_texts,
        tokenizer.digest,
    )
    np.testing.assert_array_equal(loaded.word_vectors, tokenizer.word_vectors)
    texts = dict.fromkeys(NGRAM_FIELDS, TEXTS)
    again = loaded.encode(texts)
    for name, values in tokenizer.encode(texts).items():
        np.testing.assert_array_equal(again[name], values)


def test_a_saved_tokenizer_holds_no_pickle(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(tmp_path / "saved")
    assert sorted(file.suffix for file in (tmp_path / "saved").iterdir()) == [".json", ".json", ".npy", ".npy"]
    for file in (tmp_path / "saved").glob("*.npy"):
        assert np.load(file, allow_pickle=False).dtype != object


def test_the_digest_distinguishes_tokenizers(tmp_path: Path, tokenizer: Tokenizer) -> None:
    assert fit(tmp_path, SETTINGS).digest == tokenizer.digest
    assert fit(tmp_path, SETTINGS, (dataclasses.replace(NAME, num_tokens=5), *FIELDS[1:])).digest != tokenizer.digest
    other = fit_tokenizer([{**SHOP, "maker": ["bolt", "", "", ""]}], SETTINGS, FIELDS, 0, tmp_path / "other.txt")
    assert other.digest != tokenizer.digest


def test_an_empty_catalog_still_gives_a_tokenizer(tmp_path: Path) -> None:
    empty = fit_tokenizer([], SETTINGS, FIELDS, 0, tmp_path / "corpus.txt")
    assert empty.vocabulary_size == 2
    encoded = empty.encode({"name": ["red cap"]})
    assert encoded["name_token_ids"].tolist() == [[1, 1, 0, 0]]
    assert not encoded["name_ngram_weights"].any()


def test_lengths_by_field(tokenizer: Tokenizer) -> None:
    assert tuple(tokenizer.fields.values()) == FIELDS
    assert tokenizer.sequence_fields == ("name", "mall_category")


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    """Check that only the first hundred characters are read."""
    fields = (dataclasses.replace(BRAND, max_chars=100),)
    tokenizer = fit_tokenizer([{"brand": ["red cap " * 20]}], SETTINGS, fields, 0, tmp_path / "corpus.txt")
    one, two = (tokenizer.encode({"brand": ["red cap " * 20 + end]}) for end in ("", "shoe"))
    for name, values in one.items():
        np.testing.assert_array_equal(two[name], values)
    cut = fit_tokenizer([{"brand": ["a" * 101]}], SETTINGS, fields, 0, tmp_path / "c")
    whole = fit_tokenizer([{"brand": ["a" * 100]}], SETTINGS, fields, 0, tmp_path / "d")
    assert cut.digest == whole.digest


def test_fields_with_one_salt_share_their_words(tmp_path: Path) -> None:
    """The long field has single words only; each is the n-gram that it is in the name, and pairs are the name's own."""
    words_only = TextField("maker", NAME.salt, 0, 40, has_characters=False, max_word_order=1)
    texts = {"name": ["red cap"], "maker": ["red cap"]}
    encoded = fit_tokenizer([texts], SETTINGS, (NAME, words_only), 0, tmp_path / "corpus.txt").encode(texts)
    of_name, of_maker = (set(encoded[f"{field}_ngram_ids"][encoded[f"{field}_ngram_weights"] > 0]) for field in texts)
    assert len(of_maker) == 2
    assert of_maker < of_name


def test_a_field_of_single_words_has_the_orders_there_are(tmp_path: Path) -> None:
    pairs = dataclasses.replace(SETTINGS, word_orders=(2,))
    field = dataclasses.replace(NAME, has_characters=False, max_word_order=1)
    tokenizer = fit_tokenizer([{"name": ["red cap"]}], pairs, [field], 0, tmp_path / "corpus.txt")
    assert np.count_nonzero(tokenizer.encode({"name": ["red cap"]})["name_ngram_weights"]) == 1
