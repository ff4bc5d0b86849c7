"""The bundle that tells the types of a gallery's pictures apart."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.bundle.manifest import read_json
from model.bundle_files import FILES
from model.errors import BundleError, PictureError
from model.predictor import Predictor
from model.product import Product
from retrieval.embedding.cached_pictures import CachedPictures
from retrieval.embedding.embedder import Embedder
from retrieval.embedding.image_encoders import OwnEncoder, PictureFeatures
from retrieval.pairs.image_types import IMAGE_TYPES

#: In the place of a type where nobody asked.
UNKNOWN = -1


class ImageTypeClassifier:
    """Names the type of a picture: an Aisle bundle over pictures whose categories are IMAGE_TYPES.

    Use as a context manager. Features are kept in the cache, so that a picture is encoded once.

    Args:
        bundle_dir: of the bundle.
    Raises:
        BundleError: it is damaged, reads no pictures, or has other categories.
        EngineError: no engine can run it.
    """

    def __init__(self, bundle_dir: Path, cache_dir: Path):
        self._predictor = Predictor.open(bundle_dir)
        bundle = self._predictor.bundle
        check_reads_pictures(bundle.fields, bundle_dir)
        _check_types(bundle.taxonomy.leaves, bundle_dir)
        image = self._predictor.preprocessor.image
        encoder = OwnEncoder(image.image_size, self._predictor.encode_images)
        pictures = PictureFeatures([encoder], False, "none", image)
        self._encoder_digest = _encoder_digest(self._predictor)
        self._features = CachedPictures(pictures, cache_dir, f"types-{self._encoder_digest}", 1)

    def __enter__(self) -> "ImageTypeClassifier":
        return self

    def __exit__(self, *_: object) -> None:
        self._features.__exit__()
        self._predictor.close()

    def shares_encoder(self, embedder: Embedder) -> bool:
        """Return whether an embedder's features of whole pictures have those of this bundle's own encoder in them."""
        if embedder.pictures is None or embedder.crop != "none":
            return False
        has_own = any(isinstance(encoder, OwnEncoder) for encoder in embedder.pictures.encoders)
        return has_own and _encoder_digest(embedder.predictor) == self._encoder_digest

    def types(self, pictures: Sequence[bytes | PictureError]) -> np.ndarray:
        """(N,) int8 positions in IMAGE_TYPES of the most probable type; of one that cannot be used it means nothing."""
        return self.types_of_features(self._features.views(pictures)[0][:, 0])

    def types_of_features(self, features: np.ndarray) -> np.ndarray:
        """(N, F) features of this bundle's own encoder to types, see `types`."""
        products = [Product(str(row), image_features=values) for row, values in enumerate(features)]
        answers = self._predictor.predict_encoded(products, None, 1, all_heads=False)
        return np.array([IMAGE_TYPES.index(answer.categories[0].category) for answer in answers], np.int8)


def check_reads_pictures(fields: Sequence[str], bundle_dir: Path) -> None:
    """Raise BundleError when a bundle's fields have no picture among them."""
    if "image" not in fields:
        raise BundleError(
            f"{bundle_dir}: expected a bundle that reads pictures, found one that reads {', '.join(fields)}; train it"
            " on a catalog with a column image"
        )


def _check_types(leaves: Sequence[str], bundle_dir: Path) -> None:
    if set(leaves) != set(IMAGE_TYPES):
        odd = [leaf for leaf in leaves if leaf not in IMAGE_TYPES] or leaves
        raise BundleError(
            f"{bundle_dir}: expected a bundle with the {len(IMAGE_TYPES)} image types {', '.join(IMAGE_TYPES)}, found"
            f" {len(leaves)} categories, such as {odd[0]!r}; train one on pictures with these labels, as"
            " docs/retrieval.md says"
        )


def _encoder_digest(predictor: Predictor) -> str:
    """Equal for bundles whose own encoders give equal features, hexadecimal."""
    file = read_json(predictor.bundle.path, FILES.manifest)["files"].get(FILES.image_encoder, "")
    kind = f"{file} {predictor.preprocessor.image.image_size} {predictor.engine.precision}"
    return hashlib.sha256(kind.encode()).hexdigest()[:24]
