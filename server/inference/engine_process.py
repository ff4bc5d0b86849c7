"""One engine process as the server sees it: start, connection, frames in flight, end. Runs on the event loop."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aisle_client.v1 import classifier_pb2
from model.engines.engine import EngineName, Precision
from model.engines.engine_choice import EngineChoice
from model.errors import AisleError, BundleError, EngineError
from server.engine.config import EngineConfig
from server.engine.frames import Frame, FrameReader, pack
from server.engine.progress import Progress
from server.inference.part import Part

ENGINE_COMMAND = (sys.executable, "-m", "server.engine")
_ROOT = Path(__file__).parents[2]
_ERRORS: dict[str, type[AisleError]] = {"BundleError": BundleError, "EngineError": EngineError}
_END_TIMEOUT_S = 5.0
#: A process that is stopped (SIGSTOP) this long is ended; shorter stops are a debugger's or a snapshot's.
_MAX_STOPPED_S = 1.0
#: A process that loads this long hangs; the bundles measured take 3 to 5 s.
_MAX_LOADING_S = 300.0


@dataclass(frozen=True)
class ModelDescription:
    """What an engine process loaded.

    Args:
        name, version: of the bundle.
        engine, precision, device: see `model.engines.engine.Engine`.
        num_threads: frames that it answers at the same time.
        max_images: most pictures of a frame.
        categories: those of the first level.
        embedding_checksum: of its vectors; '' where it makes none.
        response: the answer to GetModel, but for what the server's settings say.
    """

    name: str
    version: str
    engine: EngineName
    precision: Precision
    device: str
    num_threads: int
    max_images: int
    reads_pictures: bool
    categories: tuple[str, ...]
    embedding_checksum: str
    response: classifier_pb2.GetModelResponse


@dataclass
class SentFrame:
    """A frame that has not been answered yet."""

    parts: list[Part]
    num_products: int


class EngineProcess(asyncio.Protocol):
    """A running engine process.

    Args:
        on_frame: called with each reply frame and the frame that it answers.
        on_end: called once, when the process has ended for whatever reason after `start`.
    Attributes:
        in_flight: frames by number, the oldest first.
        fault_text: why the process ends by itself; empty when it did not say.
        is_suspicious: whether its end may be the fault of what it was answering.
    """

    def __init__(
        self,
        config: EngineConfig,
        command: Sequence[str],
        on_frame: "Callable[[EngineProcess, SentFrame, Frame], None]",
        on_end: "Callable[[EngineProcess], None]",
    ):
        self.in_flight: dict[int, SentFrame] = {}
        self._config = config
        self._command = command
        self._on_frame = on_frame
        self._on_end = on_end
        self._reader = FrameReader()
        self._num_frames = 0
        self._replied: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._has_started = False
        self._has_ended = asyncio.Event()
        self.fault_text = ""
        self.is_suspicious = True
        self._seen_steps = self._still_s = self._stopped_s = 0.0

    async def start(self) -> ModelDescription:
        """Start the process and wait until it has loaded its bundle.

        Raises:
            BundleError: the bundle is missing or damaged.
            EngineError: the engine cannot run it, or the process ended.
        """
        description = _description(await self._first_reply())
        self._has_started = True
        return description

    async def choose_engine(self) -> EngineChoice:
        """Start a process that says which engine "auto" is, and ends.

        Raises:
            EngineError: an engine cannot open the bundle, or the process ended before.
        """
        reply = await self._first_reply()
        await self._has_ended.wait()
        return EngineChoice(**reply.header["chosen"])

    async def _first_reply(self) -> Frame:
        self._progress = Progress.create()
        own, others = socket.socketpair()
        with others:
            # On the loop, for it takes 2 ms, and nobody can cancel the start before the process is known.
            self._process = self._spawn(others)
        own.setblocking(False)
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=own)
            self._send(Frame(self._config.to_json()))
            return await self._replied
        except BaseException:
            self.kill()
            await self.close()
            raise

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def has_large(self) -> bool:
        """True while a large picture is in flight."""
        return any(part.is_large for part in self.parts())

    @property
    def expected_s(self) -> float:
        """Expected time of the frames in flight, seconds."""
        return sum(part.cost_s for part in self.parts())

    @property
    def num_products(self) -> int:
        """Products in flight."""
        return sum(frame.num_products for frame in self.in_flight.values())

    def parts(self) -> list[Part]:
        """The parts in flight."""
        return [part for frame in self.in_flight.values() for part in frame.parts]

    def send(self, parts: list[Part]) -> None:
        """Send a frame of parts."""
        self._num_frames += 1
        self.in_flight[self._num_frames] = SentFrame(parts, sum(part.num_products for part in parts))
        described = [[part.first_index, part.is_large, part.not_utf8, part.spaces] for part in parts]
        self._send(Frame({"number": self._num_frames, "parts": described}, [part.content for part in parts]))

    def current_frame(self) -> SentFrame | None:
        """The frame being answered, None when all in flight still wait; to be read once the process has ended."""
        return self.in_flight.get(self._progress.read()[1])

    def watch(self, seconds: float, timeout_s: float) -> str:
        """Look whether the process hangs; to be called periodically.

        Args:
            seconds: time since the last call; summed up, so that a pause of the whole machine is not a hang.
            timeout_s: longest time without progress while frames are in flight, seconds; loading may take longer.
        Returns:
            what is wrong with it, '' when nothing is.
        """
        steps, _ = self._progress.read()
        is_still = steps == self._seen_steps and (bool(self.in_flight) or not self._has_started)
        if not self._has_started:
            timeout_s = max(timeout_s, _MAX_LOADING_S)
        self._still_s = self._still_s + seconds if is_still else 0.0
        self._seen_steps = steps
        self._stopped_s = self._stopped_s + seconds if self._is_stopped() else 0.0
        if self._stopped_s > _MAX_STOPPED_S:
            self.is_suspicious = False
            return f"is stopped for {self._stopped_s:.1f} s"
        if self._still_s > timeout_s:
            return f"made no progress for {self._still_s:.1f} s"
        return ""

    def reason(self) -> str:
        """The end of the process in words, to follow "has ended" in a log line."""
        status = self._process.poll()
        if self.fault_text:
            return f": {self.fault_text}"
        if status is not None and status < 0:
            return f" with {signal.Signals(-status).name}"
        return "" if status is None else f" with status {status}"

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):  # it has ended
            self._process.kill()

    async def close(self) -> None:
        """End the process once it has answered what it has, and wait for that; a hanging one is killed."""
        if self._transport is not None:  # otherwise the start was cancelled, and asyncio closes it
            self._transport.close()
        await self._has_ended.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn that frames can be sent."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take a piece of the process's frames."""
        for frame in self._reader.feed(data):
            if "failed" in frame.header:
                self._fail(**frame.header["failed"])
            elif not self._replied.done():
                self._replied.set_result(frame)
            else:
                self._on_frame(self, self.in_flight.pop(frame.header["number"]), frame)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Learn that the process has ended, or is being closed."""
        asyncio.get_running_loop().create_task(self._reap())

    async def _reap(self) -> None:
        """Wait for the process, whose connection has ended; one that does not follow is killed."""
        try:
            await asyncio.to_thread(self._process.wait, _END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            await asyncio.to_thread(self._process.wait)
        if self._has_started:
            self._on_end(self)
        elif not self._replied.done():
            text = f"the engine process ended{self.reason()} before it had loaded the bundle"
            self._replied.set_exception(EngineError(text))
        self._progress.close()
        self._has_ended.set()

    def _fail(self, kind: str, text: str) -> None:
        self.fault_text, self.is_suspicious = text, False
        if not self._replied.done():
            error = _ERRORS.get(kind)
            self._replied.set_exception(error(text) if error else EngineError(f"the engine process failed: {text}"))

    def _spawn(self, connection: socket.socket) -> subprocess.Popen:
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        numbers = (connection.fileno(), self._progress.file_number)
        return subprocess.Popen(
            [*self._command, *map(str, numbers)],
            pass_fds=numbers,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )

    def _send(self, frame: Frame) -> None:
        assert self._transport is not None
        self._transport.write(pack(frame))

    def _is_stopped(self) -> bool:
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
            return text.rpartition(")")[2].split()[0] in "Tt"
        except (OSError, IndexError):  # it has ended, or the system has no such file
            return False


def _description(frame: Frame) -> ModelDescription:
    loaded: dict[str, Any] = frame.header["loaded"]
    response = classifier_pb2.GetModelResponse.FromString(frame.bodies[0])
    return ModelDescription(**{**loaded, "categories": tuple(loaded["categories"])}, response=response)
