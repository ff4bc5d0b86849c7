"""Text fields to ids: token ids for the CNNs, weighted hashed n-grams for the bags."""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tokenizer.analyzer import open_analyzer, tokenize_all
from tokenizer.ngrams import hashed_ngrams
from tokenizer.normalize import normalize_all
from tokenizer.pretrained_words import PretrainedWords, words_of
from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField
from tokenizer.word2vec import FIRST_WORD_ID, UNKNOWN_ID, train_word_vectors


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """File names of a saved tokenizer."""

    settings: str = "tokenizer.json"
    vocabulary: str = "vocabulary.json"
    vectors: str = "word_vectors.npy"
    frequencies: str = "ngram_frequencies.npy"
    pretrained_words: str = "pretrained_words.json"
    pretrained_vectors: str = "pretrained_vectors.npy"


FILES = TokenizerFiles()


class Tokenizer:
    """Immutable once built; thread-safe apart from the analyser, which is one per process.

    Args:
        fields: text fields that it encodes.
        tokens: vocabulary, most frequent first; token i has id 2 + i.
        word_vectors: (2 + len(tokens), vector_size) float32.
        ngram_frequencies: (hash_buckets,) int64, training texts in which the bucket occurs.
        num_texts: texts per field that the frequencies were counted over.
        pretrained: None where the settings have them off.
    """

    def __init__(
        self,
        settings: TokenizerSettings,
        fields: Sequence[TextField],
        tokens: Sequence[str],
        word_vectors: np.ndarray,
        ngram_frequencies: np.ndarray,
        num_texts: Mapping[str, int],
        pretrained: PretrainedWords | None = None,
    ):
        self.settings = settings
        self.fields = {field.name: field for field in fields}
        self.tokens = tuple(tokens)
        self.word_vectors = word_vectors
        self.ngram_frequencies = ngram_frequencies
        self.num_texts = dict(num_texts)
        self.pretrained = pretrained
        self._ids = {token: FIRST_WORD_ID + i for i, token in enumerate(self.tokens)}
        self._weights = {field: self._inverse_frequencies(field) for field in self.fields}
        self._analyzer = open_analyzer(settings.analyzer)

    @property
    def vocabulary_size(self) -> int:
        """Rows of the word embedding, padding and unknown included."""
        return FIRST_WORD_ID + len(self.tokens)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal; equal for tokenizers that give every text the same ids and weights."""
        fields = [dataclasses.asdict(field) for field in self.fields.values()]
        parts = [dataclasses.asdict(self.settings), fields, self.tokens, self.num_texts]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
        digest.update(self.ngram_frequencies.tobytes())
        if self.pretrained is not None:
            digest.update(self.pretrained.digest())
        return digest.hexdigest()

    @property
    def sequence_fields(self) -> tuple[str, ...]:
        """Names of the fields that are read token by token."""
        return tuple(field.name for field in self.fields.values() if field.num_tokens)

    def encode(self, texts: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        """Encode the given text fields of N products.

        Args:
            texts: field to N raw texts; '' where missing.
        Returns:
            "<field>_token_ids" (N, L) int32 for sequence fields, "<field>_ngram_ids" (N, G) int32 and
            "<field>_ngram_weights" (N, G) float32 for all; ids 0 with weight 0 pad. With pretrained words also
            "<field>_pretrained" (N, PRETRAINED_DIM) float32 for sequence fields.
        """
        encoded: dict[str, np.ndarray] = {}
        for name, raw in texts.items():
            field = self.fields[name]
            normalized = normalized_texts(raw, field)
            if field.num_tokens:
                encoded[f"{name}_token_ids"] = self._token_ids(normalized, field.num_tokens)
                if self.pretrained is not None:
                    encoded[f"{name}_pretrained"] = self.pretrained.encode(normalized)
            ids, weights = self._weighted_ngrams(normalized, field)
            encoded[f"{name}_ngram_ids"], encoded[f"{name}_ngram_weights"] = ids, weights
        return encoded

    def _token_ids(self, normalized: Sequence[str], length: int) -> np.ndarray:
        ids = np.zeros((len(normalized), length), np.int32)
        lookup = self._ids.get
        for row, tokens in enumerate(tokenize_all(self._analyzer, normalized)):
            kept = [lookup(token, UNKNOWN_ID) for token in tokens[:length]]
            ids[row, : len(kept)] = kept
        return ids

    def _weighted_ngrams(self, normalized: Sequence[str], field: TextField) -> tuple[np.ndarray, np.ndarray]:
        """TF-IDF weights; words and characters each of unit length, the heaviest kept."""
        count, width = len(normalized), field.num_ngrams
        if not any(normalized):  # a call often leaves a field out
            return np.zeros((count, width), np.int32), np.zeros((count, width), np.float32)
        rows, buckets, is_word, counts = text_ngrams(normalized, field, self.settings)
        weights = (1 + np.log(counts)) * self._weights[field.name][buckets]
        seen = weights > 0
        rows, buckets, is_word, weights = rows[seen], buckets[seen], is_word[seen], weights[seen]
        group = rows * 2 + is_word
        norms = np.sqrt(np.bincount(group, weights**2, minlength=2 * count))
        weights = weights / norms[group]
        per_row = np.bincount(rows, minlength=count)
        if per_row.max(initial=0) > width:  # sorting is the dearest step, most texts fit without
            order = np.lexsort((-weights, rows))
            rows, buckets, weights = rows[order], buckets[order], weights[order]
        rank = np.arange(len(rows)) - (np.cumsum(per_row) - per_row)[rows]
        kept = rank < width
        ids = np.zeros((count, width), np.int32)
        padded = np.zeros((count, width), np.float32)
        ids[rows[kept], rank[kept]] = buckets[kept]
        padded[rows[kept], rank[kept]] = weights[kept]
        return ids, padded

    def _inverse_frequencies(self, field: str) -> np.ndarray:
        texts = self.num_texts.get(field, 0)
        frequencies = self.ngram_frequencies
        inverse = np.log((1 + texts) / (1 + np.minimum(frequencies, texts))) + 1
        return np.where(frequencies >= self.settings.ngram_min_count, inverse, 0.0)

    def save(self, folder: Path) -> None:
        """Write the tokenizer as JSON and .npy files."""
        folder.mkdir(parents=True, exist_ok=True)
        fields = [dataclasses.asdict(field) for field in self.fields.values()]
        header = {"settings": dataclasses.asdict(self.settings), "fields": fields, "num_texts": self.num_texts}
        (folder / FILES.settings).write_text(json.dumps(header, indent=1), encoding="utf-8")
        (folder / FILES.vocabulary).write_text(json.dumps(self.tokens, ensure_ascii=False), encoding="utf-8")
        np.save(folder / FILES.vectors, self.word_vectors, allow_pickle=False)
        np.save(folder / FILES.frequencies, self.ngram_frequencies, allow_pickle=False)
        if self.pretrained is not None:
            self.pretrained.save(folder / FILES.pretrained_words, folder / FILES.pretrained_vectors)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Undo `save`; the same texts get the same ids."""
        header = json.loads((folder / FILES.settings).read_text(encoding="utf-8"))
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in header["settings"].items()}
        settings = TokenizerSettings(**values)
        pretrained = None
        if settings.pretrained_words == "on":
            pretrained = PretrainedWords.load(folder / FILES.pretrained_words, folder / FILES.pretrained_vectors)
        return cls(
            settings,
            [TextField(**field) for field in header["fields"]],
            json.loads((folder / FILES.vocabulary).read_text(encoding="utf-8")),
            np.load(folder / FILES.vectors, allow_pickle=False),
            np.load(folder / FILES.frequencies, allow_pickle=False),
            header["num_texts"],
            pretrained,
        )


