"""A linear classifier over a category tree: the probability of a leaf is the product of those of the steps to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from labeling.answers.decision_paths import decision_paths
from labeling.answers.step_classifier import StepClassifier
from labeling.answers.top_answers import TopAnswers
from model.taxonomy import Taxonomy

#: Nodes less probable than this are not looked into, unless the given class lies there.
_LEAST_LOG_PROBABILITY = -9.0
_CHUNK_ROWS = 2048
_LOG_TEMPERATURES = (-4.0, 2.0)

OnProgress = Callable[[float], object]


class TreeClassifier:
    """Answers rows; see `fit`.

    Args:
        paths: (K, D) int64, see `decision_paths`.
        steps: by column of `paths`, the classifiers of the nodes before it by their number.
        is_known: (K,) bool, classes of which there was a row to learn from.
    """

    def __init__(self, paths: np.ndarray, steps: list[dict[int, StepClassifier]], is_known: np.ndarray):
        self.paths = paths
        self.steps = steps
        self.is_known = is_known
        self.temperatures = np.ones(len(steps))
        parents = np.vstack([np.zeros(len(paths), np.int64), paths.T[:-1]])
        self._possible = [_possible(column, before, is_known) for column, before in zip(paths.T, parents, strict=True)]

    @classmethod
    def fit(
        cls,
        taxonomy: Taxonomy,
        inputs: sparse.csr_matrix,
        classes: np.ndarray,
        cost: float,
        seed: int,
        on_progress: OnProgress,
        row_weights: np.ndarray | None = None,
    ) -> TreeClassifier:
        """Learn from labelled rows.

        Args:
            inputs: (N, U).
            classes: (N,) int.
            cost, row_weights: see `StepClassifier`.
            on_progress: called with the share that is done since the last call.
        """
        paths = decision_paths(taxonomy, inputs, classes, seed)
        steps: list[dict[int, StepClassifier]] = []
        parents = np.zeros(len(classes), np.int64)
        for column in paths.T:
            children = column[classes]
            found: dict[int, StepClassifier] = {}
            for parent, rows in _rows_by_value(parents):
                part = len(rows) / (len(classes) * paths.shape[1])
                if (children[rows] == children[rows[0]]).all():
                    on_progress(part)
                    continue

                def advance(share: float, part: float = part) -> None:
                    on_progress(share * part)

                weights = None if row_weights is None else row_weights[rows]
                found[parent] = StepClassifier.fit(inputs[rows], children[rows], cost, seed, advance, weights)
            steps.append(found)
            parents = children
        is_known = np.zeros(taxonomy.num_leaves, bool)
        is_known[classes] = True
        return cls(paths, steps, is_known)

    def calibrate(self, inputs: sparse.csr_matrix, classes: np.ndarray) -> None:
        """Fit a temperature for each step (Guo et al. 2017) on rows that were not learned from."""
        parents = np.zeros(len(classes), np.int64)
        for depth, (column, step) in enumerate(zip(self.paths.T, self.steps, strict=True)):
            found = []
            children = column[classes]
            for parent, rows in _rows_by_value(parents):
                if parent in step:
                    known = rows[np.isin(children[rows], step[parent].children)]
                    positions = np.searchsorted(step[parent].children, children[known])
                    found.append((step[parent].margins(inputs[known]), positions))
            if any(len(positions) for _, positions in found):
                self.temperatures[depth] = _temperature(found)
            parents = children

    def answer(self, inputs: sparse.csr_matrix, given: np.ndarray) -> TopAnswers:
        """Answer N rows.

        Args:
            given: (N,) int, the class that each was given.
        """
        parts = [
            self._answer_chunk(inputs[start : start + _CHUNK_ROWS], given[start : start + _CHUNK_ROWS])
            for start in range(0, len(given), _CHUNK_ROWS)
        ]
        return TopAnswers.concatenate(parts)

    def _answer_chunk(self, inputs: sparse.csr_matrix, given: np.ndarray) -> TopAnswers:
        found = TopAnswers.of(np.exp(self._log_probabilities(inputs, given)), given)
        found.given[~self.is_known[given]] = np.nan
        return found

    def _log_probabilities(self, inputs: sparse.csr_matrix, given: np.ndarray) -> np.ndarray:
        """(N, K) float32 of the classes; -inf where a step before is next to impossible."""
        nodes = np.zeros((inputs.shape[0], 1), np.float32)
        parents = np.zeros(len(self.paths), np.int64)
        for depth, column in enumerate(self.paths.T):
            following = np.full((len(nodes), column.max() + 1), -np.inf, np.float32)
            for parent, possible in self._possible[depth].items():
                rows = np.flatnonzero((nodes[:, parent] > _LEAST_LOG_PROBABILITY) | (parents[given] == parent))
                if not len(rows):
                    continue
                step = self.steps[depth].get(parent)
                if step is None:
                    following[np.ix_(rows, possible)] = nodes[rows, parent][:, None] - np.log(len(possible))
                    continue
                chances = log_softmax(step.margins(inputs[rows]) / self.temperatures[depth], axis=1)
                following[np.ix_(rows, step.children)] = nodes[rows, parent][:, None] + chances
            nodes, parents = following, column
        return nodes[:, self.paths[:, -1]]


def _possible(children: np.ndarray, parents: np.ndarray, is_known: np.ndarray) -> dict[int, np.ndarray]:
    """By node the children to choose from where nothing was learned: those that were seen, else all."""
    found = {}
    for parent, classes in _rows_by_value(parents):
        known = classes[is_known[classes]]
        found[parent] = np.unique(children[known if len(known) else classes])
    return found


def _rows_by_value(values: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Each value with the positions where it stands."""
    order = np.argsort(values, kind="stable")
    found, starts = np.unique(values[order], return_index=True)
    return list(zip(found.tolist(), np.split(order, starts[1:]), strict=True))


def _temperature(found: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """The temperature under which the right children are most likely."""

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return -sum(
            float(log_softmax(margins * scale, axis=1)[np.arange(len(positions)), positions].sum())
            for margins, positions in found
            if len(positions)
        )

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded").x))
