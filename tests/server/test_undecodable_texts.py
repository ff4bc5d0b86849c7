"""Texts that are not UTF-8, on the way from a stub that does not check them to the answer."""

import grpc
import pytest
from google.rpc import code_pb2
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2 as pb
from tests.server.support import named, violations

METHOD = "/aisle.v1.ProductClassifier/Classify"
EXPECTED = "expected UTF-8, found bytes that are not; encode the text again"
#: As long as in CP949, so that it can be put in its place.
PLACEHOLDER, CP949 = "xxxxxx", "노트북".encode("cp949")


def with_cp949(message: pb.ClassifyRequest | pb.ClassifyStreamRequest) -> bytes:
    """The serialised message with CP949 in the place of the placeholder."""
    content = message.SerializeToString()
    assert PLACEHOLDER.encode() in content
    return content.replace(PLACEHOLDER.encode(), CP949)


def check(answers: pb.ClassifyResponse, bad: str) -> None:
    first, wrong, last = answers.classifications
    assert [first.product_id, wrong.product_id, last.product_id] == ["id of shirt", "2", "id of shoe"]
    assert first.HasField("prediction")
    assert last.HasField("prediction")
    assert (wrong.error.code, wrong.error.message) == (code_pb2.INVALID_ARGUMENT, EXPECTED)
    assert violations(wrong.error) == [f"products[1].{bad}"]


@pytest.mark.parametrize("field", ["product_name", "brand", "description"])
def test_a_bad_text_of_one_product_is_its_own_error(channel: grpc.Channel, field: str):
    request = pb.ClassifyRequest(
        products=[named("shirt"), pb.Product(product_id="2", mall_category="a", **{field: PLACEHOLDER}), named("shoe")]
    )
    check(pb.ClassifyResponse.FromString(channel.unary_unary(METHOD)(with_cp949(request), timeout=30)), field)


def test_a_bad_text_in_a_large_request_is_its_own_error(channel: grpc.Channel):
    """One that is cut into parts; the positions are those in the request."""
    products = [pb.Product(product_name=PLACEHOLDER if i % 50 == 33 else f"shirt {i}") for i in range(200)]
    content = with_cp949(pb.ClassifyRequest(products=products))
    answers = pb.ClassifyResponse.FromString(channel.unary_unary(METHOD)(content, timeout=30)).classifications
    wrong = {i: violations(answer.error) for i, answer in enumerate(answers) if answer.HasField("error")}
    assert wrong == {i: [f"products[{i}].product_name"] for i in (33, 83, 133, 183)}


@pytest.mark.parametrize("field", ["mask_parent", "model"])
def test_a_bad_text_of_the_request_names_its_field(channel: grpc.Channel, field: str):
    request = pb.ClassifyRequest(products=[named("shirt")], **{field: PLACEHOLDER})
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(METHOD)(with_cp949(request), timeout=30)
    status = rpc_status.from_call(caught.value)
    assert status is not None
    assert (status.code, status.message) == (code_pb2.INVALID_ARGUMENT, f"{field}: {EXPECTED}")
    assert violations(status) == [field]


def test_a_bad_text_in_a_stream_affects_no_other_message(channel: grpc.Channel):
    good = pb.ClassifyRequest(products=[named("shirt")])
    bad = pb.ClassifyRequest(products=[named("shirt"), pb.Product(product_id="2", maker=PLACEHOLDER), named("shoe")])
    wrong = pb.ClassifyRequest(products=[named("shirt")], mask_parent=PLACEHOLDER)
    contents = [
        pb.ClassifyStreamRequest(request=good).SerializeToString(),
        with_cp949(pb.ClassifyStreamRequest(request=bad)),
        with_cp949(pb.ClassifyStreamRequest(request=wrong)),
        pb.ClassifyStreamRequest(request=good).SerializeToString(),
    ]
    stream = channel.stream_stream("/aisle.v1.ProductClassifier/ClassifyStream")
    first, second, third, last = map(pb.ClassifyStreamResponse.FromString, stream(iter(contents), timeout=30))
    assert [len(answer.response.classifications) for answer in (first, last)] == [1, 1]
    check(second.response, "maker")
    assert violations(third.error) == ["mask_parent"]
