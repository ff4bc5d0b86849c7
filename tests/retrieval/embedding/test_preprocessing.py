"""The TOML file of an encoder that a shop brings."""

from pathlib import Path

import numpy as np
import pytest

from model.errors import SettingsError
from retrieval.embedding.preprocessing import PicturePreprocessing, read_preprocessing


def test_pixels_are_normalized_and_laid_out() -> None:
    preprocessing = PicturePreprocessing(2, "float32", "NCHW", (10.0, 20.0, 30.0), (2.0, 4.0, 5.0))
    images = np.full((1, 2, 2, 3), (12, 24, 40), np.uint8)
    prepared = preprocessing.prepare(images)
    assert prepared.shape == (1, 3, 2, 2)
    np.testing.assert_allclose(prepared[0, :, 0, 0], (1, 1, 2))


def test_pixels_as_they_are() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(PicturePreprocessing(2).prepare(images), images)


def test_a_file_with_a_text_tower(tmp_path: Path) -> None:
    path = tmp_path / "clip.toml"
    path.write_text('image_size = 8\n[text]\nprogram = "t.onnx"\ntokenizer = "t.json"\nnum_tokens = 5\n')
    picture, text = read_preprocessing(path)
    assert picture == PicturePreprocessing(8)
    assert text is not None
    assert text.num_tokens == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_sise = 8", r"clip\.toml: unknown setting 'image_sise'; the settings are image_size, dtype"),
        ("mean = [1.0]", "mean: expected 3 numbers"),
        ("std = [1.0, 0.0, 1.0]", "std: expected numbers above 0"),
        ("image_size = 0", "image_size: expected 1 or more"),
        ("image_size =", r"clip\.toml is not TOML"),
        ('[text]\nprogram = "t.onnx"', r"clip\.toml: \[text\]: .*tokenizer"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "clip.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_preprocessing(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file or directory; write it beside the ONNX file"):
        read_preprocessing(tmp_path / "clip.toml")
