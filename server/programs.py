"""The two programs of one opened bundle, each behind a batcher of its own."""

import numpy as np

from model.predictor import Predictor
from model.product import Product
from server.batcher import Batcher, BatchLimits
from server.errors import AisleError, EngineDownError
from server.settings import ServerSettings

_WARM_UP = Product("", product_name="warm up")


class Programs:
    """Image encoder and classifier; when one of them halts, neither is used again.

    Attributes:
        predictor: what runs them.
        encoder: {"images"} to {"image_features"}.
        classifier: Features to head logits and embedding.
    """

    def __init__(self, predictor: Predictor, settings: ServerSettings):
        self.predictor = predictor
        self.encoder = Batcher(
            "image encoder",
            lambda inputs: {"image_features": predictor.encode_images(inputs["images"])},
            _limits(settings, settings.max_batch_images, settings.max_queue_images),
            {"images": self._blank_images(1)},
        )
        self.classifier = Batcher(
            "classifier",
            predictor.classify,
            _limits(settings, settings.max_batch_items, settings.max_queue_items),
            predictor.features([_WARM_UP]),
        )
        self._product_counts = _doubling(settings.max_batch_items)
        self._image_counts = _doubling(settings.max_batch_images)
        self._timeout_s = settings.engine_timeout_s
        self._running_s: dict[tuple[str, int], float] = {}

    @property
    def fault(self) -> AisleError | None:
        """Why they take no more work."""
        return self.encoder.fault or self.classifier.fault

    def warm_up(self) -> None:
        """Run batches of many sizes, because engines compile on the first of a kind and no caller shall wait."""
        predictor = self.predictor
        for count in self._product_counts:
            predictor.classify(predictor.features([_WARM_UP] * count))
        if "image" in predictor.bundle.fields:
            for count in self._image_counts:
                predictor.encode_images(self._blank_images(count))

    def watch(self, seconds: float) -> AisleError | None:
        """Halt both when one has halted or hangs; to be called again and again.

        Args:
            seconds: since the last call. Added up here, so that a pause of the whole process is no hang.
        Returns:
            the fault, None when they are sound.
        """
        running = {(batcher.name, batcher.running_batch) for batcher in (self.encoder, self.classifier)}
        self._running_s = {
            (name, batch): self._running_s.get((name, batch), -seconds) + seconds
            for name, batch in running
            if batch is not None
        }
        fault = self.fault
        for (name, _), running_s in self._running_s.items():
            if fault is None and running_s > self._timeout_s:
                fault = EngineDownError(f"the {name} hangs and is being restarted; send the request again")
        if isinstance(fault, EngineDownError):
            self.encoder.halt(fault)
            self.classifier.halt(fault)
        return fault

    def close(self) -> None:
        """Stop both batchers and free the engine."""
        self.encoder.close()
        self.classifier.close()
        self.predictor.close()

    def _blank_images(self, count: int) -> np.ndarray:
        size = self.predictor.bundle.settings.image.image_size
        return np.zeros((count, size, size, 3), np.uint8)


def _limits(settings: ServerSettings, max_batch_rows: int, max_queue_rows: int) -> BatchLimits:
    return BatchLimits(
        max_batch_rows, max_queue_rows, settings.max_queue_bytes, max_delay_s=settings.max_queue_delay_ms / 1000
    )


def _doubling(most: int) -> list[int]:
    """1, 2, 4, ... and `most` itself."""
    return [*(1 << exponent for exponent in range((most - 1).bit_length())), most]
