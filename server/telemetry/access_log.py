"""The access log: one line for each call that has ended; never what is in a token or a product."""

import logging
import time
from contextvars import ContextVar

import grpc

from server.errors import shortened

_MAX_METHOD_CHARS = 100

_log = logging.getLogger("aisle.access")


class AccessLine:
    """The line of one call that is in progress.

    Args:
        method: the full name of its method, which for an unknown method is the caller's own text.
    Attributes:
        num_products: products in the requests of the call, as far as these were read.
    """

    def __init__(self, method: str):
        self.num_products = 0
        is_plain = len(method) <= _MAX_METHOD_CHARS and method.isascii() and method.isprintable()
        self._method = method if is_plain else shortened(method)
        self._begun_s = time.perf_counter()

    def write(self, code: grpc.StatusCode, reason: str, peer: str) -> None:
        """Log it.

        Args:
            reason: as in ErrorInfo; '' for an answered call.
            peer: the address of the caller.
        """
        ms = round((time.perf_counter() - self._begun_s) * 1000, 1)
        fields = {"method": self._method, "code": code.name, "ms": ms, "products": self.num_products, "peer": peer}
        outcome = f"{code.name} ({reason})" if reason else code.name
        if reason:
            fields["reason"] = reason
        _log.info("%s %s %s ms, %d products, from %s", self._method, outcome, ms, self.num_products, peer, extra=fields)


#: The line of the call that is being answered; None without an access log. Tasks that are created for it inherit it.
current_line: ContextVar[AccessLine | None] = ContextVar("access_line", default=None)


def count_products(count: int) -> None:
    """Add the products of a request to the line of its call."""
    if (line := current_line.get()) is not None:
        line.num_products += count
