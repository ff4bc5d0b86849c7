"""The HTTP port itself: TLS, addresses, and aiohttp, which need not be installed."""

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model.errors import SettingsError
from server.app import AisleServer, ListenError
from server.http import http_port_class
from tests.server.http.support import fetch
from tests.server.support import toy_settings
from tests.tls import TlsFolder, make_tls

ONE = {"products": [{"product_name": "shirt"}]}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFolder:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(toy_bundle: Path, tls: TlsFolder) -> Iterator[AisleServer]:
    """A server that speaks mutual TLS."""
    settings = replace(
        toy_settings(toy_bundle, http_port=0),
        tls_certificate=tls.certificate,
        tls_private_key=tls.private_key,
        tls_client_ca=tls.ca,
    )
    server = AisleServer(settings)
    server.start()
    yield server
    server.stop(grace_s=5)


def context(tls: TlsFolder, has_certificate: bool = True) -> ssl.SSLContext:
    """A caller's side of TLS."""
    found = ssl.create_default_context(cafile=tls.ca)
    if has_certificate:
        found.load_cert_chain(tls.certificate, tls.private_key)
    return found


def test_the_port_speaks_tls_and_follows_its_files(server: AisleServer, tls: TlsFolder):
    assert len(fetch(server, "/v1/classify", ONE, tls=context(tls)).content["classifications"]) == 1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        fetch(server, "/v1/classify", ONE, tls=context(tls, has_certificate=False))
    with pytest.raises(ConnectionError):
        fetch(server, "/v1/classify", ONE)
    old = context(tls)
    make_tls(tls.certificate.parent)
    assert fetch(server, "/healthz", tls=context(tls)).code == 200
    with pytest.raises(ssl.SSLError):
        fetch(server, "/healthz", tls=old)
    current = context(tls)
    tls.certificate.write_text("no certificate")
    assert fetch(server, "/healthz", tls=current).code == 200  # what was in use stays in use


def test_a_port_that_is_taken_is_named(toy_bundle: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = AisleServer(toy_settings(toy_bundle, http_port=port))
        with pytest.raises(
            ListenError, match=f"cannot listen on 127.0.0.1:{port} for HTTP: .*choose another --http-port"
        ):
            server.start()


def test_without_aiohttp_the_flag_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.startswith("server.http.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert http_port_class(None) is None
    with pytest.raises(SettingsError, match=r"needs a package that is not installed \(aiohttp\): pip install aiohttp"):
        http_port_class(0)


def test_a_server_without_the_port_does_not_import_aiohttp():
    program = "import sys, server.__main__; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
