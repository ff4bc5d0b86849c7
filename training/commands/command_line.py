"""The commands of `python -m training`, built from dataclasses and the settings of `model/settings.py`."""

import dataclasses
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from model.engines.engine import EngineName, Precision
from model.errors import AisleError, SettingsError, TaxonomyError
from model.settings import ImageSettings, Settings, load_settings
from model.sub_tree import SubTree, find_sub_tree
from model.taxonomy import Taxonomy
from training.commands.command_parts import FlatSettings
from training.commands.evaluate_command import EvaluateCommand, run_evaluate
from training.commands.inspect_command import InspectCommand, run_inspect
from training.commands.noise_estimate import with_noise_of
from training.commands.program import Commands, parse_flags, run_program
from training.commands.tune_command import TuneCommand, TuneWorkerCommand, tune, tune_worker
from training.default_settings import catalog_size, default_settings, describe
from training.encoding.parsed_catalog import parse_catalog
from training.sampling.months import in_window

#: Short flags of commands that train; in other commands --precision is the engine's arithmetic.
_SHORT_FLAGS = {
    "--precision": "--precision-target",
    "--confidence": "--precision-confidence",
    "--window": "--window-months",
    "--half-life": "--half-life-months",
}

_log = logging.getLogger("aisle.train")


@dataclass(frozen=True)
class TrainCommand:
    """Train a bundle from a labelled catalog: one file, or one to train on and one to calibrate with."""

    bundle: Path
    """Folder to write to; an existing bundle is replaced."""
    catalog: Path | None = None
    """Labelled catalog: .csv, .tsv, .jsonl or .parquet; split by near-duplicates and categories."""
    train: Path | None = None
    """In its place a training catalog, with --val."""
    val: Path | None = None
    """Catalog for early stopping and calibration, without what --train has."""
    config: Path | None = None
    """TOML file with settings, in place of the defaults for the size of the catalog; flags override it."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """How the catalog is read."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    work_dir: Path | None = None
    """State for --resume, split, rejects and TensorBoard logs; by default BUNDLE.train beside the bundle."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs and picture features, shared by all runs."""
    resume: bool = False
    """Resume after an interruption, with the same result."""
    noise_from: Path | None = None
    """Folder that `python -m labeling issues` wrote; its share of wrong labels is --noise-rate."""
    settings: FlatSettings = field(default_factory=Settings)
    """Settings of the model and its training."""


@dataclass(frozen=True)
class PredictCommand:
    """Answer every row of a catalog."""

    bundle: Path
    """Bundle to use."""
    catalog: Path
    """Catalog to answer."""
    out: Path
    """Answers, .csv or .parquet."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """How the catalog is read."""
    engine: EngineName = "auto"
    """Inference engine; auto takes Keras where it finds a GPU, else OpenVINO."""
    precision: Precision = "float32"
    """Arithmetic inside the engine; auto takes bfloat16 where the device computes in it."""
    rejects: Path | None = None
    """Rows that could not be answered, CSV; by default OUT.rejects.csv."""
    mask_parent: str = ""
    """Category that all answers are restricted to, its levels joined by '>'; empty is the whole tree."""
    max_lost_pictures: float | None = None
    """Share of the pictures that may be unreadable, 0 to 1; by default what the bundle was trained with."""
    resume: bool = False
    """Go on where an interrupted run with the same flags stopped, with the same result."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures."""


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
    """How the catalog is read."""
    pictures: int = 300
    """Pictures to calibrate with."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures."""


@dataclass(frozen=True)
class AddCategoryCommand:
    """Add categories to a bundle from a few examples each, without training, and measure the cost for the others."""

    bundle: Path
    """Bundle to add to."""
    catalog: Path
    """Products of the new categories, 3 or more each; 10 are recommended."""
    val: Path
    """Labelled products of the old categories to compare the new ones with, such as the validation catalog."""
    out: Path
    """Folder of the new bundle."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """How the catalog is read."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's tree with the new categories, for their ids."""
    rejects: Path | None = None
    """Rows that could not be used, CSV; by default OUT.rejects.csv."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures."""


@dataclass(frozen=True)
class ExportOnnxCommand:
    """Add ONNX programs to a bundle that was trained where the packages for them were missing."""

    bundle: Path
    """Bundle to export."""
    out: Path
    """Folder of the new bundle."""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code; see `run_program`."""
    commands: Commands = {
        "inspect": (InspectCommand, run_inspect),
        "train": (TrainCommand, _train),
        "predict": (PredictCommand, _predict),
        "evaluate": (EvaluateCommand, _evaluate),
        "quantize": (QuantizeCommand, _quantize),
        "add-category": (AddCategoryCommand, _add_category),
        "export-onnx": (ExportOnnxCommand, _export_onnx),
        "tune": (TuneCommand, tune),
        "tune-worker": (TuneWorkerCommand, tune_worker),
    }
    hints = {"train": "train --resume continues it", "predict": "predict --resume continues it"}
    return run_program("python -m training", commands, arguments, _parse, hints)


def _parse(form: type, program: str, flags: list[str]) -> Any:
    """Parse the flags of a command; where it trains, over the settings of a config file or the catalog's size."""
    if form not in (TrainCommand, TuneCommand):
        return parse_flags(form, program, flags)
    flags = _spelled_out(flags)
    return tyro.cli(form, prog=program, args=flags, default=_defaults(form, flags))


