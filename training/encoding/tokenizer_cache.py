"""A fitted tokenizer on disk, found again by the catalog's content and the settings."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from catalog.rows import catalog_digest, read_catalog
from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField
from tokenizer.tokenizer import Tokenizer, fit_tokenizer
from training.encoding.file_lock import exclusive

_log = logging.getLogger("aisle.tokenizer")


def fitted_tokenizer(
    catalog: Path,
    columns: Mapping[str, str],
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
    parts = [catalog_digest(catalog), dict(columns), encoded, dataclasses.asdict(settings), seed]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    folder = cache_dir / "tokenizers" / key
    with exclusive(cache_dir / "locks" / key):  # of two processes that want it the second one finds it
        if folder.exists():
            _log.info("tokenizer of %s: fitted by an earlier run, found in %s", catalog, folder)
            return Tokenizer.load(folder), folder
        return _fit(catalog, columns, fields, settings, seed, folder), folder


def _fit(
    catalog: Path,
    columns: Mapping[str, str],
    fields: Sequence[TextField],
    settings: TokenizerSettings,
    seed: int,
    folder: Path,
) -> Tokenizer:
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process that had the same id
    temporary.mkdir(parents=True)
    corpus = temporary / "corpus.txt"
    try:
        with tqdm(desc=f"Words of {catalog.name}", unit=" rows", unit_scale=True) as bar:

            def chunks() -> Iterator[dict[str, list[str]]]:
                for rows in read_catalog(catalog, columns):
                    yield {field.name: [row.text(field.name) for row in rows] for field in fields}
                    bar.update(len(rows))

            tokenizer = fit_tokenizer(chunks(), settings, fields, seed, corpus)
        corpus.unlink()
        tokenizer.save(temporary)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return tokenizer
