"""JSON over HTTP from a real server: the same answers, and the same refusals, as by gRPC."""

import base64
import gzip
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from aisle_client.v1 import classifier_pb2 as pb
from server.app import AisleServer
from server.settings import ServerSettings
from tests.server.http.support import connect, fetch, read_reply, reason
from tests.server.support import HeldEngine, Stub, ask, named, scrape, toy_settings, values, wait_for

TOKEN = "a-token-0123456789"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
ONE = {"products": [{"product_name": "반팔 티셔츠"}]}
TENSOR = {"name": "product_name", "datatype": "BYTES", "shape": [2], "data": ["반팔 티셔츠", "노트북"]}


@pytest.fixture(scope="module")
def server(toy_bundle: Path) -> Iterator[AisleServer]:
    server = AisleServer(
        toy_settings(toy_bundle, http_port=0, metrics_port=0, access_log=True, max_message_bytes=100_000)
    )
    server.start()
    yield server
    server.stop(grace_s=5)


def test_classify_answers_what_it_answers_by_grpc(server: AisleServer, stub: Stub, jpeg: bytes):
    products = [pb.Product(product_id="a", image=jpeg), named("노트북"), pb.Product(image=b"no picture")]
    request = pb.ClassifyRequest(products=products, top_k=2, include_evidence=True)
    reply = fetch(server, "/v1/classify", json_format.MessageToDict(request))
    assert (reply.code, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
    found = json_format.ParseDict(reply.content, pb.ClassifyResponse())
    expected = ask(stub, *products, top_k=2, include_evidence=True)
    assert found.model == expected.model
    assert [c.product_id for c in found.classifications] == ["a", "id of 노트북", ""]
    for one, other in zip(found.classifications, expected.classifications, strict=True):
        assert [c.category for c in one.prediction.categories] == [c.category for c in other.prediction.categories]
        assert one.error.message == other.error.message
    assert found.classifications[2].error.message


def test_an_answer_has_the_contract_s_names_and_its_zeros(server: AisleServer):
    reply = fetch(server, "/v1/classify", {"products": [{"productName": "티"}], "topK": 1})
    [classification] = reply.content["classifications"]
    assert {"needs_review", "accepted_depth", "categories"} <= set(classification["prediction"])
    assert len(classification["prediction"]["categories"]) == 1
    assert set(reply.content["timings"]) == {"decode_ms", "queue_ms", "inference_ms", "total_ms"}


def test_a_large_request_is_translated_beside_the_event_loop(server: AisleServer):
    products = [{"product_name": f"노트북 {i}", "description": "x" * 200} for i in range(300)]
    reply = fetch(server, "/v1/classify", {"products": products, "top_k": 3})
    assert len(reply.content["classifications"]) == 300


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"products": [{"name": "x"}]},
            '"aisle.v1.Product" has no field named "name" at "ClassifyRequest.products[0]"',
        ),
        ({"product": []}, '"aisle.v1.ClassifyRequest" has no field named "product"'),
        ({"products": [{"image": "abcde"}]}, "Failed to parse products field"),
        ({"products": [{"product_name": 3}]}, "Failed to parse products field"),
        ({**ONE, "top_k": 2**40}, "Failed to parse top_k field"),
        (b'{"products": [{"product_name": "\\ud800"}]}', "expected a message ClassifyRequest as JSON"),
        (b'{"products": [', "found: Expecting value: line 1 column 15"),
        (b'{"top_k": 1, "top_k": 2}', "found: one of top_k twice in an object"),
        ({"products": [{}] * 2_000}, "found: more than 1636 objects; send at most 512 products"),
        (b"[]", "found: no object, which begins with {"),
        (b"", "found: no object, which begins with {"),
        (b'{"products": "\xb3\xeb"}', "found: bytes that are not UTF-8"),
        (b'{"products": ' + b"[" * 50_000, "found: too many levels"),
        ({"products": []}, "products: expected 1 to 512 products, found none"),
        ({**ONE, "top_k": 101}, "top_k: expected 1 to 100, or 0 for 5; found 101"),
    ],
)
def test_a_wrong_request_is_400_and_names_what_is_wrong(server: AisleServer, content: Any, text: str):
    reply = fetch(server, "/v1/classify", content)
    assert (reply.code, reply.content["code"], reason(reply)) == (400, 3, "INVALID_REQUEST")
    assert text in reply.content["message"]
    assert len(reply.content["message"]) < 500


