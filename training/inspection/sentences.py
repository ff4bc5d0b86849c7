"""The sentences of an inspection, and the command that trains on the catalog."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from catalog.columns import format_columns
from catalog.formats.standard_input import KEPT_NAME, STANDARD_INPUT
from model.product import field_spec
from model.settings import ImageSettings, TrainingSettings
from model.taxonomy import SEPARATOR
from training.inspection.categories import FEW_ROWS
from training.inspection.duplicates import MAX_ROWS
from training.inspection.inspection import Inspection
from training.inspection.leaks import leak_refusal
from training.splitting.split import too_few_to_promise

#: Names of a kind that a line lists; the page has all.
_NUM_LISTED = 8
_PLAIN_NAMES = ("train", "training", "catalog", "data", "products", "items")
_NAME = re.compile(r"[^\w.-]+")


def lines(found: Inspection) -> list[str]:
    """The lines that say in short what was found, without those of `warnings` and `refusals`."""
    unread = [repr(one.heading) for one in found.headings if not one.columns]
    said = [f"file: {found.facts.sentence()}", f"columns: {_columns(found)}"]
    said += [f"not used: {_listed(unread)}"] if unread else []
    said += [_rows(found), *_categories(found), *_duplicates(found), *_pictures(found)]
    return [line for line in said if line]


def warnings(found: Inspection) -> Iterator[str]:
    """Sentences on what may be meant otherwise, but does not stop a training."""
    categories = found.categories
    if categories is not None:
        yield from categories.warnings
        if not leak_refusal(found.facts.path, found.leaks, found.fields):
            yield from (leak.sentence() for leak in found.leaks)
    if found.namesakes is not None:
        yield found.namesakes.sentence(found.label_heading)
    if found.duplicates is not None and found.duplicates.num_rows < MAX_ROWS and categories is not None:
        yield from filter(None, [too_few_to_promise(found.duplicates.num_distinct, TrainingSettings())])


def refusals(found: Inspection) -> Iterator[str]:
    """Sentences on what ends a training before its work."""
    yield from found.refusals
    num_rejected = found.rejected.counts.total()
    if num_rejected > TrainingSettings().max_rejected_rows * (found.num_usable + num_rejected):
        yield f"{num_rejected:,} of {found.num_usable + num_rejected:,} rows are rejected; correct them"
    pictures = found.pictures
    if pictures is not None and pictures.num_lost > ImageSettings().max_lost_pictures * pictures.num_tried:
        lost = f"{pictures.num_lost:,} of {pictures.num_tried:,} pictures"
        yield f"{lost} cannot be read; paths are relative to the catalog's folder"


def train_command(found: Inspection) -> str:
    """The command that trains on the file, with the proposed columns, quoted for a shell."""
    path, columns = found.facts.path, {**found.options.headings, **found.proposed}
    if found.namesakes is not None and "category" not in found.proposed:
        columns["category"] = f"{found.namesakes.heading}{SEPARATOR}{found.label_heading}"
    is_kept = path.name.split(".")[0] == KEPT_NAME  # the file is gone when the command ends
    words = ["python", "-m", "training", "train", "--catalog", STANDARD_INPUT if is_kept else str(path)]
    words += ["--columns", format_columns(columns)] if columns else []
    words += replace(found.options, columns="").flags()
    words += ["--taxonomy", str(found.taxonomy)] if found.taxonomy is not None else []
    leaking = {leak.column for leak in found.leaks if not leak.is_leaf}
    kept = [name for name in found.fields if field_spec(name).column not in leaking]
    words += ["--bundle", f"models/{_model_name(path)}/1", *(["--fields", *kept] if leaking and kept else [])]
    return shlex.join(words)


def _model_name(path: Path) -> str:
    """The name of the file, or of its folder where files of every shop are called so."""
    name = path.name.split(".")[0]
    if name.lower() in _PLAIN_NAMES:
        name = path.resolve().parent.name
    return _NAME.sub("-", name).strip("-.") or "shop"


def proposal(found: Inspection) -> str:
    """A sentence on the proposed columns; '' for none."""
    if not found.proposed:
        return ""
    return f"perhaps meant, but not read: --columns {shlex.quote(format_columns(found.proposed))}"


def _columns(found: Inspection) -> str:
    """'product_id, product_name from 'title' (90% filled); empty: brand'."""
    shares = {one.heading: one.share for one in found.headings}
    filled = [
        f"{column}{_from(headings, column)}{_filled(shares[headings[-1]])}"
        for column, headings in found.located.items()
        if shares[headings[-1]]
    ]
    empty = [column for column, headings in found.located.items() if not shares[headings[-1]]]
    return (", ".join(filled) or "none") + (f"; empty: {', '.join(empty)}" if empty else "")


def _from(headings: tuple[str, ...], column: str) -> str:
    return "" if headings == (column,) else f" from {SEPARATOR.join(headings)!r}"


def _filled(share: float) -> str:
    return "" if share == 1 else f" ({share:.0%} filled)"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NUM_LISTED:,} more" if len(names) > _NUM_LISTED else ""
    return ", ".join(names[:_NUM_LISTED]) + more


def _rows(found: Inspection) -> str:
    if not found.num_rows and not found.rejected.counts:
        return ""
    kinds = found.rejected.counts.most_common()
    rejected = "; ".join(f"{count:,} {kind}" for kind, count in kinds[:3])
    if not kinds:
        return f"rows: {found.num_rows:,} good, none rejected"
    return (
        f"rows: {found.num_usable:,} good, {found.rejected.counts.total():,} rejected ({rejected}), such"
        f" as {found.rejected.examples[kinds[0][0]]}"
    )


def _categories(found: Inspection) -> Iterator[str]:
    one = found.categories
    if one is None:
        return
    levels = "1 level" if one.num_levels == 1 else f"{one.num_levels} levels"
    small = ""
    if one.num_small:
        names = ", ".join(f"{leaf!r} ({count})" for leaf, count in one.small[:3])
        small = f"; {one.num_small:,} with fewer than {FEW_ROWS} rows, such as {names}"
    empty = f"; {one.num_empty:,} without any" if one.num_empty else ""
    largest, count = one.largest
    yield f"categories: {one.num_leaves:,} in {levels}, the largest {largest!r} ({count:,} rows){small}{empty}"


def _duplicates(found: Inspection) -> Iterator[str]:
    one, num_ids = found.duplicates, found.rejected.num_duplicate_ids
    if one is None or not one.num_compared:
        return
    ids = f"{num_ids:,} repeated product_id; " if num_ids else ""
    part = "" if one.num_rows >= found.num_rows else f" of the first {one.num_rows:,}"
    if not one.num_grouped:
        yield f"duplicates: {ids}no names that are nearly the same{part}"
        return
    example = " and ".join(map(repr, one.examples[0][:2]))
    yield (
        f"duplicates: {ids}{one.num_grouped:,} products{part} have a near-duplicate, such as {example};"
        f" {one.num_distinct:,} are distinct"
    )


def _pictures(found: Inspection) -> Iterator[str]:
    one = found.pictures
    if one is None:
        return
    lost = f"{one.num_lost:,} cannot be read, such as {one.faults[0]}" if one.num_lost else "all can be read"
    yield f"pictures: {one.num_pictures:,} named; of {one.num_tried:,} tried {lost}"
