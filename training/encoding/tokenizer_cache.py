"""A fitted tokenizer on disk, found again by the catalog's content and the settings."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField
from tokenizer.tokenizer import Tokenizer, fit_tokenizer
from training.encoding.cache_entry import new_cache_entry
from training.encoding.file_lock import exclusive
from training.encoding.parsed_catalog import ParsedCatalog

_log = logging.getLogger("aisle.tokenizer")


def fitted_tokenizer(
    catalog: ParsedCatalog,
    fields: Sequence[TextField],
    settings: TokenizerSettings,
    seed: int,
    cache_dir: Path,
) -> tuple[Tokenizer, Path]:
    """Fit a tokenizer on a catalog, or load what an earlier run left.

    Returns:
        the tokenizer and the folder it is saved in.
    """
    encoded = [dataclasses.asdict(field) for field in fields]
    parts = [catalog.digest, encoded, dataclasses.asdict(settings), seed]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    folder = cache_dir / "tokenizers" / key
    with exclusive(cache_dir / "locks" / key):  # of two processes that want it the second one finds it
        if folder.exists():
            _log.info("tokenizer of %s: fitted by an earlier run, found in %s", catalog.path, folder)
            return Tokenizer.load(folder), folder
        return _fit(catalog, fields, settings, seed, folder), folder


def _fit(
    catalog: ParsedCatalog,
    fields: Sequence[TextField],
    settings: TokenizerSettings,
    seed: int,
    folder: Path,
) -> Tokenizer:
    with (
        new_cache_entry(folder) as entry,
        tqdm(desc=f"Words of {catalog.path.name}", unit=" rows", unit_scale=True) as bar,
    ):

        def chunks() -> Iterator[dict[str, list[str]]]:
            for rows in catalog.rows():
                yield {field.name: [row.text(field.name) for row in rows] for field in fields}
                bar.update(len(rows))

        corpus = entry / "corpus.txt"
        tokenizer = fit_tokenizer(chunks(), settings, fields, seed, corpus)
        corpus.unlink()
        tokenizer.save(entry)
    return tokenizer
