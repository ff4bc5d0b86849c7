"""Models of windows of months, each answering the months that follow; what is finished is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labeling.answers.linear_inputs import LinearInputs
from labeling.answers.tasks import OnProgress, keep_only, run_tasks
from labeling.answers.tree_classifier import TreeClassifier
from labeling.months.dated_catalog import DatedCatalog
from labeling.months.window import Window
from labeling.output_files import output_file
from labeling.settings import LinearSettings
from model.taxonomy import Taxonomy

#: Part of the key of kept answers; raise it when they are computed otherwise.
_VERSION = 1
_CHUNK_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class MonthFit:
    """The answers of one model.

    Args:
        trained: rows that it learned from, ascending.
        tested: rows of the following months, ascending.
        answers: (len(tested),) int64, the most probable class of each.
    """

    origin: int
    window: Window
    trained: np.ndarray
    tested: np.ndarray
    answers: np.ndarray


@dataclass(frozen=True)
class _Fit:
    """One model's work, as its process gets it.

    Args:
        classes: of `trained`.
        weights: of `trained`, None for all the same.
    """

    inputs: LinearInputs
    trained: np.ndarray
    weights: np.ndarray | None
    tested: np.ndarray
    classes: np.ndarray
    taxonomy: Taxonomy
    settings: LinearSettings
    target: Path

    @property
    def num_rows(self) -> int:
        """To learn from and to answer."""
        return len(self.trained) + len(self.tested)

    def run(self, on_progress: OnProgress) -> None:
        """Learn, answer, and write the file."""
        classifier = TreeClassifier.fit(
            self.taxonomy,
            self.inputs.of(self.trained),
            self.classes,
            self.settings.linear_cost,
            self.settings.seed,
            lambda share: on_progress(share * len(self.trained)),
            self.weights,
        )
        found = np.zeros(len(self.tested), np.int64)
        for start in range(0, len(found), _CHUNK_ROWS):
            rows = self.tested[start : start + _CHUNK_ROWS]
            answers = classifier.answer(self.inputs.of(rows), np.full(len(rows), self.classes[0]))
            found[start : start + len(rows)] = answers.classes[:, 0]
            on_progress(len(rows))
        with output_file(self.target) as aside, aside.open("wb") as file:
            np.savez(file, answers=found)


def fit_months(
    dated: DatedCatalog,
    origins: Mapping[int, Sequence[int]],
    windows: Sequence[Window],
    settings: LinearSettings,
    folder: Path,
) -> list[MonthFit]:
    """Learn from each window up to each origin, and answer the months behind it.

    Windows that reach behind the first month choose the same rows, and share a model.

    Args:
        origins: the last month to learn from to the months to answer.
        folder: gets a file a model.
    Raises:
        LabelingError: the disk refused, or a process was killed.
    """
    catalog = dated.catalog
    keep_only(folder, "fit-*.npz", _key(dated, settings))
    inputs = LinearInputs.prepare(catalog, folder, settings.seed)
    wanted: list[tuple[int, Window, _Fit]] = []
    for origin, following in origins.items():
        tested = np.flatnonzero(np.isin(dated.months, list(following)))
        for window in windows:
            rows = window.rows(dated, origin, settings.seed)
            if len(rows) > settings.max_train_rows:
                rows = np.sort(np.random.default_rng(settings.seed).permutation(rows)[: settings.max_train_rows])
            weights = window.weights(dated, origin, rows)
            if weights is not None and (weights == 1).all():
                weights = None
            name = _name(rows, weights, tested)
            fit = _Fit(
                inputs,
                rows,
                weights,
                tested,
                catalog.classes[rows],
                catalog.labels.taxonomy,
                settings,
                folder / name,
            )
            wanted.append((origin, window, fit))
    missing = {fit.target: fit for _, _, fit in wanted if not fit.target.exists()}
    num_models = len({fit.target for _, _, fit in wanted})
    run_tasks(list(missing.values()), f"Train {len(missing)} of {num_models} models", settings)
    return [MonthFit(origin, window, fit.trained, fit.tested, _answers(fit.target)) for origin, window, fit in wanted]


def _answers(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as stored:
        return np.asarray(stored["answers"])


def _name(rows: np.ndarray, weights: np.ndarray | None, tested: np.ndarray) -> str:
    """The file of a model, by all that it is made of beside the catalog and settings."""
    digest = hashlib.sha256()
    for values in (rows, tested, np.ones(0) if weights is None else weights):
        digest.update(len(values).to_bytes(8, "little") + np.ascontiguousarray(values).tobytes())
    return f"fit-{digest.hexdigest()[:16]}.npz"


def _key(dated: DatedCatalog, settings: LinearSettings) -> dict[str, object]:
    return {
        "version": _VERSION,
        "catalog": dated.catalog.encoded.digest,
        "linear_cost": settings.linear_cost,
        "seed": settings.seed,
    }
