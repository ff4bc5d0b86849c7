import io

import numpy as np
from PIL import Image

from retrieval.pairs.perceptual_hash import hash_distances, perceptual_hash
from retrieval.settings import PairSettings

LIMIT = PairSettings().hash_distance


def scene(seed: int, side: int = 160) -> Image.Image:
    """Smooth light and shade, as a photo has."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def compressed(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=40)
    return Image.open(data)


def distance(first: Image.Image, second: Image.Image) -> int:
    hashes = [np.array([perceptual_hash(np.asarray(image))]) for image in (first, second)]
    return int(hash_distances(*hashes)[0])


def test_sizes_compressions_and_light_of_one_picture_are_near() -> None:
    image = scene(0)
    assert distance(image, image) == 0
    assert distance(image, compressed(image)) <= LIMIT
    assert distance(image, image.resize((64, 64), Image.Resampling.BOX)) <= LIMIT
    assert distance(image, image.point(lambda value: int(0.9 * value))) <= LIMIT


def test_other_pictures_are_far() -> None:
    assert min(distance(scene(0), scene(seed)) for seed in range(1, 20)) > 2 * LIMIT


def test_a_picture_of_one_colour_has_a_hash() -> None:
    flat = np.full((64, 64, 3), 200, np.uint8)
    assert perceptual_hash(flat) == perceptual_hash(flat.copy())


def test_distance_counts_bits() -> None:
    found = hash_distances(np.array([0b1011, 0], np.uint64), np.array([0b0001, 2**64 - 1], np.uint64))
    assert found.tolist() == [2, 64]
