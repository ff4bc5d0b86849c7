"""Translates a ModelInferRequest to the contract's ClassifyRequest."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from server.calls.form import TranslatedRequest
from server.errors import RequestError, malformed_error, shortened
from server.messages.undecodable_text import bytes_class
from server.open_inference import open_inference_pb2 as pb
from server.open_inference.response import InferForm, write_response
from server.open_inference.tensors import BYTES, FEATURES, FP32, IMAGE, INPUTS, OUTPUTS, read_bytes, read_floats
from server.settings import DEFAULT_TOP_K

#: Without meaning where there is one form of answers; clients of Triton set them.
_HARMLESS = {"binary_data", "binary_data_output"}
_MAX_INT32 = 2**31 - 1
#: Bounds of what is looked at: a message may repeat anything millions of times, and a status has to fit in a header.
MAX_ENTRIES = 16
_MAX_VIOLATIONS = 5

Violations = list[tuple[str, str]]


@dataclass(frozen=True)
class _Options:
    top_k: int = 0
    mask_parent: str = ""


def translate_content(content: bytes, max_products: int) -> TranslatedRequest:
    """Translate a serialised ModelInferRequest; the answer is a serialised ModelInferResponse.

    Args:
        max_products: most products of a request.
    Raises:
        RequestError: it is no such message, or one of its tensors is wrong.
    """
    try:
        message = pb.ModelInferRequest.FromString(content)
    except DecodeError:
        raise malformed_error("inference") from None
    request, form = translate(message, max_products)
    return TranslatedRequest(request, partial(_serialised_answer, form))


def translate(message: pb.ModelInferRequest, max_products: int) -> tuple[bytes, InferForm]:
    """Translate a ModelInferRequest to a serialised ClassifyRequest, and say how its answer has to look.

    Raises:
        RequestError: tensors, outputs or parameters are wrong; names the first ones that are.
    """
    violations = _too_many(message)
    if violations:
        raise RequestError(violations)
    options = _read_options(message.parameters, violations)
    names = _read_outputs(message.outputs, violations)
    columns = _read_columns(message, max_products, violations)
    if violations:
        raise RequestError(violations[:_MAX_VIOLATIONS])
    # Its texts are bytes: one that is not UTF-8 fails its own product alone, as in a request of the contract.
    request: Any = bytes_class("ClassifyRequest")(
        model=message.model_name.encode(),
        model_version=message.model_version.encode(),
        top_k=options.top_k,
        mask_parent=options.mask_parent.encode(),
    )
    for row in zip(*columns.values(), strict=True):
        product = request.products.add()
        for name, value in zip(columns, row, strict=True):
            if name == FEATURES:
                product.image_features.values.extend(value.tolist())
            elif value:
                setattr(product, name, value)
    form = InferForm(message.id, names, options.top_k or DEFAULT_TOP_K, bool(message.raw_input_contents))
    return request.SerializeToString(), form


def _serialised_answer(form: InferForm, response: bytes) -> bytes:
    return write_response(form, response).SerializeToString()


def _too_many(message: pb.ModelInferRequest) -> Violations:
    entries: dict[str, Sized] = {
        "inputs": message.inputs,
        "outputs": message.outputs,
        "parameters": message.parameters,
        "raw_input_contents": message.raw_input_contents,
    }
    return [
        (name, f"expected at most {MAX_ENTRIES}, found {len(found)}")
        for name, found in entries.items()
        if len(found) > MAX_ENTRIES
    ]


def _read_options(parameters: Mapping[str, pb.InferParameter], violations: Violations) -> _Options:
    values: dict[str, Any] = {}
    for name, parameter in parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        path = f"parameters.{shortened(name)}"
        if name == "top_k" and kind in ("int64_param", "uint64_param"):
            values[name] = getattr(parameter, kind)
            if not 0 <= values[name] <= _MAX_INT32:
                violations.append((path, f"expected a number of categories or 0, found {values[name]}"))
        elif name == "mask_parent" and kind == "string_param":
            values[name] = parameter.string_param
        elif name in ("top_k", "mask_parent"):
            expected = "a whole number" if name == "top_k" else "a text"
            violations.append((path, f"expected {expected}, found {kind or 'nothing'}"))
        elif name not in _HARMLESS:
            violations.append((path, "expected top_k or mask_parent, found another parameter; leave it out"))
    return _Options() if violations else _Options(**values)


def _read_outputs(
    requested: Sequence[pb.ModelInferRequest.InferRequestedOutputTensor], violations: Violations
) -> tuple[str, ...]:
    """The names of the outputs to return."""
    known = [output.name for output in OUTPUTS]
    for i, output in enumerate(requested):
        if output.name not in known:
            description = f"expected one of {', '.join(known)}, found {shortened(output.name)}"
            violations.append((f"outputs[{i}].name", description))
        _check_no_parameters(output.parameters, f"outputs[{i}]", violations)
    return tuple(dict.fromkeys(output.name for output in requested)) or tuple(known)


def _check_no_parameters(parameters: Mapping[str, Any], path: str, violations: Violations) -> None:
    name = next((name for name in parameters if name not in _HARMLESS), None)
    if name is not None:
        description = f"expected no parameters, found {shortened(name)}; leave it out"
        violations.append((f"{path}.parameters", description))


def _read_columns(message: pb.ModelInferRequest, max_products: int, violations: Violations) -> dict[str, Sequence[Any]]:
    """The values of each field that the request has, one a product; incomplete where there are violations."""
    raws = message.raw_input_contents
    if not message.inputs:
        violations.append(("inputs", f"expected one or more of {', '.join(INPUTS)}, found none"))
    if raws and len(raws) != len(message.inputs):
        description = f"expected one for each of {len(message.inputs)} inputs or none at all, found {len(raws)}"
        violations.append(("raw_input_contents", description))
        return {}
    columns: dict[str, Sequence[Any]] = {}
    for i, tensor in enumerate(message.inputs):
        found = list(_wrong(message, i, columns, max_products))
        violations += found
        if not found:
            try:
                columns[tensor.name] = _read_column(tensor, raws[i] if raws else None, f"inputs[{i}]")
            except RequestError as error:
                violations += error.violations
    if IMAGE in columns and FEATURES in columns:
        violations.append(("inputs", f"expected {IMAGE} or {FEATURES}, found both; send one of them"))
    return columns


def _read_column(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None, path: str) -> Sequence[Any]:
    read: Any = read_floats if tensor.name == FEATURES else read_bytes
    column: Sequence[Any] = read(tensor, raw, path)
    return column


def _wrong(message: pb.ModelInferRequest, i: int, columns: Mapping[str, Any], max_products: int) -> Violations:
    """What is wrong with the name, type and shape of an input."""
    tensor, path = message.inputs[i], f"inputs[{i}]"
    if tensor.name not in INPUTS:
        return [(f"{path}.name", f"expected one of {', '.join(INPUTS)}, found {shortened(tensor.name)}")]
    if tensor.name in columns:
        return [(f"{path}.name", f"expected each input once, found {tensor.name} again; leave one out")]
    violations: Violations = []
    _check_no_parameters(tensor.parameters, path, violations)
    datatype = FP32 if tensor.name == FEATURES else BYTES
    if tensor.datatype != datatype:
        violations.append((f"{path}.datatype", f"expected {datatype}, found {shortened(tensor.datatype)}"))
    if message.raw_input_contents and tensor.HasField("contents"):
        description = "expected none beside raw_input_contents, found some; send one of the two"
        violations.append((f"{path}.contents", description))
    return violations + _wrong_shape(tensor, f"{path}.shape", message.inputs[0], max_products)


def _wrong_shape(
    tensor: pb.ModelInferRequest.InferInputTensor,
    path: str,
    first: pb.ModelInferRequest.InferInputTensor,
    max_products: int,
) -> Violations:
    shape = list(tensor.shape[:MAX_ENTRIES])
    is_features = tensor.name == FEATURES
    has_rank = len(shape) == 2 and shape[1] > 0 if is_features else len(shape) == 1 or shape[1:] == [1]
    if not shape or not has_rank:
        expected = "[N, F], F numbers for each of N products" if is_features else "[N] or [N, 1] for N products"
        return [(path, f"expected {expected}, found {shape}")]
    if not 1 <= shape[0] <= max_products:
        return [(path, f"expected 1 to {max_products} products, found {shape[0]}; split the request")]
    if first.shape and shape[0] != first.shape[0]:
        found = f"found {shape[0]}; send an empty element where a product lacks the field"
        return [(path, f"expected as many products as {shortened(first.name)} has, {first.shape[0]}, {found}")]
    return []
