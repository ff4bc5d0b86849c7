"""Nearest training products by text: each counts for its category.

    n-grams of every text field ── rare ones, length one ── cosine with every training product ── the nearest ones
    ── each counts its cosine to the 4th power ── log(1 + share / 0.02) ── "neighbors_logits"

Network and linear head have learned what an n-gram says on the average; the nearest products (Cover and Hart 1967)
know what a few say together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy import sparse

from model.errors import BundleError
from model.features import Features

#: A neighbour counts its cosine to this power.
_POWER = 4
#: A share that means as much as none: keeps the logarithm finite, and a lone neighbour in its place.
_FLOOR = 0.02
#: Products compared with all training products at a time, so that memory stays small.
_CHUNK_ROWS = 512
_NONE = -1


@dataclass(frozen=True, eq=False)
class NeighborIndex:
    """Training products by their rare n-grams.

    Args:
        postings: (U, N) float32, for each n-gram the training products that have it; every product's column has
            length one.
        columns: (hash_buckets,) int32, a bucket's row in `postings`, -1 for one that is not compared.
        labels: (N,) int32, the products' classes.
        field_weights: field to what its n-grams count, for each text field that the model reads.
        count: nearest products that count.
    """

    postings: sparse.csr_matrix
    columns: np.ndarray
    labels: np.ndarray
    field_weights: Mapping[str, float]
    count: int

    @classmethod
    def of(
        cls,
        ngrams: sparse.csr_matrix,
        labels: np.ndarray,
        field_weights: Mapping[str, float],
        count: int,
        max_frequency: int,
    ) -> "NeighborIndex":
        """Index training products.

        Args:
            ngrams: (N, hash_buckets) float32 weights of their n-grams.
            max_frequency: n-grams of more products are left out, as are those of one alone.
        """
        frequencies = ngrams.getnnz(axis=0)
        kept = np.flatnonzero((frequencies > 1) & (frequencies <= max_frequency))
        columns = np.full(ngrams.shape[1], _NONE, np.int32)
        columns[kept] = np.arange(len(kept))
        postings = _of_length_one(ngrams[:, kept].tocsr()).T.tocsr()
        postings.data = postings.data.astype(np.float16).astype(np.float32)  # as the file keeps them
        return cls(postings, columns, np.asarray(labels, np.int32), dict(field_weights), count)

    def logits(self, features: Features, num_classes: int) -> np.ndarray:
        """(B, K) float32, log(1 + share of a class / 0.02): 0 where no neighbour is of a class, or there is none."""
        queries = self._queries(features)
        shares = np.zeros((queries.shape[0], num_classes), np.float32)
        for start in range(0, len(shares), _CHUNK_ROWS):
            found = queries[start : start + _CHUNK_ROWS] @ self.postings
            for row, (first, last) in enumerate(zip(found.indptr[:-1], found.indptr[1:], strict=True), start=start):
                if first < last:
                    shares[row] = self._shares(found.data[first:last], found.indices[first:last], num_classes)
        return np.log1p(shares / np.float32(_FLOOR))

    def save(self, path: Path) -> None:
        """Write all of it as plain arrays."""
        np.savez(
            path,
            weights=self.postings.data.astype(np.float16),
            products=self.postings.indices.astype(np.int32),
            ends=self.postings.indptr.astype(np.int64),
            columns=self.columns,
            labels=self.labels,
            fields=np.array(list(self.field_weights)),
            field_weights=np.array(list(self.field_weights.values()), np.float32),
            count=np.int64(self.count),
        )

    @classmethod
    def load(cls, path: Path) -> "NeighborIndex":
        """Read what `save` wrote.

        Raises:
            BundleError: the file cannot be read.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                labels, ends = arrays["labels"], arrays["ends"]
                shape = (len(ends) - 1, len(labels))
                postings = sparse.csr_matrix((arrays["weights"].astype(np.float32), arrays["products"], ends), shape)
                field_weights = dict(zip(arrays["fields"].tolist(), arrays["field_weights"].tolist(), strict=True))
                return cls(postings, arrays["columns"], labels, field_weights, int(arrays["count"]))
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise BundleError(f"{path} cannot be read: {error}; copy or write the bundle again") from error

    def _queries(self, features: Features) -> sparse.csr_matrix:
        """(B, U) float32, every row of length one, or empty."""
        columns = np.concatenate([self.columns[features[f"{field}_ngram_ids"]] for field in self.field_weights], axis=1)
        weights = np.concatenate(
            [np.float32(weight) * features[f"{field}_ngram_weights"] for field, weight in self.field_weights.items()],
            axis=1,
        )
        kept = (weights > 0) & (columns != _NONE)
        ends = np.concatenate([[0], kept.sum(axis=1).cumsum()])
        queries = sparse.csr_matrix((weights[kept], columns[kept], ends), (len(kept), self.postings.shape[0]))
        queries.sum_duplicates()
        return _of_length_one(queries)

    def _shares(self, cosines: np.ndarray, products: np.ndarray, num_classes: int) -> np.ndarray:
        """(K,) float64 shares of the classes among the nearest products."""
        if len(cosines) > self.count:
            nearest = np.argpartition(-cosines, self.count - 1)[: self.count]
            cosines, products = cosines[nearest], products[nearest]
        counts = np.bincount(self.labels[products], cosines.astype(np.float64) ** _POWER, minlength=num_classes)
        return np.asarray(counts / counts.sum())


def _of_length_one(rows: sparse.csr_matrix) -> sparse.csr_matrix:
    """Every row divided by its Euclidean length."""
    row_of_value = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    lengths = np.sqrt(np.bincount(row_of_value, rows.data**2, minlength=rows.shape[0]))
    scaled = rows.copy()
    scaled.data = np.asarray(rows.data / lengths[row_of_value], np.float32)
    return scaled
