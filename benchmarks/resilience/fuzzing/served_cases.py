"""Sends mutated requests to a real server, by every method of its service."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import grpc
from google.protobuf import wrappers_pb2
from google.rpc import code_pb2
from tqdm import tqdm

from aisle_client.v1 import classifier_pb2
from benchmarks.resilience.fuzzing.mutations import Mutator
from benchmarks.resilience.process import OWN_CONNECTION, ServerProcess

BAR_FORMAT = "{desc:12} {percentage:3.0f}% |{bar}| {remaining} left{postfix}"
_SERVICE = "/aisle.v1.ProductClassifier"
_IN_FLIGHT = 32
_TIMEOUT_S = 60
_VALID_CODES = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


class ServedCases:
    """Sends the bytes of cases, many at the same time, and checks every status.

    Attributes:
        codes: number of cases by method and status; each message of a stream has one.
        faults: the fault by method and number of the case.
        rss_mib: samples of the server's resident memory, MiB.
    """

    def __init__(self, server: ServerProcess, mutator: Mutator):
        self.codes: dict[str, Counter[str]] = defaultdict(Counter)
        self.faults: dict[str, dict[int, str]] = defaultdict(dict)
        self.rss_mib: list[float] = []
        self._server = server
        self._mutator = mutator

    def send(self, num_cases: int) -> None:
        """Send every case by Classify and by ClassifyStream, and a request of its own by GetModel."""
        with (
            grpc.insecure_channel(self._server.target, options=OWN_CONNECTION) as channel,
            tqdm(total=num_cases, desc="served", bar_format=BAR_FORMAT, disable=None) as bar,
        ):
            for first in range(0, num_cases, _IN_FLIGHT):
                numbers = range(first, min(first + _IN_FLIGHT, num_cases))
                if not self._server.is_running:
                    return
                self._send_one_by_one(channel, "Classify", {n: self._mutator.request(n) for n in numbers})
                self._send_in_a_stream(channel, {n: _stream_message(self._mutator.request(n)) for n in numbers})
                self._send_one_by_one(channel, "GetModel", {n: self._mutator.model_request(n) for n in numbers})
                if self._server.is_running:
                    self.rss_mib.append(self._server.usage.rss_mib)
                bar.update(len(numbers))

    def _send_one_by_one(self, channel: grpc.Channel, method: str, contents: dict[int, bytes]) -> None:
        method_call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"{_SERVICE}/{method}")
        calls = {number: method_call.future(content, timeout=_TIMEOUT_S) for number, content in contents.items()}
        for number, call in calls.items():
            code, details = call.code(), call.details() or ""
            answer = call.result() if code == grpc.StatusCode.OK and method == "Classify" else b""
            self._record(method, number, code, status_fault(code, details, answer))

    def _send_in_a_stream(self, channel: grpc.Channel, contents: dict[int, bytes]) -> None:
        method = "ClassifyStream"
        method_call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"{_SERVICE}/{method}")
        call = method_call(iter(contents.values()), timeout=_TIMEOUT_S)
        answers: list[bytes] = []
        try:
            answers.extend(call)
            end = "the stream ended before its answer"
        except grpc.RpcError as error:
            end = f"the stream ended with {error}"
        for number, answer in zip(contents, _padded(answers, len(contents)), strict=True):
            if answer is None:
                self._record(method, number, grpc.StatusCode.UNKNOWN, end)
                continue
            response = classifier_pb2.ClassifyStreamResponse.FromString(answer)
            code = _status_code(response.error.code)
            content = response.response.SerializeToString()
            self._record(method, number, code, status_fault(code, response.error.message, content))

    def _record(self, method: str, number: int, code: grpc.StatusCode, fault: str) -> None:
        self.codes[method][code.name] += 1
        if fault:
            self.faults[method][number] = fault


def status_fault(code: grpc.StatusCode, details: str, answer: bytes) -> str:
    """Describe an invalid status of a call or of one of its products; '' when all are valid.

    Args:
        answer: a serialised ClassifyResponse when the code is OK.
    """
    if code not in _VALID_CODES:
        return f"{code.name}: {details}"
    for classification in classifier_pb2.ClassifyResponse.FromString(answer).classifications:
        error = classification.error
        if classification.HasField("error") and error.code != code_pb2.INVALID_ARGUMENT:
            return f"a product ended with {code_pb2.Code.Name(error.code)}: {error.message}"
    return ""


def _stream_message(request: bytes) -> bytes:
    """Wrap bytes, which may be malformed, in a ClassifyStreamRequest, whose field 1 is the request."""
    return wrappers_pb2.BytesValue(value=request).SerializeToString()


def _padded(answers: Sequence[bytes], count: int) -> list[bytes | None]:
    return [*answers, *[None] * (count - len(answers))]


def _status_code(number: int) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == number)
