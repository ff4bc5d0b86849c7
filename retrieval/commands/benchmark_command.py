"""The command `python -m retrieval benchmark`: how good the found products are."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.table import Table

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.errors import SettingsError
from retrieval.benchmark.benchmark import BenchmarkResult, measure
from retrieval.benchmark.queries import Asked, ask, catalog_queries, index_queries
from retrieval.benchmark.report.report import ReportDetails, write_report
from retrieval.commands.ladder_command import run_ladder
from retrieval.commands.open_bundle import open_embedder
from retrieval.commands.query_command import chosen_space
from retrieval.embedding.crop import CropName
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.index.index_folder import open_index
from retrieval.index.record import SPACES, Space
from retrieval.ladder.ladder import LadderJob
from retrieval.search.similar import MAX_K
from retrieval.settings import MatcherSettings, MetricSettings

#: Flags that only one of the tasks reads.
_FLAGS = {
    "similar": ("queries", "at", "space", "against", "sample", "crop"),
    "same": ("catalog", "learn_vectors", "backbones", "metric", "matcher"),
}


@dataclass(frozen=True)
class BenchmarkCommand:
    """Measure what an index finds, or with --task same the ways to find the offers of one product."""

    index: str = ""
    """Index to measure: its folder, or its URL. Task same: whose vectors of pictures are compared; a third of the
    groups is measured on, so it should not have learned from these."""
    queries: Path | None = None
    """Catalog whose products ask, such as photos of users; with category, and group_id where there is one."""
    at: tuple[int, ...] = (1, 3, 5, 10, 30)
    """Ranks to measure at."""
    space: Space | None = None
    """Vectors to compare; by default joint ones, else those that the index has."""
    json: Path | None = None
    """File for the figures: {"same_product@1": 0.9, ...}."""
    report: Path | None = None
    """Folder for report.html, with the worst cases in pictures."""
    against: str | None = None
    """Another index that is asked the same; differences come with their 95 % intervals."""
    sample: int = 0
    """Most queries, drawn by chance; 0 takes all."""
    seed: int = 0
    """Seed of the drawing; task same: of the parts that the groups are dealt out to."""
    crop: CropName | None = None
    """Part of the queries' pictures that counts; as in the index by default."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    bundle: Path | None = None
    """Bundle of the index, where it is not any more where it was. Task same: bundle for the vectors of pictures and
    words, and to learn better ones from."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures and features."""
    task: Literal["similar", "same"] = "similar"
    """similar: what an index finds, by rank. same: F1 of the offers that are called the same, as Shopee's price match
    scores it, for TF-IDF, Word2Vec, pictures before and after metric learning, both, and the matcher."""
    catalog: Path | None = None
    """Task same: catalog with group_id."""
    learn_vectors: bool = True
    """Task same: whether metric learning is measured, which takes longest."""
    backbones: tuple[str, ...] = ()
    """Task same: image encoders that metric learning starts from, as in retrieval train; else the bundle's own."""
    metric: MetricSettings = field(default_factory=lambda: MetricSettings(loss="arcface"))
    """Task same: settings of metric learning."""
    matcher: MatcherSettings = field(default_factory=MatcherSettings)
    """Task same: settings of the matcher."""

    def __post_init__(self) -> None:
        self._check_task()
        if not self.at or not all(1 <= k <= MAX_K for k in self.at):
            raise SettingsError(
                f"--at: expected ranks from 1 to {MAX_K:,}, found {' '.join(map(str, self.at)) or 'none'}"
            )
        if self.sample < 0:
            raise SettingsError(f"--sample: expected 0 or more, found {self.sample}")

    def _check_task(self) -> None:
        """Raise SettingsError for flags of the other task, and where the task's own input is missing."""
        other: Literal["similar", "same"] = "same" if self.task == "similar" else "similar"
        plain = {entry.name: _default(entry) for entry in dataclasses.fields(self)}
        given = [name for name in _FLAGS[other] if getattr(self, name) != plain[name]]
        if given:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise SettingsError(f"{flags}: for --task {other} alone, found it with --task {self.task}; leave it out")
        if self.task == "similar" and not self.index:
            raise SettingsError("--task similar: expected --index, found none; name the index to measure")
        if self.task == "same" and self.catalog is None:
            raise SettingsError("--task same: expected --catalog, found none; name a catalog with group_id")


