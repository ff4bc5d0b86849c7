"""Authentication by bearer tokens, and that no token reaches any output."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from server.app import AisleServer
from server.calls.auth import TokenFile
from server.calls.credentials import CredentialsError
from tests.server.support import named, open_channel, toy_settings
from tests.tls import replace

OLD, NEW, WRONG = "old-token-0123456789", "new-token-0123456789", "wrong-token-0123456789"
ONE_PRODUCT = pb.ClassifyRequest(products=[named("red shirt")])


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens") / "tokens"


@pytest.fixture(scope="module")
def server(toy_bundle: Path, token_file: Path) -> Iterator[AisleServer]:
    token_file.write_text(OLD + "\n")
    server = AisleServer(toy_settings(toy_bundle, token_file=token_file))
    server.start()
    yield server
    server.stop(grace_s=5)


def with_token(token: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


def rejected(call) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    return caught.value


def test_a_valid_token_is_accepted_whatever_the_case_of_its_scheme(stub: classifier_pb2_grpc.ProductClassifierStub):
    for metadata in (with_token(OLD), (("authorization", f"bearer  {OLD} "),)):
        assert len(stub.Classify(ONE_PRODUCT, timeout=30, metadata=metadata).classifications) == 1


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ((), "expected the metadata 'authorization: Bearer TOKEN', found none"),
        (with_token(WRONG), "the metadata 'authorization' holds no token that this server knows"),
        (with_token(OLD[:-1]), "the metadata 'authorization' holds no token that this server knows"),
        ((("authorization", f"Basic {OLD}"),), "the metadata 'authorization' holds no token that this server knows"),
        ((("authorization", OLD),), "the metadata 'authorization' holds no token that this server knows"),
    ],
    ids=["none", "wrong", "cut", "basic", "bare"],
)
def test_other_calls_are_unauthenticated_and_reveal_nothing(
    stub: classifier_pb2_grpc.ProductClassifierStub, metadata: tuple, text: str
):
    error = rejected(lambda: stub.Classify(ONE_PRODUCT, timeout=30, metadata=metadata))
    assert error.details().startswith(text)
    info = error_details_pb2.ErrorInfo()
    [detail] = rpc_status.from_call(error).details
    assert detail.Unpack(info)
    assert info.reason == "INVALID_TOKEN"
    assert OLD[:8] not in str(rpc_status.from_call(error))
    assert WRONG not in str(rpc_status.from_call(error))


def test_a_stream_is_rejected_before_its_first_message(stub: classifier_pb2_grpc.ProductClassifierStub):
    ended = threading.Event()

    def nothing_yet():
        ended.wait(30)
        yield from ()

    rejected(lambda: next(stub.ClassifyStream(nothing_yet(), timeout=30)))
    ended.set()


def test_health_is_open_and_reflection_and_unknown_methods_are_not(channel: grpc.Channel):
    health = health_pb2_grpc.HealthStub(channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == health_pb2.HealthCheckResponse.SERVING
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    rejected(lambda: next(reflection.ServerReflectionInfo(iter([request]), timeout=30)))
    rejected(lambda: channel.unary_unary("/no/Such")(b"", timeout=30))


def test_tokens_are_rotated_without_a_restart(server: AisleServer, token_file: Path, caplog: pytest.LogCaptureFixture):
    with open_channel(server) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)

        def ask(token: str) -> pb.ClassifyResponse:
            return stub.Classify(ONE_PRODUCT, timeout=30, metadata=with_token(token))

        rejected(lambda: ask(NEW))
        replace(token_file, f"{OLD}\n\n{NEW}\n".encode())
        assert ask(OLD)
        assert ask(NEW)
        replace(token_file, f"{NEW}\n".encode())
        rejected(lambda: ask(OLD))
        replace(token_file, b"cut")
        assert ask(NEW)
        rejected(lambda: ask(OLD))
        replace(token_file, f"{OLD}\n".encode())
        assert ask(OLD)
    assert caplog.text.count("the current tokens stay in use: ") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "expected one token a line, found none"),
        (b"good-token-0123456789\ncurt\n", "line 2: expected 16 or more ASCII characters without spaces"),
        (b"two words in one token\n", "line 1: expected 16 or more ASCII characters without spaces"),
        ("비밀비밀비밀비밀비밀비밀비밀비밀\n".encode(), "line 1: expected 16 or more ASCII characters without spaces"),
    ],
    ids=["empty", "short", "space", "korean"],
)
def test_an_invalid_token_file_is_refused_without_quoting_it(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(CredentialsError, match=message) as caught:
        TokenFile(path)
    assert [line for line in content.decode().split("\n") if line.strip() and line in str(caught.value)] == []


def test_a_missing_token_file_is_named(tmp_path: Path):
    with pytest.raises(CredentialsError, match=r"token file .*no cannot be read: No such file or directory"):
        TokenFile(tmp_path / "no")


def test_no_token_is_in_any_output(toy_bundle: Path, tmp_path: Path):
    """Run the command, provoke every error around tokens, and read all its output."""
    token_file = tmp_path / "tokens"
    token_file.write_text(OLD)
    flags = ["--bundle", str(toy_bundle), "--host", "127.0.0.1", "--port", "0", "--engine", "openvino"]
    small = ["--engine-processes", "1", "--max-batch-items", "4", "--max-batch-images", "2", "--drain-delay-s", "0"]
    command = [sys.executable, "-m", "server", *flags, *small, "--token-file", str(token_file)]
    output = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            output.append(line)
            if "listening on" in line:
                break
        with grpc.insecure_channel(line.split()[-1]) as channel:
            stub = classifier_pb2_grpc.ProductClassifierStub(channel)
            for metadata in (with_token(OLD), with_token(WRONG)):
                for request in (pb.ClassifyRequest(), pb.ClassifyRequest(model="no", products=[named("a")])):
                    with pytest.raises(grpc.RpcError) as caught:
                        stub.Classify(request, timeout=30, metadata=metadata)
                    output += [caught.value.details(), str(rpc_status.from_call(caught.value))]
            replace(token_file, f"{NEW}\nspoilt {OLD}".encode())
            assert stub.Classify(ONE_PRODUCT, timeout=30, metadata=with_token(OLD))
        process.send_signal(signal.SIGTERM)
        output.append(process.stdout.read())
    text = "".join(output)
    assert "tokens cross the network in plain text" in text
    assert "the current tokens stay in use: " in text
    assert [token for token in (OLD, NEW, WRONG) if token in text] == []
    assert OLD not in repr(vars(TokenFile(_written(tmp_path / "other", OLD))))


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
