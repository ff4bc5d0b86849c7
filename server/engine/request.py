"""Parts of requests to products: what an engine process reads from the bytes that a caller sent."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aisle_client.v1 import classifier_pb2
from model.product import TEXT_COLUMNS, Product
from retrieval.index.record import Space
from server.errors import NOT_UTF8, FieldError

_TEXTS = ("product_id", *TEXT_COLUMNS)


@dataclass(frozen=True)
class PartRequest:
    """Some consecutive products of a request.

    Args:
        first_index: position of its first product in the request.
        message: the request's options and these products.
        may_be_large: answer its pictures however many pixels they have; otherwise large ones are reported first.
        not_utf8: the field of a product that is not UTF-8, by the product's position in the part.
        spaces: vectors that are asked for in the place of categories.
    """

    first_index: int
    message: classifier_pb2.ClassifyRequest
    may_be_large: bool
    not_utf8: Mapping[int, str]
    spaces: tuple[Space, ...] = ()

    def items(self, max_text_chars: int) -> list[Product | FieldError]:
        """The products, or what is wrong with them, in order."""
        items: list[Product | FieldError] = []
        for i, product in enumerate(self.message.products):
            try:
                if i in self.not_utf8:
                    raise FieldError(self.not_utf8[i], NOT_UTF8)
                items.append(parse_product(product, max_text_chars))
            except FieldError as error:
                items.append(error)
        return items


def parse_product(message: classifier_pb2.Product, max_text_chars: int) -> Product:
    """One product of a request; an empty picture reads as none.

    Raises:
        FieldError: a text is too long.
    """
    texts = {}
    for field in _TEXTS:
        text = texts[field] = getattr(message, field)
        if len(text) > max_text_chars:
            raise FieldError(field, f"expected at most {max_text_chars} characters, found {len(text)}; cut the text")
    values = message.image_features.values
    features = np.array(values, dtype=np.float32) if values else None
    return Product(**texts, image=message.image or None, image_features=features)
