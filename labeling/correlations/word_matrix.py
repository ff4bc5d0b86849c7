"""The words that each row of a catalog has, by field, as a sparse matrix."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy import sparse
from tqdm import tqdm

from catalog.rows import CatalogRow
from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.correlations.group_column import value_of
from tokenizer.text_field import TextField
from tokenizer.tokenizer import normalized_texts

#: Rows that words are counted in; of more a sample is drawn.
_MOST_ROWS = 1_000_000
#: Columns that no model reads, whose values are listed like words.
VALUE_COLUMNS = ("mall", "month")


@dataclass(frozen=True, eq=False)
class WordMatrix:
    """M rows and the V words that are frequent enough.

    Args:
        rows: (M,) int64, ascending, rows of the catalog.
        fields: of each word, in the order in which they first occur: a text field or one of VALUE_COLUMNS.
        words: as the n-grams have them, or a column's value.
        has: (M, V) int32, 1 where a row has a word.
    """

    rows: np.ndarray
    fields: list[str]
    words: list[str]
    has: sparse.csr_matrix

    @classmethod
    def read(cls, catalog: LabelledCatalog, without: str, least_products: int, seed: int) -> WordMatrix:
        """Read the words of all texts, and the values of other columns.

        Args:
            without: column of the groups, whose values no two groups share.
            least_products: that have a word.
        """
        rows = np.arange(len(catalog))
        if len(rows) > _MOST_ROWS:
            rows = np.sort(np.random.default_rng(seed).permutation(rows)[:_MOST_ROWS])
        numbers: dict[tuple[str, str], int] = {}
        indices, ends = array("i"), array("q", [0])
        columns = [column for column in VALUE_COLUMNS if column != without]
        for found in _words_of_rows(catalog, rows, columns):
            indices.extend(numbers.setdefault(key, len(numbers)) for key in found)
            ends.append(len(indices))
        ones = np.ones(len(indices), np.int32)
        has = sparse.csr_matrix((ones, np.array(indices, np.int32), np.array(ends)), (len(rows), len(numbers)))
        kept = np.flatnonzero(np.asarray(has.sum(axis=0))[0] >= least_products)
        keys = list(numbers)
        return cls(rows, [keys[i][0] for i in kept], [keys[i][1] for i in kept], has[:, kept])


def words_of(text: str) -> list[str]:
    """The different words of a normalised text, in their order: what is neither letter nor digit is a space."""
    return list(dict.fromkeys("".join(run) for is_word, run in groupby(text, str.isalnum) if is_word))


def without_words(text: str, words: Collection[str]) -> str:
    """A normalised text without some of its words."""
    runs = ((is_word, "".join(run)) for is_word, run in groupby(text, str.isalnum))
    return "".join(run for is_word, run in runs if not (is_word and run in words))


def normalized(rows: Sequence[CatalogRow], field: TextField) -> list[str]:
    """The texts of a field as the n-grams are made of them."""
    return normalized_texts([row.text(field.name) for row in rows], field)


def rows_of_catalog(catalog: LabelledCatalog, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, list[CatalogRow]]]:
    """Read some usable rows again, in chunks: (n,) positions in `wanted`, and the rows.

    Args:
        wanted: row numbers, ascending.
    """
    places, start = np.asarray(catalog.encoded.arrays["rows"])[wanted], 0
    for rows in catalog.parsed.rows():
        first, last = np.searchsorted(places, [start, start + len(rows)])
        if last > first:
            yield np.arange(first, last), [rows[place - start] for place in places[first:last].tolist()]
        start += len(rows)


def _words_of_rows(
    catalog: LabelledCatalog, wanted: np.ndarray, columns: Sequence[str]
) -> Iterator[list[tuple[str, str]]]:
    with tqdm(desc="Count words", total=len(wanted), unit=" rows", unit_scale=True, delay=1) as bar:
        for _, rows in rows_of_catalog(catalog, wanted):
            texts = {name: normalized(rows, field) for name, field in catalog.tokenizer.fields.items()}
            for position, row in enumerate(rows):
                found = [(name, word) for name in texts for word in words_of(texts[name][position])]
                values = ((column, value_of(row, column)) for column in columns)
                yield found + [(column, value) for column, value in values if value]
            bar.update(len(rows))
