import re

import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

from model.errors import EngineError, PictureError, ProductError
from server.errors import (
    DOMAIN,
    DeadlineExceededError,
    EngineDownError,
    FieldError,
    IdleError,
    QueueFullError,
    RequestError,
    StoppingError,
    TooManyArrivingError,
    TooManyCallsError,
    TooManyStreamsError,
    TooManyWatchesError,
    UnauthenticatedError,
    UnknownMethodError,
    UnknownModelError,
    WaitTooLongError,
    product_status,
    request_status,
    shortened,
)


def reason(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == DOMAIN
    return info.reason


def violations(status: status_pb2.Status) -> list[tuple[str, str]]:
    bad_request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad_request)
    return [(violation.field, violation.description) for violation in bad_request.field_violations]


@pytest.mark.parametrize(
    ("error", "code", "expected_reason"),
    [
        (RequestError([("top_k", "too large")]), code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (UnknownModelError([("model", "found 'no'")]), code_pb2.NOT_FOUND, "UNKNOWN_MODEL"),
        (QueueFullError("full", 1.0), code_pb2.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
        (TooManyCallsError("many", 1.0), code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS"),
        (WaitTooLongError("long", 1.0), code_pb2.RESOURCE_EXHAUSTED, "WAIT_TOO_LONG"),
        (DeadlineExceededError("late"), code_pb2.DEADLINE_EXCEEDED, "TOO_LATE"),
        (UnauthenticatedError("no token"), code_pb2.UNAUTHENTICATED, "INVALID_TOKEN"),
        (TooManyStreamsError("many", 1.0), code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"),
        (TooManyWatchesError("many", 1.0), code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHES"),
        (TooManyArrivingError("many", 1.0), code_pb2.RESOURCE_EXHAUSTED, "TOO_MANY_ARRIVING"),
        (UnknownMethodError("no method"), code_pb2.UNIMPLEMENTED, "UNKNOWN_METHOD"),
        (IdleError("silent"), code_pb2.UNAVAILABLE, "IDLE"),
        (StoppingError("stopping"), code_pb2.UNAVAILABLE, "STOPPING"),
        (EngineDownError("down"), code_pb2.UNAVAILABLE, "ENGINE_DOWN"),
        (EngineError("secret"), code_pb2.INTERNAL, "INTERNAL"),
        (ZeroDivisionError("secret"), code_pb2.INTERNAL, "INTERNAL"),
    ],
)
def test_each_error_has_its_code(error: Exception, code: int, expected_reason: str):
    status = request_status(error)
    assert (status.code, reason(status)) == (code, expected_reason)


@pytest.mark.parametrize(("retry_after_s", "expected_ms"), [(1.25, 1250), (0.0, 100)])
def test_an_overload_error_has_a_retry_delay(retry_after_s: float, expected_ms: int):
    retry_info = error_details_pb2.RetryInfo()
    assert request_status(QueueFullError("full", retry_after_s)).details[1].Unpack(retry_info)
    assert retry_info.retry_delay.ToMilliseconds() == expected_ms


@pytest.mark.parametrize("error", [StoppingError("stopping"), EngineDownError("down"), IdleError("silent")])
def test_an_unavailable_server_has_a_retry_delay(error: Exception):
    retry_info = error_details_pb2.RetryInfo()
    assert request_status(error).details[1].Unpack(retry_info)
    assert retry_info.retry_delay.ToMilliseconds() >= 100


def test_a_request_error_names_every_field():
    status = request_status(RequestError([("products", "none"), ("top_k", "too large")]))
    assert status.message == "products: none; top_k: too large"
    assert violations(status) == [("products", "none"), ("top_k", "too large")]


@pytest.mark.parametrize(
    ("error", "path", "expected_reason"),
    [
        (ProductError("wrong"), "products[3]", "INVALID_PRODUCT"),
        (PictureError("wrong"), "products[3].image", "INVALID_PICTURE"),
        (FieldError("product_name", "wrong"), "products[3].product_name", "INVALID_FIELD"),
    ],
)
def test_a_product_error_names_its_path_in_the_request(error: Exception, path: str, expected_reason: str):
    status = product_status(error, 3)
    assert (status.code, status.message, reason(status)) == (code_pb2.INVALID_ARGUMENT, "wrong", expected_reason)
    assert violations(status) == [(path, "wrong")]


def test_an_internal_error_is_logged_and_the_caller_gets_its_number(caplog: pytest.LogCaptureFixture):
    try:
        raise KeyError("secret")
    except KeyError as error:
        status = product_status(error, 0)
    assert status.code == code_pb2.INTERNAL
    found = re.fullmatch("the server failed to answer; see internal error ([0-9a-f]{8}) in its log", status.message)
    assert found
    assert f"internal error {found[1]}" in caplog.text
    assert "Traceback" in caplog.text
    assert "secret" in caplog.text


def test_a_callers_text_is_quoted_and_shortened():
    assert shortened("a\nb") == r"'a\nb'"
    assert len(shortened("x" * 1_000_000)) < 120
