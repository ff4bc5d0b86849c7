"""Maps errors to gRPC statuses; the only file that does.

A request's path, and the error that may arise on each part of it:

    bytes --request.py--> products --check--> --queue--> --decode--> --encode--> --classify--> --response.py--> bytes
          |               |           |          |           |           |           |
          |               |           |          |           +-----------+-----------+-- anything else  INTERNAL
          |               |           |          |           +-- PictureError   INVALID_ARGUMENT, this product alone
          |               |           |          +-- DeadlineExceededError      DEADLINE_EXCEEDED
          |               |           +----------+-- OverloadError              RESOURCE_EXHAUSTED
          |               +-- ProductError               INVALID_ARGUMENT, this product alone
          +-- RequestError                               INVALID_ARGUMENT, the whole request; UnknownModelError
                                                         NOT_FOUND

    anywhere: StoppingError, EngineDownError  UNAVAILABLE;  when the caller cancels, the call's task is cancelled
    before the bytes: UnauthenticatedError  UNAUTHENTICATED;  PermissionDeniedError  PERMISSION_DENIED;
                      TooManyCallsError  RESOURCE_EXHAUSTED
    in the search: IndexDownError, MatcherDownError  UNAVAILABLE;  NoMatcherError  UNIMPLEMENTED;
                   MatcherMismatchError  FAILED_PRECONDITION

A status that asks the caller to retry carries a google.rpc.RetryInfo with the delay.

An internal error is logged with its traceback; the caller gets a number to quote.
"""

import logging
import secrets
from collections.abc import Sequence

import grpc
from google.protobuf import any_pb2, message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from model.errors import AisleError, PictureError, ProductError

DOMAIN = "aisle.v1"
NOT_UTF8 = "expected UTF-8, found bytes that are not; encode the text again"

_log = logging.getLogger("aisle.server")
_MAX_ECHO_CHARS = 100
_MAX_FOUND_CHARS = 300
_MIN_RETRY_AFTER_S = 0.1  # a shorter delay would bring rejected callers back before anything has changed


class RequestError(AisleError):
    """A request is wrong as a whole.

    Args:
        violations: (field, what was expected and found) pairs; a field is a path into the request.
    """

    def __init__(self, violations: Sequence[tuple[str, str]]):
        super().__init__("; ".join(f"{field}: {description}" for field, description in violations))
        self.violations = tuple(violations)


class UnknownModelError(RequestError):
    """A request names a model, or a version of one, that is not loaded."""


class FieldError(ProductError):
    """One field of one product is wrong.

    Args:
        field: its name in the message Product.
    """

    def __init__(self, field: str, description: str):
        super().__init__(description)
        self.field = field


class PoisonedProductError(ProductError):
    """A product that ended engine processes; it is not tried again."""


class RequestStatusError(AisleError):
    """A request is wrong as a whole, as an engine process found.

    Args:
        status: as `request_status` made it there.
    """

    def __init__(self, status: status_pb2.Status):
        super().__init__(status.message)
        self.status = status


class OverloadError(AisleError):
    """Overload: the request cannot be answered in time.

    Args:
        retry_after_s: delay before a retry may succeed, seconds.
    """

    reason = "OVERLOAD"

    def __init__(self, text: str, retry_after_s: float):
        super().__init__(text)
        self.retry_after_s = max(retry_after_s, _MIN_RETRY_AFTER_S)


class QueueFullError(OverloadError):
    """A queue has no room for this request."""

    reason = "QUEUE_FULL"


class TooManyCallsError(OverloadError):
    """The limit of calls in flight is reached."""

    reason = "TOO_MANY_CALLS"


class MemoryFullError(OverloadError):
    """The memory that requests may take has no room for this one."""

    reason = "MEMORY_FULL"


class WaitTooLongError(OverloadError):
    """The wait in the queue is longer than the caller's deadline allows."""

    reason = "WAIT_TOO_LONG"


