import pytest
from google.rpc import status_pb2

from aisle_client.v1 import classifier_pb2 as pb
from server.messages.response import stream_answer, stream_error


@pytest.mark.parametrize("num_bytes", [0, 1, 127, 128, 16_383, 16_384, 2_100_000])
def test_an_answer_of_any_length_is_a_message_of_a_stream(num_bytes: int):
    response = pb.ClassifyResponse(model="x" * num_bytes)
    message = pb.ClassifyStreamResponse.FromString(stream_answer(response.SerializeToString()))
    assert message.HasField("response")
    assert message.response == response


def test_a_status_is_a_message_of_a_stream():
    status = status_pb2.Status(code=3, message="wrong")
    message = pb.ClassifyStreamResponse.FromString(stream_error(status))
    assert (message.WhichOneof("outcome"), message.error) == ("error", status)
