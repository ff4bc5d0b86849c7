"""One hyperparameter of a search space: its name in the config, its range, and when it counts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog.columns import did_you_mean
from model.errors import SettingsError

Kind = Literal["choice", "int", "float", "log"]
KINDS: tuple[Kind, ...] = ("choice", "int", "float", "log")
#: What a search hands around: keras-tuner knows no lists, so that these travel as their JSON text.
Value = str | int | float | bool


@dataclass(frozen=True)
class Dimension:
    """A hyperparameter.

    Args:
        key: what a search calls it; the name, except where the name has a range for each case.
        name: of the setting.
        group: table of the config file that holds it; "" for the choice among variants.
        values: the choices, at least one; of a range its two ends.
        step: between the values of a range; None for any value.
        default: where a search begins.
        when: the other hyperparameters on which it depends, each with the values that make it count.
    """

    key: str
    name: str
    group: str
    kind: Kind
    values: tuple[Any, ...]
    step: float | None = None
    default: Any = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def grows_by_ratio(self) -> bool:
        """Whether its values are told apart by their ratio: 32, 64, 128 rather than 0.1, 0.2, 0.3."""
        if self.kind != "choice":
            return self.kind == "log"
        return all(_is_number(value) and value > 0 for value in self.values) and max(self.values) >= 4 * min(
            self.values
        )

    def nearest(self, value: Any) -> Any:
        """A value of this dimension's that is `value` or, in a range, next to it; else the first choice."""
        if self.kind == "choice":
            return value if value in self.values else self.values[0]
        low, high = self.values
        value = min(max(value, low), high)
        if self.step is None:
            return value
        steps = round((value - low) / self.step)
        return type(value)(low + steps * self.step)

    def decode(self, value: Value) -> Any:
        """The setting's value of what keras-tuner chose."""
        if self.kind != "choice":
            return value
        return next(choice for choice in self.values if encode(choice) == value)


def encode(value: Any) -> Value:
    """What keras-tuner gets of a setting's value."""
    return json.dumps(value) if isinstance(value, list | tuple) else value


def dimension_of(group: str, name: str, entry: Mapping[str, Any], where: str) -> Dimension:
    """Read `{ choice = [...] }`, `{ int = [low, high], step = 2 }`, `{ float = ... }` or `{ log = ... }`.

    Args:
        entry: the table; besides the range it may hold `step` and `when = { other = [values] }`.
    Raises:
        SettingsError: anything else.
    """
    kinds = [kind for kind in KINDS if kind in entry]
    for key in entry:
        if key not in (*KINDS, "step", "when"):
            raise SettingsError(
                f"{where}: expected one of {', '.join(KINDS)}, and step or when, found '{key}'"
                f"{did_you_mean(key, (*KINDS, 'step', 'when'))}"
            )
    if len(kinds) != 1:
        raise SettingsError(f"{where}: expected one of {', '.join(KINDS)}, found {', '.join(kinds) or 'none'}")
    kind, step, when = kinds[0], entry.get("step"), entry.get("when", {})
    values = _values(kind, entry[kind], where)
    if step is not None and (kind not in ("int", "float") or not _is_number(step) or step <= 0):
        raise SettingsError(f"{where}: expected a step above 0, with int or float, found {step!r} with {kind}")
    if not isinstance(when, dict) or not all(isinstance(options, list) and options for options in when.values()):
        raise SettingsError(f"{where}: expected when = {{ other = [values] }}, found {when!r}")
    return Dimension(
        name, name, group, kind, values, step, when={other: tuple(options) for other, options in when.items()}
    )


def _values(kind: Kind, values: Any, where: str) -> tuple[Any, ...]:
    if kind == "choice":
        if not isinstance(values, list) or not values:
            raise SettingsError(f"{where}: expected choice = [one or more values], found {values!r}")
        if any(values.count(value) > 1 for value in values):
            raise SettingsError(f"{where}: expected each choice once, found {values!r}")
        if {type(value) for value in values} == {int, float}:
            return tuple(map(float, values))
        if len({type(encode(value)) for value in values}) > 1:
            raise SettingsError(f"{where}: expected choices of one type, found {values!r}")
        return tuple(values)
    if not isinstance(values, list) or len(values) != 2 or not all(map(_is_number, values)) or values[0] >= values[1]:
        raise SettingsError(f"{where}: expected {kind} = [low, high], found {values!r}")
    if kind == "int" and not all(isinstance(value, int) for value in values):
        raise SettingsError(f"{where}: expected whole numbers, found {values!r}")
    if kind == "log" and values[0] <= 0:
        raise SettingsError(f"{where}: expected log = [low, high] above 0, found {values!r}")
    return tuple(map(float, values)) if kind == "float" else tuple(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
