"""A bundle's embedding at work: products to vectors of their picture, of their texts, and of both."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.engines.engine import EngineName, Precision
from model.errors import PictureError, ProductError, SettingsError
from model.features import Features
from model.predictor import Predictor
from model.product import TEXT_FIELDS, Product
from retrieval.embedding.crop import CropName
from retrieval.embedding.description import FOLDER, PROJECTION_FILE, embedding_checksum, read_embedding
from retrieval.embedding.image_encoders import PictureFeatures, open_encoders
from retrieval.embedding.ngram_projection import NGRAM_DIM, NgramProjection
from retrieval.embedding.projection import Projection, unit_length
from retrieval.embedding.text_tower import TextTower
from retrieval.index.record import Space

#: A product's vectors, by space; those that it cannot have are left out.
Vectors = dict[Space, np.ndarray]
#: Vectors of N products, (N, D), and which of them have one, (N,) bool.
_Found = tuple[np.ndarray, np.ndarray]


class Embedder:
    """Vectors of products by one bundle. Thread-safe.

    Without metric learning a picture's vector is its features; that of texts is the classifier's embedding of the
    product without its picture, which says what kind of product it is, beside a projection of the n-grams, which says
    which one; the joint vector is one behind the other. A learned projection brings both into one space, in which the
    joint vector is their weighted mean. So it is with the two towers of an encoder that knows words and pictures.

    Args:
        crop: how pictures are cut, in place of what the bundle says.
        threads: of further image encoders; 0 means all cores.
    Attributes:
        dims: numbers in a vector of each space that the bundle has.
        checksum: equal for embedders that give equal vectors, hexadecimal.
        pictures: the image encoders; None for a bundle that reads no pictures.
    """

    def __init__(self, predictor: Predictor, crop: CropName | None = None, threads: int = 0):
        bundle = predictor.bundle
        self.predictor = predictor
        self.embedding = read_embedding(bundle.path)
        self.crop: CropName = crop or self.embedding.crop
        self.checksum = embedding_checksum(bundle.path, self.crop)
        self._projection = Projection.load(bundle.path / PROJECTION_FILE) if self.embedding.has_projection else None
        self._tower = TextTower(bundle.path / FOLDER, self.embedding.text) if self.embedding.text else None
        text_fields = predictor.preprocessor.text_fields
        self._ngrams: NgramProjection | None = None
        if self._tower is None and text_fields:
            self._ngrams = NgramProjection(predictor.preprocessor.tokenizer.settings.hash_buckets, text_fields)
        self.pictures: PictureFeatures | None = None
        if "image" in bundle.fields or any(entry.program for entry in self.embedding.image_encoders):
            image = predictor.preprocessor.image
            own = (image.image_size, predictor.encode_images)
            encoders = open_encoders(bundle.path, self.embedding.image_encoders, *own, threads)
            self.pictures = PictureFeatures(encoders, self.embedding.is_mirrored, self.crop, image)
        self.dims = self._find_dims()

    @classmethod
    def open(
        cls,
        bundle_dir: Path,
        crop: CropName | None = None,
        engine: EngineName = "auto",
        precision: Precision = "float32",
    ) -> "Embedder":
        """Load and verify a bundle, then open its engine and image encoders.

        Raises:
            BundleError: the bundle is damaged.
            EngineError: an engine cannot run it.
        """
        return cls(Predictor.open(bundle_dir, engine, precision), crop)

    def check_space(self, space: Space) -> None:
        """Raise SettingsError when the bundle has no such space."""
        if space not in self.dims:
            raise SettingsError(
                f"expected a space of {', '.join(self.dims)}, which this bundle has, found {space!r}; train a bundle"
                " with the fields that it needs"
            )

    def embed(self, products: Sequence[Product], spaces: Sequence[Space] = ()) -> list[Vectors | Exception]:
        """Vectors of products; a bad one becomes its error and costs no neighbour.

        Args:
            spaces: those to compute; all when empty.
        """
        results: list[Vectors | Exception] = [ProductError(self._nothing_to_read(spaces))] * len(products)
        kept, decoded = [], []
        for i, product in enumerate(products):
            try:
                decoded.append(self.decode(product))
                kept.append(i)
            except PictureError as error:
                results[i] = error
        found = self.embed_decoded([products[i] for i in kept], decoded, spaces) if kept else []
        for i, vectors in zip(kept, found, strict=True):
            if vectors:
                results[i] = vectors
        return results

    def decode(self, product: Product) -> dict[int, np.ndarray] | None:
        """Pixels of a product's picture for `embed_decoded`; None without one that the bundle reads.

        Raises:
            PictureError: the picture is broken or over a limit.
        """
        return None if product.image is None or self.pictures is None else self.pictures.decode(product.image)

    def embed_decoded(
        self, products: Sequence[Product], pixels: Sequence[dict[int, np.ndarray] | None], spaces: Sequence[Space] = ()
    ) -> list[Vectors]:
        """Vectors of products with decoded pictures; empty where none of the spaces has one."""
        has_picture = np.array([picture is not None for picture in pixels], bool)
        picture_features = None
        if self.pictures is not None:
            picture_features = np.zeros((len(products), self.pictures.dim), np.float32)
            if has_picture.any() and ("image" in spaces or "joint" in spaces or not spaces):
                decoded = [picture for picture in pixels if picture is not None]
                picture_features[has_picture] = self.pictures.encode(decoded)
        preprocessor = self.predictor.preprocessor
        features = {**preprocessor.text_features(products), "presence": preprocessor.presence(products)}
        texts = {field: [product.text(field) for product in products] for field in TEXT_FIELDS}
        return self.vectors(features, texts, picture_features, has_picture, spaces)

    def vectors(
        self,
        features: Features,
        texts: dict[str, list[str]],
        picture_features: np.ndarray | None,
        has_picture: np.ndarray,
        spaces: Sequence[Space] = (),
    ) -> list[Vectors]:
        """Vectors of N products, from what was computed for them.

        Args:
            features: the classifier's inputs of their texts, and "presence", whose flag for the picture is not read.
            texts: their texts by field, for a text tower.
            picture_features: (N, F) float32 of `PictureFeatures`; None for a bundle without pictures.
            has_picture: (N,) bool.
            spaces: those to compute; all when empty.
        """
        wanted = [space for space in self.dims if not spaces or space in spaces]
        found: dict[Space, _Found] = {}
        if picture_features is not None and {"image", "joint"}.intersection(wanted):
            found["image"] = (self._picture_vectors(picture_features), has_picture)
        if {"text", "joint"}.intersection(wanted):
            found["text"] = self._text_vectors(features, texts)
        if "joint" in wanted:
            found["joint"] = self._joint_vectors(*found["image"], *found["text"])
        rows = range(len(has_picture))
        return [{space: found[space][0][i] for space in wanted if found[space][1][i]} for i in rows]

    @property
    def _is_shared(self) -> bool:
        """True when pictures and texts have vectors of one space."""
        kinds = self._projection.kinds if self._projection else ()
        return {"image", "text"} == set(kinds) or (self._tower is not None and not kinds)

    def _find_dims(self) -> dict[Space, int]:
        dims: dict[Space, int] = {}
        if self.pictures is not None:
            dims["image"] = self._projected_dim("image", self.pictures.dim)
        if self._tower is not None:
            dims["text"] = self._projected_dim("text", self._tower.vectors([""]).shape[1])
        elif self._ngrams is not None:
            dims["text"] = self._projected_dim("text", self.predictor.bundle.settings.model.fcl_dim + NGRAM_DIM)
        if len(dims) == 2:
            dims["joint"] = dims["image"] if self._is_shared else dims["image"] + dims["text"]
        return dims

    def _projected_dim(self, kind: str, dim: int) -> int:
        return self._projection.dim if self._projection is not None and kind in self._projection.kinds else dim

    def _picture_vectors(self, features: np.ndarray) -> np.ndarray:
        assert self.pictures is not None
        units = self.pictures.unit(features)
        if self._projection is not None and "image" in self._projection.kinds:
            return self._projection.vectors("image", units)
        return unit_length(units)

    def _text_vectors(self, features: Features, texts: dict[str, list[str]]) -> _Found:
        if self._tower is not None:
            read = [name or text for name, text in zip(texts["name"], texts["description"], strict=True)]
            vectors, has_text = self._tower.vectors(read), np.array([bool(text.strip()) for text in read])
        else:
            vectors, has_text = self._base_texts(features)
        if self._projection is not None and "text" in self._projection.kinds:
            vectors = self._projection.vectors("text", vectors)
        return vectors, has_text

    def _base_texts(self, features: Features) -> _Found:
        """Join the classifier's embedding (which kind of product) and the projected n-grams (which one)."""
        assert self._ngrams is not None
        bundle = self.predictor.bundle
        given = {**features, "presence": features["presence"].copy()}
        if "image" in bundle.fields:
            given["presence"][:, bundle.fields.index("image")] = 0
            image_features = self.predictor.preprocessor.empty_image_features(len(given["presence"]))
            assert image_features is not None
            given["image_features"] = image_features
        kinds = self.predictor.engine.classify(given, all_heads=False)["embedding"]
        parts = [unit_length(kinds), unit_length(self._ngrams.vectors(features))]
        return unit_length(np.concatenate(parts, axis=1)), np.asarray(given["presence"].any(axis=1))

    def _joint_vectors(
        self, pictures: np.ndarray, has_picture: np.ndarray, texts: np.ndarray, has_text: np.ndarray
    ) -> _Found:
        weight = self.embedding.text_weight
        has_any = has_picture | has_text
        pictures, texts = pictures * has_picture[:, None], texts * has_text[:, None]
        if self._is_shared:
            return unit_length((1 - weight) * pictures + weight * texts), has_any
        parts = [np.sqrt(np.float32(1 - weight)) * pictures, np.sqrt(np.float32(weight)) * texts]
        return unit_length(np.concatenate(parts, axis=1)), has_any

    def _nothing_to_read(self, spaces: Sequence[Space]) -> str:
        return f"expected something for a vector of {' or '.join(spaces or self.dims)}; the product has none of it"