def test_the_model_is_described(server: AisleServer):
    [model] = server.models
    for path in ("/v1/model", f"/v1/model?model={model.name}&model_version={model.version}"):
        reply = fetch(server, path)
        assert (reply.code, reply.content["model"]) == (200, model.name)
        assert reply.content["limits"]["max_products"] == 512
    reply = fetch(server, "/v1/model?model=no")
    assert (reply.code, reason(reply)) == (404, "UNKNOWN_MODEL")
    assert reply.content["message"] == f"model: expected one of {model.name}, found 'no'"
    reply = fetch(server, "/v1/model?name=no")
    assert reply.code == 400
    assert '"aisle.v1.GetModelRequest" has no field named "name"' in reply.content["message"]


@pytest.mark.parametrize(("path", "content", "code"), [("/v1/no", None, 404), ("/v1/classify", None, 405)])
def test_another_path_or_method_is_told_which_there_are(server: AisleServer, path: str, content: Any, code: int):
    reply = fetch(server, path, content)
    assert reply.code == code
    assert reply.content["message"].startswith("expected POST /v1/classify, GET /v1/model, GET /healthz, or a path of")
    assert reply.headers.get("allow") == ("POST" if code == 405 else None)
    assert reply.headers["server"] == "aisle"


def test_a_message_over_the_limit_is_413_before_it_is_read(server: AisleServer):
    connection = connect(server)
    connection.putrequest("POST", "/v1/classify")
    connection.putheader("Content-Length", "100001")
    connection.endheaders()  # and nothing more
    reply = read_reply(connection)
    connection.close()
    assert (reply.code, reply.content["code"], reason(reply)) == (413, 8, "MESSAGE_TOO_LARGE")
    assert reply.content["message"] == "expected a body of at most 100000 bytes; split the request"
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize("is_large", [False, True])
def test_a_compressed_request_is_read_up_to_the_limit(server: AisleServer, is_large: bool):
    content = json.dumps(ONE).encode() + b" " * (200_000 if is_large else 0)
    reply = fetch(server, "/v1/classify", gzip.compress(content), {"Content-Encoding": "gzip"})
    assert reply.code == (413 if is_large else 200)
    reply = fetch(server, "/v1/classify", json.dumps(ONE).encode(), {"Content-Encoding": "gzip"})
    assert reply.code == 400


def test_an_answer_is_compressed_for_a_caller_that_asks(server: AisleServer):
    reply = fetch(server, "/v1/classify", ONE, {"Accept-Encoding": "gzip"})
    assert reply.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(reply.content))["classifications"]) == 1


def test_a_request_id_comes_back_with_answers_and_errors_and_is_in_the_access_log(
    server: AisleServer, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, logger="aisle.access")
    for content, code in ((ONE, 200), ({}, 400)):
        reply = fetch(server, "/v1/classify", content, {"X-Request-Id": "abc-1"})
        assert (reply.code, reply.headers["x-request-id"]) == (code, "abc-1")
    assert "x-request-id" not in fetch(server, "/v1/classify", ONE).headers
    lines = [vars(record) for record in caplog.records if record.name == "aisle.access"]
    assert [(line["method"], line["code"], line["products"]) for line in lines] == [
        ("/aisle.v1.ProductClassifier/Classify", "OK", 1),
        ("/aisle.v1.ProductClassifier/Classify", "INVALID_ARGUMENT", 0),
        ("/aisle.v1.ProductClassifier/Classify", "OK", 1),
    ]
    assert lines[0]["peer"].startswith("http:127.0.0.1:")


