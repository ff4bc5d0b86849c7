"""Pictures to features, once."""

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from catalog.pictures.decoding import picture_fault
from model.errors import PictureError
from model.settings import ImageSettings
from tests.training.conftest import Runs
from training.encoding.picture_encoding import PictureEncoder

MeanColor = tuple[keras.Model, ImageSettings]


def png(red: int, green: int, blue: int) -> bytes:
    return cv2.imencode(".png", np.full((8, 8, 3), (blue, green, red), np.uint8))[1].tobytes()


def features(encoder: PictureEncoder, found: list[int | PictureError]) -> np.ndarray:
    return encoder.cache.features()[encoder.cache.rows([key for key in found if isinstance(key, int)])]


def test_features_follow_the_pictures(mean_color: MeanColor, tmp_path: Path, runs: Runs) -> None:
    encoder = PictureEncoder(*mean_color, tmp_path)
    colors = [(i, 2 * i, 255 - i) for i in range(70)]
    found = encoder.embed([png(*color) for color in colors])
    np.testing.assert_allclose(features(encoder, found), colors, rtol=1e-5)
    assert runs.rows == [8] * 8 + [6]


def test_a_second_call_embeds_nothing(mean_color: MeanColor, tmp_path: Path, runs: Runs) -> None:
    pictures = [png(1, 2, 3), png(9, 9, 9)]
    first = PictureEncoder(*mean_color, tmp_path).embed(pictures)
    assert runs.rows == [2]
    again = PictureEncoder(*mean_color, tmp_path)
    assert again.embed(pictures[::-1]) == first[::-1]
    assert runs.rows == [2]
    again.embed([*pictures, png(4, 4, 4)])
    assert runs.rows == [2, 1]


def test_duplicates_in_one_call_are_embedded_once(mean_color: MeanColor, tmp_path: Path, runs: Runs) -> None:
    encoder = PictureEncoder(*mean_color, tmp_path)
    found = encoder.embed([png(1, 2, 3), png(9, 9, 9), png(1, 2, 3)])
    assert runs.rows == [2]
    assert found[0] == found[2] != found[1]


def test_a_broken_picture_costs_no_neighbour(mean_color: MeanColor, tmp_path: Path, runs: Runs) -> None:
    encoder = PictureEncoder(*mean_color, tmp_path)
    lost = PictureError("expected a picture file, found none")
    pictures: list[bytes | PictureError] = [
        png(10, 20, 30),
        b"no picture",
        lost,
        png(10, 20, 30)[:60],
        png(90, 80, 70),
        b"no picture",
    ]
    found = encoder.embed(pictures)
    np.testing.assert_allclose(features(encoder, found), [[10, 20, 30], [90, 80, 70]], rtol=0.01)
    assert [isinstance(key, int) for key in found] == [True, False, False, False, True, False]
    assert found[2] is lost
    assert "found 10 bytes of none of them" in str(found[1])
    assert "damaged or cut off" in str(found[3])
    assert runs.rows == [2]


def test_the_mirrored_picture_follows(mean_color: MeanColor, tmp_path: Path, runs: Runs) -> None:
    images = keras.Input((8, 8, 3), dtype="uint8", name="images")
    left = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(keras.layers.Cropping2D(((0, 7), (0, 7)))(images)))
    corner = keras.Model(images, {"image_features": keras.layers.Activation("linear", name="image_features")(left)})
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0, 0], pixels[0, 7] = (1, 2, 3), (4, 5, 6)  # BGR
    picture = cv2.imencode(".png", pixels)[1].tobytes()
    encoder = PictureEncoder(corner, mean_color[1], tmp_path, np.uint8, is_mirrored=True)
    found = features(encoder, encoder.embed([picture]))
    assert found.tolist() == [[3, 2, 1, 6, 5, 4]]
    assert found.dtype == np.uint8
    assert runs.rows == [1, 1]
    assert PictureEncoder(corner, mean_color[1], tmp_path, np.uint8).digest != encoder.digest


def test_nothing_to_embed(mean_color: MeanColor, tmp_path: Path, runs: Runs) -> None:
    assert PictureEncoder(*mean_color, tmp_path).embed([]) == []
    assert runs.rows == []


def test_other_weights_have_a_cache_of_their_own(mean_color: MeanColor, tmp_path: Path) -> None:
    model, settings = mean_color
    encoder = PictureEncoder(model, settings, tmp_path)
    images = keras.Input((8, 8, 3), dtype="uint8", name="images")
    means = keras.layers.Dense(3, name="mix")(model(images)["image_features"])
    means = keras.layers.Activation("linear", name="image_features")(means)
    mixed = keras.Model(images, {"image_features": means})
    digests = {encoder.digest, PictureEncoder(mixed, settings, tmp_path).digest}
    mixed.set_weights([2 * weights + 1 for weights in mixed.get_weights()])
    digests.add(PictureEncoder(mixed, settings, tmp_path).digest)
    assert len(digests) == 3
    assert len(list((tmp_path / "features").iterdir())) == 3


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("the picture is damaged", "unreadable picture: a.jpg: the picture is damaged"),
        ("/shop/a.jpg: expected a picture file", "unreadable picture: /shop/a.jpg: expected a picture file"),
    ],
)
def test_a_fault_names_its_picture_once(error: str, expected: str) -> None:
    assert picture_fault("a.jpg", PictureError(error)) == expected
