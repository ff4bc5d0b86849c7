"""The registry of loaded models, with leases for the calls that use them."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from server.errors import RequestError, UnknownModelError, shortened
from server.inference.engine_pool import EnginePool

_CLOSE_TIMEOUT_S = 10.0


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A loaded version of a model, with the name and version that callers use."""

    name: str
    version: str
    pool: EnginePool

    @property
    def engine(self) -> str:
        """The name of its engine."""
        return self.pool.description.engine


@dataclass(frozen=True)
class VersionState:
    """The state of one version of a model.

    Args:
        state: "serving" answers calls that name no version, "loaded" those that pin it, "refused" none.
        reason: the error of a refused version; empty otherwise.
    """

    name: str
    version: str
    state: Literal["serving", "loaded", "refused"]
    reason: str = ""


class ModelRegistry:
    """The loaded models by name, one or more versions each. Thread-safe.

    A call leases the version that answers it. A version that is no longer published accepts no new
    calls and is closed when the last lease ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, tuple[ServedModel, ...]] = {}
        self._refusals: tuple[VersionState, ...] = ()
        self._num_leases: Counter[ServedModel] = Counter()
        self._retired: set[ServedModel] = set()
        self._closers: list[threading.Thread] = []

    def __iter__(self) -> Iterator[ServedModel]:
        """Iterate over the loaded versions, by name and the newest first."""
        models = self._models  # replaced on a change, never modified
        return (model for name in sorted(models) for model in models[name])

    def in_use(self) -> list[ServedModel]:
        """The loaded versions, then those that are no longer published and still leased."""
        with self._lock:
            return [*self, *self._retired]

    @property
    def names(self) -> list[str]:
        """The names of the loaded models, sorted."""
        return sorted(self._models)

    @property
    def states(self) -> list[VersionState]:
        """The states of all versions: the loaded ones, then the refused ones."""
        models, refusals = self._models, self._refusals
        return [
            VersionState(model.name, model.version, "serving" if model is versions[0] else "loaded")
            for _, versions in sorted(models.items())
            for model in versions
        ] + list(refusals)

    @contextmanager
    def lease(self, name: str, version: str) -> Iterator[ServedModel]:
        """Lease the model that a request asks for; it is not closed before the `with` ends.

        Args:
            name: empty for the only one.
            version: empty for the newest.
        Raises:
            RequestError: it has to say which, for there are several.
            UnknownModelError: no such model or version; the text lists those that exist.
        """
        with self._lock:
            model = self._find(name, version)
            self._num_leases[model] += 1
        try:
            yield model
        finally:
            with self._lock:
                self._num_leases[model] -= 1
                self._close_idle()

    def loaded(self, name: str) -> tuple[ServedModel, ...]:
        """Return the loaded versions of one model, the newest first; empty when there is no such model."""
        return self._models.get(name, ())

    def publish(self, name: str, versions: Sequence[ServedModel]) -> None:
        """Serve these versions of a model from now on, the newest first; an empty sequence removes the model.

        Versions published before and not among them are closed after their last call.
        """
        with self._lock:
            self._retired.update(set(self.loaded(name)).difference(versions))
            others = {other: models for other, models in self._models.items() if other != name}
            self._models = {**others, name: tuple(versions)} if versions else others
            self._close_idle()

    def set_refusals(self, refusals: Sequence[VersionState]) -> None:
        """Set the versions on disk that are refused."""
        self._refusals = tuple(refusals)

    def close(self) -> None:
        """End the engine processes of all models, even while calls run."""
        with self._lock:
            models = [*self, *self._retired]
            self._models, self._retired = {}, set()
        for model in models:
            model.pool.close()
        for closer in self._closers:
            closer.join(_CLOSE_TIMEOUT_S)

    def _find(self, name: str, version: str) -> ServedModel:
        names = ", ".join(self.names)
        if not name and len(self._models) > 1:
            raise RequestError([("model", f"expected a name, this server holds several models: {names}")])
        versions = self.loaded(name) if name else next(iter(self._models.values()))
        if not versions:
            raise UnknownModelError([("model", f"expected one of {names}, found {shortened(name)}")])
        if not version:
            return versions[0]
        for model in versions:
            if model.version == version:
                return model
        loaded = " or ".join(model.version for model in versions)
        description = f"expected {loaded} (or nothing) for {versions[0].name}, found {shortened(version)}"
        raise UnknownModelError([("model_version", description)])

    def _close_idle(self) -> None:
        """Close retired versions without leases, on threads of their own; the caller holds the lock."""
        for model in [model for model in self._retired if not self._num_leases[model]]:
            self._retired.discard(model)
            del self._num_leases[model]
            closer = threading.Thread(target=model.pool.close, name=f"close-{model.name}", daemon=True)
            self._closers = [*(other for other in self._closers if other.is_alive()), closer]
            closer.start()
