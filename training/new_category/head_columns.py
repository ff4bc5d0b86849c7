"""The new columns of every head, from labelled rows as the heads see them."""

from dataclasses import dataclass, fields

import keras
import numpy as np

from model.bundle.bundle import Bundle
from model.product import HEADS
from training.new_category.head_probe import HeadView
from training.new_category.new_columns import ColumnRows, class_weight, fit_columns

#: Share of the joint head's weight on rows with one field alone: new categories shall be found by any field.
_ALONE_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows as the heads see them, with their classes in the new tree.

    Args:
        labels: (N,) int classes; K and above are new leaves, K being the number of old ones.
        presence: (N, number of fields) float32.
        views: see `HeadProbe`.
    """

    labels: np.ndarray
    presence: np.ndarray
    views: dict[str, HeadView]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "LabelledRows":
        """Some of the rows."""
        views = {name: view.take(rows) for name, view in self.views.items()}
        return LabelledRows(self.labels[rows], self.presence[rows], views)

    def known(self, num_old: int) -> "LabelledRows":
        """The rows of old classes."""
        return self.take(np.flatnonzero(self.labels < num_old))


@dataclass(frozen=True, eq=False)
class HeadColumns:
    """The old columns of a bundle's heads.

    Args:
        columns: head to kernel (D, K) and biases (K,), of the heads that are trained with the network.
        temperatures: by head.
    """

    fields: tuple[str, ...]
    columns: dict[str, tuple[np.ndarray, np.ndarray]]
    temperatures: dict[str, float]

    @property
    def num_old(self) -> int:
        """K."""
        return len(self.columns["joint"][1])

    @classmethod
    def of(cls, bundle: Bundle, classifier: keras.Model) -> "HeadColumns":
        """The columns of a bundle."""
        heads = [head for head in bundle.heads if head in HEADS]
        columns = {head: tuple(classifier.get_layer(f"{head}_classes").get_weights()) for head in heads}
        calibration = bundle.calibration
        temperatures = {head: calibration.head_temperature(head) for head in heads}
        return cls(bundle.fields, columns, {**temperatures, "joint": calibration.formula.temperature})


def fit_heads(
    old_columns: HeadColumns, examples: LabelledRows, old: LabelledRows
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Head to the kernel (D, M) and biases (M,) of the new classes.

    Args:
        examples: of new classes only, at least one each.
        old: of old classes only.
    """
    return {head: fit_head(head, old_columns, examples, old) for head in old_columns.columns}


def fit_head(
    head: str, old_columns: HeadColumns, examples: LabelledRows, old: LabelledRows
) -> tuple[np.ndarray, np.ndarray]:
    """The new columns of one head; a new class whose examples all lack the head's field is kept out of its answers."""
    counts = np.bincount(examples.labels - old_columns.num_old)
    weights = np.array([class_weight(len(old), old_columns.num_old, count) for count in counts])
    parts = []
    for rows, labels, row_weights in (
        (examples, examples.labels - old_columns.num_old + 1, weights[examples.labels - old_columns.num_old]),
        (old, np.zeros(len(old), int), np.ones(len(old))),
    ):
        for name, share, is_given in _views(head, old_columns.fields, rows):
            view = rows.views[name].take(is_given)
            share_weights = share * row_weights[is_given]
            parts.append(ColumnRows(view.inputs, view.old_scores, view.fixed, labels[is_given], share_weights))
    names = (entry.name for entry in fields(ColumnRows))
    joined = ColumnRows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    return fit_columns(joined, *old_columns.columns[head], old_columns.temperatures[head])


def _views(head: str, read: tuple[str, ...], rows: LabelledRows) -> list[tuple[str, float, np.ndarray]]:
    """Name and share of weight of each view, and the rows it holds for; `read` are the bundle's fields."""
    if head != "joint":
        return [(head, 1.0, np.flatnonzero(rows.presence[:, read.index(head)] > 0))]
    everything = np.arange(len(rows))
    if len(read) == 1:
        return [("joint", 1.0, everything)]
    has_others = rows.presence.sum(axis=1) > 1
    alone = [
        (f"joint:{field}", _ALONE_SHARE / len(read), np.flatnonzero((rows.presence[:, position] > 0) & has_others))
        for position, field in enumerate(read)
    ]
    return [("joint", 1 - _ALONE_SHARE, everything), *alone]
