"""One hyperparameter of a search space: its name in the config, its range and its conditions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog.columns import did_you_mean
from model.errors import SettingsError

Kind = Literal["choice", "int", "float", "log"]
KINDS: tuple[Kind, ...] = ("choice", "int", "float", "log")
#: A value in keras-tuner, which has no lists; these are encoded as JSON text.
Value = str | int | float | bool


@dataclass(frozen=True)
class Dimension:
    """A hyperparameter.

    Args:
        key: its key in the search; the name, unless a setting has several conditional ranges.
        name: the name of the setting.
        group: table of the config file that holds it; "" for the choice among variants.
        values: the choices, at least one; for a range its two ends.
        step: distance between the values of a range; None for a continuous one.
        default: the base's value or, where it is none of these, the nearest; where the search algorithm begins.
        when: the other hyperparameters on which it depends, each with the values for which it is active.
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
    def is_log_scaled(self) -> bool:
        """True when its values differ by ratios, as 32, 64, 128, rather than by steps, as 0.1, 0.2, 0.3."""
        if self.kind != "choice":
            return self.kind == "log"
        return all(_is_number(value) and value > 0 for value in self.values) and max(self.values) >= 4 * min(
            self.values
        )

    def nearest(self, value: Any) -> Any:
        """Return `value` if it is a choice, else the first choice; in a range the nearest value."""
        if self.kind == "choice":
            return value if value in self.values else self.values[0]
        low, high = self.values
        value = min(max(value, low), high)
        if self.step is None:
            return value
        steps = round((value - low) / self.step)
        return type(value)(low + steps * self.step)

    def decode(self, value: Value) -> Any:
        """Return the setting's value for a value of keras-tuner."""
        if self.kind != "choice":
            return value
        return next(choice for choice in self.values if encode(choice) == value)


def encode(value: Any) -> Value:
    """Return keras-tuner's value for a setting's value."""
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
