"""The models that a server holds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.bundle_files import FILES
from model.errors import BundleError
from model.predictor import Predictor
from server.decoder import Decoder
from server.errors import RequestError, shortened
from server.pipeline import Pipeline
from server.settings import ServerSettings


@dataclass(frozen=True)
class ServedModel:
    """A loaded model under the name and version that callers use."""

    name: str
    version: str
    predictor: Predictor
    pipeline: Pipeline


class ModelRegistry:
    """The served models by name, one version each."""

    def __init__(self, models: list[ServedModel]):
        self._models = {model.name: model for model in models}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    def find(self, name: str, version: str) -> ServedModel:
        """The model that a request asks for; an empty name means the only one, an empty version the served one.

        Raises:
            RequestError: no such model or version; says which there are.
        """
        names = ", ".join(sorted(self._models))
        if not name and len(self._models) > 1:
            raise RequestError([("model", f"expected a name, this server holds several models: {names}")])
        model = self._models.get(name) if name else next(iter(self._models.values()))
        if model is None:
            raise RequestError([("model", f"expected one of {names}, found {shortened(name)}")])
        if version and version != model.version:
            description = f"expected {model.version} (or nothing) for {model.name}, found {shortened(version)}"
            raise RequestError([("model_version", description)])
        return model

    def close(self) -> None:
        """Stop the pipelines and free the engines."""
        for model in self:
            model.pipeline.close()


def open_models(settings: ServerSettings, decoder: Decoder) -> ModelRegistry:
    """Load and warm up every model that the settings name.

    Raises:
        BundleError: a bundle is missing or damaged.
        EngineError: the engine cannot run one.
    """
    if settings.bundle is not None:
        return ModelRegistry([_open_model(settings.bundle, None, settings, decoder)])
    assert settings.models is not None
    newest = newest_bundles(settings.models)
    return ModelRegistry([_open_model(newest[name], name, settings, decoder) for name in sorted(newest)])


def newest_bundles(models_dir: Path) -> dict[str, Path]:
    """The newest version of each model under models/<name>/<version>/, by name; 10 is newer than 9.

    Raises:
        BundleError: there is none.
    """
    newest: dict[str, Path] = {}
    for manifest in sorted(models_dir.glob(f"*/*/{FILES.manifest}"), key=lambda path: version_key(path.parent.name)):
        if not manifest.parent.name.startswith("."):
            newest[manifest.parent.parent.name] = manifest.parent
    if not newest:
        raise BundleError(
            f"{models_dir} holds no model: expected {models_dir}/<name>/<version>/{FILES.manifest}; move a bundle"
            " there, or serve a single one with --bundle"
        )
    return newest


def version_key(version: str) -> list[tuple[bool, int, str]]:
    """Sorts versions by the numbers in them: '9' before '10', 'v1.9' before 'v1.10', words before numbers."""
    parts = re.findall(r"\d+|\D+", version)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _open_model(path: Path, name: str | None, settings: ServerSettings, decoder: Decoder) -> ServedModel:
    predictor = Predictor.open(path, settings.engine, settings.precision, settings.engine_threads)
    pipeline = Pipeline(predictor, decoder, settings)
    pipeline.warm_up()
    bundle = predictor.bundle
    return ServedModel(name or bundle.name, path.name if name else bundle.version, predictor, pipeline)
