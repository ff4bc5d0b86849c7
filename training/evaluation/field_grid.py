"""The field grid: accuracy with subsets of the fields, and with wrong values in a field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from model.features import Features
from model.predictor import Predictor
from training.encoding.array_store import ArrayWriter, open_arrays
from training.metrics.confidence import ratio
from training.metrics.contract import accepted_flags
from training.predict.answered_catalog import classify_rows

#: With more fields only subsets of one field, all but one, and all are measured; five fields have 31 subsets.
MAX_FIELDS_OF_ALL_SUBSETS = 5
#: Fields whose values are exchanged between products, as happens in shops, and the share of products.
WRONG_FIELDS = ("mall_category", "image")
WRONG_SHARES = (0.1, 0.3)
_BATCH_ROWS = 4096


@dataclass
class _Counts:
    """Counts of rows: all, right, accepted at any depth and at a leaf, and right with all fields."""

    num_rows: int = 0
    num_right: int = 0
    num_accepted: int = 0
    num_accepted_right: int = 0
    num_leaf_accepted: int = 0
    num_leaf_accepted_right: int = 0
    num_right_untouched: int = 0

    def figures(self) -> dict[str, Any]:
        return {
            "count": self.num_rows,
            "accuracy": ratio(self.num_right, self.num_rows),
            "accuracy_untouched": ratio(self.num_right_untouched, self.num_rows),
            "accepted_share": ratio(self.num_accepted, self.num_rows),
            "accepted_precision": ratio(self.num_accepted_right, self.num_accepted),
            "leaf_accepted_share": ratio(self.num_leaf_accepted, self.num_rows),
            "leaf_accepted_precision": ratio(self.num_leaf_accepted_right, self.num_leaf_accepted),
        }


class FieldGrid:
    """Stores the encoded rows of an evaluation on disk and answers them again with fields left out or exchanged.

    Args:
        scratch: folder for the encoded rows; the caller removes it.
    """

    def __init__(self, predictor: Predictor, scratch: Path):
        self._predictor = predictor
        self._scratch = scratch
        self._writer = ArrayWriter(scratch / "features")

    def add(self, features: Features, labels: np.ndarray, is_right: np.ndarray) -> None:
        """Add n rows.

        Args:
            features: the classifier's inputs, (n, ...) each.
            labels: (n,) int32 classes.
            is_right: (n,) bool, True where the answer with all fields is the label.
        """
        self._writer.append({**features, "labels": labels, "is_right": is_right})

    def metrics(self) -> dict[str, Any]:
        """Answer all rows that were added, once for each entry of the grid.

        Returns:
            given: a dict per subset of fields, with fields, over the products that have all of these (other fields are
            left out); wrong: a dict per field and share, with field and share, over the products that have the field.
            Each has count, accuracy, accuracy_untouched (the same products with all their fields), accepted_share and
            accepted_precision at any depth, leaf_accepted_share and leaf_accepted_precision.
        """
        with self._writer:  # closes the arrays for writing
            pass
        arrays = open_arrays(self._scratch / "features")
        fields = self._predictor.bundle.fields
        with tqdm(desc="Field grid", unit=" answers", unit_scale=True) as bar:
            given = [
                {"fields": list(subset), **self._given(arrays, subset, bar).figures()} for subset in subsets(fields)
            ]
            wrong = [
                {"field": field, "share": share, **self._wrong(arrays, field, share, bar).figures()}
                for field in WRONG_FIELDS
                if field in fields and len(fields) > 1
                for share in WRONG_SHARES
            ]
        return {"given": given, "wrong": wrong}

    def _given(self, arrays: Mapping[str, np.ndarray], subset: tuple[str, ...], bar: tqdm) -> _Counts:
        fields = self._predictor.bundle.fields
        has_all = (arrays["presence"][:, [fields.index(field) for field in subset]] > 0).all(axis=1)
        left_out = [field for field in fields if field not in subset]
        counts = _Counts()
        for batch in _batches(arrays, np.flatnonzero(has_all)):
            self._count(without_fields(batch, left_out, fields), counts, bar)
        return counts

    def _wrong(self, arrays: Mapping[str, np.ndarray], field: str, share: float, bar: tqdm) -> _Counts:
        rows = np.flatnonzero(arrays["presence"][:, self._predictor.bundle.fields.index(field)] > 0)
        donors = exchanged(rows, share)
        counts = _Counts()
        for start, batch in enumerate(_batches(arrays, rows)):
            chosen = donors[start * _BATCH_ROWS : (start + 1) * _BATCH_ROWS]
            taken = {name: arrays[name][chosen] for name in batch if name.startswith(f"{field}_")}
            self._count({**batch, **taken}, counts, bar)
        return counts

    def _count(self, batch: dict[str, np.ndarray], counts: _Counts, bar: tqdm) -> None:
        labels, is_right = batch.pop("labels"), batch.pop("is_right")
        outputs = classify_rows(self._predictor, batch, all_heads=False)
        answers = self._predictor.answers(outputs, batch["presence"], top_k=1)
        is_leaf, is_accepted_right = accepted_flags(labels, answers, self._predictor.bundle.taxonomy)
        counts.num_rows += len(labels)
        counts.num_right += int((answers.top_classes[:, 0] == labels).sum())
        counts.num_accepted += int((answers.accepted_depths > 0).sum())
        counts.num_accepted_right += int(is_accepted_right.sum())
        counts.num_leaf_accepted += int(is_leaf.sum())
        counts.num_leaf_accepted_right += int((is_leaf & is_accepted_right).sum())
        counts.num_right_untouched += int(is_right.sum())
        bar.update(len(labels))


def subsets(fields: tuple[str, ...]) -> list[tuple[str, ...]]:
    """List the subsets of fields to measure, the larger first, without the empty one."""
    sizes = set(range(1, len(fields) + 1))
    if len(fields) > MAX_FIELDS_OF_ALL_SUBSETS:
        sizes = {1, len(fields) - 1, len(fields)}
    return [subset for size in sorted(sizes, reverse=True) for subset in combinations(fields, size)]


def without_fields(batch: Features, left_out: list[str], fields: tuple[str, ...]) -> Features:
    """Return the rows with some fields left out.

    Args:
        batch: classifier inputs, (n, ...) each; those of a missing field are all 0.
        fields: the fields of the presence flags, in order.
    """
    changed = dict(batch)
    for field in left_out:
        changed |= {name: np.zeros_like(batch[name]) for name in batch if name.startswith(f"{field}_")}
    changed["presence"] = batch["presence"] * np.array([field not in left_out for field in fields], np.float32)
    return changed


def exchanged(rows: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Draw for each row the row whose field it gets: its own, except for a share of the rows, which exchange theirs.

    Args:
        rows: (n,) row numbers.
    Returns:
        (n,) row numbers; those that differ from `rows` are round(share * n), or none where that is 1.
    """
    donors = rows.copy()
    chosen = np.random.default_rng(seed).permutation(len(rows))[: round(share * len(rows))]
    donors[chosen] = rows[np.roll(chosen, 1)]  # a random cycle, so that none of them keeps its own
    return donors


def _batches(arrays: Mapping[str, np.ndarray], rows: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(rows), _BATCH_ROWS):
        chosen = rows[start : start + _BATCH_ROWS]
        yield {name: np.asarray(values[chosen]) for name, values in arrays.items()}
