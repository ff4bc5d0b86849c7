"""Translates the contract's ClassifyResponse to a ModelInferResponse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aisle_client.v1 import classifier_pb2
from server.open_inference import open_inference_pb2 as pb
from server.open_inference.tensors import OUTPUTS, raw_contents, set_contents


@dataclass(frozen=True)
class InferForm:
    """The form that the answer to a request shall have.

    Args:
        request_id: comes back with the answer.
        outputs: the names of those to return, in order.
        num_categories: the width of the outputs that are matrices; a smaller tree's rows are filled up.
        is_raw: True for raw contents.
    """

    request_id: str
    outputs: tuple[str, ...]
    num_categories: int
    is_raw: bool


def write_response(form: InferForm, content: bytes) -> pb.ModelInferResponse:
    """Translate a serialised ClassifyResponse."""
    response = classifier_pb2.ClassifyResponse.FromString(content)
    message = pb.ModelInferResponse(model_name=response.model, model_version=response.model_version, id=form.request_id)
    num_products = len(response.classifications)
    specs = {output.name: output for output in OUTPUTS}
    for name in form.outputs:
        output = specs[name]
        shape = [num_products, form.num_categories] if output.is_matrix else [num_products]
        tensor = message.outputs.add(name=name, datatype=output.datatype, shape=shape)
        values = _values(name, response.classifications, form.num_categories)
        if form.is_raw:
            message.raw_output_contents.append(raw_contents(output.datatype, values))
        else:
            set_contents(tensor.contents, output.datatype, values)
    return message


#: The value of an output that has one for each product. A product with an error needs review, too.
_OF_PRODUCT: dict[str, Callable[[classifier_pb2.Classification], Any]] = {
    "accepted": lambda answer: answer.prediction.accepted.category,
    "accepted_depth": lambda answer: answer.prediction.accepted_depth,
    "needs_review": lambda answer: answer.prediction.needs_review or answer.HasField("error"),
    "error": lambda answer: answer.error.message,
}


def _values(name: str, answers: Sequence[classifier_pb2.Classification], num_categories: int) -> list[Any]:
    """The elements of an output, row by row."""
    if name in _OF_PRODUCT:
        return [_OF_PRODUCT[name](answer) for answer in answers]
    filling = 0.0 if name == "probability" else ""
    values = []
    for answer in answers:
        found = [getattr(category, name) for category in answer.prediction.categories]
        values += found + [filling] * (num_categories - len(found))
    return values
