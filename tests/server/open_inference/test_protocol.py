"""The protocol's names and numbers, which are not ours to change."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from server.app import AisleServer
from server.open_inference import open_inference_pb2 as pb

#: As in Triton's grpc_service.proto and model_config.proto, and KServe's open_inference_grpc.proto.
NUMBERS = {
    "ServerLiveResponse": {"live": 1},
    "ServerReadyResponse": {"ready": 1},
    "ModelReadyRequest": {"name": 1, "version": 2},
    "ModelReadyResponse": {"ready": 1},
    "ServerMetadataResponse": {"name": 1, "version": 2, "extensions": 3},
    "ModelMetadataRequest": {"name": 1, "version": 2},
    "ModelMetadataResponse": {"name": 1, "versions": 2, "platform": 3, "inputs": 4, "outputs": 5},
    "ModelMetadataResponse.TensorMetadata": {"name": 1, "datatype": 2, "shape": 3},
    "ModelInferRequest": {
        "model_name": 1, "model_version": 2, "id": 3, "parameters": 4, "inputs": 5, "outputs": 6,
        "raw_input_contents": 7,
    },
    "ModelInferRequest.InferInputTensor": {"name": 1, "datatype": 2, "shape": 3, "parameters": 4, "contents": 5},
    "ModelInferRequest.InferRequestedOutputTensor": {"name": 1, "parameters": 2},
    "ModelInferResponse": {
        "model_name": 1, "model_version": 2, "id": 3, "parameters": 4, "outputs": 5, "raw_output_contents": 6,
    },
    "ModelInferResponse.InferOutputTensor": {"name": 1, "datatype": 2, "shape": 3, "parameters": 4, "contents": 5},
    "InferParameter": {"bool_param": 1, "int64_param": 2, "string_param": 3, "double_param": 4, "uint64_param": 5},
    "InferTensorContents": {
        "bool_contents": 1, "int_contents": 2, "int64_contents": 3, "uint_contents": 4, "uint64_contents": 5,
        "fp32_contents": 6, "fp64_contents": 7, "bytes_contents": 8,
    },
    "ModelConfigRequest": {"name": 1, "version": 2},
    "ModelConfigResponse": {"config": 1},
    "ModelConfig": {"name": 1, "platform": 2, "max_batch_size": 4, "input": 5, "output": 6, "backend": 17},
    "ModelInput": {"name": 1, "data_type": 2, "dims": 4, "optional": 8},
    "ModelOutput": {"name": 1, "data_type": 2, "dims": 3},
}  # fmt: skip

#: In a process of its own, because Triton's client brings stubs of the same names.
TRITON = """
import sys
import numpy as np
from tritonclient import grpc
client = grpc.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(sys.argv[2])
assert client.get_model_metadata(sys.argv[2]).inputs[0].name == "product_id"
assert client.get_model_config(sys.argv[2]).config.max_batch_size == 512
name = grpc.InferInput("product_name", [2, 1], "BYTES")
name.set_data_from_numpy(np.array([["shirt"], ["laptop"]], dtype=object))
result = client.infer(sys.argv[2], [name], parameters={"top_k": 2}, request_id="7")
print(result.get_response().id, *(result.as_numpy(key).shape for key in ("category", "probability", "error")))
"""


def test_names_and_numbers_are_the_official_ones():
    found = {
        name: {field.name: field.number for field in message.fields}
        for name, message in _messages(pb.DESCRIPTOR.message_types_by_name)
        if message.fields and not message.GetOptions().map_entry
    }
    assert found == NUMBERS
    assert pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name == "inference.GRPCInferenceService"
    assert pb.DataType.items() == [
        ("TYPE_INVALID", 0), ("TYPE_BOOL", 1), ("TYPE_INT32", 8), ("TYPE_FP32", 11), ("TYPE_FP64", 12),
        ("TYPE_STRING", 13),
    ]  # fmt: skip


def _messages(messages, prefix=""):
    for name, message in messages.items():
        yield prefix + name, message
        yield from _messages(message.nested_types_by_name, f"{prefix}{name}.")


@pytest.mark.skipif(find_spec("tritonclient") is None, reason="pip install 'tritonclient[grpc]'")
def test_triton_s_own_client_classifies(server: AisleServer):
    [name] = server.models.names
    command = [sys.executable, "-c", TRITON, f"127.0.0.1:{server.port}", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "7 (2, 2) (2, 2) (2,)\n"
