"""The bundle that tells the types of a gallery's pictures apart."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.errors import BundleError, PictureError
from model.predictor import Predictor
from model.product import Product
from retrieval.pairs.image_types import IMAGE_TYPES

#: In the place of a type where there is none.
UNKNOWN = -1

_BATCH = 32


class ImageTypeClassifier:
    """Names the type of a picture: an Aisle bundle over pictures whose categories are IMAGE_TYPES.

    Args:
        bundle_dir: of the bundle.
    Raises:
        BundleError: it is damaged, reads no pictures, or has other categories.
        EngineError: no engine can run it.
    """

    def __init__(self, bundle_dir: Path):
        self._predictor = Predictor.open(bundle_dir)
        bundle = self._predictor.bundle
        check_reads_pictures(bundle.fields, bundle_dir)
        leaves = tuple(bundle.taxonomy.leaves)
        if set(leaves) != set(IMAGE_TYPES):
            others = [leaf for leaf in leaves if leaf not in IMAGE_TYPES] or leaves
            raise BundleError(
                f"{bundle_dir}: expected a bundle with the {len(IMAGE_TYPES)} image types {', '.join(IMAGE_TYPES)},"
                f" found {len(leaves)} categories, such as {others[0]!r}; train one on pictures with these labels, as"
                " docs/retrieval.md says"
            )

    def types(self, pictures: Sequence[bytes | PictureError]) -> np.ndarray:
        """(N,) int8 positions in IMAGE_TYPES of the most probable type, UNKNOWN for a picture that cannot be used."""
        found = np.full(len(pictures), UNKNOWN, np.int8)
        good = [i for i, picture in enumerate(pictures) if isinstance(picture, bytes)]
        for start in range(0, len(good), _BATCH):
            positions = good[start : start + _BATCH]
            products = [Product(str(i), image=pictures[i]) for i in positions]  # type: ignore[arg-type]
            for i, answer in zip(positions, self._predictor.predict(products, 1, all_heads=False), strict=True):
                if not isinstance(answer, Exception):
                    found[i] = IMAGE_TYPES.index(answer.categories[0].category)
        return found


def check_reads_pictures(fields: Sequence[str], bundle_dir: Path) -> None:
    """Raise BundleError when a bundle's fields have no picture among them."""
    if "image" not in fields:
        raise BundleError(
            f"{bundle_dir}: expected a bundle that reads pictures, found one that reads {', '.join(fields)}; train it"
            " on a catalog with a column image"
        )
