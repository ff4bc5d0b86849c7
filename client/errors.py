"""Why a call of the client failed.

AisleError
├── CallError      the server refused a request or could not be reached
└── InputError     a file or flag given to the client cannot be used
"""

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from model.errors import AisleError


class CallError(AisleError):
    """A call failed as a whole.

    Attributes:
        code: the gRPC status code.
        violations: {field path: what is wrong with it}, from the server's BadRequest.
    """

    def __init__(self, text: str, code: grpc.StatusCode, violations: dict[str, str]):
        super().__init__(text)
        self.code = code
        self.violations = violations


class InputError(AisleError):
    """A file or flag given to the client cannot be used."""


def call_error(error: grpc.RpcError, target: str) -> CallError:
    """One clear sentence from what grpc raised."""
    code, details = error.code(), error.details() or "no details"
    if code == grpc.StatusCode.UNAVAILABLE:
        text = f"no answer from {target} ({details}); check --target and that the server runs"
    elif code == grpc.StatusCode.DEADLINE_EXCEEDED:
        text = f"{target} did not answer in time; give a longer timeout or send less"
    else:
        text = f"{target} answered {code.name}: {details}"
    return CallError(text, code, _violations(error))


def _violations(error: grpc.RpcError) -> dict[str, str]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    violations: dict[str, str] = {}
    for detail in status.details if status else ():
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            violations.update({violation.field: violation.description for violation in bad_request.field_violations})
    return violations
