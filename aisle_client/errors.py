"""Errors of the client.

ClientError
├── CallError      the server rejected a request or could not be reached
└── InputError     a file or flag given to the client cannot be used
"""

import contextlib
from collections.abc import Iterable
from typing import cast

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from aisle_client.google_rpc import error_details_pb2, status_pb2

_CODES = {code.value[0]: code for code in grpc.StatusCode}
#: Where a status with details travels, see gRPC's "Richer error model".
_DETAILS_KEY = "grpc-status-details-bin"


class ClientError(Exception):
    """Any error that the client raises on purpose."""


class CallError(ClientError):
    """A call failed as a whole.

    Attributes:
        code: the gRPC status code.
        violations: {field path: what is wrong with it}, from the server's BadRequest.
        retry_after_s: retry delay that the server asks for, seconds; None without one.
    """

    def __init__(
        self, text: str, code: grpc.StatusCode, violations: dict[str, str], retry_after_s: float | None = None
    ):
        super().__init__(text)
        self.code = code
        self.violations = violations
        self.retry_after_s = retry_after_s


class InputError(ClientError):
    """A file or flag given to the client cannot be used."""


def call_error(error: grpc.RpcError, target: str) -> CallError:
    """Convert an error that grpc raised to one with a clear message."""
    return _call_error(error.code(), error.details() or "no details", target, _details(error))


def status_error(status: status_pb2.Status, target: str) -> CallError:
    """Convert the status of one message of a stream to an error."""
    return _call_error(status_code(status), status.message, target, status.details)


def status_code(status: status_pb2.Status) -> grpc.StatusCode:
    """Return the code of a status; UNKNOWN for one that this version of gRPC has no name for."""
    return _CODES.get(status.code, grpc.StatusCode.UNKNOWN)


def _details(error: grpc.RpcError) -> Iterable[any_pb2.Any]:
    """Return the details that the server sent; none where a proxy on the way has spoilt them."""
    metadata = cast("Iterable[tuple[str, bytes]]", error.trailing_metadata() or ())
    for key, value in metadata:
        if key == _DETAILS_KEY:
            with contextlib.suppress(DecodeError):
                return status_pb2.Status.FromString(value).details
    return ()


def _call_error(code: grpc.StatusCode, details: str, target: str, packed: Iterable[any_pb2.Any]) -> CallError:
    if code == grpc.StatusCode.UNAVAILABLE:
        text = f"no answer from {target} ({details}); check --target and that the server runs"
    elif code == grpc.StatusCode.DEADLINE_EXCEEDED:
        text = f"{target} did not answer in time; give a longer timeout or send less"
    else:
        text = f"{target} answered {code.name}: {details}"
    if code == grpc.StatusCode.UNIMPLEMENTED:
        text += "; a server that is to search for similar products has to be started with --index"
    violations: dict[str, str] = {}
    retry_after_s = None
    bad_request, retry_info = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in packed:
        if detail.Unpack(bad_request):
            violations.update({violation.field: violation.description for violation in bad_request.field_violations})
        elif detail.Unpack(retry_info):
            retry_after_s = retry_info.retry_delay.ToMilliseconds() / 1000
    return CallError(text, code, violations, retry_after_s)
