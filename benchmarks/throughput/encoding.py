"""Throughput of encoding names with a fitted tokenizer on all cores.

    python -m benchmarks.throughput.encoding --catalog ../shared/data/naver2019/train.csv

Expected on 2 cores: more than 25,000 names/s with the default settings.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from catalog.read_options import ReadOptions
from model.machine.console import wide_console
from model.settings import FieldSettings, text_fields
from tokenizer.settings import TokenizerSettings
from training.encoding.parsed_catalog import parse_catalog
from training.encoding.text_encoding import encode_texts
from training.encoding.tokenizer_cache import fitted_tokenizer


@dataclass(frozen=True)
class Options:
    """Settings of the benchmark."""

    catalog: Path = Path("../shared/data/naver2019/train.csv")
    """Catalog with product_name."""
    rounds: int = 5
    """Number of rounds over the catalog; the median counts."""
    analyzer: str = "mecab"
    """Analyser, see the tokenizer settings."""


def main() -> None:
    """Fit once, encode `rounds` times, and print the median rate."""
    options = tyro.cli(Options, prog="python -m benchmarks.throughput.encoding", description=__doc__)
    console = wide_console()
    if not options.catalog.exists():
        console.print(f"skipped: {options.catalog} is missing; give a catalog with --catalog")
        return
    settings = TokenizerSettings(analyzer=options.analyzer, word2vec_epochs=0)
    with tempfile.TemporaryDirectory() as cache:
        catalog = parse_catalog(options.catalog, ReadOptions(), Path(cache))
        tokenizer, folder = fitted_tokenizer(catalog, text_fields(("name",), FieldSettings()), settings, 0, Path(cache))
        chunks = [{"name": [row.text("name") for row in rows]} for rows in catalog.rows()]
        num_names = sum(len(chunk["name"]) for chunk in chunks)
        rates = []
        for _ in range(options.rounds):
            started = time.monotonic()
            for _encoded, _ in encode_texts(tokenizer, folder, ((chunk, None) for chunk in chunks)):
                pass
            rates.append(num_names / (time.monotonic() - started))
    console.print(
        f"{num_names} names, {options.analyzer}: median {statistics.median(rates):,.0f} names/s of {len(rates)} rounds"
    )


if __name__ == "__main__":
    main()
