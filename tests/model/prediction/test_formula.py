"""The joint formula, worked out by hand."""

import numpy as np

from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetTemperatures
from model.prediction.formula import HeadLogits, JointFormula, LinearPenalty

PENALTY = LinearPenalty(weight=2.5, cap=-0.1, slope=0.2)


def test_scores_above_the_cap_count_less() -> None:
    scores = np.array([[-1.1, -0.1, 1.9]], np.float32)
    np.testing.assert_allclose(PENALTY.of(scores), [[-2.5, 0.0, 1.0]], atol=1e-6)
    np.testing.assert_allclose(LinearPenalty(2.5, -0.1, 0.0).of(scores), [[-2.5, 0.0, 0.0]], atol=1e-6)
    assert scores.tolist() == np.float32([[-1.1, -0.1, 1.9]]).tolist()  # left as they were


def test_the_temperature_divides_network_and_penalty_and_not_the_neighbours() -> None:
    """(1 + 10 * 2) / 4 + 7 * 3 = 26.25 for a product's own class; 0 for the other."""
    eye = np.eye(2, dtype=np.float32)
    heads = HeadLogits(eye, 2 * eye, 3 * eye)
    formula = JointFormula(LinearPenalty(10.0, 0.0, 1.0), neighbor_weight=7.0, temperature=4.0)
    np.testing.assert_allclose(formula.evidence(heads), 21 * eye)
    np.testing.assert_allclose(formula.logits(heads), 26.25 * eye)
    np.testing.assert_allclose(formula.logits(heads, np.float32([[1], [2]])), [[42, 0], [0, 31.5]])


def test_a_head_that_a_bundle_lacks_is_left_out() -> None:
    eye = np.eye(2, dtype=np.float32)
    formula = JointFormula(LinearPenalty(10.0, 0.0, 1.0), neighbor_weight=7.0, temperature=0.5)
    np.testing.assert_allclose(formula.logits(HeadLogits(eye)), 2 * eye)
    np.testing.assert_allclose(JointFormula().logits(HeadLogits(eye, eye, eye)), eye)
    assert (eye == np.eye(2)).all()  # never changed in place


def test_recalibrating_divides_the_logits() -> None:
    random = np.random.default_rng(0)
    heads = HeadLogits(*(random.normal(size=(5, 3)).astype(np.float32) for _ in range(3)))
    formula = JointFormula(PENALTY, 0.7, 1.3)
    np.testing.assert_allclose(formula.recalibrated(1.7).logits(heads), formula.logits(heads) / 1.7, rtol=1e-5)


def test_every_set_of_fields_has_its_temperature() -> None:
    """Fields a, b: none and both have the default."""
    formula = JointFormula(temperature=2.0, subset_temperatures={"a": 3.0})
    found = SubsetTemperatures(formula, ("a", "b")).of_rows(np.float32([[1, 1], [1, 0], [0, 1], [0, 0]]))
    assert found.tolist() == [[2], [3], [2], [2]]


def test_a_calibration_survives_json() -> None:
    formula = JointFormula(PENALTY, 0.5, 1.5, {"name": 2.0})
    whole = Calibration(formula, {"name": 0.9}, 0.97, 0.9, (0.5, 2.0), (0.9, 0.0), {"name": (0.6, 2.0)}, ("A>B",))
    for calibration in (whole, Calibration()):
        assert Calibration.from_dict(calibration.to_dict()) == calibration
