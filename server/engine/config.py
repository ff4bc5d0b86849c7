"""What the server tells an engine process when it starts."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from model.engines.engine import EngineName, Precision
from server.telemetry.logs import LogFormat


@dataclass(frozen=True)
class EngineConfig:
    """The bundle that an engine process serves, and how.

    Args:
        engine: "auto" only asks which engine it is.
        engine_reason: why that engine was chosen, for the log.
        threads: of the engine on a CPU; 0 is one, and with Keras all cores.
        map_weights: see `model.engines.engine_choice.open_engine`.
        decode_threads: that decode the pictures of a frame; 0 means the engine's own thread on a CPU, one per core
            for a GPU.
        default_top_k: categories of a prediction where the request says 0.
        max_text_chars: longest text of a product, characters.
        max_image_pixels: most pixels of a picture; 0 leaves it to the bundle.
        with_vectors: whether products can be embedded, too, for a search.
        with_features: whether replies carry the features of the pictures that were encoded.
        is_beside_calls: load at a lower priority, in favour of calls that are served meanwhile.
    """

    bundle: str
    engine: EngineName
    engine_reason: str
    precision: Precision
    threads: int
    map_weights: bool
    decode_threads: int
    max_batch_items: int
    max_batch_images: int
    default_top_k: int
    max_text_chars: int
    max_image_pixels: int
    with_vectors: bool
    with_features: bool
    is_beside_calls: bool
    log_format: LogFormat

    @property
    def path(self) -> Path:
        """The bundle's folder."""
        return Path(self.bundle)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """From what `to_json` returned."""
        return cls(**values)
