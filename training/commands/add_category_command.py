"""The command `python -m training add-category`: new leaves from a few products, without training."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions


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
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's tree with the new categories, for their ids."""
    rejects: Path | None = None
    """Rows that could not be used, CSV; by default OUT.rejects.csv."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Fetched pictures."""


def run_add_category(command: AddCategoryCommand) -> str:
    """Add the categories, and say what they cost."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from training.new_category.add_category import AddCategoryJob, add_category
    from training.report.contract_text import contract_lines

    rejects = command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv")
    paths = (command.bundle, command.catalog, command.val, command.out)
    job = AddCategoryJob(*paths, command.read_options, command.taxonomy, rejects, command.cache_dir)
    cost, contract = add_category(job)
    last = f"new categories need review until the next training; bundle in {command.out}"
    return "\n".join((*cost.lines(command.val.name), *contract_lines(contract), last))
