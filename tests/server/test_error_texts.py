"""Every kind of error as a caller sees it: it names the field and reveals no internals of the server."""

import gc
import io
import re
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf import text_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from PIL import Image
from pillow_heif import register_heif_opener

from aisle_client.v1 import classifier_pb2 as pb
from model.picture_header import FORMATS
from server.errors import (
    DOMAIN,
    DeadlineExceededError,
    FieldError,
    QueueFullError,
    RequestError,
    StoppingError,
    TooManyCallsError,
    UnauthenticatedError,
    WaitTooLongError,
    product_status,
    request_status,
)
from server.inference.request_run import RequestRun
from tests.server.support import Stub, ask, named, violations

#: Patterns of internals: stack traces, source files, folders, addresses, names of exceptions.
INTERNALS = re.compile(
    r"Traceback|line \d+, in |\.(?:py|cpp|c|hpp|so)\b|(?:^|[\s'\"(])/[\w.-]+/|0x[0-9a-f]{4,}|<[\w. ]+ object"
    r"|\b[A-Z]\w*(?:Error|Exception)\b|OpenCV|OpenVINO|PIL|libjpeg|numpy|secret"
)
DETAILS = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
SECRET = "secret of /usr/lib/secret.py"


def texts(status: status_pb2.Status) -> Iterator[str]:
    """Return all texts of a status, its details unpacked."""
    yield status.message
    for detail in status.details:
        unpacked = next(kind() for kind in DETAILS if detail.Is(kind.DESCRIPTOR))
        detail.Unpack(unpacked)
        yield text_format.MessageToString(unpacked, as_utf8=True)


def checked(status: status_pb2.Status) -> status_pb2.Status:
    """Return the status after checking that it has a reason for programs and no internals."""
    for text in texts(status):
        assert not INTERNALS.search(text), text
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == DOMAIN
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", info.reason)
    return status


def failed(call: Callable[[], object]) -> status_pb2.Status:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(caught.value)
    assert status is not None, caught.value.details()
    return checked(status)


register_heif_opener()  # to save HEIC


@pytest.fixture
def broken_pictures(jpeg: bytes) -> list[bytes]:
    """Pictures of every format truncated at several offsets, with flipped bytes, and other data."""
    found = [b"no picture", b"\xff\xd8", b"GIF89a", b"RIFF1234WEBPVP8 ", jpeg[:-2] + b"\0" * 9]
    image = Image.linear_gradient("L").convert("RGB")
    for kind in FORMATS:
        file = io.BytesIO()
        image.save(file, kind)
        data = file.getvalue()
        found += [data[: len(data) * tenth // 10] for tenth in range(1, 10)]
        found += [data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 20]) + data[at + 20 :] for at in (9, 40, 90)]
    return found


def test_an_error_of_a_request_names_its_fields(stub: Stub):
    product = named("shirt")
    requests = {
        "products": [pb.ClassifyRequest(), pb.ClassifyRequest(products=[product] * 513)],
        "top_k": [pb.ClassifyRequest(products=[product], top_k=-1), pb.ClassifyRequest(products=[product], top_k=101)],
        "model": [pb.ClassifyRequest(products=[product], model="no")],
        "model_version": [pb.ClassifyRequest(products=[product], model_version="no")],
    }
    for field, wrong in requests.items():
        code = code_pb2.NOT_FOUND if field.startswith("model") else code_pb2.INVALID_ARGUMENT
        for request in wrong:
            status = failed(lambda request=request: stub.Classify(request, timeout=30))
            assert (status.code, violations(status)) == (code, [field])
    status = failed(lambda: stub.GetModel(pb.GetModelRequest(model="no"), timeout=30))
    assert violations(status) == ["model"]


def test_an_error_of_a_product_names_its_path(stub: Stub, bomb: bytes):
    wrong = {
        "products[0]": pb.Product(),
        "products[1].product_name": pb.Product(product_name="x" * 10_001),
        "products[2].maker": pb.Product(maker="x" * 10_001),
        "products[3].image": pb.Product(image=b"no picture"),
        "products[4].image": pb.Product(image=bomb),
        "products[5].image_features": pb.Product(image_features=pb.ImageFeatures(values=[1.0])),
    }
    response = ask(stub, *wrong.values(), named("shirt"))
    for path, classification in zip(wrong, response.classifications, strict=False):
        assert violations(checked(classification.error)) == [path]
    assert response.classifications[-1].HasField("prediction")


