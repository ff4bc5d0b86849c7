"""The command `python -m labeling confusions`: which categories cannot be distinguished."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from labeling.answers.out_of_fold import answer_out_of_fold
from labeling.commands.labelled_source import read_source
from labeling.confusions.confusion_files import write_entropies, write_pairs
from labeling.confusions.confusions import Confusions, find_confusions
from labeling.confusions.plan import PLAN_FILE, Plan
from labeling.confusions.report.report import write_report
from labeling.settings import AnswerSettings, ConfusionSettings


@dataclass(frozen=True)
class ConfusionsCommand:
    """Find categories that neither a model nor the labels distinguish, and propose what to do. Changes nothing."""

    catalog: Path
    """Labelled catalog: .csv, .tsv, .jsonl or .parquet."""
    out: Path
    """Folder for plan.json, report.html, pairs.csv, entropy.csv, rejects.csv and finished folds."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    taxonomy: Path | None = None
    """CSV with category_id and category: the shop's whole tree."""
    cache_dir: Path = field(default_factory=default_cache_dir)
    """Encoded catalogs, shared by all runs."""
    confusions: Annotated[ConfusionSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=ConfusionSettings)
    settings: Annotated[AnswerSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=AnswerSettings)


def run_confusions(command: ConfusionsCommand) -> str:
    """Answer out of fold, write the files, and say what is proposed."""
    catalog = read_source(command, command.out)
    answers = answer_out_of_fold(catalog, command.settings, command.out / "folds")
    confusions = find_confusions(catalog, answers, command.confusions)
    plan = Plan.of(confusions)
    write_entropies(command.out, confusions)
    write_pairs(command.out, confusions)
    write_report(command.out, confusions, plan)
    plan.write(command.out / PLAN_FILE)
    return _said(confusions, command.out)


def _said(confusions: Confusions, out: Path) -> str:
    sizes = confusions.entropy.num_judged
    too_small = (
        f"; {confusions.num_too_small:,} have fewer than {confusions.settings.least_products} products and are not"
        " judged"
        if confusions.num_too_small
        else ""
    )
    if not confusions.proposals:
        num_judged = int((sizes > 0).sum()) - confusions.num_too_small
        return (
            f"no confusions: all of {num_judged:,} categories are distinguished{too_small}; see {out / 'report.html'}"
        )
    counts = {kind: len(confusions.of_kind(kind)) for kind in ("merge", "redefine", "split")}
    listed = ", ".join(f"{count:,} to {kind}" for kind, count in counts.items())
    return (
        f"{len(confusions.proposals):,} proposals: {listed}{too_small}; look at {out / 'report.html'}, set accepted in"
        f" {out / PLAN_FILE}, then labeling merge"
    )