def test_several_requests_of_one_connection_are_calls_of_their_own(server: AisleServer):
    connection = connect(server)
    for headers in ({"X-Request-Id": "abc-2"}, {}):
        connection.request("POST", "/v1/classify", json.dumps(ONE), headers)
        assert read_reply(connection).headers.get("x-request-id") == headers.get("X-Request-Id")
    connection.close()


def test_calls_are_counted_as_those_by_grpc_are(server: AisleServer):
    def counted() -> list[float]:
        found = values(scrape(server))
        keys = [("OK", "Classify"), ("INVALID_ARGUMENT", "Classify"), ("OK", "ModelInfer")]
        return [found.get(("aisle_calls_total", *key), 0) for key in keys]

    before = counted()
    [name] = server.models.names
    fetch(server, "/v1/classify", ONE)
    fetch(server, "/v1/classify", {})
    fetch(server, f"/v2/models/{name}/infer", {"inputs": [TENSOR]})
    assert [after - earlier for after, earlier in zip(counted(), before, strict=True)] == [1, 1, 1]


@pytest.mark.parametrize("text", ["soon", "0", "-5", "1.5", "9999999999"])
def test_a_wrong_deadline_is_named(server: AisleServer, text: str):
    reply = fetch(server, "/v1/classify", ONE, {"X-Request-Timeout-Ms": text})
    assert reply.code == 400
    expected = f"x-request-timeout-ms: expected a whole number of milliseconds above 0, found '{text}'"
    assert reply.content["message"] == expected


def test_health_is_that_of_grpc(server: AisleServer):
    [name] = server.models.names
    paths = ("/healthz", "/v2/health/ready", f"/v2/models/{name}/ready")
    assert [fetch(server, path).code for path in paths] == [200, 200, 200]
    assert fetch(server, "/v2/models/no/ready").content == {"name": "no", "ready": False}
    server._health.set_serving("", False)
    server._health.set_serving(f"aisle.v1.ProductClassifier/{name}", False)
    assert [fetch(server, path).code for path in paths] == [503, 503, 503]
    assert fetch(server, "/healthz").content == {"status": "NOT_SERVING"}
    assert fetch(server, "/v2/health/live").content == {"live": True}
    server._health.serve()


def test_tensors_as_json(server: AisleServer, jpeg: bytes):
    [model] = server.models
    picture = base64.b64encode(jpeg).decode()
    inputs = [TENSOR, {"name": "image", "datatype": "BYTES", "shape": [2, 1], "data": [[picture], [""]]}]
    request = {"id": "7", "inputs": inputs, "parameters": {"top_k": 2}}
    for path in (f"/v2/models/{model.name}/infer", f"/v2/models/{model.name}/versions/{model.version}/infer"):
        reply = fetch(server, path, request)
        assert reply.code == 200
        assert [reply.content[key] for key in ("model_name", "model_version", "id")] == [model.name, model.version, "7"]
        outputs = {output["name"]: output for output in reply.content["outputs"]}
        assert outputs["category"]["shape"] == outputs["probability"]["shape"] == [2, 2]
        assert len(outputs["category"]["data"]) == 4
        assert outputs["error"] == {"name": "error", "datatype": "BYTES", "shape": [2], "data": ["", ""]}
    parameters = {"binary_data_output": True}  # as Triton's client sends, which reads either form
    request = {"inputs": [TENSOR], "outputs": [{"name": "needs_review"}], "parameters": parameters}
    chosen = fetch(server, path, request)
    assert [(output["name"], output["datatype"]) for output in chosen.content["outputs"]] == [("needs_review", "BOOL")]