def run_benchmark(command: BenchmarkCommand) -> Table:
    """Measure, write the files, and return a table for the terminal."""
    if command.catalog is not None:
        source = CatalogSource(command.catalog, command.read_options, command.cache_dir)
        job = LadderJob(
            source, command.bundle, command.index, command.learn_vectors, command.backbones, command.seed,
            command.metric, command.matcher,
        )  # fmt: skip
        return run_ladder(job, command.json, command.report)
    at = tuple(sorted(set(command.at)))
    asked, space = _ask(command, command.index, max(at), None)
    other = None
    if command.against is not None:
        other, _ = _ask(command, command.against, max(at), asked)
    result = measure(asked, at, other)
    figures = {**result.figures, "space": space, "seed": command.seed}
    if command.against is not None:
        figures["against"] = {"index": command.against, **result.compared()}
    if command.json is not None:
        command.json.parent.mkdir(parents=True, exist_ok=True)
        command.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if command.report is not None:
        details = ReportDetails(command.index, str(command.queries or ""), space, at, command.against or "")
        write_report(command.report, result, figures, details)
    return _table(result, at, space)


def _default(entry: dataclasses.Field) -> object:
    return entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()


def _ask(command: BenchmarkCommand, index: str, k: int, same_as: Asked | None) -> tuple[Asked, Space]:
    """Ask one index.

    Args:
        same_as: what another index was asked; this one is asked about the same products.
    """
    with open_index(index) as engine:
        space = command.space or chosen_space(tuple(reversed(SPACES)), engine)
        if space not in engine.description.dims:
            raise SettingsError(f"--space: {index} has {', '.join(engine.description.dims)}, not {space}")
        if command.queries is None:
            records = index_queries(engine, space, 0 if same_as else command.sample, command.seed)
        else:
            bundle = command.bundle if index == command.index else None
            embedder = open_embedder(engine.description, bundle, command.crop)
            source = CatalogSource(command.queries, command.read_options, command.cache_dir)
            with Rejects(None) as rejects:
                records = catalog_queries(
                    embedder, source, rejects, space, 0 if same_as else command.sample, command.seed
                )
        if same_as is not None:
            by_id = {record.product_id: record for record in records}
            missing = [record.product_id for record in same_as.records if record.product_id not in by_id]
            if missing:
                raise SettingsError(
                    f"--against: {index} lacks {len(missing)} of the products that ask, such as {missing[0]!r}"
                )
            records = [by_id[record.product_id] for record in same_as.records]
        return ask(engine, space, records, k, command.queries is not None), space


def _table(result: BenchmarkResult, at: tuple[int, ...], space: Space) -> Table:
    figures = result.figures
    names = list(dict.fromkeys(name.partition("@")[0] for name in figures if "@" in name))
    title = f"{figures['num_queries']:,} queries by {space} vectors, same product by {figures['relevance']}"
    table = Table("measure", *(f"@{k}" for k in at), title=title)
    for name in names:
        table.add_row(name, *(f"{figures[f'{name}@{k}']:.4f}" if f"{name}@{k}" in figures else "" for k in at))
    if "mean_average_precision" in figures:
        table.add_row("mean_average_precision", f"{figures['mean_average_precision']:.4f}")
    for name, (difference, low, high) in result.differences.items():
        if name in (
            f"same_product@{at[0]}",
            f"same_category@{at[0]}",
            f"same_product@{at[-1]}",
            "mean_average_precision",
        ):
            table.add_row(f"{name}, difference", f"{difference:+.4f}", f"{low:+.4f} to {high:+.4f}")
    return table