class TooManyStreamsError(OverloadError):
    """The limit of open streams is reached."""

    reason = "TOO_MANY_STREAMS"


class TooManyWatchesError(OverloadError):
    """The limit of open watches is reached."""

    reason = "TOO_MANY_WATCHES"


class TooManyArrivingError(OverloadError):
    """The limit of requests whose message is arriving is reached, and this one has waited longest."""

    reason = "TOO_MANY_ARRIVING"


class MessageTooLargeError(AisleError):
    """A message over the limit, which came by HTTP; by gRPC, gRPC itself refuses it."""


class IdleError(AisleError):
    """A caller has kept a call open for too long without sending anything."""


class UnknownMethodError(AisleError):
    """A call of a method that no service of this server has."""


class DeadlineExceededError(AisleError):
    """The deadline passed while the request waited in a queue."""


class StoppingError(AisleError):
    """The server is stopping and accepts no more requests."""


class EngineDownError(AisleError):
    """The engine of a model has failed or hangs, and is being restarted."""


class IndexDownError(AisleError):
    """The disk or database of the index refused, and nothing has changed."""


class MatcherDownError(AisleError):
    """The matcher's process has ended, and is being started anew."""


class MatcherMismatchError(AisleError):
    """The matcher compares vectors of another model than the index holds."""


class NoMatcherError(AisleError):
    """The server was started without a matcher."""


class PermissionDeniedError(AisleError):
    """A call of a method that its token does not allow."""


class UnauthenticatedError(AisleError):
    """A call without a valid token. The text must not depend on the right token."""


class BatchError(AisleError):
    """An engine returned another number of results than items, or tried to end its thread."""


