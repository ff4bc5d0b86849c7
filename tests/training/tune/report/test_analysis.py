"""The analysis of hyperparameters, on trials with planted effects."""

import numpy as np
import pytest

from training.tune.report.analysis import (
    hyperparameter_names,
    measure_effects,
    pareto_front,
    scored_trials,
)
from training.tune.scheduling.trial import SearchTrial


def trial(number: int, score: float | None, parent: str = "", **values: object) -> SearchTrial:
    made = SearchTrial(number, str(number), values, {}, 3, parent)
    made.status, made.score = ("failed" if score is None else "completed"), score
    return made


def planted(count: int = 60) -> list[SearchTrial]:
    """Trials in which fcl_dim helps, relu is better than tanh, luck is noise and batch_size is constant."""
    drawn = np.random.default_rng(0)
    trials = []
    for i in range(count):
        fcl_dim, activation = int(drawn.choice([64, 128, 256])), str(drawn.choice(["relu", "tanh"]))
        score = 0.5 + fcl_dim / 1000 + (0.1 if activation == "relu" else 0.0) + float(drawn.normal(0, 0.005))
        values = {"fcl_dim": fcl_dim, "activation": activation, "luck": float(drawn.random()), "batch_size": 32}
        trials.append(trial(i, score, **values))
    return trials


def test_planted_effects_are_found_and_noise_is_not() -> None:
    found = measure_effects(planted())
    assert [effect.name for effect in found.effects] == ["fcl_dim", "activation", "luck"]
    fcl_dim, activation, luck = found.effects
    assert (fcl_dim.test, activation.test, luck.test) == ("Spearman", "Kruskal-Wallis", "Spearman")
    assert fcl_dim.strength is not None
    assert fcl_dim.strength > 0.7
    assert fcl_dim.p_value is not None
    assert fcl_dim.p_value < 1e-6
    assert activation.p_value is not None
    assert activation.p_value < 0.01
    assert luck.p_value is not None
    assert luck.p_value > 0.05
    assert luck.importance is not None
    assert luck.importance < 0.05
    assert sum(effect.importance or 0.0 for effect in found.effects) == pytest.approx(1.0)
    assert found.forest_fit is not None
    assert found.forest_fit > 0.9


def test_a_correlation_by_eye() -> None:
    """Check six trials whose scores rise with one value and fall with the other."""
    found = {e.name: e for e in measure_effects([trial(i, i / 10, up=i, down=-i) for i in range(6)]).effects}
    assert found["up"].strength == pytest.approx(1.0)
    assert found["down"].strength == pytest.approx(-1.0)


def test_a_hyperparameter_that_is_active_in_some_trials_only() -> None:
    trials = [trial(i, i / 10, up=i, **({"image_size": 32 * i} if i % 2 else {})) for i in range(14)]
    found = {effect.name: effect for effect in measure_effects(trials).effects}
    assert found["image_size"].num_trials == 7
    assert found["image_size"].strength == pytest.approx(1.0)


@pytest.mark.parametrize("trials", [[], [trial(0, 0.5, a=1)], [trial(i, 0.5, a=i) for i in range(9)]])
def test_too_few_or_equal_trials_have_no_effects(trials: list[SearchTrial]) -> None:
    found = measure_effects(trials)
    assert found.forest_fit is None
    assert all(effect.strength is None and effect.importance is None for effect in found.effects)


def test_of_hyperband_s_rounds_the_last_counts() -> None:
    trials = [trial(0, 0.5, a=1), trial(1, 0.4, a=2), trial(2, 0.7, "0", a=1), trial(3, None, a=3)]
    assert [one.trial_id for one in scored_trials(trials)] == ["1", "2"]
    assert hyperparameter_names(trials) == ["a"]


def test_the_pareto_front_by_eye() -> None:
    """Latency 1 2 2 3 4 with scores 0.5 0.6 0.7 0.6 0.8: the slower of equal or worse score are off it."""
    trials = [trial(i, score) for i, score in enumerate((0.5, 0.6, 0.7, 0.6, 0.8, 0.9))]
    for one, latency in zip(trials[:5], (1, 2, 2, 3, 4), strict=True):
        one.figures["latency_ms"] = latency
    assert pareto_front(trials, "latency_ms") == {"0", "2", "4"}
