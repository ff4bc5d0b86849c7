"""The expected answers, computed in this process, for checking those of a server."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from aisle_client import prediction as served
from aisle_client.errors import InputError
from aisle_client.messages import read_response
from aisle_client.v1 import classifier_pb2
from client.catalog import read_items
from model.errors import AisleError
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product

TOP_K = 5
_TOLERANCE = 1e-5
_EXTRA = 5  # further categories, because two of equal probability may be in either order
_CHUNK = 16


def read_products(catalog: Path, limit: int) -> list[Product]:
    """Read the first usable rows of a catalog; their ids become 0, 1, 2, ..., to find the expected answer.

    Raises:
        InputError: the catalog cannot be read, or has no usable row.
    """
    rows = (item.product for item in read_items(catalog) if not item.problem and not item.product.is_empty)
    products = [replace(product, product_id=str(number)) for number, product in enumerate(islice(rows, limit))]
    if not products:
        raise InputError(f"expected a product in {catalog}, found none")
    return products


class ExpectedAnswers:
    """The expected answers of one bundle for each product, in float32.

    Args:
        products: products whose ids are their positions, see `read_products`.
    Attributes:
        version: version of the bundle.
    """

    def __init__(self, bundle: Path, products: Sequence[Product]):
        predictor = Predictor.open(bundle, "openvino", "float32")
        self.version = predictor.bundle.version
        self._expected: list[Prediction | AisleError] = []
        for start in range(0, len(products), _CHUNK):
            self._expected += predictor.predict(products[start : start + _CHUNK], top_k=TOP_K + _EXTRA)
        predictor.close()

    def mismatch(self, response: classifier_pb2.ClassifyResponse) -> str:
        """Describe the first mismatch of a response to a request for TOP_K categories; '' without any."""
        for answer in read_response(response):
            if mismatch := _mismatch(answer, self._expected[int(answer.product_id)]):
                return f"product {answer.product_id} of version {response.model_version}: {mismatch}"
        return ""


def _mismatch(answer: served.Prediction | served.Failure, expected: Prediction | AisleError) -> str:
    if isinstance(answer, served.Failure) or isinstance(expected, AisleError):
        is_same = isinstance(answer, served.Failure) and isinstance(expected, AisleError)
        return "" if is_same else f"expected {expected}, found {answer}"
    probabilities = {scored.category: scored.probability for scored in expected.categories}
    best = [scored.probability for scored in expected.categories[:TOP_K]]
    if len(answer.categories) != len(best):
        return f"expected {len(best)} categories, found {len(answer.categories)}"
    for scored, probability in zip(answer.categories, best, strict=True):
        own = probabilities.get(scored.category, -1.0)
        if max(abs(scored.probability - own), abs(scored.probability - probability)) > _TOLERANCE:
            return f"expected {own} for {scored.category} and {probability} at that rank, found {scored.probability}"
    found, right = (node and node.category for node in (answer.accepted, expected.accepted))
    return "" if found == right else f"expected {right} to be accepted, found {found}"
