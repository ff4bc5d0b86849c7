"""The server with an engine that fails on a signal: SIGUSR1 makes it raise, SIGUSR2 makes it hang.

Only the engine in use fails; the one that the server opens in its place works.
"""

import signal
import threading
from typing import Literal, NoReturn

import numpy as np
import tyro

from model.engines.engine import Engine
from model.features import Features
from server.app import AisleServer
from server.settings import ServerSettings
from server.telemetry.logs import configure_logging

_FAULTS: dict[signal.Signals, Literal["raises", "hangs"]] = {signal.SIGUSR1: "raises", signal.SIGUSR2: "hangs"}
_SIGNALS = {*_FAULTS, signal.SIGTERM}


class FailingEngine:
    """An engine that fails with any input, like a lost device."""

    def __init__(self, engine: Engine, fault: Literal["raises", "hangs"]):
        self.name = engine.name
        self.precision = engine.precision
        self.device = engine.device
        self.num_streams = engine.num_streams
        self.max_images = engine.max_images
        self._engine = engine
        self._fault = fault

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """Fail instead of encoding."""
        self._fail(images)

    def classify(self, features: Features, all_heads: bool = True) -> dict[str, np.ndarray]:
        """Fail instead of classifying."""
        self._fail(features, all_heads)

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def _fail(self, *_: object) -> NoReturn:
        while self._fault == "hangs":  # forever, as a driver may
            threading.Event().wait()
        raise RuntimeError("the device is lost")


def main() -> None:
    """Serve until SIGTERM."""
    # Blocked before any thread starts, so that all of them are received by sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    settings = tyro.cli(ServerSettings, prog="python -m benchmarks.resilience.faulty_server")
    configure_logging(settings.log_format)
    server = AisleServer(settings)
    server.start()
    while (number := signal.Signals(signal.sigwait(_SIGNALS))) in _FAULTS:
        for model in server.models:
            model.predictor.engine = FailingEngine(model.predictor.engine, _FAULTS[number])
    server.stop(settings.grace_s, settings.drain_delay_s)


if __name__ == "__main__":
    main()
