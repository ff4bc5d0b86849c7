"""Inputs and logits of the heads of a widened classifier on a catalog's rows, in full and with one field alone."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import keras
import numpy as np
from keras import ops

from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from catalog.rows import CatalogRow
from model.bundle.bundle import Bundle
from model.engines.engine_choice import open_engine
from model.features import Features
from model.prediction.formula import HeadLogits
from model.predictor import Predictor
from model.product import HEADS
from training.predict.answered_catalog import CatalogSource, answer_catalog


@dataclass(frozen=True, eq=False)
class HeadView:
    """One head on N rows.

    Args:
        inputs: (N, D) float32, input of its last layer.
        old_scores: (N,) float32, log-sum of the exponentials of the old classes' logits, temperature applied.
        best_old: (N,) int32, the old class of the largest logit.
        best_old_logits: (N,) float32, that logit, temperature applied.
        fixed: (N, M) float32, logits of the new classes while their columns are zero, temperature applied.
    """

    inputs: np.ndarray
    old_scores: np.ndarray
    best_old: np.ndarray
    best_old_logits: np.ndarray
    fixed: np.ndarray

    def take(self, rows: np.ndarray) -> "HeadView":
        """Some of the rows."""
        return HeadView(**{kind: getattr(self, kind)[rows] for kind in _KINDS})

    def joined(self, other: "HeadView") -> "HeadView":
        """The other's rows behind its own."""
        return HeadView(**{kind: np.concatenate([getattr(self, kind), getattr(other, kind)]) for kind in _KINDS})


_KINDS = tuple(entry.name for entry in fields(HeadView))


@dataclass(frozen=True, eq=False)
class ProbedRows:
    """Rows of a catalog and the heads on them.

    Args:
        presence: (N, number of fields) float32.
        views: head to its view; "joint:<field>" is the joint head with one field alone, worth looking at where the
            row has others besides.
    """

    rows: list[CatalogRow]
    presence: np.ndarray
    views: dict[str, HeadView]

    def __len__(self) -> int:
        return len(self.rows)

    def views_of(self, rows: np.ndarray) -> dict[str, HeadView]:
        """The views of some of the rows."""
        return {name: view.take(rows) for name, view in self.views.items()}


class HeadProbe:
    """Looks at catalogs through a widened classifier; to be closed.

    The joint formula has its default temperature here, for new columns are fitted for products with all fields, and no
    prior mass, for it would not let logits add up.

    Args:
        classifier: `widen_classifier`'s, its new columns zero.
    """

    def __init__(self, bundle: Bundle, classifier: keras.Model, cache_dir: Path):
        self._predictor = Predictor(bundle, open_engine(bundle.path))
        self._bundle = bundle
        self._cache_dir = cache_dir
        self._heads = [head for head in bundle.heads if head in HEADS]  # those whose columns are fitted
        layers = {f"{head}/inputs": classifier.get_layer(f"{head}_classes").input for head in self._heads}
        self._program = keras.Model(classifier.input, {**layers, **classifier.output})

    def close(self) -> None:
        """Free the engine."""
        self._predictor.close()

    def probe(self, catalog: Path, options: ReadOptions, rejects: Rejects, max_rows: int) -> ProbedRows:
        """Look at a catalog's rows; those that cannot be answered are rejected.

        Args:
            max_rows: of a larger catalog so many are drawn, about.
        Raises:
            CatalogError: the catalog cannot be read.
        """
        draw = np.random.default_rng(0)
        rows: list[CatalogRow] = []
        parts: list[dict[str, np.ndarray]] = []
        for chunk in answer_catalog(
            self._predictor, CatalogSource(catalog, options, self._cache_dir), rejects, top_k=1
        ):
            # Every row may still be drawn: the kept ones are thinned out as more come.
            drawn = {"presence": chunk.features["presence"], "order": draw.random(len(chunk.rows))}
            parts.append({**drawn, **self._views(chunk.features)})
            rows += chunk.rows
            if len(rows) > 2 * max_rows:
                rows, parts = _thinned(rows, parts, max_rows)
        rows, parts = _thinned(rows, parts, max_rows)
        if not parts:
            return ProbedRows([], np.empty((0, len(self._bundle.fields))), {})
        return ProbedRows(rows, parts[0]["presence"], _joined_views(parts[0]))

    def _views(self, features: Features) -> dict[str, np.ndarray]:
        """Parts of every `HeadView` as "<view>/<part>"."""
        found = self._run(features)
        views: dict[str, np.ndarray] = {}
        for head in self._heads:
            views |= self._view(head, head, found)
        for position, field in enumerate(self._bundle.fields if len(self._bundle.fields) > 1 else ()):
            views |= self._view(f"joint:{field}", "joint", self._run(_alone(features, field, position)))
        return views

    def _run(self, features: Features) -> dict[str, np.ndarray]:
        """Outputs of the widened classifier, with the joint formula's "joint_logits"."""
        found = {k: ops.convert_to_numpy(values) for k, values in self._program(features, training=False).items()}
        network, index = found["network_logits"], self._bundle.neighbors
        neighbors = None if index is None else index.logits(features, network.shape[1])  # 0 for new classes
        heads = HeadLogits(network, found.get("linear_logits"), neighbors)
        formula = self._bundle.calibration.formula
        found["joint_logits"] = formula.logits(heads)
        return found

    def _view(self, view: str, head: str, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        num_old = self._bundle.taxonomy.num_leaves
        logits = found[f"{head}_logits"] / np.float32(self._bundle.calibration.head_temperature(head))
        old = logits[:, :num_old]
        best = old.argmax(axis=1).astype(np.int32)
        return {
            f"{view}/inputs": found[f"{head}/inputs"],
            f"{view}/old_scores": np.logaddexp.reduce(old, axis=1),
            f"{view}/best_old": best,
            f"{view}/best_old_logits": old[np.arange(len(old)), best],
            f"{view}/fixed": logits[:, num_old:],
        }


def _thinned(
    rows: list[CatalogRow], parts: list[dict[str, np.ndarray]], max_rows: int
) -> tuple[list[CatalogRow], list[dict[str, np.ndarray]]]:
    """The rows drawn first, in the file's order, as one part."""
    if not parts:
        return rows, parts
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    kept = np.sort(np.argsort(arrays["order"])[:max_rows])
    return [rows[i] for i in kept], [{name: values[kept] for name, values in arrays.items()}]


def _joined_views(arrays: Mapping[str, np.ndarray]) -> dict[str, HeadView]:
    names = [name.removesuffix("/inputs") for name in arrays if name.endswith("/inputs")]
    return {name: HeadView(**{kind: arrays[f"{name}/{kind}"] for kind in _KINDS}) for name in names}


def _alone(features: Features, field: str, position: int) -> Features:
    """The rows with one field only; `position` is that of its flag."""
    presence = np.zeros_like(features["presence"])
    presence[:, position] = features["presence"][:, position]
    without = {
        name: np.zeros_like(values)
        for name, values in features.items()
        if name.endswith(("_ngram_weights", "_pretrained")) and not name.startswith(f"{field}_")
    }
    return {**features, **without, "presence": presence}
