"""The Open Inference Protocol of a real server, and that it goes the way of the contract's own calls."""

import math
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2
from model.predictor import Predictor
from model.product import Product
from server.app import SERVICE_NAME, AisleServer
from server.open_inference import open_inference_pb2 as pb
from server.settings import ServerSettings
from tests.server.open_inference.support import NAME, InferenceStub, infer, outputs, raw, refusal, tensor
from tests.server.support import HeldEngine, Stub, ask, open_channel, scrape, values, wait_for

TOKEN = "a-token-0123456789"
AUTHORIZATION = (("authorization", f"Bearer {TOKEN}"),)
NAMES = ("반팔 티셔츠 무료배송", "", "LG gram 노트북")


def test_answers_are_those_of_classify(stub: Stub, inference: InferenceStub, jpeg: bytes):
    expected = ask(
        stub,
        classifier_pb2.Product(product_id="a", product_name=NAMES[0], brand="b"),
        classifier_pb2.Product(product_id="b", image=jpeg, brand="b"),
        classifier_pb2.Product(product_id="c", product_name=NAMES[2], brand="b"),
        top_k=2,
    )
    response = infer(
        inference,
        tensor("product_id", "abc"),
        tensor("product_name", NAMES, shape=[3, 1]),
        tensor("image", [b"", jpeg, b""]),
        tensor("brand", "bbb"),
        id="request 7",
        parameters={"top_k": pb.InferParameter(int64_param=2)},
    )
    assert (response.model_name, response.model_version, response.id) == (
        expected.model,
        expected.model_version,
        "request 7",
    )
    found = outputs(response)
    predictions = [classification.prediction for classification in expected.classifications]
    best = [category for prediction in predictions for category in prediction.categories]
    assert found["category"] == ("BYTES", [3, 2], [category.category for category in best])
    assert found["category_id"][:2] == ("BYTES", [3, 2])
    assert found["probability"][:2] == ("FP64", [3, 2])
    assert np.allclose(found["probability"][2], [category.probability for category in best], atol=1e-5)
    assert found["accepted"] == ("BYTES", [3], [prediction.accepted.category for prediction in predictions])
    assert found["accepted_depth"] == ("INT32", [3], [prediction.accepted_depth for prediction in predictions])
    assert found["needs_review"] == ("BOOL", [3], [prediction.needs_review for prediction in predictions])
    assert found["error"] == ("BYTES", [3], ["", "", ""])


def test_raw_contents_in_are_raw_contents_out(inference: InferenceStub):
    inline = infer(inference, tensor("product_name", NAMES[::2]))
    response = infer(
        inference,
        {"name": "product_name", "datatype": "BYTES", "shape": [2, 1]},
        raw_input_contents=[raw(NAMES[::2])],
    )
    contents = {
        output.name: content for output, content in zip(response.outputs, response.raw_output_contents, strict=True)
    }
    expected = outputs(inline)
    assert not any(output.HasField("contents") for output in response.outputs)
    for name in ("category", "category_id", "accepted", "error"):
        assert contents[name] == raw(expected[name][2])
    assert np.allclose(np.frombuffer(contents["probability"], "<f8"), expected["probability"][2], atol=1e-6)
    assert np.frombuffer(contents["accepted_depth"], "<i4").tolist() == expected["accepted_depth"][2]
    assert np.frombuffer(contents["needs_review"], "?").tolist() == expected["needs_review"][2]


def test_fewer_categories_than_asked_for_are_filled_up(inference: InferenceStub):
    found = outputs(infer(inference, tensor("product_name", NAMES[:1])))
    assert found["category"][1] == found["probability"][1] == [1, 5]
    assert found["category"][2][3:] == ["", ""]
    assert found["probability"][2][3:] == [0, 0]
    assert math.isclose(sum(found["probability"][2]), 1, abs_tol=1e-3)


