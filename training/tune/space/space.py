"""The search space: hyperparameters and variants from a TOML file, named as in a config file."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import SettingsError
from model.product import FIELDS
from model.settings import (
    FieldSettings,
    LinearSettings,
    NeighborSettings,
    Settings,
    settings_from_dict,
    settings_to_dict,
)
from training.tune.space.dimension import Dimension, Value, dimension_of, encode

#: Name of the hyperparameter that chooses among variants.
VARIANT = "variant"
DEFAULT_SPACE = "default"
STUDIES = ("image-size", "fields", "vocabulary", "backbone")
_READY = Path(__file__).parent / "spaces"
#: Settings that cannot be searched, with the reason.
_FIXED_NAMES = {
    "backend": "a worker trains on one backend; give --backend for the whole search",
    "patience": "it decides the length of a trial, not its quality",
    **{
        entry.name: f"the {head} head is fitted after the network, whose score ranks the trials"
        for head, groups in (("linear", (LinearSettings, FieldSettings)), ("neighbor", (NeighborSettings,)))
        for group in groups
        for entry in dataclasses.fields(group)
        if entry.name.startswith(head)
    },
}
#: {group: {name: value}}, a part of a config file.
Overrides = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Space:
    """Dimensions and variants over base settings.

    Args:
        base: the base settings, which dimensions and variants override.
        dimensions: in the order of the file; one that depends on another comes after it. A setting may have
            several, under conditions that exclude each other.
        variants: named sets of settings, of which a trial has one; may be empty.
    """

    base: Settings
    dimensions: tuple[Dimension, ...]
    variants: Mapping[str, Overrides]

    def settings_dict(self, values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
        """Return the config of a trial; an invalid combination is detected when it is converted to Settings.

        Args:
            values: the values of keras-tuner by key of the dimension; other keys are ignored.
        """
        merged = settings_to_dict(self.base)
        if self.variants:
            merged = _merge(merged, self.variants[str(values[VARIANT])])
        for dimension in self.dimensions:
            if dimension.group and dimension.key in values:
                merged[dimension.group][dimension.name] = dimension.decode(values[dimension.key])
        return dict(json.loads(json.dumps(merged)))  # with lists, as the record stores them

    @property
    def base_dict(self) -> dict[str, dict[str, Any]]:
        """The config of the base settings as they are, in the form of `settings_dict`."""
        return dict(json.loads(json.dumps(settings_to_dict(self.base))))

    def base_values(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values of keras-tuner with the base settings in place of the point nearest to them.

        Args:
            values: of that point; the variant is dropped, because the base settings are none.
        """
        found = dict(values)
        found.pop(VARIANT, None)
        for dimension in self.dimensions:
            if dimension.key in found:
                found[dimension.key] = encode(getattr(getattr(self.base, dimension.group), dimension.name))
        return found

    @property
    def num_points(self) -> int | None:
        """Upper bound of the number of combinations; None when a dimension is a range."""
        count = 1
        for dimension in self.dimensions:
            if dimension.kind != "choice":
                return None
            count *= len(dimension.values)
        return count

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that identify the space."""
        values = {
            "base": settings_to_dict(self.base),
            "dimensions": [dataclasses.asdict(dimension) for dimension in self.dimensions],
            "variants": self.variants,
        }
        return dict(json.loads(json.dumps(values)))


def load_space(path: Path, base: Settings, catalog_fields: Sequence[str], num_seeds: int = 1) -> Space:
    """Read a space file.

    Plain values in it replace the base's. Dimensions of fields that no trial reads are left out; those of fields that
    some trials read are active in these only. Variants whose fields the catalog lacks are left out, too, and so is the
    backbone when its weights come from a file. Backbones that are compared are frozen, unless the file sets the number
    of layers to fine-tune, because a number that suits one would take hours with another.

    Args:
        catalog_fields: the fields that the training catalog has.
        num_seeds: when more than 1, adds a dimension of this many seeds, from the base's seed on.
    Raises:
        SettingsError: the file cannot be read, is not TOML, has an unknown name, or a value is not valid.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"space file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"space file {path} is not TOML: {error}") from error
    variants = _variants(tables.pop("variants", {}), str(path))
    dimensions, fixed = _split(tables, str(path))
    base = settings_from_dict(_merge(settings_to_dict(base), fixed), str(path))
    for overrides in variants.values():
        settings_from_dict(_merge(settings_to_dict(base), overrides), f"{path}: variants")
    _check_values(dimensions, base, str(path))
    if num_seeds > 1:
        seeds = range(base.training.seed, base.training.seed + num_seeds)
        dimensions.append(Dimension("seed", "seed", "training", "choice", tuple(seeds)))
    if base.image.image_weights not in ("imagenet", "none"):  # a file of weights fits one backbone
        dimensions = [dimension for dimension in dimensions if dimension.name != "backbone"]
    names = {dimension.name for dimension in dimensions}
    if "backbone" in names and "finetune_layers" not in names | fixed.get("image", {}).keys():
        base = dataclasses.replace(base, image=dataclasses.replace(base.image, finetune_layers=0))
    variants = {name: part for name, part in variants.items() if set(_fields(part, base)) <= set(catalog_fields)}
    if variants:
        dimensions.insert(0, Dimension(VARIANT, VARIANT, "", "choice", tuple(variants)))
    keys = [dimension.key for dimension in dimensions]
    if len(set(keys)) < len(keys):
        raise SettingsError(
            f"{path}: expected ranges of a setting with a when = {{ ... }} of its own each, found {keys}"
        )
    space = Space(base, _with_defaults(_conditional(dimensions, variants, base, catalog_fields), base), variants)
    _check_conditions(space, str(path))
    if not space.dimensions:
        raise SettingsError(
            f"space file {path} leaves nothing to choose for a catalog with {', '.join(catalog_fields)}"
        )
    return space


