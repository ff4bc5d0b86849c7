"""The service of the contract: validate, call, answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from proto.aisle.v1 import classifier_pb2, classifier_pb2_grpc
from server.call import Call, Calls
from server.errors import abort, request_status, status_reason
from server.metrics import Metrics
from server.models import ModelRegistry
from server.request import parse_request
from server.response import classify_response, model_response
from server.settings import ServerSettings
from server.stream import answer_in_order
from server.unreadable import check_readable

if TYPE_CHECKING:  # opentelemetry need not be installed
    from server.tracing import Tracing


class ProductClassifier(classifier_pb2_grpc.ProductClassifierServicer):
    """Answers the RPCs with the models of a registry.

    Args:
        tracing: None when nobody collects spans.
    Attributes:
        calls: those in flight.
    """

    def __init__(self, models: ModelRegistry, settings: ServerSettings, metrics: Metrics, tracing: Tracing | None):
        self._models = models
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._is_stopping = threading.Event()
        self.calls = Calls(settings.max_concurrent_rpcs)
        self._stream_pool = ThreadPoolExecutor(settings.max_concurrent_rpcs, thread_name_prefix="stream")

    def Classify(  # noqa: N802
        self, request: classifier_pb2.ClassifyRequest, context: grpc.ServicerContext
    ) -> classifier_pb2.ClassifyResponse:
        """See the contract."""
        try:
            check_readable(request)
            with self.calls.enter(context) as call:
                return self._classify(request, call)
        except Exception as error:
            abort(context, error)

    def ClassifyStream(  # noqa: N802
        self, request_iterator: Iterator[classifier_pb2.ClassifyStreamRequest], context: grpc.ServicerContext
    ) -> Iterator[classifier_pb2.ClassifyStreamResponse]:
        """See the contract."""
        try:
            with self.calls.enter(context) as call:
                yield from self._classify_stream(request_iterator, call)
        except Exception as error:
            abort(context, error)

    def GetModel(  # noqa: N802
        self, request: classifier_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> classifier_pb2.GetModelResponse:
        """See the contract."""
        try:
            check_readable(request)
            with self.calls.enter(context), self._models.lease(request.model, request.model_version) as model:
                return model_response(model, self._settings)
        except Exception as error:
            abort(context, error)

    def stop(self) -> None:
        """Refuse new calls and let every stream end after the messages it has read."""
        self.calls.close()
        self._is_stopping.set()

    def close(self) -> None:
        """Free the threads; after the last call has ended."""
        self._stream_pool.shutdown(cancel_futures=True)

    def _classify_stream(
        self, messages: Iterator[classifier_pb2.ClassifyStreamRequest], call: Call
    ) -> Iterator[classifier_pb2.ClassifyStreamResponse]:
        def answer(message: classifier_pb2.ClassifyStreamRequest) -> classifier_pb2.ClassifyStreamResponse:
            try:
                check_readable(message)
                return classifier_pb2.ClassifyStreamResponse(response=self._classify(message.request, call))
            except Exception as error:
                status = request_status(call.reason(error))
                self._metrics.count_rejection(status_reason(status))
                return classifier_pb2.ClassifyStreamResponse(error=status)

        window = self._settings.stream_window
        carried = self._tracing.carried(answer) if self._tracing else answer
        yield from answer_in_order(messages, carried, window, self._stream_pool, self._is_stopping)

    def _classify(self, request: classifier_pb2.ClassifyRequest, call: Call) -> classifier_pb2.ClassifyResponse:
        started_s = time.perf_counter()
        call.check()
        with self._models.lease(request.model, request.model_version) as model:
            question = parse_request(request, self._settings)
            answered = model.pipeline.answer(question, call)
            total_s = time.perf_counter() - started_s
            response = classify_response(request, question, model, answered, total_s)
            self._metrics.observe(model, answered, response, total_s)
            if self._tracing:
                self._tracing.add_phases(answered, total_s)
            return response
