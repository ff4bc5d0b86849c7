"""File names inside a bundle, each spelled once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BundleFiles:
    """Paths relative to the bundle's folder."""

    manifest: str = "manifest.json"
    description: str = "bundle.json"
    settings: str = "settings.json"
    taxonomy: str = "taxonomy.json"
    calibration: str = "calibration.json"
    metrics: str = "metrics.json"
    history: str = "history.json"
    model_card: str = "MODEL_CARD.md"
    tokenizer: str = "tokenizer"
    classifier: str = "keras/classifier.keras"
    image_encoder: str = "keras/image_encoder.keras"
    openvino_classifier: str = "openvino/classifier.xml"
    openvino_image_encoder: str = "openvino/image_encoder.xml"
    openvino_image_encoder_int8: str = "openvino/image_encoder_int8.xml"
    neighbors: str = "neighbors.npz"
    onnx_classifier: str = "onnx/classifier.onnx"
    onnx_image_encoder: str = "onnx/image_encoder.onnx"
    quantization: str = "quantization.json"


FILES = BundleFiles()
#: An ONNX program's weights lie beside it, in a file of its name with this behind.
ONNX_WEIGHTS_SUFFIX = ".data"
