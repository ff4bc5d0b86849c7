"""Fixtures: a running server with the toy bundle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.app import AisleServer
from server.settings import ServerSettings


@pytest.fixture(scope="module")
def server(toy_bundle: Path) -> Iterator[AisleServer]:
    server = AisleServer(ServerSettings(bundle=toy_bundle, host="127.0.0.1", port=0, engine="openvino"))
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture(scope="module")
def target(server: AisleServer) -> str:
    return f"127.0.0.1:{server.port}"
