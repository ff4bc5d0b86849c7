"""Texts with almost the same words, against a comparison of each with each."""

from collections import Counter
from itertools import combinations
from math import log

import numpy as np
import pytest

from training.splitting import word_table
from training.splitting.word_table import RARE_WORD_SIMILARITY, WordTable


def random_texts(seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    words = [f"w{number}" for number in range(60)]
    texts = [" ".join(random.choice(words, random.integers(0, 6))) for _ in range(120)]
    return texts + [f"{random.choice(words)} {text}" for text in random.choice(texts, 20)]


def compared(texts: list[str]) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """The pairs of which one has a word more, and of which most words weighted by rarity are the same."""
    words = [set(text.split()) for text in texts]
    counts = Counter(word for own in words for word in own)
    weight = {word: log((len(texts) + 1) / count) for word, count in counts.items()}
    one_more, same_rare = set(), set()
    for a, b in combinations(range(len(texts)), 2):
        for shorter, longer in ((a, b), (b, a)):
            if len(words[shorter]) >= 3 and words[shorter] < words[longer] and len(words[longer] - words[shorter]) == 1:
                one_more.add((shorter, longer))
        common, either = words[a] & words[b], words[a] | words[b]
        is_rare = any(2 <= counts[word] <= word_table._MAX_RARE for word in common)
        if is_rare and sum(map(weight.get, common)) >= RARE_WORD_SIMILARITY * sum(map(weight.get, either)) - 1e-9:
            same_rare.add((a, b))
    return one_more, same_rare


@pytest.mark.parametrize("chunk", [7, 20_000])
def test_all_pairs_are_found(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_table, "_CHUNK_TEXTS", chunk)
    monkeypatch.setattr(word_table, "_CHUNK_PAIRS", chunk)
    num_found = np.zeros(2, int)
    for seed in range(8):
        texts = random_texts(seed)
        table, (one_more, same_rare) = WordTable.of(texts), compared(texts)
        found = set(map(tuple, table.one_more().tolist()))
        assert found <= one_more
        assert {longer for _, longer in found} == {
            longer for _, longer in one_more
        }  # of equal texts the first is enough
        assert set(map(tuple, table.same_rare().tolist())) == same_rare
        num_found += len(one_more), len(same_rare)
    assert (num_found > 10).all()


def test_no_texts_and_empty_ones() -> None:
    for texts in ([], ["", ""], ["a"]):
        table = WordTable.of(texts)
        assert table.one_more().shape == table.same_rare().shape == (0, 2)
