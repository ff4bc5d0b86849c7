"""Quantisation: an int8 image encoder beside the float32 one, with its accuracy; the given bundle is unchanged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.bundle.bundle import load_bundle
from model.bundle.manifest import verify_bundle
from model.bundle_files import FILES
from model.engines.engine_choice import open_engine
from model.errors import BundleError, EngineError
from tests.conftest import toy_picture, write_catalog
from tests.toy_backbone import TOY_IMAGE_DIM
from training.commands.command_line import main
from training.report.model_card import model_card


@pytest.fixture(scope="module")
def quantized(toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quantized") / "toy" / "2"
    arguments = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1]), "--out", str(out), "--pictures", "16"]
    assert main(["quantize", *arguments]) == 0
    return out


def test_the_new_bundle_is_complete_and_has_the_accuracies(quantized: Path, toy_bundle: Path) -> None:
    verify_bundle(quantized)
    figures = json.loads((quantized / FILES.quantization).read_text(encoding="utf-8"))
    assert (figures["catalog"], figures["num_pictures"]) == ("val.csv", 16)
    expected = load_bundle(toy_bundle).metrics
    assert figures["float32"]["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-6)
    assert figures["float32"]["count"] == figures["int8"]["count"] == expected["count"]
    assert 0 <= figures["int8"]["image_accuracy"] <= 1
    bundle = load_bundle(quantized)
    assert bundle.metrics["contract_by_precision"] == {"int8": figures["int8"]["contract"]}
    assert figures["int8"]["contract"]["count"] == figures["int8"]["count"]
    assert bundle.calibration == load_bundle(toy_bundle).calibration
    card = (quantized / FILES.model_card).read_text(encoding="utf-8")
    assert f"| accuracy | {figures['float32']['accuracy']:.4f} | {figures['int8']['accuracy']:.4f} |" in card
    assert not (toy_bundle / FILES.quantization).exists()
    for program in (FILES.openvino_classifier, FILES.openvino_image_encoder):
        assert (quantized / program).read_bytes() == (toy_bundle / program).read_bytes()


def test_the_card_has_the_figures_of_the_last_quantization(
    quantized: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path
) -> None:
    again = tmp_path / "3"
    arguments = ["--bundle", str(quantized), "--catalog", str(toy_catalogs[1]), "--out", str(again), "--pictures", "8"]
    assert main(["quantize", *arguments]) == 0
    card = (again / FILES.model_card).read_text(encoding="utf-8")
    assert card.count("## Image encoder in int8") == 1
    assert "Calibrated on 8 pictures of val.csv" in card


def test_a_card_says_that_figures_are_of_before(quantized: Path) -> None:
    """As after `add-category`, which drops what held for the old model."""
    bundle = load_bundle(quantized)
    figures = json.loads((quantized / FILES.quantization).read_text(encoding="utf-8"))
    said = "That was before categories were added; quantize again"
    assert said not in model_card(bundle, figures)
    assert said in model_card(replace(bundle, metrics={**bundle.metrics, "contract_by_precision": {}}), figures)


def test_the_int8_engine_answers(quantized: Path) -> None:
    engine = open_engine(quantized, "openvino", "int8")
    assert engine.precision == "int8"
    features = engine.encode_images(np.zeros((3, 32, 32, 3), np.uint8))
    assert (features.shape, features.dtype) == ((3, TOY_IMAGE_DIM), np.float32)
    engine.close()
    with pytest.raises(EngineError, match="this engine is closed"):
        engine.encode_images(np.zeros((3, 32, 32, 3), np.uint8))


def test_int8_without_its_program(toy_bundle: Path) -> None:
    with pytest.raises(
        EngineError, match=r"expected openvino/image_encoder_int8.xml in bundle .*, found none; write a"
    ):
        open_engine(toy_bundle, "openvino", "int8")
    with pytest.raises(EngineError, match="with engine keras, found int8; try openvino"):
        open_engine(toy_bundle, "keras", "int8")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--pictures": "0"}, "--pictures: expected 1 or more, found 0"),
        ({"--out": "BUNDLE"}, "expected another folder than the bundle's own"),
        ({"--catalog": "TEXT"}, "expected pictures to calibrate with, found 0 and none readable"),
        ({"--catalog": "BROKEN"}, "expected pictures to calibrate with, found 1 and none readable"),
    ],
)
def test_what_cannot_be_quantized(
    changed: dict[str, str],
    message: str,
    toy_bundle: Path,
    toy_catalogs: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {"product_id": "1", "product_name": "데님", "category": "의류>하의>청바지"}
    (tmp_path / "broken.jpg").write_bytes(toy_picture((1, 2, 3), 0)[:100])
    text = write_catalog(tmp_path / "text.csv", [row])
    broken = write_catalog(tmp_path / "broken.csv", [{**row, "image": "broken.jpg"}])
    places = {"BUNDLE": str(toy_bundle), "TEXT": str(text), "BROKEN": str(broken)}
    given = {"--bundle": str(toy_bundle), "--catalog": str(toy_catalogs[1]), "--out": str(tmp_path / "out"), **changed}
    assert main(["quantize", *(places.get(word, word) for pair in given.items() for word in pair)]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_bundle_is_derived_from_a_damaged_one(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = shutil.copytree(toy_bundle, tmp_path / "damaged")
    (damaged / FILES.openvino_image_encoder).write_bytes(b"")
    with pytest.raises(BundleError, match=r"is damaged: openvino/image_encoder.xml"):
        load_bundle(damaged)
    arguments = ["--bundle", str(damaged), "--catalog", str(toy_catalogs[1]), "--out", str(tmp_path / "out")]
    assert main(["quantize", *arguments]) == 1
    assert "is damaged: openvino/image_encoder.xml" in capsys.readouterr().err
