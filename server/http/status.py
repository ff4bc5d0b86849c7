"""Statuses by HTTP: the code, headers and JSON of a google.rpc.Status."""

import math

from aiohttp import web
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2

JSON = "application/json"

#: As google/rpc/code.proto maps them.
_HTTP_CODES = {
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.UNAUTHENTICATED: 401,
    code_pb2.NOT_FOUND: 404,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.CANCELLED: 499,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DEADLINE_EXCEEDED: 504,
}
_TOO_LARGE = 413  # without a delay after which it would fit


def status_response(status: status_pb2.Status, path: str, http_code: int | None = None) -> web.Response:
    """The answer with a status; Retry-After says what its RetryInfo says, in whole seconds.

    Args:
        path: of the request; clients of the Open Inference Protocol read the text from `error`.
        http_code: None takes that of the status.
    """
    headers = {}
    code = http_code or _HTTP_CODES.get(status.code, 500)
    delay_s = _retry_delay_s(status)
    if delay_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(delay_s)))
    elif status.code == code_pb2.RESOURCE_EXHAUSTED:
        code = _TOO_LARGE
    if status.code == code_pb2.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    content = json_format.MessageToDict(status)
    if path.startswith("/v2"):
        content["error"] = status.message
    response = web.json_response(content, status=code, headers=headers)
    if status.code == code_pb2.UNAVAILABLE:
        response.force_close()  # another connection may lead to another server
    return response


def _retry_delay_s(status: status_pb2.Status) -> float | None:
    retry_info = error_details_pb2.RetryInfo()
    if any(detail.Unpack(retry_info) for detail in status.details):
        return retry_info.retry_delay.ToMilliseconds() / 1000
    return None
