"""Supervises the engines of all models and restarts those that fail."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from weakref import WeakKeyDictionary

from server.errors import EngineDownError
from server.inference.pipeline import Pipeline
from server.models.registry import ServedModel

_POLL_S = 0.2  # health has to be up to date within a second
_RESET_S = 60.0  # an engine that ran this long is restarted without a delay when it fails again
_MIN_DELAY_S = 0.5
_MAX_DELAY_S = 30.0
_JOIN_TIMEOUT_S = 10.0

_log = logging.getLogger("aisle.server")


class Backoff:
    """Exponential backoff: no delay for the first attempt, then doubling delays; reset after a time without attempts.

    Args:
        clock: a monotonic clock, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._delay_s = 0.0
        self._reset_at_s = clock()

    def next_delay_s(self) -> float:
        """Return the delay before the next attempt, seconds."""
        now_s = self._clock()
        if now_s >= self._reset_at_s:
            self._delay_s = 0.0
        else:
            self._delay_s = min(max(2 * self._delay_s, _MIN_DELAY_S), _MAX_DELAY_S)
        self._reset_at_s = now_s + self._delay_s + _RESET_S
        return self._delay_s


class Supervisor:
    """Polls the lanes of every model a few times a second, on a thread of its own, and restarts failed engines.

    Args:
        models: the served models, iterated anew at each poll; of several versions the first one sets the health.
        on_health: called after each poll with True for each model name that is serving, False for the others.
    """

    def __init__(self, models: Iterable[ServedModel], on_health: Callable[[Mapping[str, bool]], None]):
        self._models = models
        self._on_health = on_health
        self._stop_requested = threading.Event()
        self._backoffs: WeakKeyDictionary[Pipeline, Backoff] = WeakKeyDictionary()
        self._reopening: dict[Pipeline, threading.Thread] = {}
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling, and wait for engines that are just being opened."""
        self._stop_requested.set()
        self._thread.join()
        for thread in list(self._reopening.values()):
            thread.join(_JOIN_TIMEOUT_S)

    def _watch(self) -> None:
        while not self._stop_requested.wait(_POLL_S):
            try:
                self._poll()
            except BaseException:  # an error of the supervisor itself must not end it
                _log.exception("supervising the engines failed; it is tried again")

    def _poll(self) -> None:
        is_serving: dict[str, bool] = {}
        for model in self._models:
            fault = model.pipeline.lanes.watch(_POLL_S)
            is_serving.setdefault(model.name, fault is None)
            if isinstance(fault, EngineDownError) and model.pipeline not in self._reopening:
                _log.error("%s %s is not serving: %s", model.name, model.version, fault)
                backoff = self._backoffs.setdefault(model.pipeline, Backoff())
                name = f"reopen-{model.name}"
                thread = threading.Thread(target=self._reopen, args=(model, backoff), name=name, daemon=True)
                self._reopening[model.pipeline] = thread
                thread.start()
        self._on_health(is_serving)

    def _reopen(self, model: ServedModel, backoff: Backoff) -> None:
        """Reopen an engine, with backoff, until it works, the model is closed or the server stops."""
        while not self._stop_requested.wait(backoff.next_delay_s()) and not model.pipeline.is_closed:
            try:
                model.pipeline.reopen()
            except BaseException:  # whatever an engine raises
                _log.exception("the engine of %s %s cannot be opened yet", model.name, model.version)
            else:
                _log.info("%s %s is serving again", model.name, model.version)
                break
        del self._reopening[model.pipeline]