def _spelled_out(flags: Sequence[str]) -> list[str]:
    """Replace short flags by the names of their settings."""
    names = (flag.partition("=") for flag in flags)
    return [_SHORT_FLAGS.get(name, name) + equals + value for name, equals, value in names]


def _defaults(form: type, arguments: Sequence[str]) -> Any:
    """Build a command whose defaults are the config file's settings, or those for the catalog; flags override them."""
    config = _value_of("--config", arguments)
    settings = load_settings(Path(config)) if config else _settings_by_size(arguments)
    required = [entry.name for entry in dataclasses.fields(form) if entry.default_factory is entry.default]
    return form(**dict.fromkeys(required, tyro.MISSING), settings=settings)


def _settings_by_size(arguments: Sequence[str]) -> Settings:
    try:
        options = _read_options(arguments)
        cache_dir = Path(_value_of("--cache-dir", arguments) or default_cache_dir())
        path = _value_of("--catalog", arguments) or _value_of("--train", arguments)
        window = int(_value_of("--window-months", arguments) or 0)
        size = catalog_size(in_window(parse_catalog(Path(path), options, cache_dir), window).statistics)
    except (AisleError, OSError, ValueError):  # reported when the command reads the catalog itself
        return Settings()
    settings = default_settings(size, _value_of("--backbone", arguments) or ImageSettings().backbone)
    _log.info("%s", describe(size, settings))
    return settings


def _read_options(arguments: Sequence[str]) -> ReadOptions:
    """The options of which the catalog's size depends, as the command line has them."""
    texts = {
        entry.name: found
        for entry in dataclasses.fields(ReadOptions)
        if isinstance(entry.default, str) and (found := _value_of(f"--{entry.name}", arguments))
    }
    return ReadOptions(**texts, keep_null_labels="--keep-null-labels" in arguments)


def _value_of(flag: str, arguments: Sequence[str]) -> str:
    """Return the value of a flag on the command line; '' without it."""
    for position, argument in enumerate(arguments):
        if argument == flag and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return ""


def _train(command: TrainCommand) -> None:
    from model.network.keras_backend import prepare_keras

    settings = command.settings
    if command.noise_from is not None:
        settings = with_noise_of(settings, command.noise_from)
    prepare_keras(settings.training)
    from training.report.contract_text import contract_lines, lower_promises_line
    from training.train import TrainJob, train

    work_dir = command.work_dir or command.bundle.with_name(f"{command.bundle.name}.train")
    job = TrainJob(
        command.catalog,
        command.train,
        command.val,
        command.bundle,
        command.read_options,
        command.taxonomy,
        work_dir,
        command.cache_dir,
        command.resume,
    )
    metrics = train(job, settings)
    print(f"accuracy {metrics['accuracy']:.4f} on {metrics['count']} products that the model did not learn")
    lines = [*contract_lines(metrics["contract"]), lower_promises_line(metrics["lower_promises"])]
    for line in filter(None, lines):
        print(line)
    products = metrics["training_products"]
    num_categories = sum(count > 0 for count in products)
    print(f"bundle in {command.bundle}: {sum(products):,} products of {num_categories:,} categories learned")


def _predict(command: PredictCommand) -> None:
    from model.predictor import Predictor
    from training.predict.answered_catalog import CatalogSource
    from training.predict.predict import predict

    rejects = command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv")
    if rejects == command.out:
        raise SettingsError("--rejects and --out name the same file; give two")
    predictor = Predictor.open(command.bundle, command.engine, command.precision)
    catalog = CatalogSource(
        command.catalog, command.read_options, command.cache_dir, max_lost_pictures=command.max_lost_pictures
    )
    sub_tree = _sub_tree(predictor.bundle.taxonomy, command.mask_parent)
    answered, rejected = predict(predictor, catalog, command.out, rejects, sub_tree, command.resume)
    suffix = f", {rejected} rejected, with reasons in {rejects}" if rejected else ""
    print(f"{answered} rows answered in {command.out}{suffix}")


def _sub_tree(taxonomy: Taxonomy, mask_parent: str) -> SubTree | None:
    try:
        return find_sub_tree(taxonomy, mask_parent) if mask_parent else None
    except TaxonomyError as error:
        raise TaxonomyError(f"--mask-parent: {error}") from error


def _evaluate(command: EvaluateCommand) -> None:
    print(run_evaluate(command))


def _quantize(command: QuantizeCommand) -> None:
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
    print(
        f"accuracy {exact['accuracy']:.4f} in float32, {rounded['accuracy']:.4f} in int8 on {exact['count']} products"
        f" (by picture alone {exact['image_accuracy']:.4f} and {rounded['image_accuracy']:.4f});"
        f" bundle in {command.out}"
    )
    print("in int8:")
    for line in contract_lines(rounded["contract"]):
        print(line)


def _add_category(command: AddCategoryCommand) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from training.new_category.add_category import AddCategoryJob, add_category
    from training.report.contract_text import contract_lines

    rejects = command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv")
    paths = (command.bundle, command.catalog, command.val, command.out)
    job = AddCategoryJob(*paths, command.read_options, command.taxonomy, rejects, command.cache_dir)
    cost, contract = add_category(job)
    for line in (*cost.lines(command.val.name), *contract_lines(contract)):
        print(line)
    print(f"new categories need review until the next training; bundle in {command.out}")


def _export_onnx(command: ExportOnnxCommand) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from model.bundle.writing import derive_bundle
    from model.engines.export import write_onnx_programs

    derive_bundle(command.bundle, command.out, write_onnx_programs)
    print(f"ONNX programs equal to Keras; bundle in {command.out}")
