"""The right answers, computed in this process, to hold the served ones against."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from client.catalog import read_catalog
from client.errors import InputError
from client.messages import Failure, read_response
from model.errors import AisleError
from model.prediction.answers import Prediction
from model.predictor import Predictor
from model.product import Product
from proto.aisle.v1 import classifier_pb2

TOP_K = 5
_TOLERANCE = 1e-5
_SPARE = 5  # where two categories are equally probable, either may come first
_CHUNK = 16


def read_products(catalog: Path, limit: int) -> list[Product]:
    """The first rows of a catalog that say something; their ids become 0, 1, 2, ..., so that answers find their truth.

    Raises:
        InputError: the catalog cannot be read, or no row says anything.
    """
    rows = (item.product for item in read_catalog(catalog) if not item.problem and not item.product.is_empty)
    products = [replace(product, product_id=str(number)) for number, product in enumerate(islice(rows, limit))]
    if not products:
        raise InputError(f"expected a product in {catalog}, found none")
    return products


class Truth:
    """What one bundle has to answer for each product, in float32.

    Args:
        products: with their place as id, see `read_products`.
    Attributes:
        version: of the bundle.
    """

    def __init__(self, bundle: Path, products: Sequence[Product]):
        predictor = Predictor.open(bundle, "openvino", "float32")
        self.version = predictor.bundle.version
        self._expected: list[Prediction | AisleError] = []
        for start in range(0, len(products), _CHUNK):
            self._expected += predictor.predict(products[start : start + _CHUNK], top_k=TOP_K + _SPARE)
        predictor.close()

    def fault(self, response: classifier_pb2.ClassifyResponse) -> str:
        """What is wrong with a response to a request for TOP_K categories; '' when nothing is."""
        for answer in read_response(response):
            if fault := self._fault(answer, self._expected[int(answer.product_id)]):
                return f"product {answer.product_id} of version {response.model_version}: {fault}"
        return ""

    def _fault(self, answer: Prediction | Failure, expected: Prediction | AisleError) -> str:
        if isinstance(answer, Failure) or isinstance(expected, AisleError):
            is_same = isinstance(answer, Failure) and isinstance(expected, AisleError)
            return "" if is_same else f"expected {expected}, found {answer}"
        probabilities = {scored.category: scored.probability for scored in expected.categories}
        best = [scored.probability for scored in expected.categories[:TOP_K]]
        if len(answer.categories) != len(best):
            return f"expected {len(best)} categories, found {len(answer.categories)}"
        for scored, probability in zip(answer.categories, best, strict=True):
            own = probabilities.get(scored.category, -1.0)
            if max(abs(scored.probability - own), abs(scored.probability - probability)) > _TOLERANCE:
                return (
                    f"expected {own} for {scored.category} and {probability} in its place, found {scored.probability}"
                )
        found, wanted = (given and given.category for given in (answer.accepted, expected.accepted))
        return "" if found == wanted else f"expected {wanted} to be accepted, found {found}"
