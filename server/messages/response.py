"""Builds the messages that callers receive, from what engine processes answered."""

from google.rpc import status_pb2

from aisle_client.v1 import classifier_pb2
from server.inference.request_run import RequestResult
from server.models.registry import ServedModel
from server.settings import ServerSettings

_RESPONSE_TAG = b"\x0a"  # field 1 of ClassifyStreamResponse, length-delimited


def classify_response(model: ServedModel, result: RequestResult, total_s: float) -> bytes:
    """The serialised response to a request.

    The classifications are in it as an engine process wrote them: serialised messages that follow each other are one
    message with the fields of both.
    """
    rest = classifier_pb2.ClassifyResponse(
        model=model.name,
        model_version=model.version,
        timings=classifier_pb2.Timings(
            decode_ms=result.decode_s * 1000,
            queue_ms=result.queue_s * 1000,
            inference_ms=result.inference_s * 1000,
            total_ms=total_s * 1000,
        ),
    )
    return result.content + rest.SerializeToString()


def model_response(model: ServedModel, settings: ServerSettings) -> classifier_pb2.GetModelResponse:
    """The description of a model for GetModel."""
    response = classifier_pb2.GetModelResponse(model=model.name, model_version=model.version)
    response.MergeFrom(model.pool.description.response)
    limits = classifier_pb2.Limits(
        max_products=settings.max_products_per_request,
        max_top_k=settings.max_top_k,
        max_text_chars=settings.max_text_chars,
        max_request_bytes=settings.max_message_bytes,
        max_request_chars=settings.max_request_chars,
        max_request_pixels=settings.max_request_pixels,
    )
    response.limits.MergeFrom(limits)
    return response


def stream_answer(response: bytes) -> bytes:
    """The serialised message of a stream that holds a serialised response."""
    return _RESPONSE_TAG + _varint(len(response)) + response


def stream_error(status: status_pb2.Status) -> bytes:
    """The serialised message of a stream that holds a status."""
    return classifier_pb2.ClassifyStreamResponse(error=status).SerializeToString()


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
