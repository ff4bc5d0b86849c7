"""keras-tuner's search algorithms, each begun with the base settings and fully restored after an interruption.

An oracle chooses the next trial from the results so far. It stores nothing on disk here: its own files are written
one after the other, so that a kill between two of them repeats finished trials or loses running ones. Its
`oracle_state` is stored by `training/tune/scheduling/record.py` instead, together with the trials.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import keras_tuner
import numpy as np
from keras_tuner.engine.hyperparameters import HyperParameters
from keras_tuner.engine.trial import Trial
from sklearn.exceptions import ConvergenceWarning

from training.tune.space.dimension import Dimension, encode
from training.tune.space.space import Space

Tuner = Literal["hyperband", "bayesian", "random", "grid"]
#: Share of the trials that Bayesian search draws at random before it uses its model.
_INITIAL_SHARE = 0.25
_MIN_INITIAL = 5
#: Points at which the model is evaluated: random ones, and some around each of the best trials.
_NUM_RANDOM, _NUM_BEST, _NUM_NEAR = 2000, 5, 200
#: Hyperband ends by --trials or --budget-minutes, not by itself.
_HYPERBAND_ITERATIONS = 1_000_000


class _RecordedOracle:
    """Mixin of all oracles whose state is stored in the record; to be listed before the algorithm."""

    hyperparameters: HyperParameters
    trials: dict[str, Trial]

    def save(self) -> None:
        """Do nothing, because the record stores the state."""

    def _save_trial(self, trial: Trial) -> None:
        """Do nothing, because the record stores the trials."""

    def score_trial(self, trial: Trial) -> None:
        """Set the score to that of the weights that training keeps, not to the best epoch's."""
        trial.score = trial.metrics.get_history(self.objective.name)[-1].mean()  # type: ignore[attr-defined]
        trial.best_step = trial.metrics.get_history(self.objective.name)[-1].step  # type: ignore[attr-defined]

    def _random_values(self) -> dict[str, Any] | None:
        """Return the point nearest to the base settings first, in whose place these are trained; then random values."""
        if not self.trials:
            return default_values(self.hyperparameters)
        values: dict[str, Any] | None = super()._random_values()  # type: ignore[misc]
        return values


class RandomOracle(_RecordedOracle, keras_tuner.oracles.RandomSearchOracle):
    """Random search with independent draws."""


class HyperbandOracle(_RecordedOracle, keras_tuner.oracles.HyperbandOracle):
    """Hyperband: many short trainings, the best of which are continued (Li et al. 2018)."""


