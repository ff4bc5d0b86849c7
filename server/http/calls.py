"""Calls by HTTP: each goes through the observer of gRPC's calls, so that all that counts there counts here."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import grpc
from aiohttp import web

from server.errors import DeadlineExceededError, request_status
from server.http.context import TIMEOUT_HEADER, HttpCallDetails, HttpContext
from server.http.status import JSON, status_response
from server.telemetry.observer import CallObserver


class RpcRoute(NamedTuple):
    """An RPC that a path stands for.

    Args:
        method: its full name, by which it is admitted and counted.
        handler: answers it; its messages are bodies of HTTP.
    """

    method: str
    handler: grpc.RpcMethodHandler


class HttpCalls:
    """Answers requests by HTTP with handlers of RPCs.

    Args:
        observer: admits and counts the calls, reads their messages and turns exceptions into statuses.
        max_message_bytes: most bytes of a body.
    """

    def __init__(self, observer: CallObserver, max_message_bytes: int):
        self._observer = observer
        self._max_message_bytes = max_message_bytes

    async def answer(self, route: RpcRoute, request: web.Request) -> web.StreamResponse:
        """Answer a request; an error becomes the answer that tells it."""
        context = HttpContext(request, self._max_message_bytes)
        try:
            async with asyncio.timeout(context.time_remaining()):
                content = await self._observed(route, context)
        except grpc.aio.AbortError:
            assert context.status is not None, "whoever aborts a call gives it a status"
            response = status_response(context.status, request.path)
        except TimeoutError:
            text = f"there was no answer within {TIMEOUT_HEADER}; send the request again later, or allow more time"
            response = status_response(request_status(DeadlineExceededError(text)), request.path)
        else:
            response = web.Response(body=content, content_type=JSON, charset="utf-8")
        response.headers.update({key: str(value) for key, value in context.trailing_metadata()})
        if context.is_compressed:
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _observed(self, route: RpcRoute, context: HttpContext) -> Any:
        async def continuation(_details: Any) -> grpc.RpcMethodHandler:
            return route.handler

        details: Any = HttpCallDetails(route.method, context.invocation_metadata())
        wrapped = await self._observer.intercept_service(continuation, details)
        behaviour: Callable[[Any, Any], Awaitable[Any]] = wrapped.stream_unary or wrapped.stream_stream
        return await behaviour(None, context)
