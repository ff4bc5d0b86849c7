"""The joint formula, worked out by hand."""

import numpy as np
import pytest

from model.prediction.answers import softmax
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import SubsetScales
from model.prediction.formula import HeadLogits, JointFormula, LinearPenalty, RowScales, prior_mass

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
    scales = RowScales(np.float32([[1], [2]]), np.zeros((2, 1), np.float32))
    np.testing.assert_allclose(formula.logits(heads, scales), [[42, 0], [0, 31.5]])


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


def test_the_prior_mass_goes_to_all_leaves_in_equal_parts() -> None:
    """p = (1 - m) * softmax + m / K, here with m = 0.2 of K = 4; 0.8 * 0.1 + 0.05 = 0.13 for a leaf with 0.1."""
    shares = np.float32([[0.4, 0.3, 0.2, 0.1], [1.0, 1e-30, 1e-30, 1e-30]])
    logits = np.log(shares)
    found = softmax(JointFormula(prior_mass=0.2).logits(HeadLogits(logits)))
    np.testing.assert_allclose(found, [[0.37, 0.29, 0.21, 0.13], [0.85, 0.05, 0.05, 0.05]], rtol=1e-5)
    np.testing.assert_array_equal(logits, np.log(shares))  # never changed in place
    far = np.float32([[1e4, 0, -1e4, 0]])  # nothing overflows, and nothing is log(0)
    np.testing.assert_allclose(softmax(JointFormula(prior_mass=0.2).logits(HeadLogits(far))), found[1:], rtol=1e-5)


def test_the_prior_mass_of_each_row_is_its_own() -> None:
    scales = RowScales(np.float32([[1.0], [0.5]]), np.float32([[0.0], [0.5]]))
    found = softmax(JointFormula(prior_mass=0.9).logits(HeadLogits(np.float32([[0, 0], [9, 0]])), scales))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.75, 0.25]], atol=1e-6)


def test_the_prior_mass_is_what_laplace_leaves() -> None:
    """After 8 rows, all of them right, the next one is right with 9 / 10."""
    assert prior_mass(8) == pytest.approx(0.1)
    assert prior_mass(0) == 0.5


def test_every_set_of_fields_has_its_temperature_and_prior_mass() -> None:
    """Fields a, b: none and both have the default; a alone has a temperature, b alone a mass."""
    formula = JointFormula(
        temperature=2.0, prior_mass=0.125, subset_temperatures={"a": 3.0}, subset_prior_masses={"b": 0.25}
    )
    found = SubsetScales(formula, ("a", "b")).of_rows(np.float32([[1, 1], [1, 0], [0, 1], [0, 0]]))
    assert found.temperatures.tolist() == [[2], [3], [2], [2]]
    assert found.prior_masses.tolist() == [[0.125], [0.125], [0.25], [0.125]]


def test_a_calibration_survives_json() -> None:
    formula = JointFormula(PENALTY, 0.5, 1.5, 0.01, {"name": 2.0}, {"name": 0.2})
    whole = Calibration(formula, {"name": 0.9}, 0.97, 0.9, (0.5, 2.0), (0.9, 0.0), {"name": (0.6, 2.0)}, ("A>B",))
    for calibration in (whole, Calibration()):
        assert Calibration.from_dict(calibration.to_dict()) == calibration


def test_no_answer_is_surer_than_the_rows_behind_it() -> None:
    """However far apart logits are, n rows support (n + 1) / (n + 2); the order of the leaves stays."""
    random = np.random.default_rng(0)
    logits = random.normal(scale=30, size=(200, 7)).astype(np.float32)
    for num_rows in (8, 98, 998):
        mass = prior_mass(num_rows)
        formula = JointFormula(prior_mass=mass)
        probabilities, plain = softmax(formula.logits(HeadLogits(logits.copy()))), softmax(logits)
        np.testing.assert_allclose(probabilities, (1 - mass) * plain + mass / 7, atol=1e-6)
        assert probabilities.max() <= (num_rows + 1) / (num_rows + 2) + mass / 7 + 1e-6
        np.testing.assert_array_equal(probabilities.argmax(axis=1), logits.argmax(axis=1))


def test_sets_of_fields_have_a_prior_of_their_own() -> None:
    formula = JointFormula(prior_mass=0.1, subset_prior_masses={"a": 0.5})
    scales = SubsetScales(formula, ("a", "b")).of_rows(np.float32([[1, 1], [1, 0]]))
    sure = np.float32([[50, 0], [50, 0]])
    np.testing.assert_allclose(softmax(formula.logits(HeadLogits(sure), scales))[:, 0], [0.95, 0.75], atol=1e-6)
