"""Requests of the Open Inference Protocol that are wrong: each fault is named, and costs little."""

import os
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from model.machine.memory import resident_bytes
from server.app import AisleServer
from server.open_inference import open_inference_pb2 as pb
from tests.server.open_inference.support import NAME, InferenceStub, raw, refusal, tensor
from tests.server.support import violations


@pytest.mark.parametrize(
    ("inputs", "options", "field", "text"),
    [
        ([], {}, "inputs", "expected one or more of product_id, product_name, mall_category, brand, maker,"),
        ([{**NAME, "name": "title"}], {}, "inputs[0].name", "expected one of product_id, product_name, "),
        ([{**NAME, "datatype": "INT32"}], {}, "inputs[0].datatype", "expected BYTES, found 'INT32'"),
        ([{**NAME, "shape": [1, 2]}], {}, "inputs[0].shape", "expected [N] or [N, 1] for N products, found [1, 2]"),
        ([{**NAME, "shape": []}], {}, "inputs[0].shape", "expected [N] or [N, 1] for N products, found []"),
        ([{**NAME, "shape": [-1]}], {}, "inputs[0].shape", "expected 1 to 512 products, found -1; split"),
        ([{**NAME, "shape": [513]}], {}, "inputs[0].shape", "expected 1 to 512 products, found 513; split"),
        ([{**NAME, "shape": [3]}], {}, "inputs[0].contents", "expected 3 elements of bytes_contents, found 2"),
        ([NAME, NAME], {}, "inputs[1].name", "expected each input once, found product_name again; leave one out"),
        (
            [NAME, tensor("brand", "b")],
            {},
            "inputs[1].shape",
            "expected as many products as 'product_name' has, 2, found 1; send an empty element where",
        ),
        (
            [tensor("image_features", [], datatype="FP32", shape=[2])],
            {},
            "inputs[0].shape",
            "expected [N, F], F numbers for each of N products, found [2]",
        ),
        (
            [tensor("image_features", [], datatype="FP32", shape=[2, 3])],
            {},
            "inputs[0].contents",
            "expected 2 x 3 numbers of FP32, found 0",
        ),
        (
            [
                tensor("image", ["", ""]),
                {"name": "image_features", "datatype": "FP32", "shape": [2, 1], "contents": {"fp32_contents": [1, 2]}},
            ],
            {},
            "inputs",
            "expected image or image_features, found both; send one of them",
        ),
        ([NAME], {"raw_input_contents": [b"", b""]}, "raw_input_contents", "expected one for each of 1 inputs or none"),
        ([NAME], {"raw_input_contents": [raw(["a", "b"])]}, "inputs[0].contents", "expected none beside raw_input_"),
        (
            [tensor("brand", "ab", contents=None)],
            {"raw_input_contents": [raw(["a", "b"])[:-1]]},
            "inputs[0]",
            "expected 2 elements, each after its length (4 bytes, little-endian), found 9 bytes that end elsewhere",
        ),
        (
            [{"name": "image_features", "datatype": "FP32", "shape": [1, 1]}],
            {"raw_input_contents": [b"123"]},
            "inputs[0]",
            "expected 4 bytes a number, found 3 bytes; send FP32, little-endian",
        ),
        ([NAME], {"outputs": [{"name": "label"}]}, "outputs[0].name", "expected one of category, category_id, "),
        (
            [NAME],
            {"outputs": [{"name": "error", "parameters": {"classification": {"int64_param": 1}}}]},
            "outputs[0].parameters",
            "expected no parameters, found 'classification'; leave it out",
        ),
        ([NAME], {"parameters": {"top_k": {"string_param": "3"}}}, "parameters.'top_k'", "expected a whole number, "),
        ([NAME], {"parameters": {"top_k": {"int64_param": 2**40}}}, "parameters.'top_k'", "expected a number of cat"),
        ([NAME], {"parameters": {"top_k": {"int64_param": 101}}}, "top_k", "expected 1 to 100, or 0 for 5; found 101"),
        ([NAME], {"parameters": {"topk": {"int64_param": 3}}}, "parameters.'topk'", "expected top_k or mask_parent, "),
        ([NAME], {"parameters": {"mask_parent": {"string_param": "no"}}}, "mask_parent", "expected a category"),
    ],
)
def test_wrong_tensors_are_named(
    inference: InferenceStub, inputs: list[dict[str, Any]], options: dict[str, Any], field: str, text: str
):
    error = refusal(inference, *inputs, **options)
    assert f"{field}: {text}" in error.details()
    status = rpc_status.from_call(error)
    assert status is not None
    assert field in violations(status)


def test_every_wrong_tensor_is_named_at_once(inference: InferenceStub):
    error = refusal(inference, {**NAME, "name": "title"}, {**NAME, "shape": [9]}, outputs=[{"name": "label"}])
    for field in ("outputs[0].name", "inputs[0].name", "inputs[1].shape"):
        assert f"{field}: " in error.details()


@pytest.mark.parametrize("name", ["inputs", "outputs", "raw_input_contents"])
def test_what_is_repeated_beyond_reason_is_counted_and_not_looked_at(
    channel: grpc.Channel, name: str, server: AisleServer
):
    number = pb.ModelInferRequest.DESCRIPTOR.fields_by_name[name].number
    content = bytes([number << 3 | 2, 0]) * 100_000  # empty messages
    before = resident_bytes(os.getpid())
    with pytest.raises(grpc.RpcError, match=f"{name}: expected at most 16, found 100000"):
        channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(content, timeout=30)
    assert resident_bytes(os.getpid()) - before < 100_000_000


def test_a_status_fits_in_a_header_whatever_is_wrong(inference: InferenceStub):
    wrong = [{"name": "x" * 1000, "datatype": "y" * 1000, "shape": [9] * 1000}] * 8
    wrong += [tensor("brand", "ab", datatype="z" * 1000, shape=[9] * 1000)] * 8
    options = {"outputs": [{"name": "o" * 1000}] * 16, "parameters": {"p" * 1000: pb.InferParameter()}}
    assert "expected one of category" in refusal(inference, *wrong, **options).details()
    error = refusal(inference, *wrong[8:])
    assert "inputs[0].shape: expected [N] or [N, 1] for N products, found [9, 9, 9, 9, 9, 9, 9, 9, " in error.details()


@pytest.mark.parametrize("method", ["ModelInfer", "ModelReady", "ModelMetadata", "ServerLive"])
def test_malformed_bytes_are_an_invalid_request(channel: grpc.Channel, method: str):
    with pytest.raises(
        grpc.RpcError, match="request: expected a message of inference, found malformed bytes"
    ) as caught:
        channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(b"\xff\xff\xff", timeout=30)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
