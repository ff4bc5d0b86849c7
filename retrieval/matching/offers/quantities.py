"""Quantities in texts: '2 x 500 ml' is a count of 2 and a volume of 500, in the units that are compared."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Quantity(NamedTuple):
    """A number with what it counts.

    Args:
        dimension: one of DIMENSIONS.
        value: in the dimension's first unit, to three significant digits, as shops round.
    """

    dimension: str
    value: float


@dataclass(frozen=True)
class Unit:
    """A unit of a dimension.

    Args:
        scale: how many of the dimension's first unit one of it is.
        names: as people write it, in lower case.
    """

    dimension: str
    scale: float
    names: str


_UNITS = (
    Unit("storage", 1, "mb megabyte megabytes mo мб"),
    Unit("storage", 1000, "gb gig gigabyte gigabytes go гб"),
    Unit("storage", 1e6, "tb terabyte terabytes to тб"),
    Unit("storage", 1e-3, "kb kilobyte kilobytes"),
    Unit("frequency", 1, "mhz"),
    Unit("frequency", 1000, "ghz"),
    Unit("frequency", 1e-3, "khz"),
    Unit("frequency", 1e-6, "hz"),
    Unit("power", 1, "w watt watts"),
    Unit("power", 1000, "kw"),
    Unit("voltage", 1, "v volt volts"),
    Unit("charge", 1, "mah"),
    Unit("charge", 1000, "ah"),
    Unit("length", 1, "mm millimeter millimeters 밀리"),
    Unit("length", 10, "cm centimeter centimeters 센치 센티"),
    Unit("length", 1000, "m meter meters metre metres 미터"),
    Unit("length", 25.4, 'in inch inches zoll pouces 인치 " ”'),
    Unit("length", 304.8, "ft feet foot '"),
    Unit("volume", 1, "ml milliliter milliliters 밀리리터"),
    Unit("volume", 10, "cl"),
    Unit("volume", 1000, "l liter liters litre litres 리터"),
    Unit("mass", 1e-3, "mg"),
    Unit("mass", 1, "g gram grams 그램 그람"),
    Unit("mass", 1000, "kg kilo kilos 킬로"),
    Unit("mass", 453.6, "lb lbs pound pounds"),
    Unit("mass", 28.35, "oz ounce ounces"),
    Unit("count", 1, "pack packs pk ct count pcs pc piece pieces ea 개 개입 매 매입 팩 입 병 캔 포 장 정 켤레 세트"),
    Unit("users", 1, "user users license licenses seat seats"),
    Unit("resolution", 1, "mp megapixel megapixels 만화소"),
    Unit("dots_per_inch", 1, "dpi"),
    Unit("months", 1, "month months 개월"),
    Unit("months", 12, "year years yr yrs 년"),
    Unit("data_rate", 1, "mbps mb/s mbit"),
    Unit("data_rate", 1000, "gbps gb/s gbit"),
    Unit("rotation", 1, "rpm"),
    Unit("factor", 1, "x"),
    Unit("ports", 1, "port ports"),
    Unit("cores", 1, "core cores"),
)
DIMENSIONS = tuple(sorted({unit.dimension for unit in _UNITS}))
_BY_NAME: Mapping[str, Unit] = {name: unit for unit in _UNITS for name in unit.names.split()}
_NAMES = "|".join(sorted(map(re.escape, _BY_NAME), key=len, reverse=True))
_QUANTITY = re.compile(rf"(?<![\w.])(\d+(?:[.,]\d+)?)\s?-?\s?({_NAMES})(?![^\W\d_])")
_PACK_OF = re.compile(r"\b(?:pack|set|box|case|lot) of (\d+)\b")
#: Names that shops choose among.
_USUAL_NAMES = {
    "volume": ("ml", "l"),
    "mass": ("g", "kg"),
    "length": ("mm", "cm", "m"),
    "storage": ("gb", "tb"),
    "power": ("w", "kw"),
}
_DECIMAL_COMMA = re.compile(r"\d+,\d{1,2}")


def find_quantities(text: str) -> frozenset[Quantity]:
    """Find the quantities in a text.

    Args:
        text: normalized by `tokenizer.normalize`.
    """
    found = [_quantity(number, _BY_NAME[name]) for number, name in _QUANTITY.findall(text)]
    found += [Quantity("count", float(number)) for number in _PACK_OF.findall(text)]
    return frozenset(found)


def without_quantities(text: str) -> str:
    """A text with spaces in the place of its quantities.

    Args:
        text: normalized by `tokenizer.normalize`.
    """
    return _QUANTITY.sub(" ", _PACK_OF.sub(" ", text))


def rewritten(text: str, choose: Callable[[Sequence[str]], str]) -> str | None:
    """Write the first quantity that has several usual forms in another one: '500 ml' as '0.5l'.

    Args:
        choose: one of some texts.
    Returns:
        the text; None where no quantity has another form.
    """
    for match in _QUANTITY.finditer(text.lower()):
        number, name = match.groups()
        unit = _BY_NAME[name]
        value = _plain(number) * unit.scale
        usual = [(value / _BY_NAME[other].scale, other) for other in _USUAL_NAMES.get(unit.dimension, ())]
        forms = [f"{n:g}{space}{other}" for n, other in usual if _is_usual(n) for space in ("", " ")]
        if others := [form for form in forms if form != match.group()]:
            return f"{text[: match.start()]}{choose(others)}{text[match.end() :]}"
    return None


def is_quantity(word: str) -> bool:
    """Return True for a word such as '500ml', which is no model number."""
    return _QUANTITY.fullmatch(word) is not None


def _quantity(number: str, unit: Unit) -> Quantity:
    return Quantity(unit.dimension, float(f"{_plain(number) * unit.scale:.3g}"))


def _plain(number: str) -> float:
    """A number as people write it: '1,5' is one and a half, '1,500' fifteen hundred."""
    return float(number.replace(",", ".") if _DECIMAL_COMMA.fullmatch(number) else number.replace(",", ""))


def _is_usual(number: float) -> bool:
    return 0.1 <= number < 10_000
