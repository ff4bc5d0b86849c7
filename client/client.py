"""The client."""

from collections.abc import Iterable
from types import TracebackType

import grpc

from client.channel import PLAIN_TEXT, Security, open_channel
from client.errors import call_error
from client.messages import ClassifyOptions, Failure, classify_requests, read_response
from model.answer import Prediction
from model.product import Product
from proto.aisle.v1 import classifier_pb2, classifier_pb2_grpc


class AisleClient:
    """Asks a server over one connection; thread-safe.

        with AisleClient("localhost:50051") as client:
            client.classify([Product("1", "wireless mouse")])

    Args:
        target: HOST:PORT.
        timeout_s: for each request, seconds.
        security: TLS and token; plain text without any by default.
    Raises:
        InputError: a file of `security` cannot be read, or a token would travel readable.
    """

    def __init__(self, target: str, *, timeout_s: float = 30.0, security: Security = PLAIN_TEXT):
        self._target = target
        self._timeout_s = timeout_s
        self._channel = open_channel(target, security)
        self._stub = classifier_pb2_grpc.ProductClassifierStub(self._channel)

    def classify(
        self,
        products: Iterable[Product],
        top_k: int = 0,
        *,
        model: str = "",
        model_version: str = "",
        include_evidence: bool = False,
        include_embedding: bool = False,
    ) -> list[Prediction | Failure]:
        """Ask about any number of products, in as many requests as it takes.

        Args:
            top_k: leaf categories to return for each product; 0 leaves it to the server.
            model, model_version: '' means the only one, the served one.
            include_evidence, include_embedding: whether predictions carry `heads` and `embedding`.
        Returns:
            one result a product, in order; a product that cannot be answered is a Failure.
        Raises:
            CallError: a request was refused as a whole, or the server cannot be reached.
        """
        options = ClassifyOptions(model, model_version, top_k, include_evidence, include_embedding)
        results: list[Prediction | Failure] = []
        try:
            for request in classify_requests(products, options):
                results += read_response(self._stub.Classify(request, timeout=self._timeout_s))
        except grpc.RpcError as error:
            raise call_error(error, self._target) from error
        return results

    def get_model(self, model: str = "", model_version: str = "") -> classifier_pb2.GetModelResponse:
        """Ask about a model; see the contract.

        Raises:
            CallError: no such model, or the server cannot be reached.
        """
        request = classifier_pb2.GetModelRequest(model=model, model_version=model_version)
        try:
            return self._stub.GetModel(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise call_error(error, self._target) from error

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> "AisleClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
