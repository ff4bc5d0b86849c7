"""The gRPC service of the contract: validates requests, runs the models and builds the responses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import grpc

from proto.aisle.v1 import classifier_pb2, classifier_pb2_grpc
from server.calls.call import Call, Calls
from server.calls.malformed import reject_malformed
from server.calls.request import parse_request
from server.calls.response import classify_response, model_response
from server.calls.stream import answer_in_order
from server.errors import request_status, status_reason
from server.event_loop import EventLoop
from server.models.registry import ModelRegistry
from server.settings import ServerSettings
from server.telemetry.metrics import Metrics

if TYPE_CHECKING:  # opentelemetry need not be installed
    from server.telemetry.tracing import Tracing

T = TypeVar("T")

#: Larger requests are parsed and answered on a thread, so that they do not block the event loop: a product takes
#: about 30 us of Python.
_MAX_PRODUCTS_ON_LOOP = 64


class ProductClassifier(classifier_pb2_grpc.ProductClassifierServicer):
    """Answers the RPCs with the models of a registry; `CallObserver` turns its exceptions into statuses.

    Args:
        event_loop: the loop that answers the RPCs.
        tracing: None when no spans are collected.
    Attributes:
        calls: the calls in flight.
    """

    def __init__(
        self,
        models: ModelRegistry,
        settings: ServerSettings,
        event_loop: EventLoop,
        metrics: Metrics,
        tracing: Tracing | None,
    ):
        self._models = models
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._stopping = asyncio.Event()
        self._large_requests = ThreadPoolExecutor(1, thread_name_prefix="large-request")
        self.calls = Calls(settings.max_concurrent_rpcs, event_loop)

    async def Classify(  # noqa: N802
        self, request: classifier_pb2.ClassifyRequest, context: grpc.aio.ServicerContext
    ) -> classifier_pb2.ClassifyResponse:
        """Answer the RPC as the contract says."""
        reject_malformed(request)
        call = await self.calls.begin(context)
        try:
            response = await self._classify(request, call)
            call.is_answered = True
            return response
        finally:
            self.calls.end(call)

    async def ClassifyStream(  # noqa: N802
        self, request_iterator: AsyncIterator[classifier_pb2.ClassifyStreamRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[classifier_pb2.ClassifyStreamResponse]:
        """Answer the RPC as the contract says."""
        call = await self.calls.begin(context, is_stream=True)

        async def answer(message: classifier_pb2.ClassifyStreamRequest) -> classifier_pb2.ClassifyStreamResponse:
            try:
                reject_malformed(message)
                return classifier_pb2.ClassifyStreamResponse(response=await self._classify(message.request, call))
            except Exception as error:
                status = request_status(error)
                self._metrics.count_rejection(status_reason(status))
                return classifier_pb2.ClassifyStreamResponse(error=status)

        try:
            async for response in answer_in_order(
                request_iterator, answer, self._settings.stream_window, self._stopping
            ):
                yield response
        finally:
            self.calls.end(call)

    async def GetModel(  # noqa: N802
        self, request: classifier_pb2.GetModelRequest, context: grpc.aio.ServicerContext
    ) -> classifier_pb2.GetModelResponse:
        """Answer the RPC as the contract says."""
        reject_malformed(request)
        call = await self.calls.begin(context)
        try:
            with self._models.lease(request.model, request.model_version) as model:
                response = model_response(model, self._settings)
                call.is_answered = True
                return response
        finally:
            self.calls.end(call)

    async def stop(self, grace_s: float) -> bool:
        """Reject new calls, end every stream after the messages it has read, and wait for the calls to end.

        Returns:
            False when some still run after `grace_s` seconds.
        """
        self._stopping.set()
        return await self.calls.close(grace_s)

    def close(self) -> None:
        """Stop the threads; to be called after the last call has ended."""
        self._large_requests.shutdown(cancel_futures=True)

    async def _classify(self, request: classifier_pb2.ClassifyRequest, call: Call) -> classifier_pb2.ClassifyResponse:
        started_s = time.perf_counter()
        num_products = len(request.products)
        with self._models.lease(request.model, request.model_version) as model:
            question = await self._offload(num_products, lambda: parse_request(request, self._settings))
            result = await model.pipeline.answer(question, call)
            total_s = time.perf_counter() - started_s
            response = await self._offload(
                num_products, lambda: classify_response(request, question, model, result, total_s)
            )
            self._metrics.observe(model, result, response, total_s)
            if self._tracing:
                self._tracing.add_phases(result, total_s)
            return response

    async def _offload(self, num_products: int, function: Callable[[], T]) -> T:
        """Run a function and return its result; for a large request on a thread beside the event loop."""
        if num_products <= _MAX_PRODUCTS_ON_LOOP:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._large_requests, function)
