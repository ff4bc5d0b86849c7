"""What callers ask for in the metadata of a call: an answer compressed with gzip, and their own request id back."""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import NamedTuple

REQUEST_ID = "x-request-id"
#: The header of HTTP. gRPC's own grpc-accept-encoding says what a library can read, not what its caller wants, and
#: does not reach a server's Python.
ACCEPT_ENCODING = "accept-encoding"

_MAX_ID_CHARS = 128  # it is sent back and logged; a longer one is no id


class CallMetadata(NamedTuple):
    """The wishes of one call.

    Args:
        request_id: '' without one.
        accepts_gzip: True when the answer shall be compressed.
    """

    request_id: str = ""
    accepts_gzip: bool = False


NO_WISHES = CallMetadata()
#: The wishes of the call that is being answered; tasks that are created for it inherit them.
current_metadata: ContextVar[CallMetadata] = ContextVar("call_metadata", default=NO_WISHES)


def read_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Set `current_metadata` from the metadata of the call that begins."""
    request_id, accepts_gzip = "", False
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and len(value) <= _MAX_ID_CHARS:
            request_id = request_id or value
        elif key == ACCEPT_ENCODING and isinstance(value, str):
            accepts_gzip = accepts_gzip or _names_gzip(value)
    if request_id or accepts_gzip:
        current_metadata.set(CallMetadata(request_id, accepts_gzip))


def _names_gzip(value: str) -> bool:
    """Return True for 'gzip' in a list of encodings, unless its weight is 0."""
    for part in value.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
