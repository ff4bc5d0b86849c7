"""Loads one version of a model: starts its engine processes."""

from collections.abc import Sequence
from pathlib import Path

from server.event_loop import EventLoop
from server.inference.engine_pool import EnginePool
from server.inference.engine_process import ENGINE_COMMAND
from server.inference.memory_budget import MemoryBudget
from server.models.registry import ServedModel
from server.settings import ServerSettings


class ModelLoader:
    """Loads bundles for serving; to be used from any thread but the event loop's.

    Args:
        event_loop: the loop that answers calls.
        memory: the memory that requests may take.
        engine_command: starts an engine process.
    """

    def __init__(
        self,
        settings: ServerSettings,
        event_loop: EventLoop,
        memory: MemoryBudget,
        engine_command: Sequence[str] = ENGINE_COMMAND,
    ):
        self._settings = settings
        self._event_loop = event_loop
        self._memory = memory
        self._engine_command = engine_command
        self._opening: EnginePool | None = None

    def open(self, path: Path, name: str | None = None, is_beside_calls: bool = False) -> ServedModel:
        """Load one version.

        Args:
            name: the model's name for callers, with the folder's name as the version; None takes both from the bundle.
            is_beside_calls: load at a lower priority, in favour of calls that are served meanwhile.
        Raises:
            BundleError: the bundle is missing or damaged.
            EngineError: the engine cannot run it, or `stop` was called.
        """
        pool = EnginePool(path, self._settings, self._event_loop, self._memory, self._engine_command)
        self._opening = pool
        try:
            pool.open(is_beside_calls)
        finally:
            self._opening = None
        if name is None:
            return ServedModel(pool.description.name, pool.description.version, pool)
        return ServedModel(name, path.name, pool)

    def stop(self) -> None:
        """End what is being loaded in another thread."""
        opening = self._opening
        if opening is not None:
            opening.close()
