"""Perceptual hash of a picture: equal but for a few bits for cuts, sizes and compressions of one picture."""

import cv2
import numpy as np

_SIDE = 32
_KEPT = 8


def perceptual_hash(pixels: np.ndarray) -> np.uint64:
    """Hash the brightness of a picture by its lowest frequencies: 64 bits, each whether one is above their median.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    Source: pHash by discrete cosine transform, Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
    Functions", chapter 3.2.
    """
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    lowest = cv2.dct(small.astype(np.float32))[:_KEPT, :_KEPT].ravel()
    # The first is the mean brightness, which says nothing of the picture and would move the median.
    bits = lowest > np.median(lowest[1:])
    return np.packbits(bits).view(">u8")[0].astype(np.uint64)


def hash_distances(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Bits in which (N,) uint64 hashes differ from (N,) others, 0 to 64 (Hamming)."""
    return np.bitwise_count(hashes ^ others)
