"""A text field as the tokenizer encodes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextField:
    """Sizes of one field's encoding.

    Args:
        name: prefix of its arrays.
        salt: number that keeps its hashed n-grams apart from those of fields with another one.
        num_tokens: token ids kept; 0 for a field that is not read token by token.
        num_ngrams: hashed n-grams kept, heaviest first.
        max_chars: characters read of a text, the rest is cut off; 0 reads all.
        has_characters: whether n-grams of characters count beside those of words.
        max_word_order: words in its longest n-grams of words; 0 is as the settings say.
    """

    name: str
    salt: int
    num_tokens: int
    num_ngrams: int
    max_chars: int = 0
    has_characters: bool = True
    max_word_order: int = 0
