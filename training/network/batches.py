"""Encoded catalogs in batches for Keras."""

import math
from typing import Any

import keras
import numpy as np

from model.network.classifier import ClassifierShape, field_positions
from model.product import FIELDS, head_rows
from training.encoding.encoded_catalog import EncodedCatalog
from training.sampling.row_draw import RowDraw


class ShuffledBatches(keras.utils.PyDataset):
    """Rows in batches, shuffled and drawn by seed and epoch, so that a resumed run sees the same ones.

    Args:
        num_rows: of the catalog; an attribute of that name is what an epoch has.
        shuffle_seed: None keeps the rows' order.
        draw: of the rows of each epoch, which takes a seed; None takes every row once.
    """

    def __init__(self, num_rows: int, batch_size: int, shuffle_seed: int | None, draw: RowDraw | None = None):
        super().__init__()
        self.num_rows = num_rows if draw is None else draw.num_rows
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed
        self.draw = draw
        self.start_at(0)

    def __len__(self) -> int:
        return math.ceil(self.num_rows / self.batch_size)

    def start_at(self, epoch: int) -> None:
        """Take the rows and the order of one epoch, counted from 0; without a seed all are the catalog's own."""
        self.epoch = epoch
        self._order = np.arange(self.num_rows)
        if self.shuffle_seed is not None:
            if self.draw is not None:
                self._order = self.draw.rows(self.shuffle_seed, epoch)
            np.random.default_rng((self.shuffle_seed, epoch)).shuffle(self._order)

    def rows(self, index: int) -> np.ndarray:
        """(B,) int64, the rows of one batch."""
        # Sorted rows read the memory map forwards; the order inside a batch changes nothing.
        return np.sort(self._order[index * self.batch_size : (index + 1) * self.batch_size])


class CatalogBatches(ShuffledBatches):
    """Batches of (inputs, labels by head, sample weights by head).

    A head's weight is 0 on rows that lack its field: they teach it nothing.
    """

    def __init__(
        self,
        catalog: EncodedCatalog,
        shape: ClassifierShape,
        batch_size: int,
        shuffle_seed: int | None = None,
        draw: RowDraw | None = None,
    ):
        super().__init__(len(catalog), batch_size, shuffle_seed, draw)
        self.catalog = catalog
        self.shape = shape
        prefixes = tuple(f"{field}_" for field in shape.fields if field != "image")
        self._text_names = [name for name in catalog.arrays if name.startswith(prefixes)]
        self._positions = field_positions(shape.fields)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        rows = self.rows(index)
        arrays = self.catalog.arrays
        presence = arrays["presence"][rows]
        inputs = {name: arrays[name][rows] for name in self._text_names}
        inputs["presence"] = presence[:, self._positions]
        if "image" in self.shape.fields:
            inputs["image_features"] = self._image_features(arrays["image_feature_rows"][rows])
        labels = arrays["labels"][rows]
        outputs = [f"{head}_logits" for head in self.shape.heads]
        weights = {f"{head}_logits": self.head_weight(presence, head) for head in self.shape.heads}
        return inputs, dict.fromkeys(outputs, labels), weights

    def _image_features(self, rows: np.ndarray) -> np.ndarray:
        assert self.catalog.image_features is not None
        features = np.zeros((len(rows), self.shape.image_feature_dim), np.float32)
        given = rows >= 0
        features[given] = self.catalog.image_features[rows[given]]
        return features

    @staticmethod
    def head_weight(presence: np.ndarray, head: str) -> np.ndarray:
        """(N,) float32 weight of each row for one head, from (N, 5) presence flags."""
        return head_rows(head, presence, FIELDS).astype(np.float32)
