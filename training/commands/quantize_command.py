"""The command `python -m training quantize`: the same bundle with an int8 image encoder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from model.errors import SettingsError


@dataclass(frozen=True)
class QuantizeCommand:
    """Add an int8 image encoder to a bundle and measure its loss of accuracy; serve it with --precision int8."""

    bundle: Path
    """Bundle with a picture branch."""
    catalog: Path
    """Labelled catalog with pictures, to calibrate and to measure on."""
    out: Path
    """Folder of the new bundle."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    pictures: int = 300
    """Pictures to calibrate with."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures."""


def run_quantize(command: QuantizeCommand) -> str:
    """Quantize, and say what it costs."""
    if command.pictures < 1:
        raise SettingsError(f"--pictures: expected 1 or more, found {command.pictures}")
    from training.quantize import QuantizeJob, quantize
    from training.report.contract_text import contract_lines

    figures = quantize(
        QuantizeJob(
            command.bundle,
            command.catalog,
            command.out,
            command.read_options,
            command.pictures,
            command.cache_dir,
        )
    )
    exact, rounded = figures["float32"], figures["int8"]
    lines = [
        f"accuracy {exact['accuracy']:.4f} in float32, {rounded['accuracy']:.4f} in int8 on {exact['count']} products"
        f" (by picture alone {exact['image_accuracy']:.4f} and {rounded['image_accuracy']:.4f});"
        f" bundle in {command.out}",
        "in int8:",
        *contract_lines(rounded["contract"]),
    ]
    return "\n".join(lines)
