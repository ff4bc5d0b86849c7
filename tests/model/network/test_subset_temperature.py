"""How sure answers are by the fields that a product has, in the program and in its files."""

from pathlib import Path

import keras
import numpy as np

from model.engines.openvino_engine import OpenVinoProgram
from model.network.classifier import build_classifier
from model.network.linear_head import LinearVote, add_linear_head
from model.network.subset_temperature import add_subset_sharpness, sharpness_of_rows, unsharpened_logits
from model.network.wider_classifier import widen_classifier
from model.prediction.field_subsets import subset_code
from model.product import FIELDS
from tests.model.network.test_classifier import SETTINGS, SHAPE, TOKENIZER, features, run
from tests.model.network.test_linear_head import linear_head

SHARPNESS = np.ones(2 ** len(FIELDS), np.float32)
SHARPNESS[[subset_code(given, FIELDS) for given in (("name",), ("brand", "image"))]] = (0.5, 0.25)
GIVEN = (FIELDS, ("name",), ("brand", "image"), ())


def inputs_with_fields() -> dict[str, np.ndarray]:
    inputs = features(len(GIVEN))
    inputs["presence"] = np.array([[field in given for field in FIELDS] for given in GIVEN], np.float32)
    return inputs


def test_rows_have_the_sharpness_of_their_fields() -> None:
    presence = inputs_with_fields()["presence"]
    assert sharpness_of_rows(SHARPNESS, presence).tolist() == [[1], [0.5], [0.25], [1]]


def test_joint_logits_count_what_the_fields_make_of_them(tmp_path: Path) -> None:
    """With a linear head, in the file that is loaded again, in its export, and with more classes."""
    network = build_classifier(SHAPE, SETTINGS, TOKENIZER, seed=0)
    whole = add_linear_head(network, SHAPE, linear_head(), LinearVote(2.5, -0.1, 0.2))
    sharpened, inputs = add_subset_sharpness(whole, SHARPNESS), inputs_with_fields()
    expected = run(whole, inputs)
    expected["joint_logits"] = expected["joint_logits"] * np.array([1, 0.5, 0.25, 1])[:, None]
    found = run(sharpened, inputs)
    assert list(found) == list(run(whole, inputs))
    sharpened.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras", compile=False, safe_mode=True)
    sharpened.export(str(tmp_path / "classifier.xml"), format="openvino", verbose=False)
    served = OpenVinoProgram(tmp_path / "classifier.xml").run(inputs)
    wide = run(widen_classifier(loaded, 3, 1), inputs)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(run(loaded, inputs)[name], found[name])
        np.testing.assert_allclose(served[name], values, rtol=0, atol=0.01)  # weights in 16 bits
        np.testing.assert_allclose(wide[name][:, : values.shape[1]], values, rtol=1e-5, atol=1e-5)


def test_what_comes_before_can_be_read() -> None:
    network = build_classifier(SHAPE, SETTINGS, TOKENIZER, seed=0)
    inputs = inputs_with_fields()
    expected = run(network, inputs)["joint_logits"]
    for classifier in (network, add_subset_sharpness(network, SHARPNESS)):
        program = keras.Model(classifier.input, {"logits": unsharpened_logits(classifier)})
        np.testing.assert_array_equal(run(program, inputs)["logits"], expected)


def test_numbers_of_1_leave_the_program_as_it_is() -> None:
    network = build_classifier(SHAPE, SETTINGS, TOKENIZER, seed=0)
    assert add_subset_sharpness(network, np.ones_like(SHARPNESS)) is network