def test_broken_pictures_reveal_nothing_of_the_decoding_libraries(stub: Stub, broken_pictures: list[bytes]):
    response = ask(stub, *(pb.Product(image=picture) for picture in broken_pictures))
    rejected = [c.error for c in response.classifications if c.HasField("error")]
    assert len(rejected) > len(broken_pictures) // 2
    for status in rejected:
        assert checked(status).code == code_pb2.INVALID_ARGUMENT


def test_any_other_error_is_internal_too(stub: Stub, monkeypatch: pytest.MonkeyPatch):
    def fail(*_arguments: object) -> object:
        raise OSError(2, SECRET, "/etc/secret")

    with monkeypatch.context() as patch:
        patch.setattr(RequestRun, "answer", fail)
        assert failed(lambda: ask(stub, named("shirt"))).code == code_pb2.INTERNAL
    with monkeypatch.context() as patch:
        patch.setattr("server.service.model_response", fail)
        assert failed(lambda: stub.GetModel(pb.GetModelRequest(), timeout=30)).code == code_pb2.INTERNAL
    with monkeypatch.context() as patch:
        patch.setattr("server.service.answer_in_order", fail)
        stream = stub.ClassifyStream(iter([pb.ClassifyStreamRequest()]), timeout=30)
        assert failed(lambda: next(stream)).code == code_pb2.INTERNAL


def test_errors_of_grpc_itself_reveal_no_internals_either(channel: grpc.Channel):
    method = "/aisle.v1.ProductClassifier/Classify"
    for path, content in ((method, b"\xff\xff\xff"), ("/no.Such/Method", b""), (method, b"\n" * 70_000_000)):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(path)(content, timeout=30)
        assert not INTERNALS.search(caught.value.details())


@pytest.mark.parametrize("method", ["Classify", "GetModel"])
def test_malformed_bytes_are_an_invalid_request(method: str, channel: grpc.Channel):
    status = failed(lambda: channel.unary_unary(f"/aisle.v1.ProductClassifier/{method}")(b"\xff\xff\xff", timeout=30))
    assert status.code == code_pb2.INVALID_ARGUMENT
    assert "request: expected a message of aisle.v1" in status.message


def test_a_malformed_message_of_a_stream_affects_no_other(channel: grpc.Channel):
    good = pb.ClassifyStreamRequest(request=pb.ClassifyRequest(products=[named("shirt")])).SerializeToString()
    stream = channel.stream_stream("/aisle.v1.ProductClassifier/ClassifyStream")
    answers = list(map(pb.ClassifyStreamResponse.FromString, stream(iter([good, b"\xff\xff\xff", good]), timeout=30)))
    assert [answer.HasField("response") for answer in answers] == [True, False, True]
    assert answers[1].error.code == code_pb2.INVALID_ARGUMENT


def test_calls_with_malformed_bytes_do_not_stay_in_memory(channel: grpc.Channel):
    """Check the workaround for grpc, which keeps the state of every call whose deserializer raises."""
    classify = channel.unary_unary("/aisle.v1.ProductClassifier/Classify")
    for _ in range(20):
        with pytest.raises(grpc.RpcError):
            classify(b"\xff\xff\xff", timeout=30)
    gc.collect()
    kept = [state for state in gc.get_objects() if type(state).__name__ == "_RPCState" and state.request is None]
    assert len(kept) < 20


@pytest.mark.parametrize(
    "error",
    [
        RequestError([("products", "expected some")]),
        QueueFullError("full", 1.0),
        TooManyCallsError("many", 1.0),
        WaitTooLongError("long", 1.0),
        DeadlineExceededError("late"),
        UnauthenticatedError("no token"),
        StoppingError("stopping"),
        FieldError("maker", "long"),
        RuntimeError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_each_error_has_a_reason_in_text_and_details(error: Exception):
    checked(request_status(error))
    checked(product_status(error, 3))
