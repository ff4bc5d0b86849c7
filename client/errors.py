"""Errors of the client.

AisleError
├── CallError      the server rejected a request or could not be reached
└── InputError     a file or flag given to the client cannot be used
"""

from collections.abc import Iterable

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from model.errors import AisleError

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CallError(AisleError):
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


class InputError(AisleError):
    """A file or flag given to the client cannot be used."""


def call_error(error: grpc.RpcError, target: str) -> CallError:
    """Convert an error that grpc raised to one with a clear message."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    return _call_error(error.code(), error.details() or "no details", target, status.details if status else ())


def status_error(status: status_pb2.Status, target: str) -> CallError:
    """Convert the status of one message of a stream to an error."""
    return _call_error(_CODES[status.code], status.message, target, status.details)


def _call_error(code: grpc.StatusCode, details: str, target: str, packed: Iterable[any_pb2.Any]) -> CallError:
    if code == grpc.StatusCode.UNAVAILABLE:
        text = f"no answer from {target} ({details}); check --target and that the server runs"
    elif code == grpc.StatusCode.DEADLINE_EXCEEDED:
        text = f"{target} did not answer in time; give a longer timeout or send less"
    else:
        text = f"{target} answered {code.name}: {details}"
    violations: dict[str, str] = {}
    retry_after_s = None
    bad_request, retry_info = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in packed:
        if detail.Unpack(bad_request):
            violations.update({violation.field: violation.description for violation in bad_request.field_violations})
        elif detail.Unpack(retry_info):
            retry_after_s = retry_info.retry_delay.ToMilliseconds() / 1000
    return CallError(text, code, violations, retry_after_s)
