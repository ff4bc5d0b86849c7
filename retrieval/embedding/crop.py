"""Finds the product in a photo and cuts it out: a simple method that needs no trained weights."""

from typing import Literal

import cv2
import numpy as np

from model.pictures import resize

#: none: the whole picture. auto: the part that stands out.
CropName = Literal["none", "auto"]

_MAP_SIZE = 64
_BLUR = 1.5
_CENTER_SHARE = 0.35  # width of the centre's weight, as a share of the picture's
_KEPT = 0.90  # of what stands out
_MARGIN = 0.05
_LEAST_SIDE = 0.4


def crop_to_product(pixels: np.ndarray, image_size: int) -> np.ndarray:
    """Cut a picture to the box around what stands out in it.

    What stands out is what differs in colour from the picture's mean (Achanta et al. 2009, frequency-tuned saliency)
    by more than pixels do on average, weighted towards the centre; the box holds nine tenths of it along each axis. It
    never is smaller than 0.4 of a side.

    Args:
        pixels: (H, W, 3) uint8.
    Returns:
        (image_size, image_size, 3) uint8.
    """
    top, bottom, left, right = product_box(pixels)
    return resize(pixels[top:bottom, left:right], image_size)


def product_box(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """The box: first row, row behind the last, first column, column behind the last."""
    height, width = pixels.shape[:2]
    saliency = _saliency(pixels)
    rows = _interval(saliency.sum(axis=1))
    columns = _interval(saliency.sum(axis=0))
    return (
        int(rows[0] * height), max(int(np.ceil(rows[1] * height)), 1),
        int(columns[0] * width), max(int(np.ceil(columns[1] * width)), 1),
    )  # fmt: skip


def _saliency(pixels: np.ndarray) -> np.ndarray:
    """(_MAP_SIZE, _MAP_SIZE) float, above 0."""
    small = cv2.resize(pixels, (_MAP_SIZE, _MAP_SIZE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    distance = np.linalg.norm(cv2.GaussianBlur(lab, (0, 0), _BLUR) - lab.mean(axis=(0, 1)), axis=2)
    standing_out = np.maximum(distance - distance.mean(), 0)
    axis = (np.arange(_MAP_SIZE) + 0.5) / _MAP_SIZE - 0.5
    weight = np.exp(-0.5 * (axis / _CENTER_SHARE) ** 2)
    return np.asarray(standing_out * weight[:, None] * weight[None, :] + 1e-6)


def _interval(profile: np.ndarray) -> tuple[float, float]:
    """The part of an axis that holds _KEPT of a profile, with a margin, as shares of the axis."""
    shares = np.cumsum(profile) / profile.sum()
    lost = (1 - _KEPT) / 2
    start = float(np.searchsorted(shares, lost)) / len(profile) - _MARGIN
    stop = float(np.searchsorted(shares, 1 - lost) + 1) / len(profile) + _MARGIN
    if stop - start < _LEAST_SIDE:
        middle = (start + stop) / 2
        start, stop = middle - _LEAST_SIDE / 2, middle + _LEAST_SIDE / 2
    return max(start, 0.0), min(stop, 1.0)
