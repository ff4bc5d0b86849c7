"""From one file, or from two, to what is trained on and what calibrates."""

import csv
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from catalog.labels.label_space import LabelSpace
from model.errors import CatalogError
from model.settings import Settings, TrainingSettings
from training.encoding.parsed_catalog import ParsedCatalog
from training.ensemble.precision_contract import rows_to_show
from training.splitting.catalog_groups import CatalogRows, near_duplicate_groups, read_rows
from training.splitting.folds import assign_folds, held_out_rows
from training.splitting.overlap import Overlap, find_overlap, refuse_overlap

#: One file of fewer rows calibrates out of fold; see benchmarks/RESULTS.md.
MAX_OUT_OF_FOLD_ROWS = 10_000
#: Rows that calibrate where some are held out: a tenth, and so many that the thresholds are hardly left to chance.
_HELD_OUT_SHARE, _MIN_HELD_OUT, _MAX_HELD_OUT = 0.1, 1_500, 20_000
_SPLIT_FILE = "split.csv"

_log = logging.getLogger("aisle.splitting")


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to train on, and rows that calibrate.

    Args:
        train: rows that the served model learns.
        val: rows that it does not learn, or None where folds of `train` calibrate.
        groups: (N,) int, group of near-duplicates of each row that calibrates.
        folds: (N,) int, the fold of each row of `train`; None where `val` calibrates.
    """

    train: ParsedCatalog
    val: ParsedCatalog | None
    groups: np.ndarray
    folds: np.ndarray | None


def split_one(
    catalog: ParsedCatalog,
    labels: LabelSpace,
    fields: tuple[str, ...],
    settings: Settings,
    work_dir: Path,
    cache_dir: Path,
) -> Split:
    """Split one file by groups of near-duplicates and categories; `split.csv` in `work_dir` says what became of a row.

    Raises:
        CatalogError: its labelled rows cannot be split.
    """
    rows = read_rows(catalog, fields, settings.image, cache_dir)
    groups = near_duplicate_groups(rows, [catalog], settings.image, settings.training.seed, cache_dir)
    is_usable = np.array([label in labels for label in rows.labels], bool)
    if len(np.unique(groups[is_usable])) < 2:
        raise CatalogError(
            f"{catalog.path}: expected labelled products to train on and to calibrate with, found only near-duplicates"
            " of one; add products"
        )
    if is_out_of_fold(settings.training, int(is_usable.sum())):
        num_folds = min(settings.training.num_folds, len(np.unique(groups[is_usable])))
        folds = _folds(groups, rows.labels, is_usable, num_folds, settings.training.seed)
        _write(work_dir, rows, ["none" if fold < 0 else f"fold {fold}" for fold in folds])
        return Split(catalog, None, groups, folds)
    share = _held_out_share(int(is_usable.sum()))
    chosen = np.zeros(len(rows), bool)
    usable_labels = [rows.labels[row] for row in np.flatnonzero(is_usable)]
    chosen[is_usable] = held_out_rows(groups[is_usable], usable_labels, share, settings.training.seed)
    _write(work_dir, rows, ["val" if flag else "train" for flag in chosen])
    return Split(catalog.select(~chosen, has_rejects=True), catalog.select(chosen), groups[chosen], None)


def split_two(
    train: ParsedCatalog,
    val: ParsedCatalog,
    labels: LabelSpace,
    fields: tuple[str, ...],
    settings: Settings,
    cache_dir: Path,
) -> Split:
    """Take the files as they are, without what they share; joined where folds are to calibrate.

    Raises:
        CatalogError: the files overlap, and `TrainingSettings.overlap` refuses it.
    """
    own = read_rows(train, fields, settings.image, cache_dir)
    others = read_rows(val, fields, settings.image, cache_dir)
    groups = near_duplicate_groups(own.joined(others), [train, val], settings.image, settings.training.seed, cache_dir)
    if settings.training.calibration == "out-of-fold":
        rows = own.joined(others)
        is_usable = np.array([label in labels for label in rows.labels], bool)
        num_folds = settings.training.num_folds
        folds = _folds(groups, rows.labels, is_usable, num_folds, settings.training.seed)
        return Split(train.joined(val), None, groups, folds)
    found = find_overlap(own, others, groups)
    mode = settings.training.overlap
    if mode == "refuse":
        refuse_overlap(found, str(train.path), str(val.path))
    _report(found, mode)
    if mode == "drop" and found.is_shared.any():
        train = train.select(~found.is_shared, has_rejects=True)
    return Split(train, val, groups[len(own) :], None)


def check_overlap(
    train: ParsedCatalog, val: ParsedCatalog, fields: tuple[str, ...], settings: Settings, cache_dir: Path
) -> None:
    """Refuse two files that overlap, where the settings say so, without looking at what photos show.

    Raises:
        CatalogError: they overlap.
    """
    if settings.training.overlap == "refuse":
        rows, others = (read_rows(catalog, fields, settings.image, cache_dir) for catalog in (train, val))
        image = replace(settings.image, image_weights="none")
        groups = near_duplicate_groups(rows.joined(others), [train, val], image, settings.training.seed, cache_dir)
        refuse_overlap(find_overlap(rows, others, groups), str(train.path), str(val.path))


def is_out_of_fold(settings: TrainingSettings, num_rows: int) -> bool:
    """True if one file of so many labelled rows calibrates by folds."""
    if settings.calibration == "auto":
        return num_rows < MAX_OUT_OF_FOLD_ROWS
    return settings.calibration == "out-of-fold"


def too_few_to_promise(num_distinct: int, settings: TrainingSettings) -> str:
    """A sentence where so few rows, all of them right, would not show the promise; '' where they would."""
    needed = rows_to_show(settings.precision_target, settings.precision_confidence)
    if num_distinct >= needed:
        return ""
    return (
        f"to promise that {settings.precision_target:.0%} of the accepted answers are right, with"
        f" {settings.precision_confidence:.0%} confidence, {needed} products that calibrate are needed even if all are"
        f" answered right, and there are {num_distinct} (near-duplicates count once): nothing will be accepted."
        " Give more products, a lower --precision, or one file with --catalog, all of which calibrates"
    )


def _folds(groups: np.ndarray, labels: list[str], is_usable: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """The fold of each row; -1 for rows without a usable label, which are not answered."""
    folds = np.full(len(groups), -1)
    usable_labels = [labels[row] for row in np.flatnonzero(is_usable)]
    folds[is_usable] = assign_folds(groups[is_usable], usable_labels, num_folds, seed)
    return folds


def _held_out_share(num_rows: int) -> float:
    wanted = min(max(_HELD_OUT_SHARE * num_rows, _MIN_HELD_OUT), _MAX_HELD_OUT)
    return min(wanted / num_rows, 0.3)


def _report(overlap: Overlap, mode: str) -> None:
    if overlap.num_ids or overlap.num_equal or overlap.num_near:
        what = {
            "refuse": "no more than the training file repeats itself: kept",
            "drop": f"{int(overlap.is_shared.sum())} training rows are left out",
            "keep": "kept, as --overlap keep says",
        }
        _log.info("%s; %s", overlap.sentence(), what[mode])


def _write(work_dir: Path, rows: CatalogRows, parts: list[str]) -> None:
    work_dir.mkdir(parents=True, exist_ok=True)
    with (work_dir / _SPLIT_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("product_id", "part"))
        writer.writerows(zip(rows.product_ids, parts, strict=True))
