import threading

import grpc
import pytest
from google.rpc import code_pb2

from aisle_client.v1 import classifier_pb2 as pb
from tests.server.support import Stub, ask, named, violations


def test_a_stream_answers_in_order_and_goes_on_after_a_wrong_message(stub: Stub):
    requests = [
        pb.ClassifyStreamRequest(request=pb.ClassifyRequest(products=[named(f"shirt {i}")] if i != 3 else []))
        for i in range(20)
    ]
    responses = list(stub.ClassifyStream(iter(requests), timeout=30))
    assert responses[3].error.code == code_pb2.INVALID_ARGUMENT
    assert violations(responses[3].error) == ["products"]
    found = [r.response.classifications[0].product_id for r in responses if r.HasField("response")]
    assert found == [f"id of shirt {i}" for i in range(20) if i != 3]


def test_a_stream_may_wait_for_each_answer(stub: Stub):
    answered = threading.Semaphore(1)

    def requests():
        for i in range(3):
            assert answered.acquire(timeout=20)
            yield pb.ClassifyStreamRequest(request=pb.ClassifyRequest(products=[named(f"shirt {i}")]))

    for i, response in enumerate(stub.ClassifyStream(requests(), timeout=30)):
        assert response.response.classifications[0].product_id == f"id of shirt {i}"
        answered.release()
    assert i == 2


def test_after_cancelled_calls_and_garbage_a_good_request_is_answered(stub: Stub, channel: grpc.Channel, jpeg: bytes):
    rubbish = channel.unary_unary("/aisle.v1.ProductClassifier/Classify")
    for payload in (b"\xff" * 100, b"\x1a\xff\xff\xff\xff\x0f", b"\x1a\x02\x12\x05"):
        with pytest.raises(grpc.RpcError):
            rubbish(payload, timeout=30)
    with pytest.raises(grpc.RpcError) as caught:
        rubbish(b"\0" * (64 * 1024 * 1024 + 1), timeout=30)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    for _ in range(20):
        request = pb.ClassifyRequest(products=[pb.Product(image=jpeg)] * 20)
        stub.Classify.future(request, timeout=30).cancel()
    stream = stub.ClassifyStream(iter([pb.ClassifyStreamRequest(request=request)] * 5), timeout=30)
    next(stream)
    stream.cancel()
    assert ask(stub, named("shirt")).classifications[0].HasField("prediction")
