"""Cropping to what stands out."""

import numpy as np
import pytest

from retrieval.embedding.crop import crop_to_product, product_box


def shelf(top: int, left: int, side: int = 60, size: int = 200) -> np.ndarray:
    """A patterned square on a plain background."""
    pixels = np.full((size, size, 3), 200, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    pixels[top : top + side, left : left + side] = noise
    return pixels


@pytest.mark.parametrize(("top", "left"), [(70, 70), (40, 90), (95, 50)])
def test_the_box_holds_the_product(top: int, left: int) -> None:
    first_row, last_row, first_column, last_column = product_box(shelf(top, left))
    assert first_row <= top + 6
    assert last_row >= top + 54
    assert first_column <= left + 6
    assert last_column >= left + 54
    assert (last_row - first_row) * (last_column - first_column) < 0.75 * 200 * 200


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 900, 3), (64, 64, 3)])
def test_any_picture_gives_a_square(shape: tuple[int, int, int]) -> None:
    pixels = np.zeros(shape, np.uint8)
    assert crop_to_product(pixels, 32).shape == (32, 32, 3)


def test_a_plain_picture_is_hardly_cut() -> None:
    top, bottom, left, right = product_box(np.full((100, 100, 3), 90, np.uint8))
    assert bottom - top >= 40
    assert right - left >= 40
