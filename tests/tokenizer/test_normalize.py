"""Text normalisation."""

import sys
import unicodedata

import pytest

from tokenizer.normalize import normalize, normalize_all


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("１＋１　Ａ", "1+1 a"),
        ("ﾃﾚﾋﾞ", "テレビ"),
        ("LG Gram", "lg gram"),
        ("  many \t\n\r  spaces  ", "many spaces"),
        ("a\x00b\x1fc\x7fd\x85e", "a b c d e"),
        ("a\u200bb\u2028c\u2066d\ufeffe", "a b c d e"),
        ("half a pair \ud83d here", "half a pair here"),
        ("한글", "한글"),  # separate jamo
        ("㎏ ½ ①", "kg 1⁄2 1"),
        ("J\u030c", "\u01f0"),  # composed only in lower case
        ("😀", "😀"),
        ("", ""),
        (" \u3000\u200b", ""),
    ],
)
def test_spelling(text: str, expected: str) -> None:
    assert normalize(text) == unicodedata.normalize("NFC", expected)


def test_normalising_twice_changes_nothing() -> None:
    for code in range(sys.maxunicode + 1):
        once = normalize(f"x{chr(code)}y")
        assert normalize(once) == once, hex(code)
    for letter in map(chr, range(0x41, 0x250)):
        once = [normalize(letter + chr(mark)) for mark in range(0x300, 0x345)]
        assert normalize_all(once) == once, letter


def test_each_text_is_normalised_independently() -> None:
    texts = ["", "\u0301a", "  ", "ㅎ", "A\n", "\u1112", "\u1161"]  # a jamo must not combine with the next text
    assert normalize_all(texts) == [normalize(text) for text in texts]
    assert normalize_all([]) == []
