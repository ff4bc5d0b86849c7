"""The client's side of TLS and tokens, with real servers."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from rich.console import Console

from aisle_client.async_client import AsyncAisleClient
from aisle_client.channel import Security, is_loopback, open_channel
from aisle_client.client import AisleClient
from aisle_client.errors import CallError, InputError
from aisle_client.retry import NO_RETRY
from client.health import HealthCommand, health
from model.product import Product
from server.app import AisleServer
from tests.client.test_client_commands import run_client
from tests.server.support import toy_settings
from tests.tls import TlsFolder, make_tls

TOKEN = "a-good-token-0123456789"
PRODUCTS = [Product("1", "red shirt")]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFolder:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture(scope="module")
def secured(toy_bundle: Path, tls: TlsFolder, token_file: Path) -> Iterator[str]:
    """Target of a server that requires a certificate of the same authority and a token."""
    files = {"tls_certificate": tls.certificate, "tls_private_key": tls.private_key, "tls_client_ca": tls.ca}
    server = AisleServer(toy_settings(toy_bundle, token_file=token_file, **files))
    server.start()
    yield f"127.0.0.1:{server.port}"
    server.stop(grace_s=5)


@pytest.fixture(scope="module")
def token_server(toy_bundle: Path, token_file: Path) -> Iterator[str]:
    """Target of a server that requires a token over plain text."""
    server = AisleServer(toy_settings(toy_bundle, token_file=token_file))
    server.start()
    yield f"127.0.0.1:{server.port}"
    server.stop(grace_s=5)


def test_both_clients_connect_with_certificates_and_a_token(secured: str, tls: TlsFolder, token_file: Path):
    security = Security(False, tls.ca, tls.certificate, tls.private_key, token_file)

    async def ask() -> list:
        async with AsyncAisleClient(secured, security=security) as client:
            return await client.classify(PRODUCTS)

    with AisleClient(secured, security=security) as client:
        assert [result.product_id for result in client.classify(PRODUCTS)] == ["1"]
    assert [result.product_id for result in asyncio.run(ask())] == ["1"]


def test_calls_without_the_token_or_the_certificate_fail(secured: str, tls: TlsFolder, token_file: Path):
    tokenless = AisleClient(secured, security=Security(False, tls.ca, tls.certificate, tls.private_key))
    with tokenless, pytest.raises(CallError, match="answered UNAUTHENTICATED: expected the metadata 'authorization"):
        tokenless.classify(PRODUCTS)
    nameless = AisleClient(secured, retry=NO_RETRY, security=Security(tls_ca=tls.ca, token_file=token_file))
    with nameless, pytest.raises(CallError) as caught:
        nameless.classify(PRODUCTS)
    assert caught.value.code == grpc.StatusCode.UNAVAILABLE


def test_a_token_may_be_sent_to_the_same_machine_in_plain_text(token_server: str, token_file: Path):
    with AisleClient(token_server, security=Security(token_file=token_file)) as client:
        assert len(client.classify(PRODUCTS)) == 1


def test_a_token_is_never_sent_elsewhere_in_plain_text(token_file: Path):
    with pytest.raises(InputError, match=re.escape("sent in plain text to shop.example:50051; expected --tls-ca FILE")):
        open_channel("shop.example:50051", Security(token_file=token_file))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:1", True),
        ("127.0.0.1:1", True),
        ("127.8.9.1:1", True),
        ("[::1]:1", True),
        ("dns:///localhost:1", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("ipv4:127.0.0.1:1,10.0.0.2:2", False),
        ("10.0.0.1:1", False),
        ("localhost.shop.example:1", False),
        ("127.0.0.1.shop.example:1", False),
        ("dns:///shop.example:1", False),
    ],
)
def test_loopback_targets_are_known_by_their_spelling(target: str, expected: bool):
    assert is_loopback(target) is expected


def test_files_of_the_client_that_cannot_be_used_are_named(tls: TlsFolder, tmp_path: Path):
    with pytest.raises(InputError, match=r"no\.pem cannot be read: No such file or directory"):
        open_channel("localhost:1", Security(tls_ca=tmp_path / "no.pem"))
    with pytest.raises(InputError, match="belong together; --tls-private-key is missing"):
        open_channel("localhost:1", Security(tls_certificate=tls.certificate))
    (tmp_path / "token").write_text("two words of a secret\n")
    with pytest.raises(InputError, match="expected a token of ASCII characters without spaces") as caught:
        open_channel("localhost:1", Security(token_file=tmp_path / "token"))
    assert "secret" not in str(caught.value)


def test_the_health_command_needs_no_token(token_server: str):
    console = Console(width=120)
    with console.capture() as capture:
        health(HealthCommand(target=token_server), console)
    assert capture.get() == "SERVING\n"
    with pytest.raises(CallError, match="answered NOT_FOUND"):
        health(HealthCommand(target=token_server, service="no"), console)


def test_the_command_line_takes_the_files(secured: str, tls: TlsFolder, token_file: Path):
    files = ["--tls-ca", tls.ca, "--tls-certificate", tls.certificate, "--tls-private-key", tls.private_key]
    done = run_client("classify", "--target", secured, "--name", "a", *map(str, files), "--token-file", str(token_file))
    assert (done.returncode, done.stderr) == (0, "")
    done = run_client("health", "--target", secured, "--timeout-s", "3", "--token-file", str(token_file))
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert TOKEN not in done.stderr
