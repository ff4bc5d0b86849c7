"""Every engine runs the same bundle alike; each row is answered as if alone."""

import logging
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from model.bundle.bundle import Bundle, load_bundle
from model.bundle.manifest import write_manifest
from model.bundle_files import FILES, ONNX_WEIGHTS_SUFFIX
from model.engines import engine_choice, keras_program, openvino_engine
from model.engines.engine import Engine, EngineName, Precision
from model.engines.engine_choice import open_engine
from model.engines.export import write_onnx_programs
from model.engines.keras_engine import KerasEngine
from model.engines.keras_program import KerasProgram
from model.engines.onnx_engine import OnnxProgram
from model.engines.openvino_engine import OpenVinoEngine, OpenVinoProgram, processor_capabilities
from model.errors import EngineError
from model.features import Features
from model.product import Product
from tests.toy_backbone import TOY_IMAGE_DIM

needs_bfloat16 = pytest.mark.skipif("BF16" not in processor_capabilities(), reason="a processor without bfloat16")
#: Engine, precision, and how far from OpenVINO in float32 its outputs and picture features may be, relative to the
#: largest number (the features of an untrained backbone are tiny).
ENGINES = [
    pytest.param(("openvino", "float32", 1e-5, 1e-4), id="openvino"),
    pytest.param(("openvino", "bfloat16", 0.1, 0.3), id="openvino-bfloat16", marks=needs_bfloat16),
    pytest.param(("onnx", "float32", 1e-5, 1e-4), id="onnx"),
    pytest.param(("keras", "float32", 1e-5, 1e-4), id="keras"),
    pytest.param(("keras", "bfloat16", 0.1, 0.3), id="keras-bfloat16"),
]
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
def reference(toy_bundle: Path) -> Engine:
    return open_engine(toy_bundle, "openvino")


def without_onnx(bundle: Path, folder: Path) -> Path:
    """Copy a bundle as it is where the packages for ONNX were missing."""
    copied = shutil.copytree(bundle, folder / "1", ignore=shutil.ignore_patterns("onnx", FILES.manifest))
    write_manifest(copied)
    return copied


@pytest.fixture(scope="module", params=ENGINES)
def opened(toy_bundle: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Engine, float, float]]:
    """An engine and its tolerances of outputs and picture features; closed at the end, it refuses."""
    name, precision, of_outputs, of_features = request.param
    engine = open_engine(toy_bundle, name, precision)
    assert (engine.name, engine.precision) == (name, precision)
    yield engine, of_outputs, of_features
    engine.close()
    for call in (lambda: engine.encode_images(images(1)), lambda: engine.classify({})):
        with pytest.raises(EngineError, match="this engine is closed; open the bundle again"):
            call()


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def assert_same(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * float(np.abs(expected).max()))


def test_the_engines_agree(opened: tuple[Engine, float, float], reference: Engine, features: Features) -> None:
    engine, of_outputs, of_features = opened
    expected, found = reference.classify(features), engine.classify(features)
    heads = ("name", "mall_category", "image", "linear", "network")
    assert set(found) == {*(f"{head}_logits" for head in heads), "embedding"}
    for name, values in expected.items():
        assert_same(found[name], values, of_outputs)
    encoded = reference.encode_images(images(3))
    assert encoded.shape == (3, TOY_IMAGE_DIM)
    assert_same(engine.encode_images(images(3)), encoded, of_features)


def test_a_row_is_the_same_alone_and_in_any_batch(opened: tuple[Engine, float, float], features: Features) -> None:
    engine, *tolerances = opened
    of_outputs, of_features = (min(tolerance, 0.02) for tolerance in tolerances)
    together, pictures = engine.classify(features), images(5)
    encoded = engine.encode_images(pictures)
    for rows in (slice(0, 1), slice(3, 4), slice(2, 5), slice(0, 5)):
        alone = engine.classify({key: values[rows] for key, values in features.items()})
        for output, values in alone.items():
            assert_same(values, together[output][rows], of_outputs)
        assert_same(engine.encode_images(pictures[rows]), encoded[rows], of_features)


def test_the_answer_outlives_the_next_question(opened: tuple[Engine, float, float], features: Features) -> None:
    first = opened[0].classify(features)
    kept = {output: values.copy() for output, values in first.items()}
    opened[0].classify({key: values[::-1].copy() for key, values in features.items()})
    for output, values in first.items():
        np.testing.assert_array_equal(values, kept[output])


