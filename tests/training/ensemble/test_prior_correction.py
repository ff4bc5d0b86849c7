"""The correction of shares: on answers whose shares are known, and as biases of a model."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from model.network.classifier import ClassifierShape
from model.network.linear_head import LinearHead
from model.prediction.answers import softmax
from model.prediction.formula import HeadLogits
from model.settings import SamplingSettings
from training.ensemble.calibration_rows import CalibrationRows
from training.ensemble.prior_correction import CorrectedRows, PriorCorrection
from training.ensemble.trained_model import TrainedModel
from training.sampling.row_draw import RowDraw, draw_by_category

SIZES = np.array([900, 90, 10])
FIELDS = ("name", "brand")


def drawn(tau: float = 0.0) -> RowDraw:
    settings = SamplingSettings("temperature", sampling_temperature=1e9, logit_adjustment=tau)
    return draw_by_category(np.repeat(np.arange(3), SIZES), 3, settings)


def answered(count: int, temperature: float, tau: float = 0.0) -> CalibrationRows:
    """Products of the true shares, as a perfect model of balanced rows answers them, but for its temperature."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), SIZES * count // SIZES.sum()).astype(np.int32)
    labels = random.permutation(labels)
    signal = random.normal(size=(count, 3)) + 1.5 * np.eye(3)[labels]  # normal, so that its log-likelihoods are 1.5 x
    balanced = np.float32(1.5) * signal.astype(np.float32) - drawn(tau).loss_offsets
    logits = (balanced * temperature).astype(np.float32)
    presence = np.ones((count, 2), np.float32)
    heads = HeadLogits(logits, linear=logits.copy())
    return CalibrationRows(heads, {"name": logits.copy()}, labels, presence, np.arange(count))


class Source:
    """Rows as a source gives them."""

    def __init__(self, rows: CalibrationRows):
        self.fields = FIELDS
        self.rows = rows

    def hidden(self, kept: tuple[str, ...]) -> CalibrationRows:
        presence = np.array([[field in kept for field in FIELDS]] * len(self.rows), np.float32)
        return replace(self.rows, presence=presence)


def masses(logits: np.ndarray, temperature: float) -> np.ndarray:
    return np.asarray(softmax(logits, temperature).sum(axis=0))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_answers_have_the_true_shares_whatever_their_temperature(temperature: float, tau: float) -> None:
    rows = answered(100_000, temperature, tau)
    true = np.bincount(rows.labels)
    corrected = CorrectedRows(Source(rows), drawn(tau)).rows
    for logits in (corrected.heads.network, corrected.single_heads["name"]):
        np.testing.assert_allclose(masses(logits, temperature), true, rtol=0.06)
    before = masses(rows.heads.network, temperature)
    assert before[2] > 8 * true[2]
    assert before[0] < 0.75 * true[0]


def test_the_offsets_are_the_theory_s_where_the_model_is_right() -> None:
    rows = answered(100_000, temperature=2.0)
    offsets = PriorCorrection.of(rows, FIELDS, drawn()).offsets
    assert offsets.keys() == {"joint", "name", "linear"}
    for head in ("joint", "name", "linear"):
        np.testing.assert_allclose(offsets[head], 2 * drawn().network_offsets, rtol=0.05)


def test_the_linear_head_is_corrected_for_drawn_rows_only() -> None:
    """Logits are adjusted in the network's loss; the SVM has none."""
    settings = SamplingSettings(logit_adjustment=1.0)
    adjusted = draw_by_category(np.repeat(np.arange(3), SIZES), 3, settings)
    offsets = PriorCorrection.of(answered(2_000, 1.0), FIELDS, adjusted).offsets
    assert np.abs(offsets["linear"]).max() < 1e-6
    assert offsets["joint"][0] - offsets["joint"][2] > 3  # log 90 is 4.5


def test_rows_without_the_rare_categories_do_not_ask_for_any_number() -> None:
    rows = answered(1_000, 1.0)
    rows = replace(rows, labels=np.zeros(1_000, np.int32))
    offsets = PriorCorrection.of(rows, FIELDS, drawn()).offsets
    assert np.isfinite(offsets["joint"]).all()
    assert offsets["joint"][0] > offsets["joint"][1] > offsets["joint"][2]


def test_without_text_the_linear_logits_stay_0() -> None:
    rows = answered(1_000, 1.0)
    has_text = np.arange(1_000) % 2
    linear = rows.heads.linear * has_text[:, None].astype(np.float32)  # type: ignore[operator]
    presence = np.repeat(has_text[:, None], 2, axis=1).astype(np.float32)
    rows = replace(rows, heads=replace(rows.heads, linear=linear), presence=presence)
    corrected = CorrectedRows(Source(rows), drawn())
    assert corrected.rows.heads.linear is not None
    assert not corrected.rows.heads.linear[::2].any()
    assert corrected.rows.heads.linear[1::2].any()
    assert corrected.hidden(("brand",)).heads.linear is not None


def test_hidden_rows_are_corrected_as_all_are() -> None:
    corrected = CorrectedRows(Source(answered(1_000, 1.0)), drawn())
    np.testing.assert_array_equal(corrected.hidden(("name",)).heads.network, corrected.rows.heads.network)
    assert corrected.fields == FIELDS


def test_the_model_answers_as_its_corrected_rows_say() -> None:
    shape = ClassifierShape(("name",), 3, 0)
    given = keras.Input((4,), name="x")
    outputs = {
        f"{head}_logits": keras.layers.Dense(3, name=f"{head}_classes", bias_initializer="random_normal")(given)
        for head in shape.heads
    }
    network = keras.Model(given, outputs)
    linear = LinearHead(
        np.zeros((2, 2), np.float16), np.zeros((2, 3), np.float32), np.ones(3, np.float32), 1, {}, {}, {}
    )
    model = TrainedModel(shape, network, network, linear, None)
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    before = {name: np.asarray(logits) for name, logits in network(inputs).items()}
    rows = CalibrationRows(
        HeadLogits(before["joint_logits"], np.ones((5, 3), np.float32)),
        {"name": before["name_logits"]},
        np.array([0, 0, 0, 1, 2], np.int32),
        np.ones((5, 1), np.float32),
        np.arange(5),
    )
    correction = PriorCorrection.of(rows, ("name",), drawn())
    expected = correction.of_rows(rows, ("name",))
    corrected = correction.of_model(model)
    after = corrected.classifier(inputs)
    np.testing.assert_allclose(after["joint_logits"], expected.heads.network, atol=1e-6)
    np.testing.assert_allclose(after["name_logits"], expected.single_heads["name"], atol=1e-6)
    assert corrected.linear is not None
    np.testing.assert_allclose(np.tile(corrected.linear.biases, (5, 1)), expected.heads.linear)