#: Code, reason and, where asking again helps, the delay before that (seconds) of errors that say all in their text.
_CODES: dict[type[AisleError], tuple[int, str, float | None]] = {
    DeadlineExceededError: (code_pb2.DEADLINE_EXCEEDED, "TOO_LATE", None),
    UnauthenticatedError: (code_pb2.UNAUTHENTICATED, "INVALID_TOKEN", None),
    PermissionDeniedError: (code_pb2.PERMISSION_DENIED, "NOT_ALLOWED", None),
    IndexDownError: (code_pb2.UNAVAILABLE, "INDEX_FAILED", 1.0),
    MatcherDownError: (code_pb2.UNAVAILABLE, "MATCHER_DOWN", 1.0),
    MatcherMismatchError: (code_pb2.FAILED_PRECONDITION, "MATCHER_OF_ANOTHER_MODEL", None),
    NoMatcherError: (code_pb2.UNIMPLEMENTED, "NO_MATCHER", None),
    UnknownMethodError: (code_pb2.UNIMPLEMENTED, "UNKNOWN_METHOD", None),
    MessageTooLargeError: (code_pb2.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", None),
    StoppingError: (code_pb2.UNAVAILABLE, "STOPPING", _MIN_RETRY_AFTER_S),  # another server can answer at once
    EngineDownError: (code_pb2.UNAVAILABLE, "ENGINE_DOWN", 1.0),
    IdleError: (code_pb2.UNAVAILABLE, "IDLE", _MIN_RETRY_AFTER_S),
}


def not_json_error(expected: str, found: str) -> RequestError:
    """The error for a body that is not the JSON it should be.

    Args:
        found: what is wrong with it; may quote the caller's own text.
    """
    text = " ".join(found.split())
    text = text if len(text) <= _MAX_FOUND_CHARS else text[:_MAX_FOUND_CHARS] + "..."
    return RequestError([("request", f"expected {expected} as JSON, found: {text}")])


def malformed_error(package: str = "aisle.v1") -> RequestError:
    """The error for bytes that are no message of a package."""
    return RequestError([("request", f"expected a message of {package}, found malformed bytes")])


def shortened(text: str) -> str:
    """Quote and shorten a caller's own text for an error message; statuses travel in headers and must stay small."""
    return repr(text if len(text) <= _MAX_ECHO_CHARS else text[:_MAX_ECHO_CHARS] + "...")


def request_status(error: Exception) -> status_pb2.Status:
    """Return the status of a request that failed as a whole."""
    match error:
        case RequestStatusError():
            return error.status
        case UnknownModelError():
            return _status(code_pb2.NOT_FOUND, str(error), "UNKNOWN_MODEL", _bad_request(error.violations))
        case RequestError():
            return _status(code_pb2.INVALID_ARGUMENT, str(error), "INVALID_REQUEST", _bad_request(error.violations))
        case OverloadError():
            return _status(code_pb2.RESOURCE_EXHAUSTED, str(error), error.reason, _retry_info(error.retry_after_s))
        case AisleError() if type(error) in _CODES:
            code, reason, retry_after_s = _CODES[type(error)]
            details = [] if retry_after_s is None else [_retry_info(retry_after_s)]
            return _status(code, str(error), reason, *details)
    return _internal(error)


def product_status(error: Exception, index: int) -> status_pb2.Status:
    """Return the status of one product that has no prediction.

    Args:
        index: its position in the request.
    """
    path = f"products[{index}]"
    match error:
        case FieldError():
            return _product_status(error, f"{path}.{error.field}", "INVALID_FIELD")
        case PictureError():
            return _product_status(error, f"{path}.image", "INVALID_PICTURE")
        case PoisonedProductError():
            return _product_status(error, path, "POISONED_PRODUCT")
        case ProductError():
            return _product_status(error, path, "INVALID_PRODUCT")
    return _internal(error)


def field_status(code: int, path: str, text: str, reason: str) -> status_pb2.Status:
    """Return the status of one item of a request that is wrong in a field.

    Args:
        path: of the field in the request.
    """
    return _status(code, f"{path}: {text}", reason, _bad_request([(path, text)]))


def renamed_status(status: status_pb2.Status, path: str, new_path: str) -> status_pb2.Status:
    """Return a status whose fields are named as in the caller's own request.

    Args:
        path: with which the fields begin in a request that was made of the caller's.
    """
    renamed = status_pb2.Status()
    renamed.CopyFrom(status)
    for detail in renamed.details:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            for violation in bad_request.field_violations:
                violation.field = violation.field.replace(path, new_path, 1)
            detail.Pack(bad_request)
    return renamed


def status_reason(status: status_pb2.Status) -> str:
    """Return the reason of a status made by this module."""
    error_info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(error_info)
    return error_info.reason


class Rejection:
    """A prebuilt status for calls rejected before their message is read; under overload that is most of them.

    Attributes:
        reason: as in its ErrorInfo.
        grpc_status: the status that the caller receives.
    """

    def __init__(self, error: Exception):
        status = request_status(error)
        self.reason = status_reason(status)
        self.grpc_status: grpc.Status = rpc_status.to_status(status)


def _product_status(error: Exception, path: str, reason: str) -> status_pb2.Status:
    return _status(code_pb2.INVALID_ARGUMENT, str(error), reason, _bad_request([(path, str(error))]))


def _bad_request(violations: Sequence[tuple[str, str]]) -> error_details_pb2.BadRequest:
    violation = error_details_pb2.BadRequest.FieldViolation
    return error_details_pb2.BadRequest(
        field_violations=[violation(field=field, description=description) for field, description in violations]
    )


def _retry_info(retry_after_s: float) -> error_details_pb2.RetryInfo:
    retry_info = error_details_pb2.RetryInfo()
    retry_info.retry_delay.FromMilliseconds(round(retry_after_s * 1000))
    return retry_info


def _internal(error: Exception) -> status_pb2.Status:
    number = secrets.token_hex(4)
    _log.error("internal error %s", number, exc_info=error)
    return _status(
        code_pb2.INTERNAL, f"the server failed to answer; see internal error {number} in its log", "INTERNAL"
    )


def _status(code: int, text: str, reason: str, *details: message.Message) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=text)
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN), *details):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
