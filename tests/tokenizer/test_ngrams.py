"""Hashed n-grams, checked by hand on texts of a few letters."""

import numpy as np
import pytest

from tokenizer.ngrams import hashed_ngrams

BUCKETS = 2**30  # no collisions among the few n-grams here


def grams(text: str, words: tuple[int, ...] = (), characters: tuple[int, ...] = (), salt: int = 0) -> dict[int, int]:
    """Return the count by bucket of one text."""
    _, buckets, _, counts = hashed_ngrams([text], salt, words, characters, BUCKETS)
    return dict(zip(buckets.tolist(), counts.tolist(), strict=True))


def count_of(text: str, words: tuple[int, ...] = (), characters: tuple[int, ...] = ()) -> tuple[int, int]:
    """Return the number of distinct n-grams and of all."""
    found = grams(text, words, characters)
    return len(found), sum(found.values())


def test_characters_by_eye() -> None:
    # ' ab ab ': a b a b;  ' a' ab 'b ' twice;  ' ab' 'ab ' 'b a' ' ab' 'ab '
    assert count_of("ab ab", characters=(1,)) == (2, 4)
    assert count_of("ab ab", characters=(2,)) == (3, 6)
    assert count_of("ab ab", characters=(3,)) == (3, 5)
    assert count_of("ab ab", characters=(1, 2, 3)) == (8, 15)


def test_words_by_eye() -> None:
    # red red, red cap, cap red
    assert sorted(grams("red red cap red", words=(1,)).values()) == [1, 3]
    assert sorted(grams("red red cap red", words=(2,)).values()) == [1, 1, 1]
    assert count_of("red", words=(2,)) == (0, 0)


def test_order_of_words_and_letters_matters() -> None:
    assert grams("red cap", words=(2,)).keys().isdisjoint(grams("cap red", words=(2,)))
    assert grams("red cap", words=(1,)) == grams("cap red", words=(1,))
    assert grams("dog", words=(1,)).keys().isdisjoint(grams("god", words=(1,)))
    assert grams("ab", characters=(3,)).keys().isdisjoint(grams("ba", characters=(3,)))


def test_an_ngram_has_one_bucket_at_any_position() -> None:
    assert grams("cap", words=(1,)).keys() <= grams("a red cap !", words=(1,)).keys()
    assert grams("a", characters=(1,)).keys() <= grams("xay", characters=(1,)).keys()
    assert grams("red cap", words=(2,)) == grams("red, cap!", words=(2,))  # punctuation is a space


def test_character_ngrams_include_word_boundaries() -> None:
    assert grams("a b", characters=(3,)).keys().isdisjoint(grams("ab", characters=(3,)))


def test_fields_orders_and_kinds_share_no_bucket() -> None:
    assert grams("red cap", (1, 2), (1, 2, 3), salt=0).keys().isdisjoint(grams("red cap", (1, 2), (1, 2, 3), salt=1))
    rows, buckets, is_word, _ = hashed_ngrams(["a"], 0, (1,), (1, 2, 3), BUCKETS)
    assert rows.tolist() == [0] * 5  # the word; a, ' a', 'a ', ' a '
    assert sorted(is_word.tolist()) == [False] * 4 + [True]
    assert len(set(buckets.tolist())) == 5


@pytest.mark.parametrize("text", ["", " ", "!", "\u2764", "😀", "...---..."])
def test_texts_without_letters_have_no_ngrams(text: str) -> None:
    assert count_of(text, (1, 2), (1, 2, 3)) == (0, 0)


def test_letters_beyond_the_first_plane_count_as_letters() -> None:
    assert count_of("\U00020000\U00020001", (1,), (1,)) == (3, 3)  # Han, extension B
    assert count_of("\U00030001", (1,), (1,)) == (2, 2)  # extension G lies beyond the table
    assert grams("\U00020000", (1,)) != grams("\U00020001", (1,))
    assert grams("red😀cap", (1, 2)) == grams("red cap", (1, 2))


def test_an_order_longer_than_the_text() -> None:
    assert count_of("ab", characters=(4,)) == (1, 1)  # ' ab '
    assert count_of("ab", words=(3,), characters=(5,)) == (0, 0)


def test_words_longer_than_64_letters() -> None:
    long = "a" * 70
    assert count_of(long, words=(1,)) == (1, 1)
    others = [long + "a", "b" + long[1:], long[:-1] + "b", long[:64]]
    assert len({next(iter(grams(text, words=(1,)))) for text in [long, *others]}) == 5


def test_a_row_is_the_same_alone_and_in_any_batch() -> None:
    texts = ["red cap", "", "a", "😀 cap", "빨간 모자 모자", "x" * 100, "!", "red cap"]
    rows, buckets, is_word, counts = hashed_ngrams(texts, 2, (1, 2), (1, 2, 3), 2**12)
    assert (np.diff(rows) >= 0).all()
    for i, text in enumerate(texts):
        alone = hashed_ngrams([text], 2, (1, 2), (1, 2, 3), 2**12)
        of_row = rows == i
        for found, expected in zip((buckets, is_word, counts), alone[1:], strict=True):
            np.testing.assert_array_equal(found[of_row], expected)


def test_buckets_fill_their_range_evenly() -> None:
    _, buckets, _, _ = hashed_ngrams([str(i) for i in range(20_000)], 0, (1,), (), 16)
    share = np.bincount(buckets, minlength=16) / 20_000
    assert len(share) == 16
    assert np.abs(share - 1 / 16).max() < 0.01


def test_counts_of_colliding_ngrams_are_added() -> None:
    assert [values.tolist() for values in hashed_ngrams(["a b c", "d"], 0, (1,), (), 1)] == [
        [0, 1],
        [0, 0],
        [True, True],
        [3, 1],
    ]


def test_no_texts_and_no_orders() -> None:
    for texts, orders in (([], (1, 2)), (["red"], ())):
        arrays = hashed_ngrams(texts, 0, orders, orders, 16)
        assert [(len(values), values.dtype.kind) for values in arrays] == [(0, "i"), (0, "i"), (0, "b"), (0, "i")]
