"""Loads one version of a model: verifies, compiles and warms it up."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from model.bundle.bundle import Bundle, load_bundle
from model.engines.engine_choice import open_engine
from model.machine.thread_priority import lower_thread_priority
from model.machine.throttle import Throttle
from model.predictor import Predictor
from server.inference.pipeline import Pipeline
from server.models.registry import ServedModel
from server.settings import ServerSettings

#: Niceness of loading beside calls, above the picture encoder's 3: a fifth to a third of a contended core. Not more,
#: because such a thread may hold the interpreter's lock while it waits for a core, and then every call waits.
_NICENESS = 6


class ModelLoader:
    """Loads bundles for serving."""

    def __init__(self, settings: ServerSettings):
        self._settings = settings

    def open(self, path: Path, name: str | None = None, throttle: Throttle | None = None) -> ServedModel:
        """Verify, compile and warm up one version.

        Args:
            name: the model's name for callers, with the folder's name as the version; None takes both from the bundle.
            throttle: slows loading down in favour of calls that are served meanwhile.
        Raises:
            BundleError: the bundle is missing or damaged.
            EngineError: the engine cannot run it.
        """
        settings = self._settings
        throttle = throttle or Throttle()
        # These threads end with the loading, because a lowered priority cannot be raised again. Objects that live on
        # (the engine with its threads, the batchers) are made by the calling thread and keep its priority.
        with ThreadPoolExecutor(1, "loader", lower_thread_priority, (_NICENESS if throttle.is_active else 0,)) as pool:
            bundle = pool.submit(_read, path, throttle).result()
            engine = open_engine(
                path, settings.engine, settings.precision, settings.engine_threads, many_callers=True, throttle=throttle
            )
            pipeline = Pipeline(Predictor(bundle, engine), settings)
            try:
                pool.submit(pipeline.warm_up, throttle).result()
            except BaseException:
                pipeline.close()
                raise
        if name is None:
            return ServedModel(bundle.name, bundle.version, pipeline)
        return ServedModel(name, path.name, pipeline)


def _read(path: Path, throttle: Throttle) -> Bundle:
    bundle = load_bundle(path, throttle)
    _ = bundle.preprocessor  # read now, on this thread
    return bundle
