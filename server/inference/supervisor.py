"""Watches the engine processes of all models and reports the health of each."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from server.event_loop import EventLoop
from server.models.registry import ServedModel

_POLL_S = 0.2  # health has to be up to date within a second

_log = logging.getLogger("aisle.server")


class Supervisor:
    """Looks at the engine processes of every model a few times a second; ends those that hang.

    Args:
        models: gives the models with processes, asked at each poll; of several versions the first one sets the health.
        on_health: called after each poll with True for each model name that is serving, False for the others.
    """

    def __init__(
        self,
        models: Callable[[], Iterable[ServedModel]],
        event_loop: EventLoop,
        on_health: Callable[[Mapping[str, bool]], None],
    ):
        self._models = models
        self._event_loop = event_loop
        self._on_health = on_health

    def start(self) -> None:
        """Start polling."""
        self._event_loop.run(self._start())

    def stop(self) -> None:
        """Stop polling."""
        self._event_loop.run(self._stop())

    async def _start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def _stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                self._poll()
            except Exception:  # an error of the supervisor itself must not end it
                _log.exception("supervising the engines failed; it is tried again")

    def _poll(self) -> None:
        is_serving: dict[str, bool] = {}
        for model in self._models():
            model.pool.watch(_POLL_S)
            is_serving.setdefault(model.name, model.pool.is_serving)
        self._on_health(is_serving)
