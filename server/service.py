"""The gRPC service of the contract: checks requests, has them answered by engine processes and builds the responses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import grpc
from google.protobuf.message import DecodeError

from aisle_client.v1 import classifier_pb2
from server.calls.call import Call, Calls
from server.calls.form import Form
from server.calls.stream import answer_in_order
from server.errors import MemoryFullError, malformed_error, request_status, status_reason
from server.inference.memory_budget import MemoryBudget, MemoryUse
from server.inference.request_run import RequestRun
from server.messages.request import check_request, parse_request, parse_stream_request
from server.messages.response import classify_response, model_response, stream_answer, stream_error
from server.models.registry import ModelRegistry
from server.settings import ServerSettings
from server.telemetry.access_log import count_products
from server.telemetry.metrics import Metrics

if TYPE_CHECKING:  # opentelemetry need not be installed
    from server.telemetry.tracing import Tracing

T = TypeVar("T")

SERVICE_NAME = classifier_pb2.DESCRIPTOR.services_by_name["ProductClassifier"].full_name

#: Larger requests are parsed and cut on a thread, so that they do not block the event loop.
_LARGE_BYTES = 1024 * 1024
#: The same for messages in another form than the contract's, which take longer to translate.
_LARGE_FORM_BYTES = 64 * 1024
_RETRY_AFTER_S = 1.0
#: A request is in memory as it came, parsed, and cut into parts.
_COPIES = 3
#: One in another form as it came, as text, as values, as a message of its form, and translated.
_FORM_COPIES = 5


class ProductClassifier:
    """Answers the RPCs with the models of a registry; `CallObserver` turns its exceptions into statuses.

    Messages come and go as bytes: most requests reach an engine process as they came, and answers their callers.

    Args:
        memory: the memory that requests may take.
        tracing: None when no spans are collected.
    Attributes:
        calls: the calls in flight.
    """

    def __init__(
        self,
        models: ModelRegistry,
        settings: ServerSettings,
        memory: MemoryBudget,
        metrics: Metrics,
        tracing: Tracing | None,
    ):
        self._models = models
        self._settings = settings
        self._memory = memory
        self._metrics = metrics
        self._tracing = tracing
        self._stopping = asyncio.Event()
        self._large_requests = ThreadPoolExecutor(1, thread_name_prefix="large-request")  # one copy at a time
        self.calls = Calls(settings.max_concurrent_rpcs)

    def handlers(self) -> grpc.GenericRpcHandler:
        """The handlers of the service's methods, for `grpc.aio.Server.add_generic_rpc_handlers`."""
        return grpc.method_handlers_generic_handler(
            SERVICE_NAME,
            {
                "Classify": grpc.unary_unary_rpc_method_handler(self.classify),
                "ClassifyStream": grpc.stream_stream_rpc_method_handler(self.classify_stream),
                "GetModel": grpc.unary_unary_rpc_method_handler(self.get_model),
            },
        )

    async def classify(self, content: bytes, context: grpc.aio.ServicerContext, other_bytes: int = 0) -> bytes:
        """Answer the RPC Classify as the contract says.

        Args:
            other_bytes: memory that the request takes beside `content`.
        """
        call = await self.calls.begin(context)
        try:
            response = await self._classify(content, call, context.peer(), other_bytes)
            call.is_answered = True
            return response
        finally:
            self.calls.end(call)

    async def classify_in_form(self, content: bytes, context: grpc.aio.ServicerContext, form: Form) -> bytes:
        """Answer a request that came in another form than the contract's, as `classify`, in that form."""
        with self._message_memory(_FORM_COPIES * len(content)):
            request = await self._offload(len(content), partial(form, content), _LARGE_FORM_BYTES)
        response = await self.classify(request.content, context, len(content))
        return await self._offload(len(response), partial(request.write, response), _LARGE_FORM_BYTES)

    async def classify_stream(
        self, contents: AsyncIterator[bytes], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        """Answer the RPC ClassifyStream as the contract says."""
        call = await self.calls.begin(context, is_stream=True)

        async def answer(content: bytes) -> bytes:
            try:
                with self.calls.message_place():
                    return stream_answer(await self._classify(parse_stream_request(content), call, context.peer()))
            except Exception as error:
                status = request_status(error)
                self._metrics.count_rejection(status_reason(status))
                return stream_error(status)

        try:
            async for response in answer_in_order(
                contents, answer, self._settings.stream_window, self._stopping, self._settings.stream_idle_s
            ):
                yield response
        finally:
            self.calls.end(call)

    async def get_model(self, content: bytes, context: grpc.aio.ServicerContext) -> bytes:
        """Answer the RPC GetModel as the contract says."""
        try:
            request = classifier_pb2.GetModelRequest.FromString(content)
        except DecodeError:
            raise malformed_error() from None
        call = await self.calls.begin(context)
        try:
            with self._models.lease(request.model, request.model_version) as model:
                response = model_response(model, self._settings)
                call.is_answered = True
                return response.SerializeToString()
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

    async def _classify(self, content: bytes, call: Call, caller: str, other_bytes: int = 0) -> bytes:
        with self._message_memory(_COPIES * len(content) + other_bytes):
            return await self._answer(content, call, caller)

    @contextmanager
    def _message_memory(self, num_bytes: int) -> Iterator[None]:
        if not self._memory.reserve(MemoryUse.MESSAGES, num_bytes):
            text = f"the requests in flight leave no room for {num_bytes} of {self._memory.max_bytes} bytes"
            raise MemoryFullError(f"{text}; wait and send the request again", _RETRY_AFTER_S)
        try:
            yield
        finally:
            self._memory.release(MemoryUse.MESSAGES, num_bytes)

    async def _answer(self, content: bytes, call: Call, caller: str) -> bytes:
        started_s = time.perf_counter()
        parse = partial(parse_request, content, self._settings.max_products_per_request)
        question = await self._offload(len(content), parse)
        message = question.message
        count_products(len(message.products))
        with self._models.lease(message.model, message.model_version) as model:
            check_request(question, self._settings)
            run = RequestRun(model.pool, call, caller, self._settings.max_request_pixels)
            await self._offload(len(content), partial(run.cut, question))
            del question, message  # while a large request waits, its parts are enough
            result = await run.answer()
            total_s = time.perf_counter() - started_s
            self._metrics.observe(model, result, total_s)
            if self._tracing:
                self._tracing.add_phases(result, total_s)
            return classify_response(model, result, total_s)

    async def _offload(self, num_bytes: int, function: Callable[[], T], large_bytes: int = _LARGE_BYTES) -> T:
        """Run a function and return its result; for a large request on a thread beside the event loop."""
        if num_bytes <= large_bytes:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._large_requests, function)
