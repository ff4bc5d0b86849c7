"""The command `python -m retrieval train-matcher`: pairs in, a matcher out."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.table import Table

from catalog.pairs import read_labelled_pairs
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.errors import SettingsError
from retrieval.index.engine import IndexEngine
from retrieval.index.index_folder import open_index
from retrieval.matching.matcher.match_metrics import match_metrics
from retrieval.matching.matcher.matcher import Matcher, PairScorer
from retrieval.matching.matcher.matcher_files import check_target, save_matcher
from retrieval.matching.matcher.matcher_training import LabelledPairs
from retrieval.matching.offers.offer_reading import read_offers
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.training import train_matcher, train_without_pairs
from retrieval.settings import MatcherSettings


@dataclass(frozen=True)
class TrainMatcherCommand:
    """Learn how probably two offers are one product, from labelled pairs, from group_id, or from planted edits."""

    catalog: Path
    """Catalog of the offers: .csv, .tsv, .jsonl or .parquet."""
    out: Path
    """Folder of the matcher; another matcher there is replaced."""
    train_pairs: tuple[Path, ...] = ()
    """Pairs to learn from, CSV with left_id, right_id and same (1 or 0); answered questions are such. Without any the
    pairs are made from group_id, or, where the catalog has none, from offers that are edited."""
    val_pairs: Path | None = None
    """Pairs to measure on, of the same form."""
    index: str = ""
    """Index of the same products, whose vectors of pictures and texts are compared too."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    rejects: Path | None = None
    """Rows and pairs that could not be used, CSV; by default OUT.rejects.csv."""
    settings: Annotated[MatcherSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=MatcherSettings)
    """Settings of the matcher."""


def run_train_matcher(command: TrainMatcherCommand) -> Table:
    """Learn, write the matcher and return its figures for the terminal."""
    if command.val_pairs is not None and command.val_pairs in command.train_pairs:
        raise SettingsError(f"--val-pairs: {command.val_pairs} is among --train-pairs; measure on others")
    check_target(command.out)
    rejects_path = command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv")
    with Rejects(rejects_path) as rejects, optional_index(command.index) as engine:
        table = read_offers(command.catalog, command.read_options, rejects, engine)
        if command.train_pairs:
            pairs = labelled(table, command.train_pairs, rejects)
            matcher = train_matcher(table, pairs, command.settings, engine, "pairs")
        else:
            matcher = train_without_pairs(table, command.settings, engine)
        if command.val_pairs is not None:
            matcher = _with_validation(matcher, table, labelled(table, (command.val_pairs,), rejects))
        save_matcher(matcher, command.out)
    return _table(matcher, command.out)


@contextmanager
def optional_index(location: str) -> Iterator[IndexEngine | None]:
    """Open an index where one is named."""
    if not location:
        yield None
        return
    with open_index(location) as engine:
        yield engine


def labelled(table: OfferTable, paths: tuple[Path, ...], rejects: Rejects) -> LabelledPairs:
    """Read labelled pairs of a table's offers."""
    pairs = read_labelled_pairs(paths, table.positions, rejects)
    left = np.array([table.positions[pair.left_id] for pair in pairs], np.int64)
    right = np.array([table.positions[pair.right_id] for pair in pairs], np.int64)
    return LabelledPairs(left, right, np.array([pair.same for pair in pairs], bool))


def _with_validation(matcher: Matcher, table: OfferTable, pairs: LabelledPairs) -> Matcher:
    description = matcher.description
    probabilities = PairScorer(matcher, table).probabilities(pairs.left, pairs.right)
    thresholds = description.f1_threshold, description.promised_threshold
    metrics = {**description.metrics, "validation": match_metrics(probabilities, pairs.same, *thresholds)}
    return Matcher(dataclasses.replace(description, metrics=metrics), matcher.evidence, matcher.trees, matcher.known)


def _table(matcher: Matcher, out: Path) -> Table:
    description = matcher.description
    title = f"Matcher learned from {description.learned_from}, in {out}"
    table = Table("measured", *(name.replace("_", "-") for name in description.metrics), title=title)
    for name in next(iter(description.metrics.values())):
        values = [measured[name] for measured in description.metrics.values()]
        table.add_row(name.replace("_", " "), *(f"{v:.4f}" if isinstance(v, float) else str(v) for v in values))
    promise = f"the same from {description.f1_threshold:.3f}; {description.precision:.0%} promised "
    promise += f"from {description.promised_threshold:.3f}" if description.promised_threshold <= 1 else "by none"
    table.caption = promise
    return table
