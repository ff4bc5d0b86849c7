"""Helpers of the server's tests."""

import threading
from typing import Any

import grpc
import pytest

from server.app import AisleServer


def open_channel(server: AisleServer) -> grpc.Channel:
    """A channel that sends what the server would refuse, too."""
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    return grpc.insecure_channel(f"127.0.0.1:{server.port}", options=options)


class HeldEngine:
    """Holds a server's classifier before each run until `release`; counts the rows it ran."""

    def __init__(self, server: AisleServer, monkeypatch: pytest.MonkeyPatch):
        self.batch_sizes: list[int] = []
        self.entered = threading.Semaphore(0)
        self._released = threading.Event()
        engine = next(iter(server.models)).predictor.engine
        classify = engine.classify

        def held(features: dict[str, Any]) -> dict[str, Any]:
            self.batch_sizes.append(len(features["presence"]))
            self.entered.release()
            assert self._released.wait(20)
            return classify(features)

        monkeypatch.setattr(engine, "classify", held)

    def wait_until_busy(self) -> None:
        assert self.entered.acquire(timeout=20)

    def release(self) -> None:
        self._released.set()
