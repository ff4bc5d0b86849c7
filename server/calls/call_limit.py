"""Turns calls away while as many are in flight as may be, before their messages are read."""

import grpc

from server.calls.call import Calls
from server.errors import Refusal


class CallLimit:
    """Refuses the service's calls that `Calls.enter` would refuse, at less cost; see `server.telemetry.observer.Gate`.

    A message that is not read costs neither a parse nor a copy. `enter` still counts: calls that pass here at the
    same moment may be more than there is room for.

    Args:
        service_name: whose calls are limited; health checks are not.
    """

    def __init__(self, calls: Calls, service_name: str):
        self._calls = calls
        self._prefix = f"/{service_name}/"
        self._refusal = Refusal(calls.too_many())

    def refusal(self, call: grpc.HandlerCallDetails) -> Refusal | None:
        """Why the call ends here; None where it goes on."""
        return self._refusal if self._calls.is_full and call.method.startswith(self._prefix) else None
