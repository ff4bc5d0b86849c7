"""The quantisation of `training quantize`: adds an int8 image encoder to a bundle and measures its accuracy."""

import json
import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from catalog.pictures.decoding import decode_or_error
from catalog.pictures.limits import PictureSourceSettings
from catalog.pictures.source import PictureSource
from catalog.read_options import ReadOptions
from catalog.rows import read_catalog
from model.bundle.bundle import Bundle, load_bundle
from model.bundle.writing import derive_bundle
from model.bundle_files import FILES
from model.engines.engine import Precision
from model.engines.openvino_engine import OpenVinoEngine
from model.engines.openvino_quantization import quantize_image_encoder
from model.errors import BundleError, CatalogError, PictureError
from model.predictor import Predictor
from training.evaluation.evaluate import evaluate
from training.predict.answered_catalog import CatalogSource
from training.report.model_card import rewrite_bundle

_log = logging.getLogger("aisle.quantize")

_SEED = 0


@dataclass(frozen=True)
class QuantizeJob:
    """The settings of a quantisation.

    Args:
        columns: the catalog's heading of each of Aisle's columns.
        num_pictures: pictures of the catalog to calibrate with, drawn evenly from the whole file.
    """

    bundle: Path
    catalog: Path
    out: Path
    read_options: ReadOptions
    num_pictures: int
    cache_dir: Path


def quantize(job: QuantizeJob) -> dict[str, Any]:
    """Quantise the image encoder, measure both precisions on the labelled catalog and write the new bundle.

    Returns:
        The content of the new bundle's quantization.json: the number of pictures, and by precision the accuracy of the
        joint and the image head, and the contract as `contract_metrics` measures it with the bundle's thresholds.
    Raises:
        BundleError: the bundle is damaged or has no picture branch, or --out is taken.
        CatalogError: the catalog cannot be read, or has no usable picture or labelled row.
        EngineError: NNCF is not installed or cannot quantise the encoder.
    """
    bundle = load_bundle(job.bundle)
    if "image" not in bundle.fields:
        raise BundleError(f"expected a bundle with a picture branch, found fields {', '.join(bundle.fields)}")
    images = _calibration_images(job, bundle)
    figures: dict[str, Any] = {"catalog": job.catalog.name, "num_pictures": len(images)}

    def add_int8(folder: Path) -> None:
        _log.info("calibrating on %d pictures", len(images))
        source, target = FILES.openvino_image_encoder, FILES.openvino_image_encoder_int8
        quantize_image_encoder(folder / source, folder / target, images)
        precisions: tuple[Precision, ...] = ("float32", "int8")
        for precision in precisions:
            figures[precision] = _measure(bundle, folder, precision, job)
        (folder / FILES.quantization).write_text(json.dumps(figures, indent=1), encoding="utf-8")
        proven = {**bundle.metrics.get("contract_by_precision", {}), "int8": figures["int8"]["contract"]}
        metrics = {**bundle.metrics, "contract_by_precision": proven}
        rewrite_bundle(folder, replace(bundle, metrics=metrics))

    derive_bundle(job.bundle, job.out, add_int8)
    return figures


def _calibration_images(job: QuantizeJob, bundle: Bundle) -> list[np.ndarray]:
    """Draw pictures by reservoir sampling (Vitter 1985), because catalogs are often sorted by category."""
    random = np.random.default_rng(_SEED)
    drawn: list[str] = []
    num_seen = 0
    for rows in read_catalog(job.catalog, job.read_options):
        for image in (row.image for row in rows if row.image):
            num_seen += 1
            if len(drawn) < job.num_pictures:
                drawn.append(image)
            elif (i := int(random.integers(num_seen))) < job.num_pictures:
                drawn[i] = image
    settings = bundle.settings.image
    limits = PictureSourceSettings(max_image_bytes=settings.max_image_bytes)
    with PictureSource(job.catalog.parent, job.cache_dir / "pictures", limits) as source:
        decoded = [decode_or_error(picture, settings) for picture in source.read_many(drawn)]
    images = [picture for picture in decoded if not isinstance(picture, PictureError)]
    if not images:
        raise CatalogError(f"{job.catalog}: expected pictures to calibrate with, found {num_seen} and none readable")
    return images


def _measure(bundle: Bundle, folder: Path, precision: Precision, job: QuantizeJob) -> dict[str, Any]:
    engine = OpenVinoEngine(folder, precision)
    with tempfile.TemporaryDirectory() as report_dir:
        catalog = CatalogSource(job.catalog, job.read_options, job.cache_dir)
        metrics, _ = evaluate(Predictor(bundle, engine), catalog, Path(report_dir) / "report")
    engine.close()
    return {
        "count": metrics["count"],
        "accuracy": metrics["accuracy"],
        "image_accuracy": metrics["heads"]["image"]["accuracy"],
        "contract": metrics["contract"],
    }
