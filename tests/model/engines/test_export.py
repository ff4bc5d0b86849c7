"""The programs of a bundle: Keras files, their OpenVINO and ONNX exports, and the check between them."""

import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from model.bundle.bundle import load_bundle
from model.bundle.manifest import write_manifest
from model.bundle_files import FILES, ONNX_WEIGHTS_SUFFIX
from model.engines import export
from model.engines.engine_choice import open_engine
from model.engines.export import replace_classifier, write_onnx_programs, write_programs
from model.errors import BundleError, EngineError
from model.network.classifier import ClassifierShape, build_classifier
from model.settings import FieldSettings, ModelSettings
from tests.toy_backbone import TOY_IMAGE_DIM
from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField
from tokenizer.tokenizer import Tokenizer
from training.commands.command_line import main

NUM_BUCKETS = 4096


def text_classifier() -> keras.Model:
    settings = TokenizerSettings(analyzer="script", vector_size=4, hash_buckets=NUM_BUCKETS)
    fields, frequencies = [TextField("name", 0, 3, 4)], np.ones(NUM_BUCKETS, np.int64)
    tokenizer = Tokenizer(settings, fields, ["red"], np.ones((3, 4), np.float32), frequencies, {"name": 1})
    small = ModelSettings(hidden_dim=2, fcl_dim=4, ngram_dim=2)
    return build_classifier(ClassifierShape(("name",), 3, 0), small, FieldSettings(), tokenizer, seed=0)


def test_programs_without_pictures(tmp_path: Path) -> None:
    write_programs(tmp_path, text_classifier(), None)
    for name in (FILES.classifier, FILES.openvino_classifier, FILES.onnx_classifier):
        assert (tmp_path / name).exists()
    for name in (FILES.image_encoder, FILES.openvino_image_encoder, FILES.onnx_image_encoder):
        assert not (tmp_path / name).exists()


def test_tables_come_back_whole_after_the_conversion(tmp_path: Path) -> None:
    """Small ones stood in for them; ids beyond those are looked up in every engine alike."""
    classifier, random = text_classifier(), np.random.default_rng(0)
    classifier.set_weights([random.normal(size=values.shape) for values in classifier.get_weights()])
    write_programs(tmp_path, classifier, None)
    engines = [open_engine(tmp_path, name) for name in ("keras", "openvino", "onnx")]
    features, _ = engines[0].examples(4)
    ids = random.integers(NUM_BUCKETS // 2, NUM_BUCKETS, features["name_ngram_ids"].shape)
    features["name_ngram_ids"] = ids.astype(np.int32)
    features["presence"][:] = 1
    expected, *others = [engine.classify(features) for engine in engines]
    for found in others:
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)


def test_onnx_weights_lie_beside_the_program_readable_to_all(tmp_path: Path) -> None:
    weights, sizes = tmp_path / f"{FILES.onnx_classifier}{ONNX_WEIGHTS_SUFFIX}", set()
    for _ in range(2):  # a second export replaces them
        write_programs(tmp_path, text_classifier(), None)
        sizes.add(weights.stat().st_size)
    assert len(sizes) == 1
    assert weights.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("package", ["tf2onnx", "onnx", "onnxruntime"])
def test_without_a_package_a_bundle_goes_without_onnx_and_says_so(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, package, None)
        write_programs(tmp_path, text_classifier(), None)
        assert not (tmp_path / FILES.onnx_classifier).exists()
        (message,) = [record.getMessage() for record in caplog.records if record.name == "aisle.export"]
        assert message.endswith(f"run pip install {package}, then python -m training export-onnx")
        with pytest.raises(EngineError, match=f"ONNX programs need {package}; run pip install {package}"):
            write_onnx_programs(tmp_path)
    write_onnx_programs(tmp_path)
    open_engine(tmp_path, "onnx").close()


def test_another_classifier_replaces_all_programs_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_programs(tmp_path, text_classifier(), None)
    other = text_classifier()
    other.set_weights([values + 0.5 for values in other.get_weights()])
    replace_classifier(tmp_path, other)
    engines = [open_engine(tmp_path, name) for name in ("keras", "openvino", "onnx")]
    features, _ = engines[0].examples(3)
    expected, *others = [engine.classify(features) for engine in engines]
    for found in others:
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(EngineError, match="ONNX programs need tf2onnx; run pip install tf2onnx"):
        replace_classifier(tmp_path, other)


def test_an_export_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "EXPORT_TOLERANCE", -1.0)
    with pytest.raises(BundleError, match=r"openvino/classifier.xml differs from Keras in .* by .*, more than -1.0"):
        write_programs(tmp_path, text_classifier(), None)


def test_a_trained_bundle_holds_all_six_programs(toy_bundle: Path) -> None:
    programs = {
        "keras": (FILES.classifier, FILES.image_encoder),
        "openvino": (FILES.openvino_classifier, FILES.openvino_image_encoder),
        "onnx": (FILES.onnx_classifier, FILES.onnx_image_encoder),
    }
    for engine, names in programs.items():
        assert all((toy_bundle / name).stat().st_size > 1_000 for name in names)
        open_engine(toy_bundle, engine).close()


def test_the_command_adds_what_a_bundle_lacks(toy_bundle: Path, tmp_path: Path) -> None:
    lacking = shutil.copytree(toy_bundle, tmp_path / "1", ignore=shutil.ignore_patterns("onnx", FILES.manifest))
    write_manifest(lacking)
    assert main(["export-onnx", "--bundle", str(lacking), "--out", str(tmp_path / "2")]) == 0
    load_bundle(tmp_path / "2")
    assert open_engine(tmp_path / "2", "onnx").encode_images(np.zeros((1, 32, 32, 3), np.uint8)).shape == (
        1,
        TOY_IMAGE_DIM,
    )