def test_features_as_json(server: AisleServer, stub: Stub):
    [name] = server.models.names
    width = stub.GetModel(pb.GetModelRequest(), timeout=30).image_feature_dim
    data = [[0.5] * width, [0.25] * width]
    tensor = {"name": "image_features", "datatype": "FP32", "shape": [2, width], "data": data}
    reply = fetch(server, f"/v2/models/{name}/infer", {"inputs": [tensor], "outputs": [{"name": "error"}]})
    assert reply.content["outputs"][0]["data"] == ["", ""]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"inputs": [{**TENSOR, "shape": [3]}]}, "inputs[0].contents: expected 3 elements of bytes_contents, found 2"),
        ({"inputs": [{**TENSOR, "data": ["a", 1]}]}, "inputs[0].data: expected texts in UTF-8 and nothing else"),
        ({"inputs": [{**TENSOR, "data": "ab"}]}, "inputs[0].data: expected a list, found another value"),
        ({"inputs": [{**TENSOR, "name": "image"}]}, "inputs[0].data: expected pictures in base64 and nothing else"),
        (
            {"inputs": [{"name": "image_features", "datatype": "FP32", "shape": [1, 1], "data": ["x"]}]},
            "inputs[0].data: expected numbers and nothing else",
        ),
        (
            {"inputs": [{**TENSOR, "dat": []}]},
            "inputs[0]: expected name, shape, datatype, parameters, data, found 'dat'",
        ),
        ({"inputs": [{**TENSOR, "shape": ["a"]}]}, "expected an inference request as JSON, found: Failed to parse"),
        ({"input": []}, "request: expected id, parameters, inputs, outputs, found 'input'; leave it out"),
        ({"inputs": 3}, "inputs: expected a list of tensors, found none"),
        ({"inputs": [3]}, "inputs[0]: expected a JSON object, found another value"),
        ([], "expected an inference request as JSON, found: no object, which begins with {"),
        (b"{", "expected an inference request as JSON, found: Expecting property name"),
        (b'{"inputs": ' + b"[" * 50_000, "expected an inference request as JSON, found: too many levels"),
        ({"inputs": [TENSOR], "parameters": []}, "request.parameters: expected a JSON object, found another value"),
        ({"inputs": [TENSOR], "parameters": {"a": []}}, "request.parameters: expected texts, numbers, true or false"),
        ({"inputs": [TENSOR], "parameters": {"top_k": "2"}}, "parameters.'top_k': expected a whole number, found"),
        ({"inputs": [TENSOR], "outputs": [{"name": "no"}]}, "outputs[0].name: expected one of category, category_id, "),
    ],
)
def test_wrong_tensors_are_named(server: AisleServer, request_: Any, text: str):
    [name] = server.models.names
    reply = fetch(server, f"/v2/models/{name}/infer", request_)
    assert reply.code == 400
    assert text in reply.content["message"]
    assert reply.content["error"] == reply.content["message"]  # what clients of the protocol read


def test_binary_tensors_are_refused_with_what_to_do(server: AisleServer):
    [name] = server.models.names
    reply = fetch(server, f"/v2/models/{name}/infer", {}, {"Inference-Header-Content-Length": "2"})
    assert reply.code == 400
    assert reply.content["error"].endswith("found the extension for binary ones; send binary_data=False")


def test_the_protocol_s_descriptions(server: AisleServer):
    [model] = server.models
    assert fetch(server, "/v2").content == {"name": "aisle", "extensions": ["model_configuration"]}
    reply = fetch(server, f"/v2/models/{model.name}")
    assert reply.content["versions"] == [model.version]
    assert {"name": "product_name", "datatype": "BYTES", "shape": [-1, 1]} in reply.content["inputs"]
    assert fetch(server, "/v2/models/no").code == 404
    assert fetch(server, f"/v2/models/{model.name}/versions/no/infer", {"inputs": [TENSOR]}).code == 404


@pytest.fixture
def settings(settings: ServerSettings, tmp_path: Path) -> ServerSettings:
    """Of a server with a token and a single place, at which messages have little time to arrive."""
    token_file = tmp_path / "tokens"
    token_file.write_text(TOKEN)
    return replace(settings, http_port=0, token_file=token_file, max_concurrent_rpcs=1, message_timeout_s=0.2)


