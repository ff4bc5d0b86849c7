"""The command `python -m labeling merge`: accepted merges of categories into a new catalog."""

import getpass
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.labels.label_space import find_labels
from catalog.read_options import ReadOptions
from labeling.commands.labelled_source import read_source
from labeling.confusions.merge_comparison import compare_merge
from labeling.confusions.merging import Merging
from labeling.confusions.plan import Plan
from labeling.decisions.applying import write_changes
from labeling.settings import AnswerSettings
from training.encoding.parsed_catalog import parse_catalog


@dataclass(frozen=True)
class MergeCommand:
    """Write a new catalog with the accepted merges of a plan, and a log of the changes. The old one stays."""

    plan: Path
    """plan.json of `labeling confusions`, with "accepted": true where a person wants it."""
    catalog: Path
    """The catalog that the plan was made from."""
    out: Path
    """Catalog to write, with the same ending."""
    decided_by: str = ""
    """Name of the person who accepted the merges; by default the login name."""
    log: Path | None = None
    """CSV of the changes: product_id, who, when, before, after; by default OUT.changes.csv."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree; the merged one is written as OUT.taxonomy.csv."""
    compare: bool = False
    """Answer out of fold with the old and the merged labels, and score both on the merged tree."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs, shared by all runs."""
    settings: Annotated[AnswerSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=AnswerSettings)


def run_merge(command: MergeCommand) -> str:
    """Write the files, and say what was merged, how to train on it, and with `compare` what it brings."""
    plan = Plan.read(command.plan)
    plan.check_catalog(command.catalog)
    catalog = parse_catalog(command.catalog, command.read_options, command.cache_dir)
    labels = find_labels(catalog.statistics, command.taxonomy, command.read_options.separator)
    merging = Merging.of(plan, command.plan, labels)
    changes = merging.changes(catalog, command.decided_by or _login_name())
    log = command.log or command.out.with_name(f"{command.out.name}.changes.csv")
    write_changes(command.catalog, command.read_options, changes, command.out, log)
    train = f"python -m training train --catalog {command.out} --bundle DIR"
    if command.read_options.flags():
        train += f" {shlex.join(command.read_options.flags())}"
    if command.taxonomy is not None:
        tree = command.out.with_name(f"{command.out.name}.taxonomy.csv")
        merging.write_taxonomy(tree)
        train += f" --taxonomy {tree}"
    num_after = len(set(merging.new_paths.values()))
    compared = f"\n{_compared(command, merging)}" if command.compare else ""
    return (
        f"{len(merging.new_paths):,} categories are {num_after:,} now, {len(changes):,} labels changed;"
        f" {command.out}, log in {log}{compared}\ntrain on it: {train}"
    )


def _compared(command: MergeCommand, merging: Merging) -> str:
    folder = command.out.with_name(f"{command.out.name}.compare")
    catalog = read_source(command, folder)
    return compare_merge(catalog, merging.merged_classes(), command.settings, folder).said()


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
