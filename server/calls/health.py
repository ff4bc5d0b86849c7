"""The grpc.health.v1 service: serving status for probes and load balancers."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.event_loop import EventLoop

_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    """Health of the server ('') and of the given names; NOT_SERVING until `serve`. Thread-safe.

    The asyncio servicer of grpcio-health-checking is not used: it writes to a watcher under the lock that a change of
    status takes, so that a watcher that does not read blocks the others; and its watches cannot be ended.

    Args:
        names: services and models that have a status.
        event_loop: the loop that answers callers.
    """

    def __init__(self, names: list[str], event_loop: EventLoop):
        self._event_loop = event_loop
        self._lock = threading.Lock()
        self._statuses: dict[str, int] = dict.fromkeys(["", *names], _Response.NOT_SERVING)
        self._watches: dict[asyncio.Queue[int | None], str] = {}
        self._is_final = False
        self._watches_end = False

    def serve(self) -> None:
        """Set every name to SERVING."""
        for name in list(self._statuses):
            self.set_serving(name, True)

    def set_names(self, names: list[str]) -> None:
        """Replace the known names: new ones are SERVING, those no longer among them become SERVICE_UNKNOWN."""
        with self._lock:
            for name in set(names).difference(self._statuses):
                self._set(name, _Response.SERVING)
            for name in set(self._statuses).difference(["", *names]):
                self._set(name, _Response.SERVICE_UNKNOWN)
                self._statuses.pop(name, None)

    def set_serving(self, name: str, is_serving: bool) -> None:
        """Set a known name to SERVING or NOT_SERVING; watches are notified of a change."""
        with self._lock:
            if name in self._statuses:
                self._set(name, _Response.SERVING if is_serving else _Response.NOT_SERVING)

    def is_serving(self, name: str = "") -> bool:
        """Return True while a name, or the server, is SERVING; False for an unknown name."""
        return self._statuses.get(name) == _Response.SERVING

    def stop(self) -> None:
        """Set every name to NOT_SERVING permanently."""
        with self._lock:
            for name in self._statuses:
                self._set(name, _Response.NOT_SERVING)
            self._is_final = True

    def end_watches(self) -> None:
        """End all watches, present and later ones; they would delay the stop of the server."""
        with self._lock:
            self._watches_end = True
            for watch in self._watches:
                self._send(watch, None)

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> _Response:
        """Answer the status of one name, as grpc.health.v1 says."""
        status = self._statuses.get(request.service)
        if status is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return _Response()
        return _Response(status=status)

    async def List(  # noqa: N802
        self,
        _request: health_pb2.HealthListRequest,  # type: ignore[name-defined]  # newer than the types
        _context: grpc.aio.ServicerContext,
    ) -> health_pb2.HealthListResponse:  # type: ignore[name-defined]
        """Answer the status of every name."""
        with self._lock:
            statuses = {name: _Response(status=status) for name, status in self._statuses.items()}
        return health_pb2.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, _context: grpc.aio.ServicerContext
    ) -> AsyncIterator[_Response]:
        """Stream the status of one name, as grpc.health.v1 says."""
        watch: asyncio.Queue[int | None] = asyncio.Queue()
        with self._lock:
            self._watches[watch] = request.service
            self._send(watch, self._statuses.get(request.service, _Response.SERVICE_UNKNOWN))
            if self._watches_end:
                self._send(watch, None)
        try:
            while (status := await watch.get()) is not None:
                yield _Response(status=status)
        finally:
            with self._lock:
                del self._watches[watch]

    def _set(self, name: str, status: int) -> None:
        """Change a status and notify its watches; the caller holds the lock."""
        if self._is_final or self._statuses.get(name) == status:
            return
        self._statuses[name] = status
        for watch, watched in self._watches.items():
            if watched == name:
                self._send(watch, status)

    def _send(self, watch: "asyncio.Queue[int | None]", status: int | None) -> None:
        self._event_loop.call(partial(watch.put_nowait, status))
