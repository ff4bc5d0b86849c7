"""Measures `retrieval duplicates` on a generated catalog whose products are known: recall, precision, chains, time.

python -m benchmarks.retrieval.duplicates --offers 200000
"""

import csv
import dataclasses
import json
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from model.machine.console import wide_console
from retrieval.commands.duplicates_command import DuplicatesCommand, run_duplicates
from retrieval.index.record import Attributes

_SYLLABLES = ("ka", "ro", "mi", "te", "no", "va", "lu", "si", "be", "do", "fa", "gi", "hu", "ja", "ke", "pa", "zo")
_NUM_BRANDS, _NUM_KINDS, _NUM_LINES, _NUM_SELLERS = 400, 300, 3000, 200
_COLORS = ("black", "white", "red", "blue", "green", "silver", "gold", "grey")
_SIZES = ("250 ml", "500 ml", "1 l", "2 l", "16 gb", "32 gb", "64 gb", "2 pack", "4 pack", "10 cm", "20 cm", "100 g")
#: Share of products with so many offers.
_NUM_OFFERS = {1: 0.6, 2: 0.2, 3: 0.12, 4: 0.05, 6: 0.03}
#: How often a field stands in a listing, and how often a seller writes a thing in a way of his own.
_KEPT_SHARE, _CHANGE_SHARE = 0.9, 0.4
_SELLER_WORDS = ("fast delivery", "brand new", "genuine", "best price", "official store", "gift wrap", "overseas")
#: Products that are another one in a different colour, size or model.
_VARIANT_SHARE = 0.5


@dataclass(frozen=True)
class DuplicatesBenchmark:
    """Find the planted duplicates of a generated catalog; the matcher learns from edits of it, not from the truth."""

    offers: int = 200_000
    """Offers of the catalog, about."""
    precision: float = 0.98
    """The promise that is measured."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the catalogs."""
    json: Path | None = None
    """File for the figures."""


def offers_of(num_offers: int, seed: int) -> Iterator[Attributes]:
    """Offers of generated products, several sellers' of one in words of their own; group_id is the truth."""
    random = np.random.default_rng(seed)
    brands, kinds, lines = (_invented(random, count) for count in (_NUM_BRANDS, _NUM_KINDS, _NUM_LINES))
    known: set[tuple[str, ...]] = set()
    product: list[str] = []
    count = number = 0
    while count < num_offers:
        parts = _varied(product, random) if product and random.random() < _VARIANT_SHARE else []
        if not parts:
            model = f"{chr(65 + random.integers(26))}{chr(65 + random.integers(26))}-{random.integers(100, 10_000)}"
            names = (str(random.choice(words)) for words in (brands, lines, kinds))
            parts = [*names, model, str(random.choice(_COLORS)), str(random.choice(_SIZES))]
        product = parts
        if tuple(parts) in known:
            continue
        known.add(tuple(parts))
        price = float(np.exp(random.normal(3.5, 1)))
        sellers = random.choice(list(_NUM_OFFERS), p=list(_NUM_OFFERS.values()))
        for listing in range(sellers):
            yield Attributes(
                _title(parts, random) if listing else " ".join(parts),
                brand=parts[0] if random.random() < _KEPT_SHARE else "",
                mall=f"mall {random.integers(_NUM_SELLERS)}",
                price=round(price * float(np.exp(random.normal(0, 0.05))), 2),
                group_id=f"product {number}",
            )
            count += 1
        number += 1


def _title(parts: list[str], random: np.random.Generator) -> str:
    """A product's name as another seller writes it: other order, units and spelling, with something left out."""
    brand, line, kind, model, color, size = parts
    number, unit = size.split()
    larger = {"ml": (1000, "l"), "gb": (1000, "tb"), "cm": (100, "m"), "g": (1000, "kg")}
    if unit in larger and random.random() < _CHANGE_SHARE:
        factor, unit = larger[unit]
        number = f"{float(number) / factor:g}"
    words = [
        brand,
        _misspelled(line, random),
        _misspelled(kind, random),
        model.replace("-", str(random.choice(["-", ""]))),
    ]
    words = [word for word in words if random.random() < _KEPT_SHARE]
    words += [color, f"{number}{random.choice(['', ' '])}{unit}"]
    turn = int(random.integers(len(words))) if random.random() < _CHANGE_SHARE else 0
    words = words[turn:] + words[:turn]
    return " ".join([*words, str(random.choice(_SELLER_WORDS))] if random.random() < _CHANGE_SHARE else words)


def _misspelled(word: str, random: np.random.Generator) -> str:
    if random.random() > _CHANGE_SHARE / 2:
        return word
    place = int(random.integers(len(word)))
    return word[:place] + word[place + 1 :]


def _varied(parts: list[str], random: np.random.Generator) -> list[str]:
    """The same product in another colour or size, or with the next model number."""
    varied = list(parts)
    place = int(random.integers(3, 6))
    if place == 3:
        letters, _, digits = parts[3].partition("-")
        varied[3] = f"{letters}-{int(digits) + int(random.integers(1, 9))}"
    else:
        varied[place] = str(random.choice((_COLORS, _SIZES)[place - 4]))
    return varied


def _invented(random: np.random.Generator, count: int) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < count:
        names["".join(random.choice(_SYLLABLES, random.integers(2, 5)))] = None
    return list(names)


def measured(settings: DuplicatesBenchmark, seed: int) -> dict[str, Any]:
    """Write one catalog, find its duplicates, and compare them with the truth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = _write(folder / "catalog.csv", offers_of(settings.offers, seed))
        command = DuplicatesCommand(folder / "catalog.csv", folder / "groups.csv")
        command = dataclasses.replace(
            command, settings=dataclasses.replace(command.settings, precision=settings.precision, seed=seed)
        )
        started_s = time.perf_counter()
        said = run_duplicates(command)
        seconds = time.perf_counter() - started_s
        with (folder / "groups.csv").open(encoding="utf-8", newline="") as file:
            groups: dict[str, list[str]] = {}
            for row in csv.DictReader(file):
                groups.setdefault(row["group"], []).append(row["product_id"])
    return {
        "seed": seed,
        "offers": len(truth),
        "seconds": seconds,
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **_compared(list(groups.values()), truth),
        "said": said,
    }


def _compared(groups: list[list[str]], truth: dict[str, str]) -> dict[str, float]:
    """Pairs that were found of those that are the same, and of those found the right ones; groups of two products."""
    sizes = Counter(truth.values())
    num_true = sum(size * (size - 1) // 2 for size in sizes.values())
    found = right = chained = 0
    for members in groups:
        products = Counter(truth[member] for member in members)
        found += len(members) * (len(members) - 1) // 2
        right += sum(count * (count - 1) // 2 for count in products.values())
        chained += len(products) > 1
    return {"recall": right / num_true, "precision": right / max(found, 1), "groups": len(groups), "chained": chained}


def _write(path: Path, offers: Iterator[Attributes]) -> dict[str, str]:
    """Write a catalog without the truth, which is returned by product_id."""
    truth = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("product_id", "product_name", "brand", "mall", "price"))
        for number, offer in enumerate(offers):
            truth[f"o{number}"] = offer.group_id
            writer.writerow((f"o{number}", offer.product_name, offer.brand, offer.mall, f"{offer.price:.2f}"))
    return truth


if __name__ == "__main__":
    chosen = tyro.cli(DuplicatesBenchmark, prog="python -m benchmarks.retrieval.duplicates")
    figures = [measured(chosen, seed) for seed in chosen.seeds]
    wide_console().print_json(json.dumps(figures))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
