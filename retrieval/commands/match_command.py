"""The command `python -m retrieval match`: pairs in, the probability that each is one product out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from catalog.pairs import Pair, pair_writer, read_pairs
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.errors import MatcherError
from retrieval.commands.train_matcher_command import optional_index
from retrieval.index.engine import IndexEngine
from retrieval.matching.matcher.matcher import Matcher, PairScorer
from retrieval.matching.matcher.matcher_files import load_matcher
from retrieval.matching.offers.offer_reading import read_offers


@dataclass(frozen=True)
class MatchCommand:
    """Say of each pair of offers how probably they are one product."""

    matcher: Path
    """Folder that train-matcher wrote."""
    catalog: Path
    """Catalog of the offers."""
    pairs: Path
    """Pairs to answer, CSV with left_id and right_id."""
    out: Path
    """CSV to write: left_id, right_id, probability and is_same (1 or 0)."""
    precision: float | None = None
    """is_same from where this share of such pairs is right, 0 to 1; without it, from where F1 is highest."""
    index: str = ""
    """Index of the same products; a matcher that was trained with one needs one of the same embedding."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    rejects: Path | None = None
    """Rows and pairs that could not be used, CSV; by default OUT.rejects.csv."""


def run_match(command: MatchCommand) -> str:
    """Answer the pairs, and say how many are the same."""
    matcher = load_matcher(command.matcher)
    rejects_path = command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv")
    with Rejects(rejects_path) as rejects, optional_index(command.index) as engine:
        check_index(matcher, engine, command.matcher)
        table = read_offers(command.catalog, command.read_options, rejects, engine)
        pairs = read_pairs(command.pairs, table.positions, rejects)
        left = np.array([table.positions[pair.left_id] for pair in pairs], np.int64)
        right = np.array([table.positions[pair.right_id] for pair in pairs], np.int64)
        probabilities = PairScorer(matcher, table).probabilities(left, right)
        description = matcher.description
        threshold = description.f1_threshold if command.precision is None else matcher.threshold(command.precision)
        is_same = probabilities >= threshold
        _write(command.out, pairs, probabilities, is_same)
        left_out = f"; {rejects.count} rows are left out, see {rejects_path}" if rejects.count else ""
    return f"{len(pairs)} pairs, {int(is_same.sum())} the same (from {threshold:.3f}){left_out}"


def check_index(matcher: Matcher, engine: IndexEngine | None, folder: Path) -> None:
    """Check that a matcher gets the vectors that it was trained with.

    Raises:
        MatcherError: it was trained with an index and there is none, or one of another embedding; or the reverse.
    """
    expected = matcher.description.embedding_checksum
    found = "" if engine is None else engine.description.embedding_checksum
    if expected != found:
        raise MatcherError(
            f"matcher {folder}: expected {_named(expected)}, as it was trained with, found {_named(found)};"
            " give --index of that embedding, or train the matcher again"
        )


def _named(checksum: str) -> str:
    return f"an index of the embedding {checksum[:12]}" if checksum else "no index"


def _write(path: Path, pairs: list[Pair], probabilities: np.ndarray, is_same: np.ndarray) -> None:
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = pair_writer(file, "probability", "is_same")
        for pair, probability, same in zip(pairs, probabilities.tolist(), is_same.tolist(), strict=True):
            writer.writerow((pair.left_id, pair.right_id, f"{probability:.6f}", int(same)))
    aside.replace(path)
