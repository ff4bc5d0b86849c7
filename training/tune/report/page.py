"""The search's report.html: one self-contained file with data, style and script, which opens from disk."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.machine.whole_file import whole_file
from training.report.page_environment import page_environment
from training.tune.report.analysis import (
    MIN_TRIALS,
    Effects,
    hyperparameter_names,
    is_number,
    measure_effects,
    pareto_front,
    scored_trials,
)
from training.tune.report.trial_table import best_first, duration
from training.tune.scheduling.trial import SearchTrial

REPORT_FILE = "report.html"
_TEMPLATE = "page.html.jinja"
_SCRIPT = "page.js"
_NUM_ENDS = 5
#: Costs that a better score is compared with, with their labels.
COSTS = {"latency_ms": "ms per product", "num_parameters": "parameters"}


@dataclass(frozen=True)
class PageFacts:
    """The content of the page beside the trials.

    Args:
        objective: name of the score.
        lines: sentences of the verdict.
        facts: {"Search": "hyperband, 30 trials"}.
        base_trial: id of the trial with the base settings, "" without one.
        log_axes: hyperparameters shown on a logarithmic axis.
    """

    title: str
    objective: str
    lines: Sequence[str]
    facts: Mapping[str, str]
    base_trial: str
    log_axes: frozenset[str] = frozenset()


def write_page(folder: Path, trials: Sequence[SearchTrial], facts: PageFacts) -> Path:
    """Write the page.

    Args:
        trials: all trials of the search.
    Returns:
        The path of the page.
    """
    scored = scored_trials(trials)
    effects = measure_effects(scored)
    environment = page_environment(Path(__file__).parent)
    environment.filters.update(figure=_figure, p_value=_p_value, short=_short, duration=_took)
    ranked = best_first(scored)
    text = environment.get_template(_TEMPLATE).render(
        facts=facts,
        data=_embedded(_page_data(trials, scored, effects, facts)),
        script=(Path(__file__).parent / _SCRIPT).read_text(encoding="utf-8"),
        effects=effects,
        min_trials=MIN_TRIALS,
        best=ranked[:_NUM_ENDS],
        worst=ranked[_NUM_ENDS:][-_NUM_ENDS:][::-1],
        failed=[trial for trial in trials if trial.status == "failed"],
        scored=scored,
        names=[effect.name for effect in effects.effects],
        trials=trials,
    )
    path = folder / REPORT_FILE
    with whole_file(path) as file:
        file.write_text(text, encoding="utf-8")
    return path


def _page_data(
    trials: Sequence[SearchTrial], scored: Sequence[SearchTrial], effects: Effects, facts: PageFacts
) -> dict[str, Any]:
    """Return the data of the charts."""
    names = [effect.name for effect in effects.effects] or hyperparameter_names(scored)
    fronts = {cost: pareto_front(scored, cost) for cost in COSTS}
    rows = [
        {
            "id": trial.trial_id,
            "score": trial.score,
            "status": trial.status,
            "values": {name: trial.hyperparameters.get(name) for name in names},
            "costs": {cost: trial.figures.get(cost) for cost in COSTS},
            "fronts": [cost for cost, front in fronts.items() if trial.trial_id in front],
            "settings": _settings_text(trial, names),
        }
        for trial in scored
    ]
    curves = [
        {"id": trial.trial_id, "points": [[row["epoch"], row[facts.objective]] for row in trial.history]}
        for trial in trials
        if trial.history
    ]
    axes = [{"name": name, "isNumber": is_number(scored, name), "isLog": name in facts.log_axes} for name in names]
    return {"objective": facts.objective, "axes": axes, "trials": rows, "curves": curves, "costs": COSTS}


def _settings_text(trial: SearchTrial, names: Sequence[str]) -> str:
    """Format a trial's hyperparameters, the most important first."""
    values = {name: trial.hyperparameters[name] for name in names if name in trial.hyperparameters}
    return ", ".join(f"{name} {_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _embedded(data: Mapping[str, Any]) -> str:
    """Return JSON that cannot close the script element that contains it."""
    return json.dumps(_finite(data), ensure_ascii=False, allow_nan=False).replace("</", "<\\/")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figure(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _took(trial: SearchTrial) -> str:
    attempt = trial.attempts[-1]
    return duration((attempt.ended_at or attempt.started_at) - attempt.started_at)
