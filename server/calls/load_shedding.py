"""Load shedding: rejects calls over the limit before their messages are read."""

from collections.abc import Sequence

import grpc

from server.calls.call import Calls
from server.errors import Rejection


class LoadShedder:
    """Rejects calls that `Calls.begin` would reject, at less cost.

    A message that is not read costs neither a parse nor a copy. `Calls.begin` still counts, because calls that pass
    here at the same moment may exceed the limit. Implements `server.telemetry.observer.AdmissionCheck`.

    Args:
        prefixes: with which the methods begin whose calls are limited; health checks are not.
    """

    def __init__(self, calls: Calls, prefixes: Sequence[str]):
        self._calls = calls
        self._prefixes = tuple(prefixes)
        self._rejection = Rejection(calls.too_many_calls_error())

    def rejection(self, call: grpc.HandlerCallDetails) -> Rejection | None:
        """Return the status that rejects the call; None when it is within the limit."""
        return self._rejection if self._calls.is_full and call.method.startswith(self._prefixes) else None
