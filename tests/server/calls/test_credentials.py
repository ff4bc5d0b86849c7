from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from aisle_client.v1 import classifier_pb2_grpc
from server.app import AisleServer
from server.calls.credentials import CredentialsError, TlsFiles, server_credentials
from server.settings import ServerSettings
from tests.server.support import named, toy_settings
from tests.tls import TlsFolder, make_tls, replace


@pytest.fixture
def tls(tmp_path: Path) -> TlsFolder:
    return make_tls(tmp_path / "server")


class Port:
    """A bare grpc server that answers every call, to test handshakes alone."""

    def __init__(self, credentials: grpc.ServerCredentials):
        self._server = grpc.server(ThreadPoolExecutor(2))
        answer = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Echo": answer}),))
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def call(self, *pems: Path | None) -> bytes:
        """Echo over a new connection; authority, key and certificate of the caller."""
        contents = (path and path.read_bytes() for path in pems)
        options = [("grpc.use_local_subchannel_pool", 1)]
        credentials = grpc.ssl_channel_credentials(*contents)
        with grpc.secure_channel(f"127.0.0.1:{self.port}", credentials, options=options) as channel:
            return channel.unary_unary("/test/Echo")(b"hello", timeout=30)

    def stop(self) -> None:
        self._server.stop(0).wait()


@pytest.fixture
def port(tls: TlsFolder) -> Iterator[Port]:
    port = Port(TlsFiles(tls.certificate, tls.private_key, None).credentials())
    yield port
    port.stop()


def failed_code(port: Port, *pems: Path | None) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        port.call(*pems)
    return caught.value.code()


def test_a_caller_that_trusts_the_authority_is_answered_and_others_fail(port: Port, tls: TlsFolder, tmp_path: Path):
    assert port.call(tls.ca) == b"hello"
    assert failed_code(port, make_tls(tmp_path / "other").ca) == grpc.StatusCode.UNAVAILABLE


def test_a_changed_certificate_is_used_by_the_next_connection(port: Port, tls: TlsFolder, tmp_path: Path):
    old_ca = tmp_path / "old.pem"
    old_ca.write_bytes(tls.ca.read_bytes())
    make_tls(tls.ca.parent)
    assert port.call(tls.ca) == b"hello"
    assert failed_code(port, old_ca) == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("damage", ["no PEM", "another key", "no file"])
def test_a_damaged_change_leaves_the_certificate_in_use(
    port: Port, tls: TlsFolder, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
):
    if damage == "no file":
        tls.private_key.unlink()
    else:
        other = make_tls(tmp_path / "other").private_key.read_bytes()
        replace(tls.private_key, b"half a k" if damage == "no PEM" else other)
    assert port.call(tls.ca) == b"hello"
    assert port.call(tls.ca) == b"hello"
    assert caplog.text.count("the current certificate stays in use: ") == 1
    assert "half a k" not in caplog.text
    assert "BEGIN" not in caplog.text


def test_mutual_tls_requires_a_certificate_of_its_own_authority(tls: TlsFolder, tmp_path: Path):
    caller, stranger = make_tls(tmp_path / "caller", "shop"), make_tls(tmp_path / "stranger", "shop")
    port = Port(TlsFiles(tls.certificate, tls.private_key, caller.ca).credentials())
    assert port.call(tls.ca, caller.private_key, caller.certificate) == b"hello"
    assert failed_code(port, tls.ca) == grpc.StatusCode.UNAVAILABLE
    assert failed_code(port, tls.ca, stranger.private_key, stranger.certificate) == grpc.StatusCode.UNAVAILABLE
    port.stop()


def test_files_that_cannot_be_used_are_refused_before_anything_starts(tls: TlsFolder, tmp_path: Path):
    other = make_tls(tmp_path / "other")
    with pytest.raises(CredentialsError, match=r"no\.pem cannot be read: No such file or directory"):
        TlsFiles(tmp_path / "no.pem", tls.private_key, None).credentials()
    with pytest.raises(CredentialsError, match=r"cannot be used for TLS \(KEY_VALUES_MISMATCH\); expected a PEM cert"):
        TlsFiles(tls.certificate, other.private_key, None).credentials()
    with pytest.raises(CredentialsError, match="expected a PEM certificate and its own PEM key, not encrypted"):
        TlsFiles(tls.private_key, tls.certificate, None).credentials()
    with pytest.raises(CredentialsError, match=r"key\.pem: expected PEM certificates of the clients' authority"):
        TlsFiles(tls.certificate, tls.private_key, tls.private_key).credentials()


def test_the_server_speaks_tls_on_its_port(toy_bundle: Path, tls: TlsFolder):
    files = {"tls_certificate": tls.certificate, "tls_private_key": tls.private_key}
    server = AisleServer(toy_settings(toy_bundle, **files))
    server.start()
    credentials = grpc.ssl_channel_credentials(tls.ca.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        assert len(stub.Classify(pb.ClassifyRequest(products=[named("shirt")]), timeout=30).classifications) == 1
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test/Echo")(b"", timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    server.stop(grace_s=0)


def test_without_a_certificate_there_is_no_tls(tmp_path: Path):
    assert server_credentials(ServerSettings(bundle=tmp_path)) is None
