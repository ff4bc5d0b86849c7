"""grpc.health.v1, answered on a thread of its own so that a busy server still tells that it lives."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

_Serving = health_pb2.HealthCheckResponse


class Health(health.HealthServicer):
    """Health of the server ('') and of the names given; NOT_SERVING until `serve`.

    Args:
        names: services and models that a caller may ask about.
    """

    def __init__(self, names: list[str]):
        super().__init__()
        self._names = ["", *names]
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._watches: set[Callable[[Any], None]] = set()
        self._watches_lock = threading.Lock()
        self._watches_end = False
        self.Check = _OnPool(self._check, self._pool)  # type: ignore[method-assign]
        self.Watch = _OnPool(self._watch, self._pool)  # type: ignore[method-assign]
        for name in self._names:
            self.set(name, _Serving.NOT_SERVING)

    def serve(self) -> None:
        """Tell SERVING for every name."""
        for name in self._names:
            self.set(name, _Serving.SERVING)

    def follow(self, names: list[str]) -> None:
        """Tell SERVING for new ones among `names`; those that were known and are not among them are unknown again."""
        known, self._names = self._names, ["", *names]
        for name in set(self._names).difference(known):
            self.set(name, _Serving.SERVING)
        for name in set(known).difference(self._names):
            self.set(name, _Serving.SERVICE_UNKNOWN)

    def stop(self) -> None:
        """Tell NOT_SERVING for good."""
        self.enter_graceful_shutdown()

    def end_watches(self) -> None:
        """End every watch, now and from now on; they would hold up the stop of the server."""
        with self._watches_lock:
            self._watches_end = True
            watches, self._watches = self._watches, set()
        for send in watches:
            send(None)

    def close(self) -> None:
        """Free the thread."""
        self._pool.shutdown()

    def _check(self, request: Any, context: grpc.ServicerContext) -> Any:
        response = super().Check(request, context)
        if response.status == _Serving.SERVICE_UNKNOWN:  # a status for watches only; here it is a code
            context.set_code(grpc.StatusCode.NOT_FOUND)
        return response

    def _watch(
        self, request: Any, context: grpc.ServicerContext, send_response_callback: Callable[[Any], None]
    ) -> None:
        with self._watches_lock:
            self._watches.add(send_response_callback)
            must_end = self._watches_end
        context.add_callback(lambda: self._forget(send_response_callback))
        super().Watch(request, context, send_response_callback)
        if must_end:
            send_response_callback(None)

    def _forget(self, send: Callable[[Any], None]) -> None:
        with self._watches_lock:
            self._watches.discard(send)


class _OnPool:
    """A handler that grpc runs on the pool given instead of the one of all calls."""

    experimental_non_blocking = True

    def __init__(self, handler: Callable[..., Any], pool: ThreadPoolExecutor):
        self.experimental_thread_pool = pool
        self._handler = handler

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._handler(*arguments, **options)
