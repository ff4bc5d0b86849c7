"""Inputs of the linear SVMs: n-grams and pretrained words of a catalog's rows, also with fields hidden."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from model.network.linear_head import knows_products_without_names
from model.product import FIELDS
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.ngram_matrix import ngram_matrix


@dataclass(frozen=True)
class LinearRows:
    """Rows that SVMs are fitted on.

    Args:
        ngrams: (N, U) weights of the n-grams.
        pretrained: (N, D) vectors of the pretrained words of one field beside the next; D is 0 without them.
        labels: (N,) int.
        counts: (N,) what a row counts.
    """

    ngrams: sparse.csr_matrix
    pretrained: sparse.csr_matrix
    labels: np.ndarray
    counts: np.ndarray

    @cached_property
    def inputs(self) -> sparse.csr_matrix:
        """(N, U + D), all that the SVMs read."""
        return sparse.hstack([self.ngrams, self.pretrained], format="csr")


@dataclass(frozen=True)
class TextReader:
    """Reads texts as `model.network.linear_head.LinearHead` does.

    Args:
        field_weights: field to what its n-grams and pretrained words count beside a name.
        hash_buckets: of the tokenizer.
    """

    field_weights: Mapping[str, float]
    hash_buckets: int

    def read(
        self, catalog: EncodedCatalog, kept: Collection[str] = FIELDS
    ) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """The texts of every row, of the `kept` fields only.

        Returns:
            (N, hash_buckets) float32 n-grams, and (N, D) float32 vectors of the `pretrained_fields`.
        """
        is_nameless = np.zeros(len(catalog), bool)
        if knows_products_without_names(self.field_weights):
            is_nameless = ~given_fields(catalog, ["name"])[:, 0] if "name" in kept else ~is_nameless
        weights = {field: weight for field, weight in self.field_weights.items() if field in kept}
        return self._ngrams(catalog, weights, is_nameless), self._pretrained(catalog, weights, is_nameless)

    def _ngrams(
        self, catalog: EncodedCatalog, weights: Mapping[str, float], is_nameless: np.ndarray
    ) -> sparse.csr_matrix:
        named = ngram_matrix(catalog, weights, self.hash_buckets)
        if not is_nameless.any():
            return named
        nameless = ngram_matrix(catalog, {field: 1.0 for field in weights if field != "name"}, self.hash_buckets)
        nameless = nameless[:, np.roll(np.arange(self.hash_buckets), self.hash_buckets // 2)]
        choose = is_nameless.astype(np.float32)
        return sparse.csr_matrix(sparse.diags(1 - choose) @ named + sparse.diags(choose) @ nameless)

    def _pretrained(
        self, catalog: EncodedCatalog, weights: Mapping[str, float], is_nameless: np.ndarray
    ) -> sparse.csr_matrix:
        named, nameless = self.pretrained_fields(catalog)
        counts = [(field, weights.get(field, 0.0) * ~is_nameless) for field in named]
        counts += [(field, float(field in weights) * is_nameless) for field in nameless]
        parts = [sparse.csr_matrix((len(catalog), 0), dtype=np.float32)]
        for field, count in counts:
            vectors = np.asarray(catalog.arrays[f"{field}_pretrained"])
            parts.append(sparse.csr_matrix(count.astype(np.float32)[:, None] * vectors))
        return sparse.hstack(parts, format="csr")

    def pretrained_fields(self, catalog: EncodedCatalog) -> tuple[list[str], list[str]]:
        """Fields with vectors of pretrained words: of products with a name, and of those without one."""
        fields = [field for field in self.field_weights if f"{field}_pretrained" in catalog.arrays]
        is_read = knows_products_without_names(self.field_weights)
        return fields, [field for field in fields if field != "name" and is_read]

    def rows_to_fit(self, catalog: EncodedCatalog, single_field_weight: float) -> LinearRows:
        """Rows with text; those with more fields come again with each alone, and without their name.

        Each counts as much as the catalog's "counts" say, too.

        Args:
            single_field_weight: what a row counts that has one field left; 0: none comes again. Without its name it
                counts 1, for the weights of that case are its own.
        """
        labels, fields = np.asarray(catalog.arrays["labels"]), list(self.field_weights)
        given = given_fields(catalog, fields)
        parts = [(tuple(fields), given.any(axis=1), 1.0)]
        if single_field_weight > 0:
            parts += self._again(given, single_field_weight)
        read = [tuple(matrix[rows] for matrix in self.read(catalog, kept)) for kept, rows, _ in parts]
        ngrams, pretrained = (sparse.vstack(matrices, format="csr") for matrices in zip(*read, strict=True))
        own_counts = catalog.arrays.get("counts", np.ones(len(catalog)))
        counts = np.concatenate([count * own_counts[rows] for _, rows, count in parts])
        return LinearRows(ngrams, pretrained, np.concatenate([labels[rows] for _, rows, _ in parts]), counts)

    def _again(self, given: np.ndarray, single_field_weight: float) -> list[tuple[tuple[str, ...], np.ndarray, float]]:
        """Fields that are kept, the rows (N,) that come again with them alone, and what those count."""
        fields, found = list(self.field_weights), []
        alone = given & (given.sum(axis=1) > 1)[:, None]
        if knows_products_without_names(fields):
            is_name = np.array([field == "name" for field in fields])
            num_others = given[:, ~is_name].sum(axis=1)
            others = tuple(field for field in fields if field != "name")
            found.append((others, given[:, is_name][:, 0] & (num_others > 0), 1.0))
            alone[num_others == 1] &= is_name  # with its only other field alone the row has just come
        return found + [((field,), alone[:, position], single_field_weight) for position, field in enumerate(fields)]


def given_fields(catalog: EncodedCatalog, fields: Collection[str]) -> np.ndarray:
    """(N, len(fields)) bool."""
    return np.asarray(catalog.arrays["presence"])[:, [FIELDS.index(field) for field in fields]] > 0
