"""grpc.health.v1, answered on threads of its own so that a busy server still tells that it lives."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    """Health of the server ('') and of the names given; NOT_SERVING until `serve`.

    Not the servicer of grpcio-health-checking: that one sends under a lock which it also takes when
    a watch ends, so a watcher who leaves while a status changes can lock the whole server up. Here
    one thread sends, in order, and nobody waits for it.

    Args:
        names: services and models that a caller may ask about.
    """

    def __init__(self, names: list[str]):
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="health-sender")
        self._lock = threading.Lock()
        self._statuses: dict[str, int] = dict.fromkeys(["", *names], _Response.NOT_SERVING)
        self._watches: dict[Callable[[Any], None], str] = {}
        self._is_final = False
        self._watches_end = False
        self.Check = _OnPool(self._check, self._pool)  # type: ignore[method-assign]
        self.Watch = _OnPool(self._watch, self._pool)  # type: ignore[method-assign]

    def serve(self) -> None:
        """Tell SERVING for every name."""
        for name in list(self._statuses):
            self.tell(name, True)

    def follow(self, names: list[str]) -> None:
        """Tell SERVING for new ones among `names`; those that were known and are not among them are unknown again."""
        with self._lock:
            for name in set(names).difference(self._statuses):
                self._set(name, _Response.SERVING)
            for name in set(self._statuses).difference(["", *names]):
                self._set(name, _Response.SERVICE_UNKNOWN)
                self._statuses.pop(name, None)

    def tell(self, name: str, is_serving: bool) -> None:
        """Tell whether a name serves, where it is known; watches hear of it when it has changed."""
        with self._lock:
            if name in self._statuses:
                self._set(name, _Response.SERVING if is_serving else _Response.NOT_SERVING)

    def stop(self) -> None:
        """Tell NOT_SERVING for good."""
        with self._lock:
            for name in self._statuses:
                self._set(name, _Response.NOT_SERVING)
            self._is_final = True

    def end_watches(self) -> None:
        """End every watch, now and from now on; they would hold up the stop of the server."""
        with self._lock:
            self._watches_end = True
            for send in self._watches:
                self._sender.submit(send, None)

    def close(self) -> None:
        """Free the threads."""
        self._pool.shutdown()
        self._sender.shutdown()

    def _set(self, name: str, status: int) -> None:
        """The caller holds the lock."""
        if self._is_final or self._statuses.get(name) == status:
            return
        self._statuses[name] = status
        for send, watched in self._watches.items():
            if watched == name:
                self._sender.submit(send, _Response(status=status))

    def _check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> _Response:
        status = self._statuses.get(request.service)
        if status is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return _Response()
        return _Response(status=status)

    def _watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Callable[[Any], None],
    ) -> None:
        with self._lock:
            status = self._statuses.get(request.service, _Response.SERVICE_UNKNOWN)
            self._watches[send_response_callback] = request.service
            self._sender.submit(send_response_callback, _Response(status=status))
            if self._watches_end:
                self._sender.submit(send_response_callback, None)
        if not context.add_callback(lambda: self._forget(send_response_callback)):
            self._forget(send_response_callback)

    def _forget(self, send: Callable[[Any], None]) -> None:
        with self._lock:
            self._watches.pop(send, None)


class _OnPool:
    """A handler that grpc runs on the pool given instead of the one of all calls."""

    experimental_non_blocking = True

    def __init__(self, handler: Callable[..., Any], pool: ThreadPoolExecutor):
        self.experimental_thread_pool = pool
        self._handler = handler

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._handler(*arguments, **options)
