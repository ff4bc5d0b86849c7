"""The HTTP port: JSON for callers without gRPC, on the event loop of the RPCs."""

import logging
import ssl

from aiohttp import web
from google.rpc import code_pb2, status_pb2

from server.calls.health import Health
from server.errors import request_status
from server.http.calls import HttpCalls
from server.http.routes import Handler, Routes
from server.http.status import status_response
from server.open_inference.service import OpenInference
from server.service import ProductClassifier
from server.settings import ServerSettings
from server.telemetry.observer import CallObserver

_IDLE_S = 75.0  # as other servers keep silent connections
_CLOSE_GRACE_S = 2.0  # for the last answers to reach their callers
_NO_PATH = (
    "expected POST /v1/classify, GET /v1/model, GET /healthz, or a path of the Open Inference Protocol below /v2, found"
    " another path or method"
)


class HttpPort:
    """Listens for HTTP.

    Args:
        observer: of the calls by gRPC; counts those by HTTP, too.
        classifier: answers them.
    Attributes:
        port: the port it listens on, after `start`.
    """

    def __init__(
        self,
        observer: CallObserver,
        classifier: ProductClassifier,
        open_inference: OpenInference,
        health: Health,
        settings: ServerSettings,
    ):
        calls = HttpCalls(observer, settings.max_message_bytes)
        routes = Routes(calls, classifier, open_inference, health, settings.max_products_per_request)
        application = web.Application(client_max_size=settings.max_message_bytes, middlewares=[_errors_as_json])
        application.add_routes(routes.definitions())
        application.on_response_prepare.append(_name_server)
        self._runner = web.AppRunner(
            application,
            handler_cancellation=True,  # of a caller that left
            keepalive_timeout=_IDLE_S,
            shutdown_timeout=_CLOSE_GRACE_S,
            access_log=None,
            logger=logging.getLogger("aisle.http"),
        )
        self.port = 0

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Listen.

        Args:
            port: 0 takes a free one.
            tls: None for plain text.
        Raises:
            OSError: the port is taken or the address is not of this machine.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host.strip("[]"), port, ssl_context=tls).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening and close the connections; a second call does nothing."""
        await self._runner.cleanup()


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors that arise beside the calls in the form of the others."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        status = status_pb2.Status(code=code_pb2.NOT_FOUND, message=_NO_PATH)
        response = status_response(status, request.path, error.status)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception as error:
        return status_response(request_status(error), request.path)


async def _name_server(_request: web.Request, response: web.StreamResponse) -> None:
    """Keep versions of libraries to ourselves."""
    response.headers["Server"] = "aisle"
