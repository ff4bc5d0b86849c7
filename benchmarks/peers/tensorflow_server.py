"""A simple gRPC server with the bundle as two TensorFlow SavedModels.

    python -m benchmarks.peers.tensorflow_server --bundle DIR --port 50061

Every call decodes, runs both programs and answers on its own thread; nothing is batched across calls. It shares
decoder, tokenizer and answer code with Aisle, so that only serving differs.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tyro

from aisle_client.v1 import classifier_pb2, classifier_pb2_grpc
from model.bundle.bundle import load_bundle
from model.bundle_files import FILES
from model.engines.engine import Precision
from model.features import Features
from model.predictor import Predictor
from server.messages.request import parse_product

_MAX_TEXT_CHARS = 10_000


@dataclass(frozen=True)
class Options:
    """Settings of the server."""

    bundle: Path
    """Bundle with Keras files."""
    port: int = 50061
    """Port to listen on."""
    rpc_threads: int = 16
    """Calls processed at the same time."""


class SavedModelEngine:
    """An engine with both programs exported to SavedModels; see `model.engines.engine.Engine`."""

    name = "tensorflow"
    precision: Precision = "float32"
    device = "CPU"
    num_streams = 1
    max_images = 16

    def __init__(self, bundle_dir: Path, folder: Path):
        import keras
        import tensorflow

        import model.network.layers  # noqa: F401  registers the layers of the files

        def export(source: str, target: str) -> Any:
            program = keras.saving.load_model(bundle_dir / source, compile=False, safe_mode=True)
            program.export(str(folder / target), format="tf_saved_model", verbose=False)
            return tensorflow.saved_model.load(str(folder / target))

        self._classifier = export(FILES.classifier, "classifier")
        self._image_encoder = export(FILES.image_encoder, "image_encoder")

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """Encode (B, H, W, 3) uint8 to (B, F) float32."""
        return self._image_encoder.serve(images)["image_features"].numpy()

    def classify(self, features: Features, all_heads: bool = True) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Compute head logits and embedding from classifier inputs."""
        return {name: rows.numpy() for name, rows in self._classifier.serve(features).items()}

    def close(self) -> None:
        """Free the models."""
        del self._classifier, self._image_encoder


class Servicer(classifier_pb2_grpc.ProductClassifierServicer):
    """The service, with one call at a time on each thread."""

    def __init__(self, predictor: Predictor):
        self._predictor = predictor

    def Classify(  # noqa: N802
        self, request: classifier_pb2.ClassifyRequest, context: grpc.ServicerContext
    ) -> classifier_pb2.ClassifyResponse:
        """Return the best categories of every product."""
        products = [parse_product(message, _MAX_TEXT_CHARS) for message in request.products]
        response = classifier_pb2.ClassifyResponse()
        for prediction in self._predictor.predict(products, request.top_k or 5, all_heads=False):
            classification = response.classifications.add()
            if isinstance(prediction, Exception):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(prediction))
            for category in prediction.categories:
                classification.prediction.categories.add(category=category.category, probability=category.probability)
        return response

    def GetModel(  # noqa: N802
        self, _request: classifier_pb2.GetModelRequest, _context: grpc.ServicerContext
    ) -> classifier_pb2.GetModelResponse:
        """Describe the model; the load test calls it before it starts."""
        limits = classifier_pb2.Limits(max_products=512, max_request_bytes=4 * 1024 * 1024)
        return classifier_pb2.GetModelResponse(model="savedmodel", engine="tensorflow", limits=limits)


def main() -> None:
    """Export, warm up, and serve until killed."""
    options = tyro.cli(Options, prog="python -m benchmarks.peers.tensorflow_server", description=__doc__)
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor(load_bundle(options.bundle), SavedModelEngine(options.bundle, Path(folder)))
        size = predictor.bundle.settings.image.image_size
        predictor.encode_images(np.zeros((1, size, size, 3), np.uint8))
        server = grpc.server(ThreadPoolExecutor(options.rpc_threads))
        classifier_pb2_grpc.add_ProductClassifierServicer_to_server(Servicer(predictor), server)
        server.add_insecure_port(f"127.0.0.1:{options.port}")
        server.start()
        server.wait_for_termination()


if __name__ == "__main__":
    main()
