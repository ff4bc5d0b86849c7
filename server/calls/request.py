"""Proto to products: what a request has to look like before anything is done for it."""

from dataclasses import dataclass

import numpy as np

from model.product import TEXT_COLUMNS, Product
from proto.aisle.v1 import classifier_pb2
from server.errors import FieldError, RequestError
from server.settings import ServerSettings

DEFAULT_TOP_K = 5
_TEXTS = ("product_id", *TEXT_COLUMNS)


@dataclass(frozen=True)
class Question:
    """A request that passed as a whole.

    Args:
        items: one for each product of the request, in order: the product, or what is wrong with it.
        top_k: 1 or more.
        mask_parent: as it came; '' is the whole tree.
    """

    items: list[Product | FieldError]
    top_k: int
    include_evidence: bool
    include_embedding: bool
    mask_parent: str = ""
    include_words: bool = False


def parse_request(request: classifier_pb2.ClassifyRequest, settings: ServerSettings) -> Question:
    """Check a request and turn its products into records.

    Raises:
        RequestError: no product, too many, top_k out of range, or mask_parent too long; names every field that is
            wrong.
    """
    count, most = len(request.products), settings.max_products_per_request
    violations = []
    if count == 0:
        violations.append(("products", f"expected 1 to {most} products, found none"))
    if count > most:
        violations.append(("products", f"expected 1 to {most} products, found {count}; split the request"))
    if not 0 <= request.top_k <= settings.max_top_k:
        description = f"expected 1 to {settings.max_top_k}, or 0 for {DEFAULT_TOP_K}; found {request.top_k}"
        violations.append(("top_k", description))
    if len(request.mask_parent) > settings.max_text_chars:
        description = f"expected at most {settings.max_text_chars} characters, found {len(request.mask_parent)}"
        violations.append(("mask_parent", description))
    if violations:
        raise RequestError(violations)
    return Question(
        items=[_parse_or_error(product, settings.max_text_chars) for product in request.products],
        top_k=request.top_k or min(DEFAULT_TOP_K, settings.max_top_k),
        include_evidence=request.include_evidence,
        include_embedding=request.include_embedding,
        mask_parent=request.mask_parent,
        include_words=request.include_words,
    )


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


def _parse_or_error(message: classifier_pb2.Product, max_text_chars: int) -> Product | FieldError:
    try:
        return parse_product(message, max_text_chars)
    except FieldError as error:
        return error
