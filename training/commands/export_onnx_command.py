"""The command `python -m training export-onnx`: ONNX programs for a bundle that lacks them."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExportOnnxCommand:
    """Add ONNX programs to a bundle that was trained where the packages for them were missing."""

    bundle: Path
    """Bundle to export."""
    out: Path
    """Folder of the new bundle."""


def run_export_onnx(command: ExportOnnxCommand) -> str:
    """Write the new bundle."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from model.bundle.writing import derive_bundle
    from model.engines.export import write_onnx_programs

    derive_bundle(command.bundle, command.out, write_onnx_programs)
    return f"ONNX programs equal to Keras; bundle in {command.out}"
