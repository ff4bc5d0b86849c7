"""The Open Inference Protocol's JSON, its form by HTTP: https://kserve.github.io/website (Open Inference Protocol)."""

import base64
import binascii
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from google.protobuf import json_format

from server.calls.form import TranslatedRequest
from server.errors import RequestError, not_json_error, shortened
from server.messages.json_text import read_json
from server.open_inference import open_inference_pb2 as pb
from server.open_inference.request import MAX_ENTRIES, translate
from server.open_inference.response import InferForm, write_response
from server.open_inference.tensors import BYTES, FP32, IMAGE

_REQUEST = "an inference request"
_REQUEST_KEYS = ("id", "parameters", "inputs", "outputs")
_INPUT_KEYS = ("name", "shape", "datatype", "parameters", "data")
_OUTPUT_KEYS = ("name", "parameters")
_KINDS = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}


def translate_json(content: bytes, name: str, version: str, max_products: int) -> TranslatedRequest:
    """Translate an inference request; texts are texts, pictures base64.

    Raises:
        RequestError: it is none, or one of its tensors is wrong.
    """
    message = _message(read_json(content, _REQUEST, max_products))
    message.model_name, message.model_version = name, version
    request, form = translate(message, max_products)
    return TranslatedRequest(request, partial(_write, form))


def metadata_json(metadata: pb.ModelMetadataResponse) -> bytes:
    """The description of a model."""
    content: dict[str, Any] = {
        "name": metadata.name, "versions": list(metadata.versions), "platform": metadata.platform
    }  # fmt: skip
    for key, tensors in (("inputs", metadata.inputs), ("outputs", metadata.outputs)):
        content[key] = [
            {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)} for tensor in tensors
        ]
    return json.dumps(content).encode()


def _write(form: InferForm, response: bytes) -> bytes:
    message = write_response(form, response)
    outputs = []
    for output in message.outputs:
        [(_, values)] = output.contents.ListFields()
        data = [value.decode() for value in values] if output.datatype == BYTES else list(values)
        shape = list(output.shape)
        outputs.append({"name": output.name, "datatype": output.datatype, "shape": shape, "data": data})
    content = {"model_name": message.model_name, "model_version": message.model_version, "outputs": outputs}
    if message.id:
        content["id"] = message.id
    return json.dumps(content, ensure_ascii=False).encode()


def _message(body: Any) -> pb.ModelInferRequest:
    """The message of a request, without the model's name."""
    request = _object(body, _REQUEST_KEYS, "request")
    contents = []
    for key, keys in (("inputs", _INPUT_KEYS), ("outputs", _OUTPUT_KEYS)):
        tensors = request.get(key, [])
        if not isinstance(tensors, list):
            raise RequestError([(key, "expected a list of tensors, found none")])
        request[key] = [_object(tensor, keys, f"{key}[{i}]") for i, tensor in enumerate(tensors)]
    contents = [tensor.pop("data", []) for tensor in request["inputs"]]
    try:
        message = json_format.ParseDict(request, pb.ModelInferRequest())
    except (json_format.Error, ValueError, TypeError, AttributeError) as error:
        raise not_json_error(_REQUEST, str(error)) from None
    for i, (tensor, data) in enumerate(zip(message.inputs, contents, strict=True)):
        _fill(tensor, data, f"inputs[{i}].data")
    return message


def _object(value: Any, keys: tuple[str, ...], path: str) -> dict[str, Any]:
    """A copy of an object, with its parameters as messages have them."""
    if not isinstance(value, dict):
        raise RequestError([(path, "expected a JSON object, found another value")])
    unknown = sorted(set(value) - set(keys))
    if unknown:
        raise RequestError([(path, f"expected {', '.join(keys)}, found {shortened(unknown[0])}; leave it out")])
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError([(f"{path}.parameters", "expected a JSON object, found another value")])
    if len(parameters) > MAX_ENTRIES:
        raise RequestError([(f"{path}.parameters", f"expected at most {MAX_ENTRIES}, found {len(parameters)}")])
    named = {name: {_KINDS[type(found)]: found} for name, found in parameters.items() if type(found) in _KINDS}
    if len(named) < len(parameters):
        raise RequestError([(f"{path}.parameters", "expected texts, numbers, true or false, found another value")])
    return {**value, "parameters": named}


def _fill(tensor: pb.ModelInferRequest.InferInputTensor, data: Any, path: str) -> None:
    if not isinstance(data, list):
        raise RequestError([(path, "expected a list, found another value")])
    elements = list(_flat(data))
    try:
        if tensor.datatype == FP32:
            tensor.contents.fp32_contents.extend(elements)
        elif tensor.datatype == BYTES:
            read = _picture if tensor.name == IMAGE else str.encode
            tensor.contents.bytes_contents.extend(map(read, elements))
    except (ValueError, TypeError):
        expected = {FP32: "numbers", BYTES: "texts in UTF-8"}[tensor.datatype]
        expected = "pictures in base64" if tensor.name == IMAGE else expected
        raise RequestError([(path, f"expected {expected} and nothing else, found another value")]) from None


def _flat(data: list[Any]) -> Iterator[Any]:
    """The elements of a list, or of a list of rows."""
    for element in data:
        if isinstance(element, list):
            yield from element
        else:
            yield element


def _picture(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(error) from None
