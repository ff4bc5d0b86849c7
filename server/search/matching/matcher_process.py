"""The matcher's process as the server sees it: start, batches, end."""

import contextlib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from model.errors import MatcherError
from server.engine.frames import Frame, pack, receive
from server.errors import MatcherDownError
from server.search.matching.config import MatcherConfig
from server.search.matching.pair_batch import PairAnswers, PairBatch

_ROOT = Path(__file__).parents[3]
_END_TIMEOUT_S = 5.0
#: A process that takes longer for a batch hangs; 512 pairs take half a second.
_MAX_BATCH_S = 60.0


@dataclass(frozen=True)
class ServedMatcher:
    """The matcher that a process loaded; see `retrieval.matching.matcher.matcher.MatcherDescription`.

    Args:
        threshold: under the promise; above 1 where it cannot be kept.
        num_products: of the catalog that it knows.
    """

    learned_from: str
    precision: float
    confidence: float
    threshold: float
    embedding_checksum: str
    num_products: int


class MatcherProcess:
    """A running process; to be used by one thread at a time. Starting it takes as long as reading the index.

    Attributes:
        served: what it loaded.
    Raises:
        MatcherError: the matcher or the index cannot be read, or the process ended.
    """

    def __init__(self, config: MatcherConfig):
        self._connection, others = socket.socketpair()
        with others:
            path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server.search.matching", str(others.fileno())],
                pass_fds=(others.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )
        try:
            self.served = self._load(config)
        except BaseException:
            self.close()
            raise
        self._connection.settimeout(_MAX_BATCH_S)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def answer(self, batch: PairBatch) -> PairAnswers:
        """Have a batch of pairs compared.

        Raises:
            MatcherDownError: the process has ended or hangs.
        """
        try:
            self._connection.sendall(pack(batch.to_frame()))
            reply = receive(self._connection)
        except OSError as error:
            raise MatcherDownError(f"{error}") from error
        if reply is None:
            raise MatcherDownError("it has ended")
        return PairAnswers.from_frame(reply)

    def close(self) -> None:
        """End the process; one that hangs is killed."""
        with contextlib.suppress(OSError):  # another thread may wait for an answer
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _load(self, config: MatcherConfig) -> ServedMatcher:
        with contextlib.suppress(OSError):
            self._connection.sendall(pack(Frame(config.to_json())))
        reply = receive(self._connection)
        if reply is None:
            raise MatcherError("the matcher's process ended before it had loaded the matcher; see its lines in the log")
        if "failed" in reply.header:
            raise MatcherError(reply.header["failed"])
        return ServedMatcher(**reply.header)
