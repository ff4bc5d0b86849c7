"""Catalogs as the client reads them: CSV, TSV or JSON Lines, a product a row."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.errors import InputError
from model.product import FIELD_SPECS, TEXT_COLUMNS, Product

_INPUTS = tuple(spec.column for spec in FIELD_SPECS)
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class CatalogItem:
    """A row, ready to be asked about.

    Args:
        truth: the row's own `category`; '' where it has none.
        problem: why the picture cannot be read; '' when it can.
    """

    product: Product
    truth: str
    problem: str


def read_catalog(path: Path) -> Iterator[CatalogItem]:
    """Rows of a catalog, pictures read as they come; paths of pictures are relative to the file.

    Raises:
        InputError: the file is missing, of another kind, malformed, or has no input column.
    """
    if path.suffix not in (*_DELIMITERS, *_JSON_LINES):
        kinds = ", ".join((*_DELIMITERS, *_JSON_LINES))
        raise InputError(f"expected a catalog ending in {kinds}, found {path.name}")
    try:
        rows = _json_rows(path) if path.suffix in _JSON_LINES else _delimited_rows(path)
        for row in rows:
            yield _item(row, path.parent)
    except OSError as error:
        raise InputError(f"catalog {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"catalog {path} is malformed: {error}; expected UTF-8 text with a row a product") from error


def read_image(path: Path) -> bytes:
    """The bytes of a picture.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"picture {path} cannot be read: {error.strerror}") from error


def _delimited_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=_DELIMITERS[path.suffix])
        _check_columns(path, reader.fieldnames or ())
        yield from reader


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}:{line} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise InputError(
                    f"{path}:{line}: expected an object with a product's fields, found {text.strip()[:40]}"
                )
            yield row


def _check_columns(path: Path, columns: Any) -> None:
    if not any(column in columns for column in _INPUTS):
        raise InputError(
            f"catalog {path}: expected a column of {', '.join(_INPUTS)}, found {', '.join(columns) or 'none'}"
        )


def _item(row: dict[str, Any], folder: Path) -> CatalogItem:
    texts = [_text(row.get(column)) for column in TEXT_COLUMNS]
    image, problem = None, ""
    if name := _text(row.get("image")):
        try:
            image = read_image(folder / name)
        except InputError as error:
            problem = str(error)
    product = Product.of_texts(_text(row.get("product_id")), texts, image)
    return CatalogItem(product, _text(row.get("category")), problem)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
