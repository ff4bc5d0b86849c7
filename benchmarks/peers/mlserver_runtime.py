"""A runtime of MLServer that serves the bundle; MLServer batches the requests.

Runs in MLServer's environment, in its worker processes, or in the server's own process without workers.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from benchmarks.peers.batch_classifier import BatchClassifier, product
from model.product import TEXT_COLUMNS


class AisleRuntime(MLModel):
    """A custom runtime; see MLServer's documentation."""

    async def load(self) -> bool:
        """Open the bundle of model-settings.json."""
        given: dict[str, Any] = self.settings.parameters.extra
        self._classifier = BatchClassifier(
            Path(given["bundle"]),
            given["engine"],
            given["precision"],
            int(given["engine_threads"]),
            int(given["decoders"]),
        )
        self._pool = ThreadPoolExecutor(1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Classify a batch on a thread, one batch at a time, so that the event loop stays free."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, payload)

    def _answer(self, payload: InferenceRequest) -> InferenceResponse:
        by_name = {item.name: item.data.root for item in payload.inputs}
        texts, images = by_name["texts"], by_name["image"]
        step = len(TEXT_COLUMNS)
        products = [product(texts[row * step : (row + 1) * step], image) for row, image in enumerate(images)]
        categories, probabilities = self._classifier.classify(products, self._classifier.decode(products))
        shape = list(probabilities.shape)
        names = [category for row in categories for category in row]
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                ResponseOutput(name="categories", datatype="BYTES", shape=shape, data=names),
                ResponseOutput(name="probabilities", datatype="FP32", shape=shape, data=probabilities.ravel().tolist()),
            ],
        )
