"""Products that ended engine processes; they are refused when they come again."""

import hashlib

from cachetools import LRUCache

from aisle_client.v1 import classifier_pb2
from server.errors import PoisonedProductError, product_status, status_reason
from server.inference.part import Part, PartAnswer

_MAX_PRODUCTS = 1000
_TEXT = (
    "expected a product that an engine can answer, found one that ended two engine processes; leave it out, and"
    " tell the server's operator"
)


class PoisonedProducts:
    """Digests of the newest products that ended two engine processes. Not thread-safe."""

    def __init__(self) -> None:
        self._digests: LRUCache[bytes, bool] = LRUCache(_MAX_PRODUCTS)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def add(self, product: classifier_pb2.Product) -> None:
        """Remember a product."""
        self._digests[_digest(product)] = True

    def holds(self, product: classifier_pb2.Product) -> bool:
        """True for a product that was added, whatever its product_id."""
        return bool(self._digests) and self._digests.get(_digest(product), False)


def _digest(product: classifier_pb2.Product) -> bytes:
    content = classifier_pb2.Product()
    content.CopyFrom(product)
    content.ClearField("product_id")
    return hashlib.blake2b(content.SerializeToString(deterministic=True), digest_size=16).digest()


def refusal(part: Part, product: classifier_pb2.Product) -> PartAnswer:
    """The answer to a part that consists of a poisoned product."""
    status = product_status(PoisonedProductError(_TEXT), part.first_index)
    response = classifier_pb2.ClassifyResponse()
    response.classifications.add(product_id=product.product_id).error.CopyFrom(status)
    return PartAnswer(response.SerializeToString(), error_counts={status_reason(status): 1})
