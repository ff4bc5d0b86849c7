"""Candidate pairs: two pictures of one item."""

import random
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from retrieval.pairs.gallery_pictures import GalleryPictures


def candidate_pairs(
    pictures: GalleryPictures, max_item_pairs: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield the candidates of each item that has two or more pictures.

    Args:
        max_item_pairs: most of an item; drawn by chance where there are more, so that a few odd items with thousands
            of pictures cost no more than the rest.
    Returns:
        positions of the left and the right pictures, (P,) int64 each, and how many candidates were not drawn.
    """
    order = np.argsort(pictures.items, kind="stable")
    bounds = np.searchsorted(pictures.items[order], np.arange(len(pictures.item_ids) + 1))
    for item, (start, stop) in enumerate(pairwise(bounds)):
        rows = order[start:stop]
        total = len(rows) * (len(rows) - 1) // 2
        if not total:
            continue
        if total <= max_item_pairs:
            left, right = np.triu_indices(len(rows), 1)
        else:
            drawn = random.Random(f"{seed} {pictures.item_ids[item]}").sample(range(total), max_item_pairs)
            left, right = pair_positions(np.sort(drawn), len(rows))
        yield rows[left], rows[right], total - len(left)


def pair_positions(numbers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of `np.triu_indices(count, 1)` by their numbers, without making the others.

    Args:
        numbers: (P,) int, 0 to count * (count - 1) / 2 - 1.
    """
    firsts = np.concatenate([[0], np.cumsum(np.arange(count - 1, 0, -1))])
    left = np.searchsorted(firsts, numbers, side="right") - 1
    return left, numbers - firsts[left] + left + 1
