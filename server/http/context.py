"""A call that came by HTTP, with what the handlers of RPCs and their observer use of gRPC's own contexts."""

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

import grpc
from aiohttp import web
from google.rpc import status_pb2

from server.errors import MessageTooLargeError, RequestError, shortened

TIMEOUT_HEADER = "x-request-timeout-ms"

_STATUS_KEY = "grpc-status-details-bin"  # where grpc_status puts a google.rpc.Status
_NO_BODY = "expected a whole body, found one that is cut off or not of its Content-Encoding; send it again"

_MAX_DIGITS = 9  # 11 days

Metadata = tuple[tuple[str, str | bytes], ...]


class HttpCallDetails(NamedTuple):
    """What an interceptor is told of a call before its message is read; see `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: Metadata


class HttpContext:
    """One call that came by HTTP; stands for `grpc.aio.ServicerContext`.

    Args:
        request: its headers are the call's metadata.
        max_message_bytes: most bytes of its body.
    Attributes:
        request: as given.
        status: of a call that was aborted; None of any other.
        is_compressed: True when the answer shall be compressed with gzip.
    """

    def __init__(self, request: web.Request, max_message_bytes: int):
        self.request = request
        self.status: status_pb2.Status | None = None
        self.is_compressed = False
        self._max_message_bytes = max_message_bytes
        self._metadata: Metadata = tuple((key.lower(), value) for key, value in request.headers.items())
        self._trailing_metadata: Metadata = ()
        self._reading: asyncio.Future[bytes] | None = None
        self._timeout_text = request.headers.get(TIMEOUT_HEADER, "")
        timeout_ms = _milliseconds(self._timeout_text)
        self._deadline_s = None if timeout_ms is None else asyncio.get_running_loop().time() + timeout_ms / 1000

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None without one."""
        return None if self._deadline_s is None else max(0.0, self._deadline_s - asyncio.get_running_loop().time())

    def peer(self) -> str:
        """The address of the caller."""
        name = self.request.transport and self.request.transport.get_extra_info("peername")
        if not name:
            return "http:unknown"
        host, port = name[:2]
        return f"http:[{host}]:{port}" if ":" in host else f"http:{host}:{port}"

    def invocation_metadata(self) -> Metadata:
        """The headers of the request."""
        return self._metadata

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Set headers of the answer."""
        self._trailing_metadata = tuple(metadata)

    def trailing_metadata(self) -> Metadata:
        """Headers of the answer."""
        return self._trailing_metadata

    def set_compression(self, _compression: grpc.Compression) -> None:
        """Compress the answer."""
        self.is_compressed = True

    async def send_initial_metadata(self, _metadata: Metadata) -> None:
        """Do nothing: by HTTP the headers go with the answer."""

    def code(self) -> None:
        """None: no handler that is called by HTTP sets a code but by an error."""

    async def read(self) -> Any:
        """Return the body; EOF when the caller left before its end.

        Raises:
            MessageTooLargeError: it is larger than `max_message_bytes`.
            RequestError: it, or the header with the deadline, is malformed.
            grpc.aio.AbortError: the call was aborted meanwhile.
        """
        if self._timeout_text and self._deadline_s is None:
            found = shortened(self._timeout_text)
            raise RequestError([(TIMEOUT_HEADER, f"expected a whole number of milliseconds above 0, found {found}")])
        if (self.request.content_length or 0) > self._max_message_bytes:
            raise self._too_large_error()
        self._reading = asyncio.ensure_future(self.request.read())
        try:
            await asyncio.wait((self._reading,))
        finally:
            self._reading.cancel()
        if self.status is not None:
            raise grpc.aio.AbortError
        try:
            return self._reading.result()
        except web.HTTPRequestEntityTooLarge:
            raise self._too_large_error() from None
        except web.RequestPayloadError:
            raise RequestError([("request", _NO_BODY)]) from None
        except ConnectionError:
            return grpc.aio.EOF

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Metadata = ()) -> None:
        """End the call with a status; always raises."""
        packed = dict(trailing_metadata).get(_STATUS_KEY)
        if isinstance(packed, bytes):
            self.status = status_pb2.Status.FromString(packed)
        else:
            self.status = status_pb2.Status(code=code.value[0], message=details)
        if self._reading is not None:
            self._reading.cancel()
        raise grpc.aio.AbortError

    async def abort_with_status(self, status: grpc.Status) -> None:
        """End the call with a status; always raises."""
        await self.abort(status.code, status.details, tuple(status.trailing_metadata or ()))

    def _too_large_error(self) -> MessageTooLargeError:
        return MessageTooLargeError(f"expected a body of at most {self._max_message_bytes} bytes; split the request")


def _milliseconds(text: str) -> int | None:
    """A positive whole number; None for any other text."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return (int(text) or None) if is_number else None
