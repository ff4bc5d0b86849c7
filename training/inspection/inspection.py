"""A first look at a shop's file, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from catalog.columns import INPUT_COLUMNS, locate_columns
from catalog.formats.raw_rows import raw_rows
from catalog.labels.label_space import LabelSpace, find_labels
from catalog.read_options import ReadOptions
from model.errors import AisleError
from model.taxonomy import SEPARATOR
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.inspection.categories import CategorySummary
from training.inspection.duplicates import DuplicateSummary
from training.inspection.file_facts import FileFacts
from training.inspection.headings import HeadingCounter, HeadingSummary
from training.inspection.leaks import Leak, find_leaks, leak_refusal
from training.inspection.parents import Namesakes, ParentCounter
from training.inspection.picture_sample import PictureSample
from training.inspection.proposals import propose_columns
from training.inspection.rejected_rows import RejectedRows

#: Chooses the sample of pictures.
_SEED = 0


@dataclass
class Inspection:
    """The findings of a first look; parts that could not be looked at are None.

    Args:
        options: as the user has given them.
        located: headings by column, as they were read; see `catalog.columns.locate_columns`.
        headings: all of the file.
        proposed: mappings for --columns that would read more of it; nothing here was read by them.
        num_rows: good rows.
        fields: of `model.product.FIELDS`, those that a model would read.
        refusals: sentences with which training would end before its work.
    """

    facts: FileFacts
    options: ReadOptions
    taxonomy: Path | None
    located: dict[str, tuple[str, ...]]
    headings: list[HeadingSummary]
    proposed: dict[str, str]
    namesakes: Namesakes | None
    num_rows: int = 0
    fields: tuple[str, ...] = ()
    rejected: RejectedRows = field(default_factory=RejectedRows)
    categories: CategorySummary | None = None
    duplicates: DuplicateSummary | None = None
    pictures: PictureSample | None = None
    leaks: list[Leak] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def label_heading(self) -> str:
        """The headings that the label is read from, joined; '' for none."""
        return SEPARATOR.join(self.located.get("category", ()))

    @property
    def num_usable(self) -> int:
        """Rows that can be trained on."""
        return self.num_rows - (sum(self.categories.rejected.values()) if self.categories is not None else 0)


def inspect_catalog(
    path: Path, options: ReadOptions, taxonomy: Path | None, num_pictures: int, cache_dir: Path
) -> Inspection:
    """Look at a file: its headings as they are, then its rows as training would read them.

    What ends a training is no error here, but a part of what is found.

    Args:
        num_pictures: pictures that are tried.
        cache_dir: where the parsed rows are kept, for the training that follows.
    Raises:
        AisleError: the file cannot be read as a table, or `options` do not fit it.
    """
    found = _look_at_headings(path, options, taxonomy)
    if not any(name in found.located for name in INPUT_COLUMNS):
        found.refusals.append(
            f"{path}: none of its headings is known as {', '.join(INPUT_COLUMNS[:-1])} or {INPUT_COLUMNS[-1]}; map one"
            " with --columns product_name=HEADING"
        )
        return found
    try:
        _look_at_rows(found, path, options, taxonomy, num_pictures, cache_dir)
    except AisleError as error:
        found.refusals.append(str(error))
    return found


def _look_at_headings(path: Path, options: ReadOptions, taxonomy: Path | None) -> Inspection:
    facts = FileFacts.read(path, options)
    headings, rows = raw_rows(path, options)
    located = _located(path, headings, options.headings)
    used = set(chain.from_iterable(located.values()))
    unused = [position for position, heading in enumerate(headings) if heading not in used]
    labels = located.get("category", ())
    counter = HeadingCounter(headings)
    parents = ParentCounter(headings, headings.index(labels[0]), unused, options) if len(labels) == 1 else None
    for row in tqdm(rows, desc=f"Look at {path.name}", unit=" rows", unit_scale=True, delay=1):
        counter.add(row)
        if parents is not None:
            parents.add(row)
    summaries = counter.summaries(located)
    proposed = propose_columns(summaries, counter.num_rows, options.headings)
    namesakes = parents.found() if parents is not None else None
    return Inspection(facts, options, taxonomy, located, summaries, proposed, namesakes)


def _located(path: Path, headings: Sequence[str], columns: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The headings of each column, see `locate_columns`."""
    known = {heading.strip().casefold() for heading in headings}
    has_input = any(name in columns or name in known for name in INPUT_COLUMNS)
    # A file without any known input is looked at all the same.
    lent = {} if has_input else {INPUT_COLUMNS[0]: headings[0]}
    located = locate_columns(path, headings, {**columns, **lent})
    return {name: found for name, found in located.items() if name not in lent}


def _look_at_rows(
    found: Inspection,
    path: Path,
    options: ReadOptions,
    taxonomy: Path | None,
    num_pictures: int,
    cache_dir: Path,
) -> None:
    catalog = parse_catalog(path, options, cache_dir)
    statistics = catalog.statistics
    found.num_rows = statistics.num_rows
    for _ in catalog.rows(rejects=found.rejected):
        pass
    found.duplicates = DuplicateSummary.of(catalog)
    if statistics.field_counts["image"]:
        found.pictures = PictureSample.of(catalog, num_pictures, _SEED, cache_dir)
    found.fields = statistics.frequent_fields()
    unsaid = replace(statistics, label_warnings=[])  # they are said with all else
    labels = find_labels(unsaid, taxonomy, options.separator)
    found.categories = CategorySummary.of(path, statistics, labels)
    found.rejected.add_labels(found.categories.rejected)
    _look_for_leaks(found, catalog, labels)


def _look_for_leaks(found: Inspection, catalog: ParsedCatalog, labels: LabelSpace) -> None:
    assert found.categories is not None
    if found.categories.refusal:
        found.refusals.append(found.categories.refusal)
        return
    found.leaks = find_leaks(catalog, labels, found.fields)
    if refusal := leak_refusal(catalog.path, found.leaks, found.fields):
        found.refusals.append(refusal)
