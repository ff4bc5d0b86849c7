"""Helpers for starting a peer."""

import socket
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.tuning import Tuning
from model.engines.engine import EngineName, Precision


@dataclass(frozen=True)
class PeerModel:
    """The model that a peer serves, with its settings."""

    bundle: Path
    engine: EngineName
    precision: Precision
    tuning: Tuning

    def parameters(self) -> dict[str, str]:
        """Return the parameters of each copy of the model."""
        return {
            "bundle": str(self.bundle.resolve()),
            "engine": self.engine,
            "precision": self.precision,
            "engine_threads": str(self.tuning.engine_threads),
            "decoders": str(self.tuning.decoders),
        }


@dataclass(frozen=True)
class Launch:
    """A server's command line and environment variables."""

    command: tuple[str, ...]
    environment: dict[str, str]


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def site_packages(environment: Path) -> Path:
    """Return the folder of packages of a virtual environment."""
    return next((environment / "lib").glob("python3*")) / "site-packages"
