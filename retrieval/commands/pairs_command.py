"""The command `python -m retrieval pairs`: training pairs from galleries, without people."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.pairs.image_type_classifier import ImageTypeClassifier, check_reads_pictures
from retrieval.pairs.pair_making import PAIRS_FILE, MadePairs, make_pairs
from retrieval.pairs.report import REPORT_FILE, ReportDetails, verdict, write_report
from retrieval.settings import PairSettings


@dataclass(frozen=True)
class PairsCommand:
    """Make training pairs from items with several pictures; incorrect and trivial ones are dropped."""

    bundle: Path
    """Bundle whose image encoder compares pictures."""
    catalog: Path
    """Catalog with item_id and image, a row a picture."""
    out: Path
    """Folder for pairs.csv, dropped.csv and report.html."""
    image_types: Path | None = None
    """Bundle that classifies pictures by image type, see docs/retrieval.md; without it only pictures that many items
    have and near-duplicates are dropped."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures and features, shared with train."""
    settings: Annotated[PairSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=PairSettings)
    """Settings of the filter."""


def run_pairs(command: PairsCommand) -> str:
    """Make the pairs, write the report, and say what became of the candidates."""
    embedder = Embedder.open(command.bundle)
    if embedder.pictures is None:
        check_reads_pictures(embedder.predictor.bundle.fields, command.bundle)
    source = CatalogSource(command.catalog, command.read_options, command.cache_dir)
    if command.image_types is None:
        made = make_pairs(embedder, None, source, command.out, command.settings)
    else:
        with ImageTypeClassifier(command.image_types, command.cache_dir) as classifier:
            made = make_pairs(embedder, classifier, source, command.out, command.settings)
    details = ReportDetails(str(command.catalog), str(command.bundle), str(command.image_types or ""))
    write_report(command.out, made, source, command.settings, details)
    return "\n".join([*_lines(made), f"pairs in {command.out / PAIRS_FILE}, report in {command.out / REPORT_FILE}"])


def _lines(made: MadePairs) -> list[str]:
    lines = [verdict(made)]
    lines += [f"{count:,} dropped by {name}" for name, count in made.num_dropped.items() if count]
    if made.num_not_drawn:
        lines.append(f"{made.num_not_drawn:,} candidates of items with many pictures were not looked at")
    if made.num_rejected:
        lines.append(f"{made.num_rejected:,} pictures cannot be used")
    return lines
