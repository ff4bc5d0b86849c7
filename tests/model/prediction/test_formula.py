"""The joint formula, worked out by hand."""

import numpy as np
import pytest

from model.prediction.answers import probabilities
from model.prediction.calibration import Calibration
from model.prediction.field_subsets import prior_mass_values, temperature_values
from model.prediction.formula import HeadLogits, JointFormula, LinearPenalty, prior_mass

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
    formula = JointFormula(PENALTY, 0.7, 1.3, prior_mass=0.25)
    np.testing.assert_allclose(formula.recalibrated(1.7).logits(heads), formula.logits(heads) / 1.7, rtol=1e-5)


def test_the_prior_mass_goes_to_all_leaves_in_equal_parts() -> None:
    """p = (1 - m) * softmax + m / K, with m = 0.2 of K = 4; 0.8 * 0.1 + 0.05 = 0.13 for a leaf with 0.1."""
    shares = np.float32([[0.4, 0.3, 0.2, 0.1], [1.0, 1e-30, 1e-30, 1e-30]])
    logits, masses = np.log(shares), np.float32([[0.2], [0.2]])
    found = probabilities(logits, masses)
    np.testing.assert_allclose(found, [[0.37, 0.29, 0.21, 0.13], [0.85, 0.05, 0.05, 0.05]], rtol=1e-5)
    np.testing.assert_array_equal(logits, np.log(shares))  # never changed in place
    far = np.float32([[1e4, 0, -1e4, 0]])
    np.testing.assert_allclose(probabilities(far, masses[:1]), found[1:], rtol=1e-5)


def test_the_prior_mass_of_each_row_is_its_own() -> None:
    found = probabilities(np.float32([[0, 0], [9, 0], [9, 0]]), np.float32([[0.9], [0.5], [0.0]]))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]], atol=2e-4)


def test_the_prior_mass_is_what_laplace_leaves() -> None:
    """After 8 rows, all of them right, the next one is right with 9 / 10."""
    assert prior_mass(8) == pytest.approx(0.1)
    assert prior_mass(0) == 0.5


def test_every_set_of_fields_has_its_temperature_and_prior_mass() -> None:
    """Fields a, b: none and both have the default; a alone has a temperature, b alone a mass."""
    formula = JointFormula(
        temperature=2.0, prior_mass=0.125, subset_temperatures={"a": 3.0}, subset_prior_masses={"b": 0.25}
    )
    presence = np.float32([[1, 1], [1, 0], [0, 1], [0, 0]])
    assert temperature_values(formula, ("a", "b")).of_rows(presence).tolist() == [[2], [3], [2], [2]]
    assert prior_mass_values(formula, ("a", "b")).of_rows(presence).tolist() == [[0.125], [0.125], [0.25], [0.125]]


def test_a_calibration_survives_json() -> None:
    formula = JointFormula(PENALTY, 0.5, 1.5, 0.01, {"name": 2.0}, {"name": 0.2})
    whole = Calibration(formula, {"name": 0.9}, 0.97, 0.9, (0.5, 2.0), (0.9, 0.0), {"name": (0.6, 2.0)}, ("A>B",))
    for calibration in (whole, Calibration()):
        assert Calibration.from_dict(calibration.to_dict()) == calibration


def test_no_answer_is_surer_than_the_rows_behind_it() -> None:
    """However far apart logits are, n rows support (n + 1) / (n + 2); the order of the leaves stays."""
    random = np.random.default_rng(0)
    logits = random.normal(scale=30, size=(200, 7)).astype(np.float32)
    plain = probabilities(logits, np.zeros((1, 1), np.float32))
    for num_rows in (8, 98, 998):
        mass = prior_mass(num_rows)
        found = probabilities(logits, np.full((200, 1), mass, np.float32))
        np.testing.assert_allclose(found, (1 - mass) * plain + mass / 7, atol=1e-6)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        assert found.max() <= (num_rows + 1) / (num_rows + 2) + mass / 7 + 1e-6
        np.testing.assert_array_equal(found.argmax(axis=1), logits.argmax(axis=1))
