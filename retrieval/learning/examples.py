"""Examples of metric learning: features of the entries of products, and batches of P products by K entries."""

from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np

from retrieval.settings import MetricSettings


@dataclass(frozen=True)
class Examples:
    """Rows of a catalog with features.

    Args:
        labels: (N,) int32, equal for rows of the same product.
        names: of the products, by label.
        pictures: (N, V, F) of any float or integer type, features of V views of the picture; None without pictures.
        has_picture: (N,) bool.
        texts: (N, E) float32; None without texts.
        has_text: (N,) bool.
    """

    labels: np.ndarray
    names: list[str]
    pictures: np.ndarray | None
    has_picture: np.ndarray
    texts: np.ndarray | None
    has_text: np.ndarray

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of entries, in the order of the network's outputs."""
        return tuple(kind for kind, values in (("image", self.pictures), ("text", self.texts)) if values is not None)

    def inputs(self, rows: np.ndarray, view: np.ndarray | int = 0) -> dict[str, np.ndarray]:
        """Network inputs of some rows.

        Args:
            view: of the pictures, one for all or one a row.
        """
        given = {}
        if self.pictures is not None:
            given["image"] = self.pictures[rows, view].astype(np.float32)
        if self.texts is not None:
            given["text"] = self.texts[rows]
        return given

    def entry_labels(self, rows: np.ndarray) -> np.ndarray:
        """(B, V) int32 of each row's entries, -1 for one that is missing."""
        flags = {"image": self.has_picture, "text": self.has_text}
        return np.stack([np.where(flags[kind][rows], self.labels[rows], -1) for kind in self.kinds], axis=1)


class ProductBatches(keras.utils.PyDataset):
    """Batches of P products by K rows; some products of a batch are the nearest of the others, mined each epoch.

    A pass is as many batches as the rows fill. Which products are near is what vectors of the pass before say: these
    are negatives of the same kind of product, the rest of the batch is of any (VisNet, Shankar et al. 2017).
    """

    def __init__(self, examples: Examples, settings: MetricSettings):
        super().__init__()
        self.examples = examples
        self.settings = settings
        self.num_products = min(settings.batch_products, len(examples.names))
        self.steps_a_pass = max(1, len(examples.labels) // (self.num_products * settings.batch_entries))
        self._random = np.random.default_rng(settings.seed)
        order = np.argsort(examples.labels, kind="stable")
        bounds = np.searchsorted(examples.labels[order], np.arange(len(examples.names) + 1))
        self._rows = [order[start:stop] for start, stop in pairwise(bounds)]
        self._nearest: np.ndarray | None = None

    def __len__(self) -> int:
        return self.steps_a_pass

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        count = self.settings.batch_entries
        rows = np.concatenate([self._draw(self._rows[label], count) for label in self._products()])
        pictures = self.examples.pictures
        views = 0 if pictures is None else self._random.integers(0, pictures.shape[1], len(rows))
        return self.examples.inputs(rows, views), self.examples.entry_labels(rows)

    def mine(self, vectors: np.ndarray) -> None:
        """Find the nearest products of each.

        Args:
            vectors: (N, D) float32, of the rows.
        """
        means = np.stack([vectors[rows].mean(axis=0) for rows in self._rows])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        count = min(self.settings.batch_products, len(means) - 1)
        nearest = np.empty((len(means), count), np.int64)
        for start in range(0, len(means), 1024):
            similarities = means[start : start + 1024] @ means.T
            similarities[np.arange(len(similarities)), np.arange(start, start + len(similarities))] = -np.inf
            nearest[start : start + 1024] = np.argsort(-similarities, axis=1)[:, :count]
        self._nearest = nearest

    def _products(self) -> np.ndarray:
        """Labels of a batch: some drawn, then near ones of these."""
        all_labels = np.arange(len(self._rows))
        num_near = 0 if self._nearest is None else int(self.num_products * self.settings.near_share)
        drawn = self._random.choice(all_labels, self.num_products - num_near, replace=False)
        if not num_near or self._nearest is None:
            return drawn
        near = np.setdiff1d(self._random.permuted(self._nearest[drawn][:, :4].ravel()), drawn)
        near = self._random.permutation(near)[:num_near]
        return np.concatenate([drawn, near])

    def _draw(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Rows of one product; a product with fewer gives some twice, as different views."""
        return self._random.choice(rows, count, replace=len(rows) < count)
