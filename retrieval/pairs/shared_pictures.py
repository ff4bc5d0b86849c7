"""Counts in how many items each picture occurs: a size chart or a banner in many, a shot of the product in one."""

import numpy as np

from retrieval.pairs.gallery_pictures import GalleryPictures
from retrieval.pairs.perceptual_hash import hash_distances

#: Bits in which hashes of one picture may differ here. Two that differ in no more than three have one of four bands of
#: 16 bits in common, so that only such pairs are compared (pigeonhole; Norouzi et al. 2012, multi-index hashing).
_DISTANCE = 3
_BAND_BITS = 16
_NUM_BANDS = 64 // _BAND_BITS


def count_items(pictures: GalleryPictures, vector_similarity: float) -> np.ndarray:
    """Count the items that have each picture, cuts and compressions of it included.

    Pictures are the same where hash and vector say so: the hash alone takes two shirts in one pose for one another.
    Each picture is compared with the first of every group found before it (leader algorithm, Hartigan 1975), so that
    time grows with the number of pictures, even where one is in every item.

    Args:
        vector_similarity: least cosine of the same picture.
    Returns:
        (N,) int64, 1 or more.
    """
    bands = pictures.hashes[:, None] >> np.arange(0, 64, _BAND_BITS, dtype=np.uint64) & np.uint64(2**_BAND_BITS - 1)
    buckets: list[dict[int, list[int]]] = [{} for _ in range(_NUM_BANDS)]
    leaders = np.empty(len(pictures.ids), np.int64)
    items: dict[int, set[int]] = {}
    for row, keys in enumerate(bands.tolist()):
        candidates = {leader for bucket, key in zip(buckets, keys, strict=True) for leader in bucket.get(key, ())}
        leader = _same_picture(pictures, row, np.fromiter(candidates, np.int64), vector_similarity)
        if leader < 0:
            leader = row
            items[row] = set()
            for bucket, key in zip(buckets, keys, strict=True):
                bucket.setdefault(key, []).append(row)
        leaders[row] = leader
        items[leader].add(int(pictures.items[row]))
    return np.array([len(items[leader]) for leader in leaders.tolist()], np.int64)


def _same_picture(pictures: GalleryPictures, row: int, candidates: np.ndarray, vector_similarity: float) -> int:
    """The candidate that shows the same as a row, -1 for none."""
    near = candidates[hash_distances(pictures.hashes[candidates], pictures.hashes[row]) <= _DISTANCE]
    if not len(near):
        return -1
    near.sort()
    cosines = pictures.vectors[near].astype(np.float32) @ pictures.vectors[row].astype(np.float32)
    best = int(cosines.argmax())
    return int(near[best]) if cosines[best] >= vector_similarity else -1
