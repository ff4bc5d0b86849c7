"""The draw of training rows that the settings ask for, and what it needs of a catalog."""

import dataclasses
import logging

import numpy as np

from catalog.columns import COLUMNS, OFFER_COLUMNS, did_you_mean
from catalog.months import month_name, month_number
from model.errors import CatalogError, SettingsError
from model.product import FIELD_SPECS
from model.settings import SamplingSettings, Settings
from training.encoding.encoded_catalog import EncodedCatalog
from training.encoding.parsed_catalog import ParsedCatalog
from training.sampling.months import age_weights, row_months
from training.sampling.row_draw import RowDraw, draw_by_category

_FIELDS = {spec.column: spec.name for spec in FIELD_SPECS if spec.kind == "text"}
#: In the order of the catalog's columns.
GROUP_COLUMNS = tuple(column for column in COLUMNS if column in _FIELDS or column in OFFER_COLUMNS)
_LEARN_EVERY_ROW = ("elr", "selfie", "coteaching")

_log = logging.getLogger("aisle.sampling")


def check_sampling(settings: Settings) -> None:
    """Refuse settings that contradict each other, before any work.

    Raises:
        SettingsError: with what to change.
    """
    column, noise = settings.sampling.balance_by, settings.noise.noise
    if column and column not in GROUP_COLUMNS:
        raise SettingsError(
            f"balance_by: expected one of {', '.join(GROUP_COLUMNS)}, found {column!r}"
            f"{did_you_mean(column, GROUP_COLUMNS)}; another column of the file is named with --columns source=HEADING"
        )
    if noise in _LEARN_EVERY_ROW and not settings.sampling.is_plain:
        raise SettingsError(
            f"--noise {noise} follows the answers to every row through the epochs, and goes with no --sampling,"
            " --balance-by, --logit-adjustment or --half-life-months; leave one of the two out, or take --noise"
            " smoothing"
        )


def refuse_sampling(settings: SamplingSettings) -> None:
    """Refuse what changes the training rows where trials are compared by plain ones.

    Raises:
        SettingsError: with what to do in its place.
    """
    if settings != SamplingSettings():
        changed = [
            f"--{entry.name.replace('_', '-')}"
            for entry in dataclasses.fields(settings)
            if getattr(settings, entry.name) != entry.default
        ]
        raise SettingsError(
            f"{', '.join(changed)}: trials learn all rows as they come; train the best settings with train --config"
            " best.toml and these flags"
        )


def require_columns(catalog: ParsedCatalog, settings: SamplingSettings) -> None:
    """Refuse a training catalog that lacks what the settings need; the log says what its months are.

    Raises:
        CatalogError: with the column that is missing.
    """
    if settings.window_months or settings.half_life_months:
        flag = "--window-months" if settings.window_months else "--half-life-months"
        _log_months(row_months(catalog, flag), catalog.offer_column("month"), settings.window_months)
    column = settings.balance_by
    if column and not any(_column_texts(catalog, column)):
        raise CatalogError(
            f"{catalog.path}: --balance-by {column} needs the column {column}, found no row that has it; name its"
            f" heading with --columns {column}=HEADING"
        )


def row_draw(
    parsed: ParsedCatalog, encoded: EncodedCatalog, num_classes: int, settings: SamplingSettings
) -> RowDraw | None:
    """The draw for a training catalog; None where an epoch learns every row once.

    Args:
        encoded: the usable rows of `parsed`.
    """
    if settings.is_plain:
        return None
    rows = np.asarray(encoded.arrays["rows"])
    weights = groups = None
    if settings.half_life_months:
        weights = age_weights(row_months(parsed, "--half-life-months")[rows], settings.half_life_months)
    if settings.balance_by:
        groups = _groups(_column_texts(parsed, settings.balance_by), settings.balance_by)[rows]
    draw = draw_by_category(np.asarray(encoded.arrays["labels"]), num_classes, settings, weights, groups)
    numbers = draw.num_rows, len(draw.counts), draw.counts.min(), draw.counts.max()
    _log.info("an epoch draws %d of %d rows, the least likely %.2f times, the likeliest %.1f times", *numbers)
    return draw


def _log_months(months: np.ndarray, texts: list[str], window_months: int) -> None:
    oldest, newest = int(months.min()), int(months.max())
    if window_months:
        first = max(oldest, newest - window_months + 1)
        numbers = int((months >= first).sum()), len(months)
        _log.info("window: %s to %s, %d of %d rows", month_name(first), month_name(newest), *numbers)
    else:
        _log.info("months: %s to %s", month_name(oldest), month_name(newest))
    if num_unknown := sum(month_number(text) is None for text in texts):
        _log.warning("%d of %d rows name no month and count as of %s", num_unknown, len(texts), month_name(oldest))


def _column_texts(catalog: ParsedCatalog, column: str) -> list[str]:
    """The texts of one of GROUP_COLUMNS, a row each."""
    if column in OFFER_COLUMNS:
        return catalog.offer_column(column)
    return [row.text(_FIELDS[column]) for rows in catalog.rows() for row in rows]


def _groups(texts: list[str], column: str) -> np.ndarray:
    """(N,) int, equal for equal texts, and for equal months however they are written."""
    keys = {text: str(month_number(text) or text) if column == "month" else text for text in set(texts)}
    numbers = {key: number for number, key in enumerate(sorted(set(keys.values())))}
    return np.array([numbers[keys[text]] for text in texts], np.int64)
