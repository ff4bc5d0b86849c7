"""The rules that drop a candidate pair: incorrect ones, which are not true, and trivial ones, which teach nothing."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from retrieval.pairs.gallery_pictures import GalleryPictures
from retrieval.pairs.image_types import IMAGE_TYPES, WHOLE_PRODUCT_TYPES
from retrieval.pairs.perceptual_hash import hash_distances
from retrieval.settings import PairSettings


@dataclass(frozen=True)
class Rule:
    """A rule.

    Args:
        name: in dropped.csv.
        kind: what the pairs are that it drops.
        meaning: for people.
    """

    name: str
    kind: Literal["incorrect", "trivial"]
    meaning: str


#: In the order in which they are asked; a pair falls to the first.
RULES = (
    Rule("type_chart", "incorrect", "one side is a size chart"),
    Rule("type_other", "incorrect", "one side shows no product: a banner, a notice, a parcel"),
    Rule("type_multiple", "incorrect", "one side shows several products"),
    Rule("type_detail", "incorrect", "one side is a detail, seen from too near to tell the product"),
    Rule("shared_picture", "incorrect", "one side is a picture that many items have"),
    Rule("same_hash", "trivial", "both sides are cuts or compressions of one picture, by perceptual hash"),
    Rule("same_vector", "trivial", "both sides are nearly the same picture, by their vectors"),
)
KEPT = -1
_TYPE_RULES = {rule.name.removeprefix("type_"): number for number, rule in enumerate(RULES) if "type_" in rule.name}
assert set(IMAGE_TYPES) == {*_TYPE_RULES, *WHOLE_PRODUCT_TYPES}


def rules_of_pairs(
    pictures: GalleryPictures, num_items: np.ndarray, left: np.ndarray, right: np.ndarray, settings: PairSettings
) -> np.ndarray:
    """Find the rule that each pair falls to.

    Args:
        num_items: (N,) items that have each picture, see `count_items`.
        left, right: (P,) positions of pictures.
    Returns:
        (P,) int64 position in RULES, KEPT for a pair that stays.
    """
    found = np.full(len(left), KEPT, np.int64)

    def fall(is_hit: np.ndarray, rule: int) -> None:
        found[(found == KEPT) & is_hit] = rule

    for image_type, rule in _TYPE_RULES.items():
        is_type = pictures.types == IMAGE_TYPES.index(image_type)
        fall(is_type[left] | is_type[right], rule)
    is_shared = num_items > settings.max_items
    fall(is_shared[left] | is_shared[right], _number("shared_picture"))
    fall(hash_distances(pictures.hashes[left], pictures.hashes[right]) <= settings.hash_distance, _number("same_hash"))
    fall(_cosines(pictures, left, right) >= settings.vector_similarity, _number("same_vector"))
    return found


def _number(name: str) -> int:
    return next(number for number, rule in enumerate(RULES) if rule.name == name)


def _cosines(pictures: GalleryPictures, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(P,) float32; each picture is read once."""
    rows, positions = np.unique(np.concatenate([left, right]), return_inverse=True)
    vectors = pictures.vectors[rows].astype(np.float32)
    return np.einsum("pf,pf->p", vectors[positions[: len(left)]], vectors[positions[len(left) :]])
