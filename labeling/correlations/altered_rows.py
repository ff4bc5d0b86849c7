"""Held-out rows as they would be without a feature's words, encoded again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from tqdm import tqdm

from catalog.rows import CatalogRow
from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.correlations.features import Feature
from labeling.correlations.word_matrix import normalized, rows_of_catalog, without_words
from labeling.output_files import output_file
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.ngram_matrix import ngram_matrix

#: Of the rows of a unit that have a feature so many are answered without it; of more a sample is drawn.
MOST_ROWS = 1_000


@dataclass(frozen=True, eq=False)
class AlteredRows:
    """A rows of a fold, each without one feature; a row stands here once for each feature that it has.

    Args:
        rows: (A,) int64, of the catalog, ascending.
        features: (A,) int64, the feature that each is without.
    """

    rows: np.ndarray
    features: np.ndarray

    @classmethod
    def draw(cls, has: dict[tuple[int, int], np.ndarray], seed: int) -> AlteredRows:
        """Choose the rows of one fold.

        Args:
            has: by feature and unit of the fold, the rows that have the one and are of the other.
        """
        random = np.random.default_rng(seed)
        drawn = [(feature, random.permutation(rows)[:MOST_ROWS]) for (feature, _), rows in sorted(has.items())]
        rows = np.concatenate([np.zeros(0, np.int64), *(rows for _, rows in drawn)])
        features = np.concatenate([np.zeros(0, np.int64), *(np.full(len(rows), number) for number, rows in drawn)])
        order = np.argsort(rows, kind="stable")
        return cls(rows[order], features[order])

    def write(self, catalog: LabelledCatalog, features: list[Feature], path: Path, bar: tqdm) -> None:
        """Write (A, hash_buckets) float32 as .npz: the n-grams without the words.

        Raises:
            LabelingError: the disk refuses.
        """
        parts = []
        for positions, rows in rows_of_catalog(catalog, self.rows):
            wanted = [features[number] for number in self.features[positions].tolist()]
            parts.append(_encoded(catalog, rows, wanted))
            bar.update(len(rows))
        width = catalog.settings.tokenizer.hash_buckets
        inputs = sparse.vstack(parts, format="csr") if parts else sparse.csr_matrix((0, width), dtype=np.float32)
        with output_file(path) as aside, aside.open("wb") as file:
            sparse.save_npz(file, inputs)


def _encoded(catalog: LabelledCatalog, rows: list[CatalogRow], features: list[Feature]) -> sparse.csr_matrix:
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for name, field in catalog.tokenizer.fields.items():
        for text, feature in zip(normalized(rows, field), features, strict=True):
            texts[name].append(without_words(text, feature.words) if feature.field == name else text)
    arrays = catalog.tokenizer.encode(texts)
    arrays["labels"] = np.zeros(len(rows), np.int32)
    buckets = catalog.settings.tokenizer.hash_buckets
    return ngram_matrix(EncodedCatalog(arrays, None, 0, ""), catalog.field_weights, buckets)
