"""The command `python -m retrieval study`: ready experiments on a shop's own catalogs."""

import json
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.table import Table

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from model.errors import SettingsError
from model.machine.console import wide_console
from model.settings import TrainingSettings
from retrieval.benchmark.studies import StudyJob, StudyName, run_study
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.settings import MetricSettings


@dataclass(frozen=True)
class StudyCommand:
    """Measure what a choice changes: each variant learns from one catalog and is asked by the products of another."""

    bundle: Path
    """Bundle to start from."""
    catalog: Path
    """Catalog to learn from and to search, with group_id or category."""
    queries: Path
    """Catalog whose products ask; none of them in the other."""
    studies: tuple[StudyName, ...] = ("loss",)
    """backbone, loss, projection (size of the vectors), crop, mirrored, text_weight, item_mean (one vector an item)."""
    at: tuple[int, ...] = (1, 5, 30)
    """Ranks to measure at."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds that each variant is trained with."""
    json: Path | None = None
    """File for the figures."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures and features."""
    settings: Annotated[MetricSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=MetricSettings)
    """Settings of metric learning that no study varies."""


def run_studies(command: StudyCommand) -> str:
    """Run the studies one after the other, each with a table as it ends."""
    from model.network.keras_backend import prepare_keras

    unknown = set(command.studies) - set(typing.get_args(StudyName))
    if unknown or not command.studies or not command.seeds:
        raise SettingsError(f"--studies: expected some of {', '.join(typing.get_args(StudyName))}, and --seeds")
    prepare_keras(TrainingSettings())
    catalog, queries = (
        CatalogSource(path, command.read_options, command.cache_dir) for path in (command.catalog, command.queries)
    )
    job = StudyJob(command.bundle, catalog, queries, command.seeds, tuple(sorted(set(command.at))))
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in command.studies:
        found[name] = {}
        for variant, figures in run_study(name, job, command.settings):
            found[name][variant] = figures
            if command.json is not None:
                command.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
        wide_console().print(_table(name, found[name], job.at))
    return f"studies on {figures[0]['num_queries']} queries, the same product by {figures[0]['relevance']}"


def _table(name: str, variants: dict[str, list[dict[str, Any]]], at: tuple[int, ...]) -> Table:
    names = [f"same_product@{k}" for k in at] + [f"accuracy@{k}" for k in at if k > 1] + ["mean_average_precision"]
    table = Table("variant", *names, title=f"Study {name}: mean and standard deviation over seeds")
    for variant, figures in variants.items():
        table.add_row(variant, *(_cell([entry.get(measure, np.nan) for entry in figures]) for measure in names))
    return table


def _cell(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"
