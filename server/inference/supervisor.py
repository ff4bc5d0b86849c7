"""Watches the engines of all models, and opens them again when they fail."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from weakref import WeakKeyDictionary

from server.errors import EngineDownError
from server.inference.pipeline import Pipeline
from server.models.registry import ServedModel

_POLL_S = 0.2  # health has to be true within a second
_CALM_S = 60.0  # an engine that ran for so long starts with no delay when it fails again
_SHORTEST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_JOIN_TIMEOUT_S = 10.0

_log = logging.getLogger("aisle.server")


class Backoff:
    """Delays between attempts: none at first, then doubling; none again after a calm time.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._delay_s = 0.0
        self._calm_at_s = clock()

    def next_delay_s(self) -> float:
        """How long to wait before the next attempt, seconds."""
        now_s = self._clock()
        if now_s >= self._calm_at_s:
            self._delay_s = 0.0
        else:
            self._delay_s = min(max(2 * self._delay_s, _SHORTEST_DELAY_S), _LONGEST_DELAY_S)
        self._calm_at_s = now_s + self._delay_s + _CALM_S
        return self._delay_s


class Supervisor:
    """Looks at every model a few times a second, on a thread of its own.

    Args:
        models: those served now, looked at anew each time; of models of one name the first counts.
        tell: called with {name: whether it is serving} after every look.
    """

    def __init__(self, models: Iterable[ServedModel], tell: Callable[[Mapping[str, bool]], None]):
        self._models = models
        self._tell = tell
        self._stop_asked = threading.Event()
        self._backoffs: WeakKeyDictionary[Pipeline, Backoff] = WeakKeyDictionary()
        self._reopening: dict[Pipeline, threading.Thread] = {}
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and let an engine that is just being opened come to an end."""
        self._stop_asked.set()
        self._thread.join()
        for thread in list(self._reopening.values()):
            thread.join(_JOIN_TIMEOUT_S)

    def _watch(self) -> None:
        while not self._stop_asked.wait(_POLL_S):
            try:
                self._look()
            except Exception:  # a fault of ours must not end the watching
                _log.exception("the watch over the engines met an error and goes on")

    def _look(self) -> None:
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
        self._tell(is_serving)

    def _reopen(self, model: ServedModel, backoff: Backoff) -> None:
        """Try until it works, the model is closed or the server stops."""
        while not self._stop_asked.wait(backoff.next_delay_s()) and not model.pipeline.is_closed:
            try:
                model.pipeline.reopen()
            except Exception:  # whatever an engine raises
                _log.exception("the engine of %s %s cannot be opened yet", model.name, model.version)
            else:
                _log.info("%s %s is serving again", model.name, model.version)
                break
        del self._reopening[model.pipeline]
