from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from server.app import AisleServer
from tests.server.open_inference.support import InferenceStub
from tests.server.support import toy_settings


@pytest.fixture(scope="module")
def server(toy_bundle: Path) -> Iterator[AisleServer]:
    server = AisleServer(toy_settings(toy_bundle, metrics_port=0))
    server.start()
    yield server
    server.stop(grace_s=5)


@pytest.fixture(scope="module")
def inference(channel: grpc.Channel) -> InferenceStub:
    return InferenceStub(channel)
