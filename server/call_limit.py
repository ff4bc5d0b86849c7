"""Turns calls away while as many are in flight as may be, before their messages are read."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from server.call import Calls
from server.errors import refusal


class CallLimit(grpc.aio.ServerInterceptor):
    """Refuses the service's calls that `Calls.enter` would refuse, at less cost.

    A message that is not read costs neither a parse nor a copy, and in a flood nearly every call is refused.
    `enter` still counts: calls that pass here at the same moment may be more than there is room for.

    Args:
        service_name: whose calls are limited; health checks are not.
    """

    def __init__(self, calls: Calls, service_name: str):
        self._calls = calls
        self._prefix = f"/{service_name}/"
        self._refusal = refusal(calls.too_many())

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Pass the call on or refuse it."""
        if self._calls.is_full and handler_call_details.method.startswith(self._prefix):
            return self._refusal
        return await continuation(handler_call_details)
