"""What the ways to start a peer have in common."""

import socket
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.tuning import Tuning
from model.engines.engine import EngineName, Precision


@dataclass(frozen=True)
class PeerModel:
    """What a peer serves, and how."""

    bundle: Path
    engine: EngineName
    precision: Precision
    tuning: Tuning

    def parameters(self) -> dict[str, str]:
        """What each copy of the model is told."""
        return {
            "bundle": str(self.bundle.resolve()),
            "engine": self.engine,
            "precision": self.precision,
            "engine_threads": str(self.tuning.engine_threads),
            "decoders": str(self.tuning.decoders),
        }


@dataclass(frozen=True)
class Launch:
    """A server's command line and what it needs of the environment."""

    command: tuple[str, ...]
    environment: dict[str, str]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def site_packages(environment: Path) -> Path:
    """Where a virtual environment keeps its packages."""
    return next((environment / "lib").glob("python3*")) / "site-packages"
