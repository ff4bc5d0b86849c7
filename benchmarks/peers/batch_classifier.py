"""Classifies a batch in every peer with Aisle's decoder, tokenizer, engine and answers, so that only serving differs.

Runs in the peers' environments and imports only `model`, its dependencies and NumPy.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from model.bundle.bundle import load_bundle
from model.engines.engine import Engine, EngineName, Precision
from model.engines.engine_choice import open_engine
from model.predictor import Predictor
from model.product import Product

#: Categories in an answer.
TOP_K = 5


class BatchClassifier:
    """A copy of the model that classifies batches.

    Args:
        engine_threads: threads of the engine.
        decoders: threads that decode the pictures of a batch; 1 decodes on the caller's thread.
    """

    def __init__(self, bundle: Path, engine: EngineName, precision: Precision, engine_threads: int, decoders: int):
        self._predictor = Predictor(load_bundle(bundle), _open_engine(bundle, engine, precision, engine_threads))
        self._pool = ThreadPoolExecutor(decoders) if decoders > 1 else None
        size = self._predictor.bundle.settings.image.image_size
        if self._predictor.bundle.image_feature_dim:
            self._predictor.encode_images(np.zeros((1, size, size, 3), np.uint8))

    def decode(self, products: Sequence[Product]) -> list[np.ndarray | None]:
        """Decode the pictures; (H, W, 3) uint8 for each product that has one."""
        decode = self._predictor.decode
        return list(map(decode, products) if self._pool is None else self._pool.map(decode, products))

    def classify(
        self, products: Sequence[Product], pixels: Sequence[np.ndarray | None]
    ) -> tuple[list[list[str]], np.ndarray]:
        """Return the best categories of each product, and their probabilities, (N, k) float32."""
        given = {row: values for row, values in enumerate(pixels) if values is not None}
        predictions = self._predictor.predict_decoded(products, given, TOP_K, all_heads=False)
        best = [prediction.categories for prediction in predictions]
        probabilities = np.array([[scored.probability for scored in row] for row in best], np.float32)
        return [[scored.category for scored in row] for row in best], probabilities


def product(texts: Sequence[str | bytes], image: bytes) -> Product:
    """Build a product from its texts in the order of TEXT_COLUMNS and its picture."""
    given = (text if isinstance(text, str) else text.decode() for text in texts)
    return Product.of_texts("", given, image or None)


def _open_engine(bundle: Path, engine: EngineName, precision: Precision, threads: int) -> Engine:
    if engine != "openvino":
        return open_engine(bundle, engine, precision, threads)
    from model.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(bundle, precision, threads)
