"""The command `python -m retrieval duplicates`: a catalog in, groups of offers that are one product out."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from catalog.pairs import pair_writer
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects
from model.errors import MatcherError
from retrieval.commands.match_command import check_index
from retrieval.commands.train_matcher_command import optional_index
from retrieval.index.engine import IndexEngine
from retrieval.matching.duplicates import Duplicates, find_duplicates
from retrieval.matching.grouping import ProductGroup
from retrieval.matching.matcher.explanation import reasons
from retrieval.matching.matcher.matcher import PLANTED, Matcher, PairScorer
from retrieval.matching.matcher.matcher_files import load_matcher
from retrieval.matching.offers.offer_reading import read_offers
from retrieval.matching.offers.offer_table import OfferTable
from retrieval.matching.questions import chosen_questions
from retrieval.matching.training import train_without_pairs
from retrieval.settings import MatcherSettings

COLUMNS = ("product_id", "group", "probability", "double_listing")


@dataclass(frozen=True)
class DuplicatesCommand:
    """Find the offers of a catalog that are one product, each with its probability."""

    catalog: Path
    """Catalog to look through."""
    out: Path
    """CSV to write: product_id, group, probability, and double_listing, 1 where a seller lists the product twice."""
    matcher: Path | None = None
    """Folder that train-matcher wrote. Without one it is learned from group_id or from planted edits of this catalog,
    which says less of what sellers really write."""
    index: str = ""
    """Index of the same products: its vectors propose pairs, and are compared where the matcher was trained so."""
    questions: Path | None = None
    """CSV to write with what only people know: left_id, right_id, same (empty), probability, reason. Answered, it is
    a file for --train-pairs."""
    num_questions: int = 100
    """Most questions."""
    report: Path | None = None
    """Folder for report.html: the pairs that would change most, with pictures and what spoke for and against."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    rejects: Path | None = None
    """Rows that could not be used, CSV; by default OUT.rejects.csv."""
    settings: Annotated[MatcherSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=MatcherSettings)
    """--precision, the share of the pairs called the same that are; the rest is for a matcher that is learned here."""


def run_duplicates(command: DuplicatesCommand) -> str:
    """Find the groups, write them, and say what was found."""
    rejects_path = command.rejects or command.out.with_name(f"{command.out.name}.rejects.csv")
    matcher = None if command.matcher is None else load_matcher(command.matcher)
    with Rejects(rejects_path) as rejects, optional_index(command.index) as engine:
        table = read_offers(command.catalog, command.read_options, rejects, engine)
        if matcher is None:
            matcher = train_without_pairs(table, command.settings, engine)
        elif command.matcher is not None:
            check_index(matcher, engine, command.matcher)
        threshold = matcher.threshold(command.settings.precision)
        if threshold > 1:
            raise MatcherError(_no_promise(matcher, command.settings.precision))
        scorer = PairScorer(matcher, table)
        found = _found(scorer, threshold, engine)
    _write_groups(command.out, table, found.groups)
    if command.questions is not None:
        _write_questions(command.questions, scorer, found, command.num_questions)
    if command.report is not None:
        from retrieval.matching.report.report import ReportDetails, write_report  # loads matplotlib

        learned_from = matcher.description.learned_from
        details = ReportDetails(str(command.catalog), learned_from, threshold, command.settings.precision)
        write_report(command.report, scorer, found, details)
    return _summary(table, matcher, found, threshold)


def _found(scorer: PairScorer, threshold: float, engine: IndexEngine | None) -> Duplicates:
    with tqdm(total=len(scorer.table), desc="Compare", unit=" offers", unit_scale=True) as bar:
        return find_duplicates(scorer, threshold, engine, bar.update)


def _no_promise(matcher: Matcher, precision: float) -> str:
    return (
        f"the matcher's {len(matcher.known.same)} pairs do not show a precision of {precision:g} at any threshold;"
        " give a lower --precision, or train it with more pairs"
    )


def _write_groups(path: Path, table: OfferTable, groups: Sequence[ProductGroup]) -> None:
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, group in enumerate(groups, start=1):
            for position, probability, is_double in _rows(table, group):
                writer.writerow((table.product_ids[position], number, f"{probability:.4f}", int(is_double)))
    aside.replace(path)


def _rows(table: OfferTable, group: ProductGroup) -> Iterator[tuple[int, float, bool]]:
    """Position, probability, and whether its seller has another offer in the group."""
    sellers = Counter(table.offers[position].mall for position in group.members)
    for position, probability in zip(group.members.tolist(), group.probabilities.tolist(), strict=True):
        seller = table.offers[position].mall
        yield position, probability, bool(seller) and sellers[seller] > 1


def _write_questions(path: Path, scorer: PairScorer, found: Duplicates, count: int) -> None:
    chosen = chosen_questions(found.probabilities, count)
    left, right = found.pairs[chosen].T
    texts, ids = reasons(scorer.matcher, scorer.features(left, right)), scorer.table.product_ids
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = pair_writer(file, "same", "probability", "reason")
        for i, j, probability, reason in zip(left, right, found.probabilities[chosen], texts, strict=True):
            writer.writerow((ids[i], ids[j], "", f"{probability:.4f}", reason))


def _summary(table: OfferTable, matcher: Matcher, found: Duplicates, threshold: float) -> str:
    num_offers = sum(len(group.members) for group in found.groups)
    num_double = sum(is_double for group in found.groups for _, _, is_double in _rows(table, group))
    lines = [
        f"{len(found.groups)} products with {num_offers} offers, of {len(table)} offers; {num_double} are listed twice"
        f" by one seller; {found.num_compared} pairs compared, the same from {threshold:.3f}"
    ]
    if matcher.description.learned_from == PLANTED:
        lines.append(
            "the matcher was learned from planted edits, and so its promise is of these; label pairs to know more"
        )
    return "\n".join(lines)
