"""The asyncio twin of `AisleClient`; requests and results are made by the same functions."""

from collections.abc import Iterable
from types import TracebackType

import grpc

from client.channel import PLAIN_TEXT, Security, open_async_channel
from client.errors import call_error
from client.messages import ClassifyOptions, Failure, classify_requests, read_response
from model.answer import Prediction
from model.product import Product
from proto.aisle.v1 import classifier_pb2, classifier_pb2_grpc


class AsyncAisleClient:
    """Asks a server over one connection, in the event loop it was made in; see `AisleClient`."""

    def __init__(self, target: str, *, timeout_s: float = 30.0, security: Security = PLAIN_TEXT):
        self._target = target
        self._timeout_s = timeout_s
        self._channel = open_async_channel(target, security)
        self._stub = classifier_pb2_grpc.ProductClassifierStub(self._channel)

    async def classify(
        self,
        products: Iterable[Product],
        top_k: int = 0,
        *,
        model: str = "",
        model_version: str = "",
        include_evidence: bool = False,
        include_embedding: bool = False,
    ) -> list[Prediction | Failure]:
        """See `AisleClient.classify`."""
        options = ClassifyOptions(model, model_version, top_k, include_evidence, include_embedding)
        results: list[Prediction | Failure] = []
        try:
            for request in classify_requests(products, options):
                results += read_response(await self._stub.Classify(request, timeout=self._timeout_s))
        except grpc.RpcError as error:
            raise call_error(error, self._target) from error
        return results

    async def get_model(self, model: str = "", model_version: str = "") -> classifier_pb2.GetModelResponse:
        """See `AisleClient.get_model`."""
        request = classifier_pb2.GetModelRequest(model=model, model_version=model_version)
        try:
            return await self._stub.GetModel(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise call_error(error, self._target) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def __aenter__(self) -> "AsyncAisleClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
