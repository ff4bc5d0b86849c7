"""The engine processes of one model: gives them the parts of requests, and starts anew those that end."""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.rpc import status_pb2

from model.engines.engine_choice import EngineChoice
from model.errors import EngineError
from model.machine.cores import usable_cores
from retrieval.index.record import Space
from server.engine.config import EngineConfig
from server.engine.frames import Frame
from server.errors import EngineDownError, RequestStatusError, StoppingError
from server.event_loop import EventLoop
from server.inference.backoff import Backoff
from server.inference.dispatcher import Dispatcher
from server.inference.engine_process import ENGINE_COMMAND, EngineProcess, ModelDescription, SentFrame
from server.inference.feature_cache import FeatureCache
from server.inference.memory_budget import MemoryBudget
from server.inference.part import Part, PartAnswer, cut_around, single_parts
from server.inference.poison import PoisonedProducts, refusal
from server.inference.scheduler import Scheduler
from server.settings import DEFAULT_TOP_K, ServerSettings

#: Times that a part is given to another process because the one before failed with whatever it was given.
_MAX_RETURNS = 2
#: Processes that a product may end before it is refused.
_MAX_CRASHES = 2

_log = logging.getLogger("aisle.server")


class EnginePool:
    """The engine processes of one bundle and the queue in front of them.

    Everything but `open`, `close` and what the attributes say runs on the event loop.

    Args:
        memory: of the whole server; see `MemoryBudget`.
        command: starts an engine process.
    Attributes:
        description: what the processes have loaded, after `open`.
        scheduler: the queue.
        dispatcher: gives the processes what waits.
        feature_cache: features of the pictures encoded here.
        max_products: most products of a part.
        is_closed: True after `close`.
    """

    description: ModelDescription

    def __init__(
        self,
        path: Path,
        settings: ServerSettings,
        event_loop: EventLoop,
        memory: MemoryBudget,
        command: Sequence[str] = ENGINE_COMMAND,
    ):
        self.scheduler = Scheduler(settings, memory)
        self.dispatcher = Dispatcher(settings, self.scheduler)
        self.feature_cache = FeatureCache(settings.image_cache_bytes)
        self.max_products = settings.max_batch_items
        self.is_closed = False
        self._path = path
        self._settings = settings
        self._event_loop = event_loop
        self._command = command
        self._poisoned = PoisonedProducts()
        self._starting: set[EngineProcess] = set()
        self._backoff = Backoff()
        self._restarts: set[asyncio.Task[None]] = set()
        self._has_failed_restart = False

    def open(self, is_beside_calls: bool = False) -> None:
        """Start the processes and wait until all have loaded the bundle; to be called from another thread.

        Args:
            is_beside_calls: load at a lower priority, in favour of calls that are served meanwhile.
        Raises:
            BundleError: the bundle is missing or damaged.
            EngineError: the engine cannot run it.
        """
        try:
            self._event_loop.run(self._open(is_beside_calls))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes; what still waits ends with StoppingError. To be called from another thread."""
        self._event_loop.run(self._close())

    @property
    def is_serving(self) -> bool:
        """True while a process answers; False while all are being started anew, and after `close`."""
        return bool(self.dispatcher.processes) and not self.is_closed

    @property
    def process_ids(self) -> list[int]:
        """The numbers of the processes that answer."""
        return [process.pid for process in self.dispatcher.processes]

    def wait_s(self, caller: str, parts: Sequence[Part]) -> float:
        """The expected time before a new request is answered, without its own, seconds; 0 while a process is idle."""
        if any(not process.in_flight for process in self.dispatcher.processes):
            return 0.0
        in_flight_s = sum(process.expected_s for process in self.dispatcher.processes)
        return (in_flight_s + self.scheduler.wait_s(caller, parts)) / (len(self.dispatcher.processes) or 1)

    def submit(self, parts: Sequence[Part]) -> None:
        """Queue the parts of one request; their owners are told what becomes of them.

        Raises:
            QueueFullError: the queue has no room for them.
            StoppingError: the pool is closed.
            EngineDownError: no process can be started.
        """
        if self.is_closed:
            raise _stopping()
        if not self.dispatcher.processes and self._has_failed_restart:
            raise _down()
        self.scheduler.submit(parts, self.wait_s(parts[0].caller, parts))
        self.dispatcher.expect_callers()
        self.dispatcher.schedule()

    def answer_s(self, parts: Sequence[Part]) -> float:
        """The expected time of parts once it is their turn, seconds."""
        return sum(map(self.scheduler.costs.seconds, parts)) / (len(self.dispatcher.processes) or 1)

    @property
    def has_poisoned(self) -> bool:
        """True once a product has ended two processes."""
        return bool(self._poisoned)

    def is_poisoned(self, part: Part) -> bool:
        """True for a part with a product that ended two processes."""
        return any(map(self._poisoned.holds, part.products()))

    def withdraw(self, part: Part) -> None:
        """Forget a part that nobody waits for any more; one that is being answered is answered for nothing."""
        self.scheduler.withdraw(part)

    def watch(self, seconds: float) -> None:
        """End processes that hang; to be called periodically.

        Args:
            seconds: time since the last call.
        """
        for process in [*self.dispatcher.processes, *self._starting]:
            if reason := process.watch(seconds, self._settings.engine_timeout_s):
                _log.error("engine process %d of %s %s; it is ended", process.pid, self._path, reason)
                process.kill()

    async def _open(self, is_beside_calls: bool) -> None:
        settings = self._settings
        self._config = EngineConfig(
            bundle=str(self._path),
            engine=settings.engine,
            engine_reason="asked for",
            precision=settings.precision,
            threads=settings.engine_threads,
            map_weights=settings.map_weights,
            decode_threads=settings.decode_threads,
            max_batch_items=settings.max_batch_items,
            max_batch_images=settings.max_batch_images,
            default_top_k=min(DEFAULT_TOP_K, settings.max_top_k),
            max_text_chars=settings.max_text_chars,
            max_image_pixels=settings.max_image_pixels,
            with_vectors=settings.index is not None,
            with_features=settings.image_cache_bytes > 0,
            is_beside_calls=is_beside_calls,
            log_format=settings.log_format,
        )
        if settings.engine == "auto":
            choice = await self._choose_engine()
            self._config = dataclasses.replace(self._config, engine=choice.name, engine_reason=choice.reason)
        process, self.description = await self._start_process()
        is_one_a_core = self.description.device == "CPU" and self.description.engine != "keras"
        num_processes = settings.engine_processes or (usable_cores() if is_one_a_core else 1)
        self.dispatcher.begin(self.description, num_processes)
        self.dispatcher.add(process)
        await asyncio.gather(*(self._add_process() for _ in range(num_processes - 1)))
        # Those that replace them load at full speed.
        self._config = dataclasses.replace(self._config, is_beside_calls=False)

    async def _choose_engine(self) -> EngineChoice:
        process = EngineProcess(self._config, self._command, self._on_frame, self._on_end)
        self._starting.add(process)
        try:
            return await process.choose_engine()
        finally:
            self._starting.discard(process)

    async def _start_process(self) -> tuple[EngineProcess, ModelDescription]:
        process = EngineProcess(self._config, self._command, self._on_frame, self._on_end)
        self._starting.add(process)
        try:
            description = await process.start()
        finally:
            self._starting.discard(process)
        if self.is_closed:
            await process.close()
            raise EngineError("the server stopped while the bundle was being loaded")
        return process, description

    async def _add_process(self) -> None:
        process, description = await self._start_process()
        if description != self.description:
            await process.close()
            raise EngineError(f"{self._path} holds another bundle now; put new versions beside old ones")
        self.dispatcher.add(process)

    async def _close(self) -> None:
        self.is_closed = True
        for restart in self._restarts:
            restart.cancel()
        for process in self._starting:
            process.kill()
        processes, self.dispatcher.processes = self.dispatcher.processes, []
        waiting = self.scheduler.withdraw_all()
        for process in processes:
            for frame in process.in_flight.values():
                waiting += frame.parts
        for part in waiting:
            part.fail(_stopping())
        await asyncio.gather(*self._restarts, *(process.close() for process in processes), return_exceptions=True)

    def _on_frame(self, _process: EngineProcess, sent: SentFrame, reply: Frame) -> None:
        """Hand the answers of a frame to the owners of its parts."""
        decode_s, inference_s = reply.header["decode_s"], reply.header["inference_s"]
        now_s = time.perf_counter()
        bodies = iter(reply.bodies)
        for part, answered in zip(sent.parts, reply.header["parts"], strict=True):
            self.scheduler.release_memory(part)
            content = next(bodies)
            features = {index: next(bodies) for index in answered["features"]}
            vectors = {(index, space): next(bodies) for index, space in answered["vectors"]}
            if answered["is_failed"]:
                part.fail(RequestStatusError(status_pb2.Status.FromString(content)))
            elif answered["large"]:
                self._admit_large(part, answered["large"])
            else:
                queue_s = max(0.0, now_s - part.submitted_s - decode_s - inference_s)
                part.answer(_part_answer(answered, content, features, vectors, (queue_s, decode_s, inference_s)))
        answered_parts = [part for part, one in zip(sent.parts, reply.header["parts"], strict=True) if not one["large"]]
        if answered_parts:
            self.scheduler.costs.add(answered_parts, decode_s, inference_s)
        self.dispatcher.schedule()

    def _admit_large(self, part: Part, large: Sequence[Sequence[int]]) -> None:
        """Queue a part again, of which some pictures turned out to be large: each of these alone, with its cost."""
        loads = {index: (num_pixels, decode_bytes) for index, num_pixels, decode_bytes in large}
        if error := part.owner.check_pixels(sum(num_pixels for num_pixels, _ in loads.values())):
            part.fail(error)
        if part.is_over:
            return
        parts = cut_around(part, loads)
        part.replace(parts)
        for smaller in parts:
            self.scheduler.enqueue(smaller)

    def _on_end(self, process: EngineProcess) -> None:
        """Give the parts of a process that has ended to others, and start another one."""
        if process in self.dispatcher.processes:
            self.dispatcher.processes.remove(process)
        for part in process.parts():
            self.scheduler.release_memory(part)
        if self.is_closed:
            return
        _log.error("engine process %d of %s has ended%s", process.pid, self._path, process.reason())
        current = process.current_frame() if process.is_suspicious else None
        for frame in process.in_flight.values():
            for part in frame.parts:
                if frame is current:
                    self._suspect(part)
                else:
                    self._return(part, has_failed=bool(process.fault_text))
        restart = asyncio.get_running_loop().create_task(self._restart())
        self._restarts.add(restart)
        restart.add_done_callback(self._restarts.discard)
        self.dispatcher.schedule()

    def _suspect(self, part: Part) -> None:
        """Try the products of a part that a process ended with one by one; refuse one that was alone twice."""
        if part.is_over:
            return
        part.num_crashes += 1
        if part.num_products == 1 and part.num_crashes >= _MAX_CRASHES:
            product = part.products()[0]
            self._poisoned.add(product)
            _log.error("refused a product from now on that ended %d engine processes", part.num_crashes)
            part.answer(refusal(part, product))
            return
        parts = single_parts(part)
        part.replace(parts)
        for single in parts:
            self.scheduler.suspect(single)

    def _return(self, part: Part, has_failed: bool) -> None:
        """Queue a part again that is not to blame for the end of its process."""
        part.num_returns += has_failed
        if part.num_returns > _MAX_RETURNS:
            part.fail(_down())
        elif not part.is_over:
            self.scheduler.requeue(part)

    async def _restart(self) -> None:
        """Start a process in the place of one that ended, with backoff, until it works or the pool is closed."""
        while not self.is_closed:
            await asyncio.sleep(self._backoff.next_delay_s())
            try:
                await self._add_process()
            except Exception:  # whatever an engine raises
                _log.exception("an engine process of %s cannot be started yet", self._path)
                self._has_failed_restart = True
                if not self.dispatcher.processes:
                    for part in self.scheduler.withdraw_all():
                        part.fail(_down())
            else:
                self._has_failed_restart = False
                self._backoff.reset()
                _log.info("an engine process of %s is back", self._path)
                return


def _part_answer(
    answered: dict[str, Any],
    content: bytes,
    features: dict[int, bytes],
    vectors: dict[tuple[int, Space], bytes],
    times_s: tuple[float, float, float],
) -> PartAnswer:
    return PartAnswer(
        content,
        *times_s,
        num_accepted=answered["accepted"],
        num_needs_review=answered["needs_review"],
        category_counts={int(number): count for number, count in answered["categories"].items()},
        error_counts=answered["errors"],
        features=features,
        vectors=vectors,
    )


def _stopping() -> StoppingError:
    return StoppingError("the server stopped before the answer was ready; send the request to another one")


def _down() -> EngineDownError:
    return EngineDownError("the engine has failed and is being restarted; send the request again")