def test_outputs_and_a_sub_tree_can_be_chosen(inference: InferenceStub):
    response = infer(
        inference,
        tensor("product_name", NAMES[:1]),
        parameters={"mask_parent": pb.InferParameter(string_param="의류"), "top_k": pb.InferParameter(uint64_param=3)},
        outputs=[{"name": "error"}, {"name": "category", "parameters": {"binary_data": {"bool_param": True}}}],
    )
    assert [output.name for output in response.outputs] == ["error", "category"]
    categories = outputs(response)["category"][2]
    assert categories[2] == ""
    assert all(category.startswith("의류>") for category in categories[:2])


def test_image_features_are_pictures(inference: InferenceStub, predictor: Predictor, jpeg: bytes, stub: Stub):
    width = stub.GetModel(classifier_pb2.GetModelRequest(), timeout=30).image_feature_dim
    features = np.random.default_rng(0).random((2, width), np.float32)
    expected = predictor.predict([Product("", image_features=row) for row in features])
    inline = {"fp32_contents": features.ravel().tolist()}
    for contents, raws in (({"contents": inline}, []), ({}, [features.tobytes()])):
        input_tensor = {"name": "image_features", "datatype": "FP32", "shape": [2, width], **contents}
        response = infer(inference, input_tensor, raw_input_contents=raws, outputs=[{"name": "probability"}])
        found = response.raw_output_contents[0] if raws else response.outputs[0].contents.fp64_contents
        probabilities = np.frombuffer(found, "<f8") if raws else np.array(found)
        for row, prediction in zip(probabilities.reshape(2, 5), expected, strict=True):
            assert isinstance(row, np.ndarray)
            assert np.allclose(row[:3], [category.probability for category in prediction.categories[:3]], atol=1e-4)


def test_one_bad_product_fails_none_of_its_neighbours(inference: InferenceStub):
    response = infer(
        inference,
        tensor("product_name", [NAMES[0], "노트북".encode("cp949"), "x" * 10_001, ""]),
        tensor("image", [b"", b"", b"", b"no picture"]),
    )
    found = outputs(response)
    errors = found["error"][2]
    assert errors[0] == ""
    assert errors[1] == "expected UTF-8, found bytes that are not; encode the text again"
    assert errors[2] == "expected at most 10000 characters, found 10001; cut the text"
    assert "picture" in errors[3]
    assert found["needs_review"][2][1:] == [True] * 3
    assert found["category"][2][5:] == [""] * 15
    assert found["category"][2][0]


