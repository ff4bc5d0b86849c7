"""The service of the Open Inference Protocol, which KServe, tritonclient and perf_analyzer speak."""

from functools import partial
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from aisle_client.v1 import classifier_pb2
from server.calls.health import Health
from server.errors import malformed_error
from server.models.registry import ModelRegistry
from server.open_inference import open_inference_pb2 as pb
from server.open_inference.description import model_config, model_metadata
from server.open_inference.request import translate_content
from server.service import SERVICE_NAME, ProductClassifier
from server.settings import ServerSettings

INFERENCE_SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

M = TypeVar("M", bound=Message)


class OpenInference:
    """Answers the protocol's RPCs by way of the contract's own, so that every limit holds for them, too."""

    def __init__(self, classifier: ProductClassifier, models: ModelRegistry, health: Health, settings: ServerSettings):
        self._classifier = classifier
        self._models = models
        self._health = health
        self._form = partial(translate_content, max_products=settings.max_products_per_request)

    def handlers(self) -> grpc.GenericRpcHandler:
        """The handlers of the service's methods, for `grpc.aio.Server.add_generic_rpc_handlers`."""
        behaviours = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelInfer": self._model_infer,
        }
        handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(behaviour) for name, behaviour in behaviours.items()
        }
        return grpc.method_handlers_generic_handler(INFERENCE_SERVICE, handlers)

    def is_ready(self, name: str, version: str) -> bool:
        """Return True while a model, and the version if one is named, is being served."""
        names = self._models.names
        if not name and len(names) == 1:
            [name] = names
        versions = [model for model in self._models.loaded(name) if not version or model.version == version]
        is_model_serving = self._health.is_serving(f"{SERVICE_NAME}/{name}")
        return is_model_serving and any(model.pool.is_serving for model in versions)

    async def describe(
        self, name: str, version: str, context: grpc.aio.ServicerContext
    ) -> classifier_pb2.GetModelResponse:
        """Return the contract's description of a model.

        Raises:
            UnknownModelError: there is none.
        """
        request = classifier_pb2.GetModelRequest(model=name, model_version=version)
        response = await self._classifier.get_model(request.SerializeToString(), context)
        return classifier_pb2.GetModelResponse.FromString(response)

    def metadata(self, model: classifier_pb2.GetModelResponse) -> pb.ModelMetadataResponse:
        """Return the protocol's description of a model."""
        return model_metadata(model, [loaded.version for loaded in self._models.loaded(model.model)])

    async def _server_live(self, content: bytes, _context: Any) -> bytes:
        _parse(pb.ServerLiveRequest, content)
        return pb.ServerLiveResponse(live=True).SerializeToString()

    async def _server_ready(self, content: bytes, _context: Any) -> bytes:
        _parse(pb.ServerReadyRequest, content)
        return pb.ServerReadyResponse(ready=self._health.is_serving()).SerializeToString()

    async def _model_ready(self, content: bytes, _context: Any) -> bytes:
        request = _parse(pb.ModelReadyRequest, content)
        return pb.ModelReadyResponse(ready=self.is_ready(request.name, request.version)).SerializeToString()

    async def _server_metadata(self, content: bytes, _context: Any) -> bytes:
        _parse(pb.ServerMetadataRequest, content)
        return server_metadata().SerializeToString()

    async def _model_metadata(self, content: bytes, context: Any) -> bytes:
        request = _parse(pb.ModelMetadataRequest, content)
        return self.metadata(await self.describe(request.name, request.version, context)).SerializeToString()

    async def _model_config(self, content: bytes, context: Any) -> bytes:
        request = _parse(pb.ModelConfigRequest, content)
        return model_config(await self.describe(request.name, request.version, context)).SerializeToString()

    async def _model_infer(self, content: bytes, context: Any) -> bytes:
        return await self._classifier.classify_in_form(content, context, self._form)


def server_metadata() -> pb.ServerMetadataResponse:
    """Name the server and the extensions of the protocol that it has."""
    return pb.ServerMetadataResponse(name="aisle", extensions=["model_configuration"])


def _parse(kind: type[M], content: bytes) -> M:
    try:
        return kind.FromString(content)
    except DecodeError:
        raise malformed_error("inference") from None
