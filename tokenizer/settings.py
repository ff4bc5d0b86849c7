"""Settings of the tokenizer; one group of `model/settings.py`."""

from dataclasses import dataclass
from typing import Literal

from tokenizer.errors import require


@dataclass(frozen=True)
class TokenizerSettings:
    """Text to ids."""

    analyzer: Literal["mecab", "mecab-direct", "okt", "komoran", "script"] = "mecab"
    """Morpheme analyser, by KoNLPy; `mecab-direct` gives the tokens of `mecab` without KoNLPy, `script` splits by
    script and needs no dictionary."""
    vector_size: int = 64
    """Word2Vec dimensions, of the static and the trained channel alike."""
    min_count: int = 2
    """A token seen less often in the training catalog is out of vocabulary."""
    max_vocabulary: int = 100_000
    """Most frequent tokens kept."""
    word2vec_epochs: int = 5
    """Passes of Word2Vec over the catalog's names and categories; 0 leaves random vectors."""
    word2vec_window: int = 5
    """Tokens to each side that Word2Vec looks at."""
    pretrained_words: Literal["on", "off"] = "off"
    """`on`: words of name and mall category also count by what they mean to a multilingual sentence encoder."""
    word_orders: tuple[int, ...] = (1, 2)
    """Orders of the hashed word n-grams."""
    character_orders: tuple[int, ...] = (1, 2, 3)
    """Orders of the hashed character n-grams."""
    hash_buckets: int = 524_288
    """Buckets that n-grams are hashed into, a power of two."""
    ngram_min_count: int = 2
    """An n-gram in fewer training texts than this carries no weight."""

    def __post_init__(self) -> None:
        for name in _SIZES:
            require(getattr(self, name) >= 1, name, "1 or more", getattr(self, name))
        for name in ("word_orders", "character_orders"):
            orders = getattr(self, name)
            require(all(order >= 1 for order in orders), name, "orders of 1 or more", orders)
        require(self.word2vec_epochs >= 0, "word2vec_epochs", "0 or more", self.word2vec_epochs)
        buckets = self.hash_buckets
        require(buckets >= 2 and buckets & (buckets - 1) == 0, "hash_buckets", "a power of two", buckets)


_SIZES = (
    "vector_size",
    "min_count",
    "max_vocabulary",
    "word2vec_window",
    "ngram_min_count",
)
