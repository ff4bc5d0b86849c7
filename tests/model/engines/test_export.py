"""The programs of a bundle: Keras files, their OpenVINO export, and the check between them."""

from pathlib import Path

import keras
import numpy as np
import pytest

from model.bundle_files import FILES
from model.engines import export
from model.engines.engine_choice import open_engine
from model.engines.export import write_programs
from model.errors import BundleError
from model.network.classifier import ClassifierShape, build_classifier
from model.settings import FieldSettings, ModelSettings
from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField
from tokenizer.tokenizer import Tokenizer


def text_classifier() -> keras.Model:
    settings = TokenizerSettings(analyzer="script", vector_size=4, hash_buckets=16)
    fields = [TextField("name", 0, 3, 4)]
    tokenizer = Tokenizer(settings, fields, ["red"], np.ones((3, 4), np.float32), np.ones(16, np.int64), {"name": 1})
    small = ModelSettings(hidden_dim=2, fcl_dim=4, ngram_dim=2)
    return build_classifier(ClassifierShape(("name",), 3, 0), small, FieldSettings(), tokenizer, seed=0)


def test_programs_without_pictures(tmp_path: Path) -> None:
    write_programs(tmp_path, text_classifier(), None)
    assert (tmp_path / FILES.classifier).exists()
    assert (tmp_path / FILES.openvino_classifier).exists()
    assert not (tmp_path / FILES.image_encoder).exists()
    assert not (tmp_path / FILES.openvino_image_encoder).exists()


def test_an_export_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "EXPORT_TOLERANCE", -1.0)
    with pytest.raises(BundleError, match=r"openvino/classifier.xml differs from Keras in .* by .*, more than -1.0"):
        write_programs(tmp_path, text_classifier(), None)


def test_a_trained_bundle_holds_all_four_programs(toy_bundle: Path) -> None:
    for name in (FILES.classifier, FILES.image_encoder, FILES.openvino_classifier, FILES.openvino_image_encoder):
        assert (toy_bundle / name).stat().st_size > 1_000
    open_engine(toy_bundle, "openvino").close()