def ready_space(name: str) -> Path:
    """The file of a space that comes with Aisle: "default", or one of STUDIES."""
    return _READY / f"{name}.toml"


def _split(tables: Mapping[str, Any], where: str) -> tuple[list[Dimension], dict[str, dict[str, Any]]]:
    """Split the tables into dimensions and settings that are fixed for all trials."""
    dimensions: list[Dimension] = []
    fixed: dict[str, dict[str, Any]] = {}
    settings_from_dict({group: {} for group in tables}, where)  # an unknown table is reported as in a config file
    for group, entries in tables.items():
        if not isinstance(entries, dict):
            raise SettingsError(f"{where}: '{group}' has to be a table of settings, found {entries!r}")
        for name, entry in entries.items():
            ranges = entry if isinstance(entry, list) and entry and isinstance(entry[0], dict) else [entry]
            if not all(isinstance(one, dict) for one in ranges):
                fixed.setdefault(group, {})[name] = entry
                continue
            if name in _FIXED_NAMES:
                raise SettingsError(f"{where}: [{group}] {name} cannot be searched: {_FIXED_NAMES[name]}")
            found = [dimension_of(group, name, one, f"{where}: [{group}] {name}") for one in ranges]
            dimensions += [dataclasses.replace(one, key=_case(one)) for one in found] if len(found) > 1 else found
    return dimensions, fixed


def _case(dimension: Dimension) -> str:
    """Return the key of one of several ranges of a setting: 'learning_rate (Adam, SGD)'."""
    cases = ", ".join(str(option) for options in dimension.when.values() for option in options)
    return f"{dimension.name} ({cases})"


def _variants(tables: Any, where: str) -> dict[str, Overrides]:
    if not isinstance(tables, dict) or not all(isinstance(part, dict) for part in tables.values()):
        raise SettingsError(f'{where}: expected tables [variants."a name"] with settings, found {tables!r}')
    return dict(tables)


def _check_values(dimensions: Sequence[Dimension], base: Settings, where: str) -> None:
    """Check that every name is a setting's and every value is valid."""
    for dimension in dimensions:
        for value in dimension.values:
            try:
                settings_from_dict(_merge(settings_to_dict(base), {dimension.group: {dimension.name: value}}), where)
            except SettingsError as error:
                message = str(error)
                at = "" if message.startswith(where) else f"{where}: [{dimension.group}] "
                raise SettingsError(f"{at}{message}") from error


def _conditional(
    dimensions: Sequence[Dimension], variants: Mapping[str, Overrides], base: Settings, catalog_fields: Sequence[str]
) -> list[Dimension]:
    """Make the dimensions of a field depend on the dimension that chooses the fields."""
    chooser = next((dimension for dimension in dimensions if dimension.name == "fields"), None)
    if any("fields" in part.get("model", {}) for part in variants.values()):
        reads: dict[Any, tuple[str, ...]] = {
            name: _fields(part, base) or tuple(catalog_fields) for name, part in variants.items()
        }
        parent = VARIANT
    elif chooser is not None:
        reads = {value: tuple(value) or tuple(catalog_fields) for value in map(tuple, chooser.values)}
        parent = "fields"
    else:
        reads = {"": base.model.fields or tuple(catalog_fields)}
        parent = ""
    kept = []
    for dimension in dimensions:
        field = _needed_field(dimension)
        options = tuple(value for value, fields in reads.items() if not field or field in fields)
        if not options:
            continue
        when = {**dimension.when, parent: options} if len(options) < len(reads) else dimension.when
        kept.append(dataclasses.replace(dimension, when=when))
    return kept


def _needed_field(dimension: Dimension) -> str:
    """Return the field without which a hyperparameter has no effect, '' for none."""
    if dimension.group == "image":
        return "image"
    return next((field for field in FIELDS if dimension.name.startswith(f"{field}_")), "")


def _with_defaults(dimensions: Sequence[Dimension], base: Settings) -> tuple[Dimension, ...]:
    """Set the default of each dimension: the base's value, or the nearest one."""
    found = []
    for dimension in dimensions:
        if dimension.group:
            value = getattr(getattr(base, dimension.group), dimension.name)
            default = dimension.nearest(list(value) if isinstance(value, tuple) else value)
            is_real = dimension.kind == "log" and isinstance(value, float)
            values = tuple(map(float, dimension.values)) if is_real else dimension.values
        else:
            default, values = dimension.values[0], dimension.values
        found.append(dataclasses.replace(dimension, values=values, default=default))
    return tuple(found)


def _check_conditions(space: Space, where: str) -> None:
    earlier: dict[str, Dimension] = {}
    for dimension in space.dimensions:
        for other, options in dimension.when.items():
            if other not in earlier:
                raise SettingsError(
                    f"{where}: {dimension.key} depends on '{other}', which is no hyperparameter above it;"
                    " put that one first, or leave the condition out"
                )
            known = {encode(value) for value in earlier[other].values}
            wrong = [option for option in options if encode(option) not in known]
            if earlier[other].kind != "choice" or wrong:
                raise SettingsError(
                    f"{where}: {dimension.key} depends on {other} = {wrong or list(options)};"
                    f" expected choices of {other}, found {list(earlier[other].values)}"
                )
        earlier[dimension.key] = dimension


def _fields(overrides: Overrides, base: Settings) -> tuple[str, ...]:
    return tuple(overrides.get("model", {}).get("fields", base.model.fields))


def _merge(values: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    merged = {group: dict(entries) for group, entries in values.items()}
    for group, entries in overrides.items():
        merged[group] = {**merged.get(group, {}), **entries} if isinstance(entries, Mapping) else entries
    return merged
