"""The tensors of the Open Inference Protocol that stand for products and for their answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.product import TEXT_COLUMNS
from server.errors import RequestError
from server.open_inference import open_inference_pb2 as pb

#: Inputs that hold one text of each product.
TEXT_INPUTS = ("product_id", *TEXT_COLUMNS)
IMAGE = "image"
FEATURES = "image_features"
INPUTS = (*TEXT_INPUTS, IMAGE, FEATURES)

BYTES, FP32, FP64, INT32, BOOL = "BYTES", "FP32", "FP64", "INT32", "BOOL"

_LENGTH_BYTES = 4  # before each element of a raw tensor of BYTES


@dataclass(frozen=True)
class OutputSpec:
    """An output.

    Args:
        is_matrix: True for [N, K], a row of the best categories of each product; False for [N].
    """

    name: str
    datatype: str
    is_matrix: bool = False


OUTPUTS = (
    OutputSpec("category", BYTES, is_matrix=True),
    OutputSpec("category_id", BYTES, is_matrix=True),
    OutputSpec("probability", FP64, is_matrix=True),
    OutputSpec("accepted", BYTES),
    OutputSpec("accepted_depth", INT32),
    OutputSpec("needs_review", BOOL),
    OutputSpec("error", BYTES),
)


def read_bytes(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None, path: str) -> Sequence[bytes]:
    """The elements of a tensor of BYTES.

    Args:
        raw: its raw content; None where it came with the tensor.
        path: names it in errors.
    Raises:
        RequestError: there are more or fewer than its shape says, or the raw content is cut off.
    """
    count = tensor.shape[0]
    if raw is None:
        found: Sequence[bytes] = tensor.contents.bytes_contents
        if len(found) != count:
            raise RequestError(
                [(f"{path}.contents", f"expected {count} elements of bytes_contents, found {len(found)}")]
            )
        return found
    elements = []
    position = 0
    for _ in range(count):
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(raw[position:start], "little")
        elements.append(raw[start:position])
    if position != len(raw):
        description = (
            f"expected {count} elements, each after its length (4 bytes, little-endian), found {len(raw)} bytes"
        )
        raise RequestError([(path, f"{description} that end elsewhere")])
    return elements


def read_floats(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None, path: str) -> np.ndarray:
    """The (N, F) numbers of a tensor of FP32; see `read_bytes`.

    Raises:
        RequestError: there are more or fewer than its shape says.
    """
    num_rows, num_columns = tensor.shape
    if raw is not None and len(raw) % 4:
        raise RequestError([(path, f"expected 4 bytes a number, found {len(raw)} bytes; send FP32, little-endian")])
    values = np.array(tensor.contents.fp32_contents, "<f4") if raw is None else np.frombuffer(raw, "<f4")
    if len(values) != num_rows * num_columns:
        description = f"expected {num_rows} x {num_columns} numbers of FP32, found {len(values)}"
        raise RequestError([(path if raw is not None else f"{path}.contents", description)])
    return values.reshape(num_rows, num_columns)


def set_contents(contents: pb.InferTensorContents, datatype: str, values: Sequence) -> None:
    """Set the elements of an output, row by row, in the field of its type."""
    match datatype:
        case "BYTES":
            contents.bytes_contents.extend(value.encode() for value in values)
        case "FP64":
            contents.fp64_contents.extend(values)
        case "INT32":
            contents.int_contents.extend(values)
        case "BOOL":
            contents.bool_contents.extend(values)


def raw_contents(datatype: str, values: Sequence) -> bytes:
    """The elements of an output, row by row, as raw content."""
    if datatype != BYTES:
        return np.array(values, {FP64: "<f8", INT32: "<i4", BOOL: "?"}[datatype]).tobytes()
    parts = []
    for value in values:
        element = value.encode()
        parts += [len(element).to_bytes(_LENGTH_BYTES, "little"), element]
    return b"".join(parts)