def normalized_texts(raw: Sequence[str], field: TextField) -> list[str]:
    """Texts of a field, cut to its length and normalised."""
    return normalize_all([text[: field.max_chars] for text in raw] if field.max_chars else raw)


def text_ngrams(
    normalized: Sequence[str], field: TextField, settings: TokenizerSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`hashed_ngrams` with one field's salt and the orders of the settings that suit it."""
    characters = settings.character_orders if field.has_characters else ()
    words = [order for order in settings.word_orders if not field.max_word_order or order <= field.max_word_order]
    return hashed_ngrams(normalized, field.salt, words or settings.word_orders, characters, settings.hash_buckets)


def fit_tokenizer(
    chunks: Iterable[Mapping[str, Sequence[str]]],
    settings: TokenizerSettings,
    fields: Sequence[TextField],
    seed: int,
    corpus: Path,
) -> Tokenizer:
    """Learn vocabulary, word vectors and n-gram frequencies in one pass over the texts.

    Args:
        chunks: field to raw texts, a part of the catalog each; fields are some of `fields`.
        corpus: a scratch file for the tokenised sentences; left for the caller to remove.
    """
    analyzer = open_analyzer(settings.analyzer)
    by_name = {field.name: field for field in fields}
    frequencies = np.zeros(settings.hash_buckets, np.int64)
    num_texts: dict[str, int] = {}
    words: Counter[str] = Counter()
    with corpus.open("w", encoding="utf-8") as file:
        for chunk in chunks:
            for name, raw in chunk.items():
                normalized = [text for text in normalized_texts(raw, by_name[name]) if text]
                num_texts[name] = num_texts.get(name, 0) + len(normalized)
                _, buckets, _, _ = text_ngrams(normalized, by_name[name], settings)
                frequencies += np.bincount(buckets, minlength=settings.hash_buckets)
                if by_name[name].num_tokens:
                    file.writelines(" ".join(tokens) + "\n" for tokens in tokenize_all(analyzer, normalized))
                    words.update(word for text in normalized for word in words_of(text))
    tokens, vectors = train_word_vectors(corpus, settings, seed)
    pretrained = PretrainedWords.of(words) if settings.pretrained_words == "on" else None
    return Tokenizer(settings, fields, tokens, vectors, frequencies, num_texts, pretrained)
