"""The command `python -m training inspect`: a first look at a shop's file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.formats.text_lines import printable
from catalog.read_options import ReadOptions
from model.errors import SettingsError


@dataclass(frozen=True)
class InspectCommand:
    """Look at a catalog before training: columns, rows, labels, duplicates, pictures, and the command that trains."""

    catalog: Path
    """Catalog to look at: .csv, .tsv, .jsonl, .parquet or a spreadsheet, with or without labels."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    out: Path = Path("inspect.html")
    """Page to write, one self-contained file."""
    pictures: int = 200
    """Pictures to try, a random sample; 0 tries none."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Parsed catalogs, which the training then finds, and fetched pictures."""


def run_inspect(command: InspectCommand) -> str:
    """Look, write the page, and return the text to print; its last line is the command that trains."""
    if command.pictures < 0:
        raise SettingsError(f"--pictures: expected 0 or more, found {command.pictures}")
    from training.inspection.inspection import inspect_catalog
    from training.inspection.report.report import write_report
    from training.inspection.sentences import lines, proposal, refusals, train_command, warnings

    found = inspect_catalog(
        command.catalog, command.read_options, command.taxonomy, command.pictures, command.cache_dir
    )
    write_report(command.out, found)
    said = lines(found)
    said += [f"warning: {sentence}" for sentence in warnings(found)]
    said += [f"training would stop: {sentence}" for sentence in refusals(found)]
    said += filter(None, [proposal(found)])
    return printable("\n".join([*said, f"page: {command.out}", "train on it:", train_command(found)]))