class BayesianOracle(_RecordedOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimisation with a Gaussian process over the trials so far.

    keras-tuner maximises the acquisition function by 50 descents with numeric gradients, which takes ten seconds in 20
    dimensions, and most hyperparameters are choices without a gradient. Here it is the best of many points.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Choose the next point, seeded by the trial's number, so that an interrupted search resumes identically."""
        num_known = sum(trial.status == "COMPLETED" for trial in self.trials.values())
        if num_known < self.num_initial_points:
            return dict(self._random_populate_space())
        points, losses = self._vectorize_trials()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # with few points any length scale may fit
            self.gpr.fit(points, losses)
        drawn = np.random.default_rng((self.seed, len(self.trials)))
        best = points[np.argsort(losses)[:_NUM_BEST]]
        near = np.repeat(best, _NUM_NEAR, axis=0)
        moved = drawn.random(near.shape) < 0.3
        near = np.clip(near + moved * drawn.normal(0.0, 0.2, near.shape), 0.0, 1.0)
        candidates = np.concatenate([drawn.random((_NUM_RANDOM, points.shape[1])), near])
        mean, deviation = self.gpr.predict(candidates, return_std=True)
        for i in np.argsort(mean - self.beta * deviation):
            values = self._vector_to_values(candidates[i])
            if not self._duplicate(values):
                return {"status": "RUNNING", "values": values}
        return {"status": "STOPPED", "values": None}  # every candidate has been tried


class GridOracle(_RecordedOracle, keras_tuner.oracles.GridSearchOracle):
    """Grid search; fixes keras-tuner's, which loses its position at a restart and waits for trials to end."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Choose the next combination without waiting for results, so that any number of workers have trials."""
        found: dict[str, Any] = super().populate_space(trial_id)
        if found["values"] is not None:
            self._populate_next.append(trial_id)
        return found

    def get_state(self) -> dict[str, Any]:
        """Return the state, with the order of trials and those whose next combination is due."""
        order = self._ordered_ids
        state: dict[str, Any] = super().get_state()
        following = [[before, after] for before, after in order._next_index.items()]
        return {**state, "order": [order._memory, following, order._last_index], "next": self._populate_next}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `get_state` returned."""
        super().set_state(state)
        memory, following, last = state["order"]
        order = self._ordered_ids
        order._memory = list(memory)
        order._data_to_index = {trial_id: index for index, trial_id in enumerate(memory)}
        order._next_index.update(dict(following))
        order._last_index = last
        self._populate_next = list(state["next"])


def build_oracle(
    tuner: Tuner, space: Space, objective: str, num_trials: int, seed: int, max_epochs: int
) -> keras_tuner.Oracle:
    """Build an oracle that maximises `objective` over a space.

    Args:
        num_trials: most trials; for Hyperband the scheduler enforces it.
        max_epochs: epochs of a full training.
    """
    common = {
        "objective": keras_tuner.Objective(objective, "max"),
        "hyperparameters": hyperparameters(space),
        "seed": seed + 1,  # 0 would mean no seed
        "max_consecutive_failed_trials": None,  # the scheduler counts failures
    }
    oracle: keras_tuner.Oracle
    if tuner == "hyperband":
        oracle = HyperbandOracle(max_epochs=max_epochs, hyperband_iterations=_HYPERBAND_ITERATIONS, **common)
    elif tuner == "bayesian":
        initial = max(_MIN_INITIAL, round(_INITIAL_SHARE * num_trials))
        oracle = BayesianOracle(max_trials=num_trials, num_initial_points=initial, **common)
    else:
        oracle = {"random": RandomOracle, "grid": GridOracle}[tuner](max_trials=num_trials, **common)
    oracle.verbose = 0
    return oracle


def oracle_state(oracle: keras_tuner.Oracle) -> dict[str, Any]:
    """Return the state of an oracle without its trials, as plain values."""
    return dict(oracle.get_state())


def restore_oracle(oracle: keras_tuner.Oracle, state: Mapping[str, Any], trials: Mapping[str, Mapping]) -> None:
    """Restore the state that `oracle_state` returned.

    Args:
        trials: the state of each trial by id.
    """
    oracle.trials = {trial_id: Trial.from_state(stored) for trial_id, stored in trials.items()}
    oracle.set_state(state)


def hyperparameters(space: Space) -> HyperParameters:
    """Convert a space to keras-tuner's hyperparameters; the defaults are the point nearest to the base settings."""
    found = HyperParameters()
    for dimension in space.dimensions:
        _declare(found, dimension, [(name, [*map(encode, values)]) for name, values in dimension.when.items()])
    return found


def default_values(space: HyperParameters) -> dict[str, Any]:
    """Return the default of every active hyperparameter."""
    found = HyperParameters()
    for parameter in space.space:
        found.merge([parameter])  # sets its default when its conditions hold
    return dict(found.values)


def _declare(found: HyperParameters, dimension: Dimension, conditions: list[tuple[str, list]]) -> None:
    if conditions:
        name, options = conditions[0]
        with found.conditional_scope(name, options):
            _declare(found, dimension, conditions[1:])
        return
    if dimension.kind == "choice":
        found.Choice(
            dimension.key,
            [encode(value) for value in dimension.values],
            ordered=isinstance(encode(dimension.values[0]), int | float),
            default=encode(dimension.default),
        )
        return
    low, high = dimension.values
    sampling = "log" if dimension.kind == "log" else "linear"
    is_whole = dimension.kind == "int" or (dimension.kind == "log" and isinstance(low, int))
    declare = found.Int if is_whole else found.Float
    declare(dimension.key, low, high, step=dimension.step, sampling=sampling, default=dimension.default)
