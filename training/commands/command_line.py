"""The commands of `python -m training`, built from dataclasses and the settings of `model/settings.py`."""

from collections.abc import Sequence
from typing import Any

from training.commands.add_category_command import AddCategoryCommand, run_add_category
from training.commands.evaluate_command import EvaluateCommand, run_evaluate
from training.commands.export_onnx_command import ExportOnnxCommand, run_export_onnx
from training.commands.inspect_command import InspectCommand, run_inspect
from training.commands.predict_command import PredictCommand, run_predict
from training.commands.program import Commands, parse_flags, run_program
from training.commands.quantize_command import QuantizeCommand, run_quantize
from training.commands.train_command import TrainCommand, run_train
from training.commands.training_flags import parse_training_flags
from training.commands.tune_command import TuneCommand, TuneWorkerCommand, tune, tune_worker


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code; see `run_program`."""
    commands: Commands = {
        "inspect": (InspectCommand, run_inspect),
        "train": (TrainCommand, run_train),
        "predict": (PredictCommand, run_predict),
        "evaluate": (EvaluateCommand, run_evaluate),
        "quantize": (QuantizeCommand, run_quantize),
        "add-category": (AddCategoryCommand, run_add_category),
        "export-onnx": (ExportOnnxCommand, run_export_onnx),
        "tune": (TuneCommand, tune),
        "tune-worker": (TuneWorkerCommand, tune_worker),
    }
    hints = {"train": "train --resume continues it", "predict": "predict --resume continues it"}
    return run_program("python -m training", commands, arguments, _parse, hints)


def _parse(form: type, program: str, flags: list[str]) -> Any:
    parse = parse_training_flags if form in (TrainCommand, TuneCommand) else parse_flags
    return parse(form, program, flags)
