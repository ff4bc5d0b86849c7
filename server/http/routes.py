"""The paths of the HTTP port: each is an RPC in another form, answered by way of that RPC's own handler."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from aiohttp import web
from google.protobuf import json_format

from aisle_client.v1 import classifier_pb2
from server.calls.health import Health
from server.errors import RequestError
from server.http.calls import HttpCalls, RpcRoute
from server.http.context import HttpContext
from server.http.contract_json import read_query, translate_classify, write_json
from server.http.status import JSON
from server.open_inference.service import INFERENCE_SERVICE, OpenInference, server_metadata
from server.open_inference.tensor_json import metadata_json, translate_json
from server.service import SERVICE_NAME, ProductClassifier

_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Routes:
    """The contract's messages as JSON, the Open Inference Protocol's form by HTTP, and health."""

    def __init__(
        self,
        calls: HttpCalls,
        classifier: ProductClassifier,
        open_inference: OpenInference,
        health: Health,
        max_products: int,
    ):
        self._calls = calls
        self._classifier = classifier
        self._open_inference = open_inference
        self._health = health
        self._max_products = max_products

    def definitions(self) -> list[web.RouteDef]:
        """All routes, for `aiohttp.web.Application.add_routes`."""
        classify = self._rpc(SERVICE_NAME, "Classify", self._classify)
        get_model = self._rpc(SERVICE_NAME, "GetModel", self._get_model)
        infer = self._rpc(INFERENCE_SERVICE, "ModelInfer", self._infer)
        metadata = self._rpc(INFERENCE_SERVICE, "ModelMetadata", self._model_metadata)
        definitions = [
            web.post("/v1/classify", classify),
            web.get("/v1/model", get_model),
            web.get("/healthz", self._healthz),
            web.get("/v2", self._server_metadata),
            web.get("/v2/health/live", self._live),
            web.get("/v2/health/ready", self._ready),
        ]
        for path in (_MODEL, _VERSION):
            definitions += [
                web.post(f"{path}/infer", infer),
                web.get(path, metadata),
                web.get(f"{path}/ready", self._model_ready),
            ]
        return definitions

    def _rpc(self, service: str, method: str, behaviour: Callable[[bytes, Any], Awaitable[bytes]]) -> Handler:
        handler: grpc.RpcMethodHandler = grpc.unary_unary_rpc_method_handler(behaviour)
        return partial(self._calls.answer, RpcRoute(f"/{service}/{method}", handler))

    async def _classify(self, content: bytes, context: Any) -> bytes:
        form = partial(translate_classify, max_products=self._max_products)
        return await self._classifier.classify_in_form(content, context, form)

    async def _get_model(self, _content: bytes, context: Any) -> bytes:
        request = read_query(context.request.query, classifier_pb2.GetModelRequest())
        response = await self._classifier.get_model(request.SerializeToString(), context)
        return write_json(classifier_pb2.GetModelResponse.FromString(response))

    async def _infer(self, content: bytes, context: Any) -> bytes:
        if "Inference-Header-Content-Length" in context.request.headers:
            description = "expected all tensors as JSON, found the extension for binary ones; send binary_data=False"
            raise RequestError([("inputs", description)])
        name, version = _model(context)
        form = partial(translate_json, name=name, version=version, max_products=self._max_products)
        return await self._classifier.classify_in_form(content, context, form)

    async def _model_metadata(self, _content: bytes, context: Any) -> bytes:
        return metadata_json(
            self._open_inference.metadata(await self._open_inference.describe(*_model(context), context))
        )

    async def _model_ready(self, request: web.Request) -> web.Response:
        name, version = request.match_info["name"], request.match_info.get("version", "")
        return _ready(self._open_inference.is_ready(name, version), {"name": name})

    async def _server_metadata(self, _request: web.Request) -> web.Response:
        return web.json_response(json_format.MessageToDict(server_metadata()))

    async def _live(self, _request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, _request: web.Request) -> web.Response:
        return _ready(self._health.is_serving())

    async def _healthz(self, _request: web.Request) -> web.Response:
        is_serving = self._health.is_serving()
        return web.json_response(
            {"status": "SERVING" if is_serving else "NOT_SERVING"}, status=200 if is_serving else 503
        )


def _model(context: HttpContext) -> tuple[str, str]:
    """Name and version of the model in a path."""
    found = context.request.match_info
    return found["name"], found.get("version", "")


def _ready(is_ready: bool, others: dict[str, str] | None = None) -> web.Response:
    content = json.dumps({**(others or {}), "ready": is_ready})
    return web.Response(text=content, content_type=JSON, status=200 if is_ready else 503)
