"""Labelled rows that the model did not learn from, as its heads answer them; calibration is fitted on these."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from model.network.classifier import field_positions
from model.prediction.formula import HeadLogits
from model.product import FIELDS
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.linear_rows import given_fields
from training.ensemble.trained_model import TrainedModel
from training.network.batches import CatalogBatches

_BATCH_SIZE = 256
_JOINT_PARTS = ("network", "linear", "neighbors")


@dataclass(frozen=True, eq=False)
class CalibrationRows:
    """Answers of all heads to N labelled rows.

    Args:
        heads: logits that the joint formula adds up.
        single_heads: (N, K) float32 logits of each head trained with the network, the joint one aside.
        labels: (N,) int32.
        presence: (N, F) float32 flags of the model's fields.
        groups: (N,) int, group of near-duplicates, which say one thing only.
    """

    heads: HeadLogits
    single_heads: dict[str, np.ndarray]
    labels: np.ndarray
    presence: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_distinct(self) -> int:
        """Rows that are no near-duplicates of each other."""
        return len(np.unique(self.groups))

    @cached_property
    def weights(self) -> np.ndarray:
        """(N,) float, what each row counts so that the rows of a group count one together."""
        return row_weights(self.groups)

    @classmethod
    def concatenate(cls, parts: Sequence["CalibrationRows"]) -> "CalibrationRows":
        """The rows of several parts, in order; a head that one part lacks is left out."""
        arrays = [part.to_arrays() for part in parts]
        names = set.intersection(*(set(part) for part in arrays))
        return cls.from_arrays({name: np.concatenate([part[name] for part in arrays]) for name in names})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, ready for a file."""
        heads = {name: getattr(self.heads, name) for name in _JOINT_PARTS}
        return {
            **{f"head/{name}": logits for name, logits in heads.items() if logits is not None},
            **{f"single/{name}": logits for name, logits in self.single_heads.items()},
            "labels": self.labels,
            "presence": self.presence,
            "groups": self.groups,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "CalibrationRows":
        """Undo `to_arrays`."""
        heads = HeadLogits(*(arrays.get(f"head/{name}") for name in _JOINT_PARTS))  # type: ignore[arg-type]
        single = {name.removeprefix("single/"): arrays[name] for name in sorted(arrays) if name.startswith("single/")}
        return cls(heads, single, arrays["labels"], arrays["presence"], arrays["groups"])


class CalibrationSource(Protocol):
    """A source of rows for calibration."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the model."""

    @property
    def rows(self) -> CalibrationRows:
        """All rows as they come."""

    def hidden(self, kept: tuple[str, ...]) -> CalibrationRows:
        """Rows that have all of these fields, with no other."""


@dataclass(frozen=True, eq=False)
class HeldOutRows:
    """The rows of one catalog, answered by a model that was trained without them; see `CalibrationSource`.

    Args:
        catalog: labelled rows.
        groups: (N,) int, see `CalibrationRows`.
        seed: of the draw from a large catalog.
        max_rows: that are drawn where fields are hidden; a temperature and thresholds need no more.
    """

    model: TrainedModel
    catalog: EncodedCatalog
    groups: np.ndarray
    seed: int
    max_rows: int = 3000

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the model."""
        return self.model.shape.fields

    @property
    def rows(self) -> CalibrationRows:
        """All rows as they come."""
        return answered_rows(self.model, self.catalog, self.groups)

    def hidden(self, kept: tuple[str, ...]) -> CalibrationRows:
        """Rows, drawn from a large catalog, that have all of these fields, with no other."""
        rows = rows_with_fields(self.catalog, kept, self.seed, self.max_rows)
        return answered_rows(self.model, with_fields_only(self.catalog, kept, rows), self.groups[rows])


class SavedRows:
    """Rows answered in folds, each by a model that was trained on the others, from files; see `CalibrationSource`."""

    def __init__(self, files: Sequence[Path], fields: tuple[str, ...]):
        self._fields = fields
        self._files = files

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the model."""
        return self._fields

    @property
    def rows(self) -> CalibrationRows:
        """All rows as they come."""
        return self._load("")

    def hidden(self, kept: tuple[str, ...]) -> CalibrationRows:
        """Rows that have all of these fields, with no other."""
        return self._load(" ".join(kept))

    def _load(self, names: str) -> CalibrationRows:
        parts = []
        for path in self._files:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                prefix = f"{names}:"
                arrays = {n.removeprefix(prefix): stored[n] for n in stored.files if n.startswith(prefix)}
            parts.append(CalibrationRows.from_arrays(arrays))
        return CalibrationRows.concatenate(parts)


def answered_rows(model: TrainedModel, catalog: EncodedCatalog, groups: np.ndarray) -> CalibrationRows:
    """The answers of all heads to a catalog.

    Args:
        groups: (N,) int, see `CalibrationRows`.
    """
    outputs: dict[str, np.ndarray] = {}
    if len(catalog):
        outputs = model.trained.predict(CatalogBatches(catalog, model.shape, _BATCH_SIZE), verbose=0)
    nothing = np.zeros((0, model.shape.num_classes), np.float32)
    logits = {head: outputs.get(f"{head}_logits", nothing) for head in model.shape.heads}
    presence = np.asarray(catalog.arrays["presence"])[:, field_positions(model.shape.fields)]
    heads = HeadLogits(logits.pop("joint"), *model.scores(catalog))
    return CalibrationRows(heads, logits, np.asarray(catalog.arrays["labels"]), presence, groups)


def row_weights(groups: np.ndarray) -> np.ndarray:
    """(N,) float, what each row counts so that the rows of a group count one together."""
    _, positions, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return np.asarray(1 / sizes[positions])


def rows_with_fields(catalog: EncodedCatalog, kept: tuple[str, ...], seed: int, max_rows: int) -> np.ndarray:
    """Numbers, ascending, of rows that have all these fields; of many so many are drawn."""
    found = np.flatnonzero(given_fields(catalog, kept).all(axis=1))
    return np.asarray(np.sort(np.random.default_rng(seed).permutation(found)[:max_rows]))


def with_fields_only(catalog: EncodedCatalog, kept: tuple[str, ...], rows: np.ndarray) -> EncodedCatalog:
    """Some of the rows, with all other fields hidden."""
    arrays = {name: np.array(values[rows]) for name, values in catalog.arrays.items()}
    for field in set(FIELDS) - set(kept):
        arrays["presence"][:, FIELDS.index(field)] = 0
        for name, values in arrays.items():
            if name.startswith(f"{field}_"):
                values[:] = -1 if name == "image_feature_rows" else 0
    return replace(catalog, arrays=arrays, num_rejects=0, digest=f"{catalog.digest} with {' '.join(kept)} only")
