"""Tensors in and out, as tests of the Open Inference Protocol write and read them."""

import struct
from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from server.open_inference import open_inference_pb2 as pb
from server.open_inference import open_inference_pb2_grpc

InferenceStub = open_inference_pb2_grpc.GRPCInferenceServiceStub


def tensor(name: str, values: Sequence[str | bytes], **changes: Any) -> dict[str, Any]:
    elements = [value.encode() if isinstance(value, str) else value for value in values]
    return {
        "name": name,
        "datatype": "BYTES",
        "shape": [len(elements)],
        "contents": {"bytes_contents": elements},
        **changes,
    }


def raw(elements: Sequence[str | bytes]) -> bytes:
    encoded = [element.encode() if isinstance(element, str) else element for element in elements]
    return b"".join(struct.pack("<I", len(element)) + element for element in encoded)


def infer(stub: InferenceStub, *inputs: dict[str, Any], **options: Any) -> pb.ModelInferResponse:
    return stub.ModelInfer(pb.ModelInferRequest(inputs=inputs, **options), timeout=30)


def outputs(response: pb.ModelInferResponse) -> dict[str, tuple[str, list[int], list[Any]]]:
    """Type, shape and elements of each output."""
    found = {}
    for output in response.outputs:
        [(_, contents)] = output.contents.ListFields() or [(None, [])]
        elements = [value.decode() if isinstance(value, bytes) else value for value in contents]
        found[output.name] = (output.datatype, list(output.shape), elements)
    return found


def refusal(stub: InferenceStub, *inputs: dict[str, Any], **options: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        infer(stub, *inputs, **options)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    return caught.value


NAME = tensor("product_name", ["shirt", "laptop"])
