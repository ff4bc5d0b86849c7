"""The report's plots: real PNGs, drawn without a warning from any input."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.metrics.confidence import reliability_bins, risk_coverage
from training.metrics.outcomes import Outcomes
from training.report.plots import (
    DARK,
    LIGHT,
    Palette,
    accuracy_bars_plot,
    has_learning_curves,
    learning_curves_plot,
    reliability_plot,
    risk_coverage_plot,
)

HISTORY: list[dict[str, Any]] = [
    {"epoch": 1, "loss": 2.0, "val_loss": 2.1, "joint_accuracy": 0.4, "val_joint_accuracy": 0.3, "learning_rate": 1e-3},
    {"epoch": 2, "loss": 1.0, "val_loss": float("nan"), "joint_accuracy": 0.6, "val_joint_accuracy": 0.5, "note": "x"},
]


def outcomes(num_rows: int) -> Outcomes:
    rng = np.random.default_rng(0)
    confidences = rng.random(num_rows).astype(np.float32)
    labels = (rng.random(num_rows) > confidences).astype(np.int32)
    return Outcomes(labels, np.zeros(num_rows, np.int32), confidences, labels + 1)


def colors_in(png: bytes) -> set[tuple[int, ...]]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert min(image.size) > 100
        return {color for _, color in image.convert("RGB").getcolors(maxcolors=1 << 24)}  # type: ignore[union-attr, misc]


def rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("num_rows", [1, 3, 500])
def test_confidence_plots_are_drawn_in_their_colours(num_rows: int, palette: Palette) -> None:
    case = outcomes(num_rows)
    reliability = reliability_plot(reliability_bins(case), palette)
    coverage = risk_coverage_plot(risk_coverage(case), 0.98, palette)
    assert {rgb(palette.surface), rgb(palette.series[0])} <= colors_in(reliability)
    assert rgb(palette.surface) in colors_in(coverage)


def test_no_data_is_an_empty_frame() -> None:
    nothing = outcomes(0)
    colors_in(reliability_plot(reliability_bins(nothing)))
    colors_in(risk_coverage_plot(risk_coverage(nothing), 0.98))
    colors_in(accuracy_bars_plot({}))


def test_an_accuracy_of_none_draws_no_bar() -> None:
    bar = rgb(LIGHT.series[0])
    assert bar in colors_in(accuracy_bars_plot({"name": 0.5, "image": None}))
    assert bar not in colors_in(accuracy_bars_plot({"image": None}))


def test_learning_curves_draw_what_history_holds() -> None:
    assert has_learning_curves(HISTORY, "loss")
    assert has_learning_curves(HISTORY, "accuracy")
    assert not has_learning_curves([], "loss")
    assert not has_learning_curves([{"learning_rate": 0.1, "loss": float("nan")}], "loss")
    loss, accuracy = (colors_in(learning_curves_plot(HISTORY, measure)) for measure in ("loss", "accuracy"))
    assert rgb(LIGHT.series[0]) in loss  # the loss of all heads comes first
    assert rgb(LIGHT.series[1]) in accuracy  # the joint head has the second colour in both plots
    assert rgb(LIGHT.series[0]) not in accuracy
    colors_in(learning_curves_plot(HISTORY[:1], "loss"))