def test_an_unknown_model_is_not_found(inference: InferenceStub, server: AisleServer):
    [name] = server.models.names
    for options in ({"model_name": "no"}, {"model_name": name, "model_version": "no"}):
        with pytest.raises(grpc.RpcError, match=r"expected .*, found 'no'") as caught:
            infer(inference, NAME, **options)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError, match=f"expected one of {name}, found 'no'") as caught:
        inference.ModelMetadata(pb.ModelMetadataRequest(name="no"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_the_server_and_its_model_describe_themselves(inference: InferenceStub, server: AisleServer, stub: Stub):
    [model] = server.models
    assert inference.ServerLive(pb.ServerLiveRequest(), timeout=30).live
    assert inference.ServerMetadata(pb.ServerMetadataRequest(), timeout=30).name == "aisle"
    metadata = inference.ModelMetadata(pb.ModelMetadataRequest(name=model.name), timeout=30)
    width = stub.GetModel(classifier_pb2.GetModelRequest(), timeout=30).image_feature_dim
    assert (metadata.name, list(metadata.versions), metadata.platform) == (
        model.name,
        [model.version],
        "aisle_openvino",
    )
    found = {tensor.name: (tensor.datatype, list(tensor.shape)) for tensor in metadata.inputs}
    assert found["product_id"] == found["product_name"] == found["image"] == ("BYTES", [-1, 1])
    assert found["image_features"] == ("FP32", [-1, width])
    assert {tensor.name: list(tensor.shape) for tensor in metadata.outputs}["category"] == [-1, -1]
    config = inference.ModelConfig(pb.ModelConfigRequest(name=model.name), timeout=30).config
    assert config.max_batch_size == 512
    assert [entry.name for entry in config.input] == [tensor.name for tensor in metadata.inputs]
    assert all(entry.optional for entry in config.input)


def test_a_model_is_ready_as_its_health_says(inference: InferenceStub, server: AisleServer):
    [model] = server.models

    def ready(name: str = "", version: str = "") -> bool:
        return inference.ModelReady(pb.ModelReadyRequest(name=name, version=version), timeout=30).ready

    assert ready()
    assert ready(model.name)
    assert ready(model.name, model.version)
    assert not ready(model.name, "no")
    assert not ready("no")
    server._health.set_serving(f"{SERVICE_NAME}/{model.name}", False)
    assert not ready(model.name)
    server._health.set_serving("", False)
    assert not inference.ServerReady(pb.ServerReadyRequest(), timeout=30).ready
    server._health.serve()
    assert ready(model.name)
    assert inference.ServerReady(pb.ServerReadyRequest(), timeout=30).ready


def test_calls_are_counted_by_name_and_outcome(inference: InferenceStub, server: AisleServer):
    def counted() -> list[float]:
        found = values(scrape(server))
        codes = ("OK", "INVALID_ARGUMENT")
        calls = [found.get(("aisle_calls_total", code, "ModelInfer"), 0) for code in codes]
        return [*calls, found.get(("aisle_rejections_total", "INVALID_REQUEST"), 0)]

    before = counted()
    infer(inference, NAME)
    refusal(inference)
    assert [after - earlier for after, earlier in zip(counted(), before, strict=True)] == [1, 1, 1]


@pytest.fixture
def settings(settings: ServerSettings, tmp_path: Path) -> ServerSettings:
    """Of a server with a token and a single place."""
    token_file = tmp_path / "tokens"
    token_file.write_text(TOKEN)
    return replace(settings, token_file=token_file, max_concurrent_rpcs=1)


def test_tokens_and_places_count_here_too(fresh_server: AisleServer, fresh_stub: Stub, held: HeldEngine):
    with open_channel(fresh_server) as channel:
        stub = InferenceStub(channel)
        request = pb.ModelInferRequest(inputs=[NAME])
        with pytest.raises(grpc.RpcError, match="expected the metadata 'authorization: Bearer TOKEN', found none"):
            stub.ModelInfer(request, timeout=30)
        with pytest.raises(grpc.RpcError, match="expected the metadata 'authorization: Bearer TOKEN', found none"):
            stub.ModelMetadata(pb.ModelMetadataRequest(), timeout=30)
        first = stub.ModelInfer.future(request, timeout=30, metadata=AUTHORIZATION)
        held.wait_until_busy()
        with pytest.raises(grpc.RpcError, match="the server is at its limit of calls in flight") as caught:
            stub.ModelInfer(request, timeout=30, metadata=AUTHORIZATION)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        retry_info = error_details_pb2.RetryInfo()
        status = rpc_status.from_call(caught.value)
        assert status is not None
        assert any(detail.Unpack(retry_info) for detail in status.details)
        assert stub.ModelReady(pb.ModelReadyRequest(), timeout=30).ready  # without a token or a place
        held.release()
        assert len(first.result().outputs) == 7


def test_a_message_without_memory_is_refused(fresh_server: AisleServer):
    fresh_server._memory.max_bytes = 1000
    fresh_server._memory.reserve(next(iter(fresh_server._memory.reserved_bytes)), 900)
    with open_channel(fresh_server) as channel:
        with pytest.raises(grpc.RpcError, match="leave no room for") as caught:
            InferenceStub(channel).ModelInfer(
                pb.ModelInferRequest(inputs=[tensor("product_name", ["x" * 200])]), timeout=30, metadata=AUTHORIZATION
            )
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    wait_for(lambda: sum(fresh_server._memory.reserved_bytes.values()) == 900)
