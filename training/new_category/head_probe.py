"""What the heads of a widened classifier read and say of a catalog's rows, in full and with one field alone."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import keras
import numpy as np
from keras import ops

from catalog.rejects import Rejects
from catalog.rows import CatalogRow
from model.bundle.bundle import Bundle
from model.engines.engine import Engine, Features, Precision, read_neighbors
from model.engines.engine_choice import open_engine
from model.network.subset_temperature import unsharpened_logits
from model.predictor import Predictor
from training.predict.answered_catalog import answer_catalog


@dataclass(frozen=True, eq=False)
class HeadView:
    """One head as it sees N rows.

    Args:
        inputs: (N, D) float32, what its last layer reads.
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
    """Rows of a catalog as the heads see them.

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

    Args:
        classifier: `widen_classifier`'s, its new columns zero.
    """

    def __init__(self, bundle: Bundle, classifier: keras.Model, cache_dir: Path):
        engine = open_engine(bundle.path)
        self._predictor = Predictor(bundle, _ProbeEngine(engine, classifier, bundle))
        self._cache_dir = cache_dir

    def close(self) -> None:
        """Free the engine."""
        self._predictor.close()

    def probe(self, catalog: Path, columns: Mapping[str, str], rejects: Rejects, max_rows: int) -> ProbedRows:
        """Look at a catalog's rows; those that cannot be answered are rejected.

        Args:
            max_rows: of a larger catalog so many are drawn, about.
        Raises:
            CatalogError: the catalog cannot be read.
        """
        draw = np.random.default_rng(0)
        rows: list[CatalogRow] = []
        parts: list[dict[str, np.ndarray]] = []
        for chunk in answer_catalog(self._predictor, catalog, columns, rejects, self._cache_dir, top_k=1):
            # Every row may still be drawn: what was kept so far is thinned out as more come.
            parts.append(
                {"presence": chunk.features["presence"], "order": draw.random(len(chunk.rows)), **chunk.outputs}
            )
            rows += chunk.rows
            if len(rows) > 2 * max_rows:
                rows, parts = _thinned(rows, parts, max_rows)
        rows, parts = _thinned(rows, parts, max_rows)
        if not parts:
            return ProbedRows([], np.empty((0, len(self._predictor.bundle.fields))), {})
        return ProbedRows(rows, parts[0]["presence"], _views(parts[0]))


def _thinned(
    rows: list[CatalogRow], parts: list[dict[str, np.ndarray]], max_rows: int
) -> tuple[list[CatalogRow], list[dict[str, np.ndarray]]]:
    """The rows drawn first, in the file's order, as one part."""
    if not parts:
        return rows, parts
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    kept = np.sort(np.argsort(arrays["order"])[:max_rows])
    return [rows[i] for i in kept], [{name: values[kept] for name, values in arrays.items()}]


def _views(arrays: Mapping[str, np.ndarray]) -> dict[str, HeadView]:
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


class _ProbeEngine:
    """The bundle's engine for pictures, the widened network for the rest; outputs are "<view>/<part of a HeadView>"."""

    precision: Precision = "float32"
    num_streams = 1

    def __init__(self, engine: Engine, classifier: keras.Model, bundle: Bundle):
        self.name, self.device, self.max_images = engine.name, engine.device, engine.max_images
        self._engine = engine
        self._bundle = bundle
        outputs = {}
        self._neighbors = read_neighbors(bundle.path)
        self._heads = [head for head in bundle.heads if head != "neighbors"]  # those with columns
        for head in self._heads:
            outputs[f"{head}/inputs"] = classifier.get_layer(f"{head}_classes").input
            outputs[f"{head}/logits"] = classifier.get_layer(f"{head}_logits").output
        outputs["joint/logits"] = unsharpened_logits(classifier)
        self._program = keras.Model(classifier.input, outputs)
        calibration = bundle.calibration
        self._temperatures = {**calibration.head_temperatures, "joint": calibration.temperature}

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        return self._engine.encode_images(images)

    def classify(self, features: Features, all_heads: bool = True) -> dict[str, np.ndarray]:  # noqa: ARG002
        """See the class."""
        found = self._run(features)
        outputs = {"joint_logits": found["joint/logits"][:, : self._bundle.taxonomy.num_leaves]}
        for head in self._heads:
            outputs |= self._view(head, head, found)
        for position, field in enumerate(self._bundle.fields if len(self._bundle.fields) > 1 else ()):
            alone = self._run(_alone(features, field, position))
            outputs |= self._view(f"joint:{field}", "joint", alone)
        return outputs

    def close(self) -> None:
        """See `Engine`."""
        self._engine.close()

    def _run(self, features: Features) -> dict[str, np.ndarray]:
        found = {k: ops.convert_to_numpy(values) for k, values in self._program(features, training=False).items()}
        if self._neighbors is not None:  # they know old classes only
            logits = found["joint/logits"]
            votes = self._neighbors.votes(features, logits.shape[1])
            found["joint/logits"] = logits + np.float32(self._neighbors.weight) * votes
        return found

    def _view(self, view: str, head: str, found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        num_old = self._bundle.taxonomy.num_leaves
        logits = found[f"{head}/logits"] / np.float32(self._temperatures.get(head, 1.0))
        old = logits[:, :num_old]
        best = old.argmax(axis=1).astype(np.int32)
        return {
            f"{view}/inputs": found[f"{head}/inputs"],
            f"{view}/old_scores": np.logaddexp.reduce(old, axis=1),
            f"{view}/best_old": best,
            f"{view}/best_old_logits": old[np.arange(len(old)), best],
            f"{view}/fixed": logits[:, num_old:],
        }
