"""Galleries in few numbers, for the tests of the pairs' rules."""

from collections.abc import Sequence

import numpy as np

from retrieval.pairs.gallery_pictures import GalleryPictures
from retrieval.pairs.image_types import IMAGE_TYPES


def gallery(
    items: Sequence[str],
    hashes: Sequence[int] | None = None,
    vectors: np.ndarray | None = None,
    types: Sequence[str] | None = None,
) -> GalleryPictures:
    """Pictures p0, p1, ... of items, unlike each other unless it is said."""
    count = len(items)
    names = list(dict.fromkeys(items))
    random = np.random.default_rng(0)
    return GalleryPictures(
        [f"p{i}" for i in range(count)],
        [f"p{i}.jpg" for i in range(count)],
        names,
        np.array([names.index(item) for item in items], np.int32),
        np.array(random.integers(0, 2**63, count) if hashes is None else hashes, np.uint64),
        np.array([-1] * count if types is None else [IMAGE_TYPES.index(name) for name in types], np.int8),
        (np.eye(count) if vectors is None else vectors).astype(np.float16),
        0,
    )
