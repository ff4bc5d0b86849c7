"""Throughput of decoding and encoding pictures as in training, on all cores.

    python -m benchmarks.throughput.pictures --catalog ../shared/data/fashion224/train.csv --weights FILE

Expected on 2 cores: more than 200 pictures/s with MobileNetV2 at 224 pixels.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from catalog.rows import read_catalog
from model.machine.console import wide_console
from model.network.image_encoder import build_image_encoder
from model.settings import ImageSettings
from training.encoding.picture_encoding import PictureEncoder


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    catalog: Path = Path("../shared/data/fashion224/train.csv")
    """Catalog whose picture column holds paths."""
    weights: Path = Path("../shared/weights/mobilenet_v2_1.0_224_notop.weights.h5")
    """Weights of the backbone."""
    backbone: str = "MobileNetV2"
    """Name of the class in keras.applications."""
    rounds: int = 3
    """Number of rounds over the catalog, each with an empty cache; the median counts."""


def main() -> None:
    """Read the files once, encode them `rounds` times, and print the median rate."""
    options = tyro.cli(Options, prog="python -m benchmarks.throughput.pictures", description=__doc__)
    console = wide_console()
    for path in (options.catalog, options.weights):
        if not path.exists():
            console.print(f"skipped: {path} is missing; see --catalog and --weights")
            return
    pictures = [
        (options.catalog.parent / row.image).read_bytes()
        for rows in read_catalog(options.catalog)
        for row in rows
        if row.image
    ]
    settings = ImageSettings(backbone=options.backbone, image_weights=str(options.weights))
    image_encoder = build_image_encoder(settings, seed=0)
    rates = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as cache:
            encoder = PictureEncoder(image_encoder, settings, Path(cache))
            started = time.monotonic()
            encoder.embed(pictures)
            rates.append(len(encoder.cache) / (time.monotonic() - started))
    console.print(
        f"{len(pictures)} pictures, {options.backbone} at {settings.image_size} px:"
        f" median {statistics.median(rates):,.0f} pictures/s of {len(rates)} rounds"
    )


if __name__ == "__main__":
    main()