def test_tokens_places_and_deadlines_count_here_too(fresh_server: AisleServer, held: HeldEngine):
    for headers in ({}, {"Authorization": "Bearer another-token-012345"}):
        reply = fetch(fresh_server, "/v1/classify", ONE, headers)
        assert (reply.code, reason(reply)) == (401, "INVALID_TOKEN")
        assert reply.headers["www-authenticate"] == "Bearer"
    late = fetch(fresh_server, "/v1/classify", ONE, {**AUTHORIZATION, "X-Request-Timeout-Ms": "1"})
    assert (late.code, reason(late)) == (504, "TOO_LATE")
    wait_for(lambda: fresh_server._service.calls.num_in_flight == 0)
    first = connect(fresh_server)
    first.request("POST", "/v1/classify", json.dumps(ONE), AUTHORIZATION)
    held.wait_until_busy()
    wait_for(lambda: fresh_server._service.calls.num_in_flight == 1)
    reply = fetch(fresh_server, "/v1/classify", ONE, AUTHORIZATION)
    assert (reply.code, reply.headers["retry-after"], reason(reply)) == (429, "1", "TOO_MANY_CALLS")
    assert reply.content["message"].startswith("the server is at its limit of calls in flight")
    assert fetch(fresh_server, "/healthz").code == 200  # without a token or a place
    held.release()
    assert read_reply(first).code == 200
    first.close()


def test_a_caller_that_leaves_gives_its_place_back(fresh_server: AisleServer, held: HeldEngine):
    connection = connect(fresh_server)
    connection.request("POST", "/v1/classify", json.dumps(ONE), AUTHORIZATION)
    wait_for(lambda: fresh_server._service.calls.num_in_flight == 1)
    connection.close()
    wait_for(lambda: fresh_server._service.calls.num_in_flight == 0)


def test_half_a_message_is_given_up_after_its_time(fresh_server: AisleServer):
    connection = connect(fresh_server)
    connection.putrequest("POST", "/v1/classify")
    connection.putheader("Content-Length", "100")
    for key, value in AUTHORIZATION.items():
        connection.putheader(key, value)
    connection.endheaders(b'{"products"')
    reply = read_reply(connection)
    connection.close()
    assert (reply.code, reason(reply), reply.headers["retry-after"]) == (503, "IDLE", "1")
    assert reply.content["message"] == "the message did not arrive within 0.2 s; send the request again"
    assert reply.headers["connection"] == "close"


def test_a_message_without_memory_is_refused(fresh_server: AisleServer):
    use = next(iter(fresh_server._memory.reserved_bytes))
    fresh_server._memory.max_bytes = 10_000
    fresh_server._memory.reserve(use, 9_990)
    reply = fetch(fresh_server, "/v1/classify", ONE, AUTHORIZATION)
    assert (reply.code, reason(reply), reply.headers["retry-after"]) == (429, "MEMORY_FULL", "1")
    wait_for(lambda: fresh_server._memory.reserved_bytes[use] == 9_990)


def test_calls_in_flight_are_answered_before_the_port_closes(fresh_server: AisleServer, held: HeldEngine):
    calls = fresh_server._service.calls
    connection = connect(fresh_server)
    connection.request("POST", "/v1/classify", json.dumps(ONE), AUTHORIZATION)
    held.wait_until_busy()
    fresh_server._event_loop.call(lambda: setattr(calls, "_is_closed", True))
    wait_for(lambda: not calls.is_full)  # as a server that is stopping: refused for another reason
    reply = fetch(fresh_server, "/v1/classify", ONE, AUTHORIZATION)
    assert (reply.code, reason(reply), reply.headers["connection"]) == (503, "STOPPING", "close")
    held.release()
    fresh_server.stop(grace_s=30)
    assert read_reply(connection).code == 200
    connection.close()
    with pytest.raises(ConnectionError):
        fetch(fresh_server, "/healthz")
