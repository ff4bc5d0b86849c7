"""Products to model inputs; the same function in training and serving."""

from collections.abc import Sequence

import numpy as np

from model.errors import ProductError
from model.features import Features
from model.pictures import decode_picture
from model.product import TEXT_FIELDS, Product, field_words, has_text
from model.settings import ImageSettings
from tokenizer.tokenizer import Tokenizer


class Preprocessor:
    """Turns products into classifier inputs.

    Args:
        fields: the subset of FIELDS, in that order, that the model reads.
        image_feature_dim: width F of the image encoder's output; 0 without a picture branch.
    """

    def __init__(self, tokenizer: Tokenizer, fields: tuple[str, ...], image: ImageSettings, image_feature_dim: int):
        self.tokenizer = tokenizer
        self.fields = fields
        self.text_fields = tuple(field for field in fields if field in TEXT_FIELDS)
        self.image = image
        self.image_feature_dim = image_feature_dim

    def check(self, product: Product) -> None:
        """Raise ProductError when the product has nothing this model reads, or features that do not fit."""
        if product.is_empty:
            raise ProductError(f"expected {field_words(self.fields)}; every field is empty")
        if not any(self._flags(product)):
            raise ProductError(f"this model reads only {', '.join(self.fields)}; the product has none of them")
        if product.image_features is None or "image" not in self.fields:
            return
        if product.image_features.shape != (self.image_feature_dim,):
            found = product.image_features.size
            raise ProductError(f"expected image_features of {self.image_feature_dim} numbers, found {found}")
        if not np.isfinite(product.image_features).all():
            raise ProductError("expected finite image_features, found NaN or infinity")

    def presence(self, products: Sequence[Product]) -> np.ndarray:
        """(N, number of fields) float32, 1.0 where a product has the field."""
        flags = [self._flags(product) for product in products]
        return np.array(flags, dtype=np.float32).reshape(len(products), len(self.fields))

    def _flags(self, product: Product) -> list[bool]:
        return [product.has_image if field == "image" else has_text(product.text(field)) for field in self.fields]

    def decode(self, product: Product) -> np.ndarray | None:
        """(H, W, 3) uint8 pixels, or None when the product brings no picture or the model reads none.

        Raises:
            PictureError: the picture is broken or over a limit.
        """
        if product.image is None or "image" not in self.fields:
            return None
        return decode_picture(product.image, self.image)

    def empty_image_features(self, count: int) -> np.ndarray | None:
        """(count, F) float32 zeros to fill; None without a picture branch."""
        return np.zeros((count, self.image_feature_dim), np.float32) if "image" in self.fields else None

    def text_features(self, products: Sequence[Product]) -> Features:
        """The text inputs of N products."""
        return self.tokenizer.encode({f: [product.text(f) for product in products] for f in self.text_fields})

    def features(self, products: Sequence[Product], image_features: np.ndarray | None = None) -> Features:
        """All classifier inputs of N products that passed `check`.

        Args:
            image_features: (N, F) float32 from the image encoder, rows of products without a picture zero;
                a product's own `image_features` replace its row.
        """
        features = self.text_features(products)
        features["presence"] = self.presence(products)
        if "image" in self.fields:
            given = self.empty_image_features(len(products)) if image_features is None else image_features.copy()
            assert given is not None
            for row, product in enumerate(products):
                if product.image_features is not None:
                    given[row] = product.image_features
            features["image_features"] = given
        return features
