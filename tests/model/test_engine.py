"""Both engines run the same bundle and agree; each row is answered as if alone."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from model.bundle import Bundle, load_bundle
from model.bundle_files import FILES
from model.engine import Engine, Features, open_engine
from model.errors import EngineError
from model.keras_engine import KerasEngine
from model.openvino_engine import OpenVinoEngine, OpenVinoProgram
from model.product import Product

NAMES = ("반팔 티셔츠", "데님 청바지 스키니", "LG gram 노트북 15인치", "", "zebra", "x" * 200, "게이밍 laptop")


@pytest.fixture(scope="module")
def bundle(toy_bundle: Path) -> Bundle:
    return load_bundle(toy_bundle)


@pytest.fixture(scope="module")
def features(bundle: Bundle) -> Features:
    random = np.random.default_rng(0)
    pictures = random.random((len(NAMES), bundle.image_feature_dim), dtype=np.float32)
    products = [
        Product(str(i), name, "PC" if i % 2 else "", "brand1", "", image_features=pictures[i] if i % 3 else None)
        for i, name in enumerate(NAMES)
    ]
    return bundle.preprocessor.features(products)


@pytest.fixture(scope="module")
def engines(toy_bundle: Path) -> dict[str, Engine]:
    return {"openvino": open_engine(toy_bundle, "openvino"), "keras": open_engine(toy_bundle, "keras")}


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def assert_same(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Relative to the largest number, for the features of an untrained backbone are tiny."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * float(np.abs(expected).max()))


def test_the_engines_agree(engines: dict[str, Engine], features: Features) -> None:
    keras, openvino = (engines[name].classify(features) for name in ("keras", "openvino"))
    assert set(keras) == set(openvino) == {
        "name_logits", "mall_category_logits", "image_logits", "joint_logits", "embedding",
    }  # fmt: skip
    for name, expected in keras.items():
        assert_same(openvino[name], expected, 1e-5)
    encoded = [engines[name].encode_images(images(3)) for name in ("keras", "openvino")]
    assert encoded[0].shape == (3, 1280)
    assert_same(encoded[1], encoded[0], 1e-4)


@pytest.mark.parametrize("name", ["openvino", "keras"])
def test_a_row_is_the_same_alone_and_in_any_batch(engines: dict[str, Engine], features: Features, name: str) -> None:
    engine = engines[name]
    together, pictures = engine.classify(features), images(5)
    encoded = engine.encode_images(pictures)
    for rows in (slice(0, 1), slice(3, 4), slice(2, 5), slice(0, 5)):
        alone = engine.classify({key: values[rows] for key, values in features.items()})
        for output, values in alone.items():
            assert_same(values, together[output][rows], 1e-5)
        assert_same(engine.encode_images(pictures[rows]), encoded[rows], 1e-4)


@pytest.mark.parametrize("name", ["openvino", "keras"])
def test_the_answer_outlives_the_next_question(engines: dict[str, Engine], features: Features, name: str) -> None:
    first = engines[name].classify(features)
    kept = {output: values.copy() for output, values in first.items()}
    engines[name].classify({key: values[::-1].copy() for key, values in features.items()})
    for output, values in first.items():
        np.testing.assert_array_equal(values, kept[output])


def test_bfloat16_gives_nearly_the_same(toy_bundle: Path, engines: dict[str, Engine], features: Features) -> None:
    rough = open_engine(toy_bundle, "openvino", precision="bfloat16", threads=1)
    exact = engines["openvino"].classify(features)["joint_logits"]
    assert np.abs(rough.classify(features)["joint_logits"] - exact).max() < 0.1 * np.abs(exact).max()
    rough.close()


def test_auto_takes_openvino_and_falls_back_to_keras(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_engine(toy_bundle).name == "openvino"
    monkeypatch.delitem(sys.modules, "model.openvino_engine")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert open_engine(toy_bundle).name == "keras"
    with pytest.raises(EngineError, match=r"engine openvino is not installed .*; run pip install openvino or pass"):
        open_engine(toy_bundle, "openvino")


def test_an_unknown_engine_or_precision(toy_bundle: Path) -> None:
    with pytest.raises(EngineError, match="expected an engine of auto, openvino, keras, found 'onnx'"):
        open_engine(toy_bundle, "onnx")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="expected precision float32 or bfloat16, found 'int8'"):
        open_engine(toy_bundle, "openvino", precision="int8")


def test_programs_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"OpenVINO cannot run .*nowhere.xml"):
        OpenVinoProgram(tmp_path / "nowhere.xml")
    with pytest.raises(EngineError, match=r"Keras cannot load .*classifier.keras: "):
        KerasEngine(tmp_path)


def test_a_bundle_without_pictures_says_so(toy_bundle: Path, tmp_path: Path, features: Features) -> None:
    copied = shutil.copytree(toy_bundle, tmp_path / "text")
    (copied / FILES.image_encoder).unlink()
    (copied / FILES.openvino_image_encoder).unlink()
    for engine in (KerasEngine(copied), OpenVinoEngine(copied)):
        with pytest.raises(EngineError, match="this bundle has no picture branch; leave pictures out"):
            engine.encode_images(images(1))
        assert len(engine.classify(features)["joint_logits"]) == len(NAMES)
