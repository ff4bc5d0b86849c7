"""The flags of commands that train, over the settings of a config file or of the catalog's size."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from catalog.cache_dir import default_cache_dir
from catalog.read_options import ReadOptions
from model.errors import AisleError
from model.settings import ImageSettings, Settings, load_settings
from training.default_settings import catalog_size, default_settings, describe
from training.encoding.parsed_catalog import parse_catalog
from training.sampling.months import in_window

#: Short flags of commands that train; in other commands --precision is the engine's arithmetic.
_SHORT_FLAGS = {
    "--precision": "--precision-target",
    "--confidence": "--precision-confidence",
    "--window": "--window-months",
    "--half-life": "--half-life-months",
}

_log = logging.getLogger("aisle.train")


def parse_training_flags(form: type, program: str, flags: Sequence[str]) -> Any:
    """Parse the flags of a command that trains.

    Args:
        form: dataclass of the flags, with the attribute `settings`.
        program: the command line before the flags.
    """
    flags = _spelled_out(flags)
    return tyro.cli(form, prog=program, args=flags, default=_defaults(form, flags))


def _spelled_out(flags: Sequence[str]) -> list[str]:
    """Replace short flags by the names of their settings."""
    names = (flag.partition("=") for flag in flags)
    return [_SHORT_FLAGS.get(name, name) + equals + value for name, equals, value in names]


def _defaults(form: type, arguments: Sequence[str]) -> Any:
    """Build a command whose defaults are the config file's settings, or those for the catalog; flags override them."""
    config = _value_of("--config", arguments)
    settings = load_settings(Path(config)) if config else _settings_by_size(arguments)
    required = [entry.name for entry in dataclasses.fields(form) if entry.default_factory is entry.default]
    return form(**dict.fromkeys(required, tyro.MISSING), settings=settings)


def _settings_by_size(arguments: Sequence[str]) -> Settings:
    try:
        options = _read_options(arguments)
        cache_dir = Path(_value_of("--cache-dir", arguments) or default_cache_dir())
        path = _value_of("--catalog", arguments) or _value_of("--train", arguments)
        window = int(_value_of("--window-months", arguments) or 0)
        size = catalog_size(in_window(parse_catalog(Path(path), options, cache_dir), window).statistics)
    except (AisleError, OSError, ValueError):  # reported when the command reads the catalog itself
        return Settings()
    settings = default_settings(size, _value_of("--backbone", arguments) or ImageSettings().backbone)
    _log.info("%s", describe(size, settings))
    return settings


def _read_options(arguments: Sequence[str]) -> ReadOptions:
    """The options of which the catalog's size depends, as the command line has them."""
    texts = {
        entry.name: found
        for entry in dataclasses.fields(ReadOptions)
        if isinstance(entry.default, str) and (found := _value_of(f"--{entry.name}", arguments))
    }
    return ReadOptions(**texts, keep_null_labels="--keep-null-labels" in arguments)


def _value_of(flag: str, arguments: Sequence[str]) -> str:
    """Return the value of a flag on the command line; '' without it."""
    for position, argument in enumerate(arguments):
        if argument == flag and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return ""
