"""An engine process that fails as files in a folder say; started in the place of `server.engine`.

    python -m benchmarks.resilience.faulty_engine FOLDER CONNECTION PROGRESS

FOLDER/fault: "raises" fails with every batch, "hangs" never ends one, "exits" ends the thread; for processes that were
started before the file was written only, so that one started in their place works. FOLDER/hold: every batch of these
waits until the file is gone. FOLDER/deadly: SHA-256 of pictures, one a line, whose decoding ends the process with a
segmentation fault; FOLDER/stuck: of those whose decoding never ends. FOLDER/batches: the size of each batch is written
here, one a line.
"""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from model.features import Features
from model.pictures import blank_jpeg
from model.predictor import Predictor
from model.product import Product
from server.engine.__main__ import main
from server.engine.worker import end_process

#: A picture that `faulty_server` makes deadly.
DEADLY_PICTURE = blank_jpeg(33)
_POLL_S = 0.005


class Faults:
    """The faults that a folder's files ask for.

    Args:
        folder: may lack any of the files.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._started_s = time.time()

    def before_batch(self, num_items: int) -> None:
        """Fail or wait, before a batch is classified."""
        with (self._folder / "batches").open("a") as file:
            file.write(f"{num_items}\n")
        while self._is_new("hold"):
            time.sleep(_POLL_S)
        fault = self._fault()
        while fault == "hangs":  # for ever, as a driver may
            time.sleep(_POLL_S)
        if fault == "exits":
            raise SystemExit("the thread ends")
        if fault == "raises":
            raise RuntimeError("the device is lost")

    def before_picture(self, image: bytes | None) -> None:
        """End the process or stay for ever, before such a picture is decoded."""
        digest = hashlib.sha256(image or b"").hexdigest()
        if digest in self._read("deadly").split():
            os.kill(os.getpid(), signal.SIGSEGV)
        while digest in self._read("stuck").split():
            time.sleep(_POLL_S)

    def _fault(self) -> str:
        return self._read("fault").strip() if self._is_new("fault") else ""

    def _is_new(self, name: str) -> bool:
        """True for a file that was written after the start of this process."""
        try:
            return (self._folder / name).stat().st_mtime > self._started_s
        except FileNotFoundError:
            return False

    def _read(self, name: str) -> str:
        try:
            return (self._folder / name).read_text()
        except FileNotFoundError:
            return ""


class FaultyPredictor(Predictor):
    """A predictor that fails when its faults say so.

    Attributes:
        faults: shared by all.
    """

    faults: Faults

    def classify(self, features: Features, all_heads: bool = True) -> dict[str, np.ndarray]:
        """Classify, unless there is a fault."""
        self.faults.before_batch(len(features["presence"]))
        return super().classify(features, all_heads)

    def decode(self, product: Product) -> np.ndarray | None:
        """Decode, unless the picture is deadly."""
        self.faults.before_picture(product.image)
        return super().decode(product)


def make_deadly(folder: Path, picture: bytes) -> None:
    """Have the decoding of a picture end the process."""
    with (folder / "deadly").open("a") as file:
        file.write(f"{hashlib.sha256(picture).hexdigest()}\n")


def engine_command(folder: Path) -> tuple[str, ...]:
    """The command that starts such a process, for `server.app.AisleServer`."""
    return (sys.executable, "-m", __name__, str(folder))


def _run(folder: str, *numbers: str) -> None:
    from server.engine import worker

    FaultyPredictor.faults = Faults(Path(folder))
    changed: Any = worker
    changed.Predictor = FaultyPredictor
    main(*map(int, numbers))
    end_process(0)


if __name__ == "__main__":
    _run(*sys.argv[1:])