def test_keras_cuts_large_batches_and_pads_small_ones(toy_bundle: Path) -> None:
    program = KerasProgram(toy_bundle / FILES.image_encoder, "float32", max_rows=4)
    sizes: list[int] = []
    start = program._start

    def counted(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        sizes.append(len(inputs["images"]))
        return start(inputs)

    program._start = counted
    whole = program.run({"images": images(7)})["image_features"]
    assert sizes == [4, 4]
    program.run({"images": images(7)[:2]})
    assert sizes == [4, 4, 2]
    assert program.run({"images": images(7)[:0]})["image_features"].shape == (0, TOY_IMAGE_DIM)
    expected = OpenVinoProgram(toy_bundle / FILES.openvino_image_encoder).run({"images": images(7)})
    assert_same(whole, expected["image_features"], 1e-4)


def test_bfloat16_is_what_it_says(toy_bundle: Path, reference: Engine, features: Features) -> None:
    """Keras rounds to 8 bits, so it cannot equal float32 to 1e-5."""
    exact, rough = reference.classify(features), KerasEngine(toy_bundle, "bfloat16").classify(features)
    assert (
        np.abs(exact["network_logits"] - rough["network_logits"]).max() > 1e-4 * np.abs(exact["network_logits"]).max()
    )


def test_precision_follows_the_processor(toy_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "processor_capabilities", lambda: ["FP32", "BF16", "INT8"])
    assert openvino_engine.resolve_precision("auto") == openvino_engine.resolve_precision("bfloat16") == "bfloat16"
    monkeypatch.setattr(openvino_engine, "processor_capabilities", lambda: ["FP32", "INT8"])
    assert open_engine(toy_bundle, "openvino", "auto").precision == "float32"
    with pytest.raises(
        EngineError, match=r"expected a processor that computes in bfloat16 .*, found FP32, INT8; choose"
    ):
        open_engine(toy_bundle, "openvino", "bfloat16")
    assert open_engine(toy_bundle, "keras", "auto").precision == "float32"
    with pytest.raises(EngineError, match=r"expected 0 threads .* with engine keras, found 2; its backend fixes them"):
        open_engine(toy_bundle, "keras", threads=2)


def test_auto_takes_openvino_and_falls_back_to_onnx_and_keras(
    toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aisle.engine")
    monkeypatch.setattr(engine_choice, "has_nvidia_driver", lambda: False)
    assert open_engine(toy_bundle, threads=1).name == "openvino"
    monkeypatch.delitem(sys.modules, "model.engines.openvino_engine")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert open_engine(toy_bundle).name == "onnx"
    assert open_engine(without_onnx(toy_bundle, tmp_path)).name == "keras"
    with pytest.raises(EngineError, match=r"engine openvino is not installed .*; run pip install openvino or choose"):
        open_engine(toy_bundle, "openvino")
    messages = [record.getMessage() for record in caplog.records]
    openvino = "engine openvino in float32 on CPU: no NVIDIA driver here, OpenVINO is there"
    assert messages[0] == openvino
    assert messages[1].startswith("engine onnx in float32 on CPU: no NVIDIA driver here, OpenVINO is missing (")
    assert messages[1].endswith("), ONNX Runtime is there")
    assert messages[2].startswith("engine keras in float32 on CPU: no NVIDIA driver here, OpenVINO is missing (")
    assert len(messages) == 3


def test_auto_asks_keras_for_a_gpu(
    toy_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The driver's device file is there; what Keras computes on decides."""
    caplog.set_level(logging.INFO, "aisle.engine")
    monkeypatch.setattr(engine_choice, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(keras_program, "gpu_backend", lambda: "tensorflow")
    assert open_engine(toy_bundle).name == "keras"
    monkeypatch.setattr(keras_program, "gpu_backend", lambda: "")
    assert open_engine(toy_bundle).name == "openvino"
    monkeypatch.setitem(sys.modules, "model.engines.keras_program", None)
    assert open_engine(toy_bundle).name == "openvino"
    messages = [record.getMessage().partition(": ")[2] for record in caplog.records]
    assert messages[0] == "Keras sees a GPU through tensorflow"
    assert messages[1] == "Keras sees no GPU, OpenVINO is there"
    assert messages[2].startswith("Keras cannot look for the GPU (")


def test_onnx_says_what_it_lacks(toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match=r"expected onnx/classifier.onnx in bundle .*, found none; write a bundle"):
        open_engine(without_onnx(toy_bundle, tmp_path), "onnx")
    with pytest.raises(EngineError, match="expected precision auto or float32 with engine onnx, found bfloat16"):
        open_engine(toy_bundle, "onnx", "bfloat16")
    assert open_engine(toy_bundle, "onnx", "auto", threads=1).device == "CPU"
    (tmp_path / "broken.onnx").write_bytes(b"no program")
    with pytest.raises(EngineError, match=r"ONNX Runtime cannot run .*broken.onnx: "):
        OnnxProgram(tmp_path / "broken.onnx")
    monkeypatch.delitem(sys.modules, "model.engines.onnx_engine")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError, match=r"engine onnx is not installed .*; run pip install onnxruntime or choose"):
        open_engine(toy_bundle, "onnx")
    with pytest.raises(EngineError, match=r"ONNX programs need onnxruntime; run pip install onnxruntime"):
        write_onnx_programs(tmp_path)


def test_an_unknown_engine_or_precision(toy_bundle: Path) -> None:
    with pytest.raises(EngineError, match=f"expected an engine of {', '.join(get_args(EngineName))}, found 'onyx'"):
        open_engine(toy_bundle, "onyx")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=f"expected a precision of {', '.join(get_args(Precision))}, found 'int4'"):
        open_engine(toy_bundle, "openvino", precision="int4")  # type: ignore[arg-type]


def test_programs_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"OpenVINO cannot read .*nowhere.xml"):
        OpenVinoProgram(tmp_path / "nowhere.xml")
    with pytest.raises(EngineError, match=r"Keras cannot load .*classifier.keras: "):
        KerasEngine(tmp_path)


def test_few_rows_and_many_give_the_same_logits(toy_bundle: Path, features: Features) -> None:
    """They run on different programs."""
    engine = OpenVinoEngine(toy_bundle, threads=2, many_callers=True)
    many = {name: np.repeat(values[:1], 9, axis=0) for name, values in features.items()}
    expected = engine.classify(many, all_heads=False)
    for count in range(1, 9):
        few = {name: values[:count] for name, values in many.items()}
        for name, values in engine.classify(few, all_heads=False).items():
            np.testing.assert_allclose(values, expected[name][:count], atol=1e-5)


def test_a_bundle_without_pictures_says_so(toy_bundle: Path, tmp_path: Path, features: Features) -> None:
    copied = shutil.copytree(toy_bundle, tmp_path / "text")
    (copied / FILES.image_encoder).unlink()
    (copied / FILES.openvino_image_encoder).unlink()
    for engine in (KerasEngine(copied), OpenVinoEngine(copied)):
        with pytest.raises(EngineError, match="this bundle has no picture branch; leave pictures out"):
            engine.encode_images(images(1))
        assert len(engine.classify(features)["network_logits"]) == len(NAMES)


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_many_callers_get_a_stream_each_and_the_same_answers(
    name: EngineName, toy_bundle: Path, reference: Engine, features: Features
) -> None:
    engine = open_engine(toy_bundle, name, threads=3, many_callers=True)
    assert (engine.num_streams, reference.num_streams) == (3, 1)
    expected = reference.classify(features)
    with ThreadPoolExecutor(4) as pool:
        for outputs in pool.map(lambda _: engine.classify(features), range(12)):
            for head, values in expected.items():
                assert_same(outputs[head], values, 1e-5)


def test_the_formula_s_heads_alone_are_those_among_all(reference: Engine, features: Features) -> None:
    alone, among_all = reference.classify(features, all_heads=False), reference.classify(features)
    assert sorted(alone) == ["embedding", "linear_logits", "network_logits"]
    for name, values in alone.items():
        assert_same(values, among_all[name], 1e-6)


def test_one_thread_runs_both_sizes_of_batch_on_one_program(toy_bundle: Path, features: Features) -> None:
    """A second compilation for one thread would be the first again, and its memory."""
    engine = OpenVinoEngine(toy_bundle, threads=1)
    joint = engine._opened().joint_classifier
    assert joint._small is joint._large
    many = {name: np.repeat(values[:1], 40, axis=0) for name, values in features.items()}
    logits = engine.classify(many, all_heads=False)["network_logits"]
    np.testing.assert_allclose(logits, np.repeat(logits[:1], 40, axis=0), atol=1e-5)


def test_mapped_weights_answer_as_copied_ones(toy_bundle: Path, features: Features) -> None:
    copied, mapped = open_engine(toy_bundle, "onnx"), open_engine(toy_bundle, "onnx", threads=1, map_weights=True)
    for name, values in copied.classify(features).items():
        assert_same(mapped.classify(features)[name], values, 1e-6)
    assert_same(mapped.encode_images(images(3)), copied.encode_images(images(3)), 1e-6)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads a process' pages from Linux")
@pytest.mark.parametrize("map_weights", [False, True])
def test_weights_are_pages_of_their_file_only_when_asked_for(map_weights: bool, toy_bundle: Path) -> None:
    """A file that is cut off while its pages are in use kills the process."""
    engine = open_engine(toy_bundle, "onnx", threads=1, map_weights=map_weights)
    mapped = f"{toy_bundle / FILES.onnx_classifier}{ONNX_WEIGHTS_SUFFIX}" in Path("/proc/self/maps").read_text()
    engine.close()
    assert mapped == map_weights


def test_a_bundle_behind_a_link_can_be_mapped(toy_bundle: Path, tmp_path: Path, features: Features) -> None:
    (tmp_path / "linked").symlink_to(toy_bundle, target_is_directory=True)
    engine = open_engine(tmp_path / "linked", "onnx", map_weights=True)
    assert len(engine.classify(features)["network_logits"]) == len(NAMES)
