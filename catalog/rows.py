"""A catalog file as a stream of rows: chunk by chunk, bad rows reported and left out."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from pathlib import Path

import numpy as np

from catalog.columns import COLUMNS, OFFER_COLUMNS
from catalog.formats.row import OnBadRow
from catalog.formats.row_readers import row_reader
from catalog.labels.spellings import LabelSpellings
from catalog.pictures.picture_list import first_picture
from catalog.product_ids import ProductIds, rounded_id
from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from catalog.rejects import RejectSink
from catalog.variants import with_group_texts
from model.errors import CatalogError
from model.product import FIELDS, TEXT_COLUMNS, TEXT_FIELDS, Product, has_text

DUPLICATE = "duplicate product_id: the first row that has it stays; give each row its own"
_URL_STARTS = ("http://", "https://")
_TEXT_POSITIONS = {field: position for position, field in enumerate(TEXT_FIELDS)}
_OFFER_POSITIONS = {column: position for position, column in enumerate(OFFER_COLUMNS)}
#: Positions among COLUMNS.
_TEXTS = tuple(COLUMNS.index(column) for column in TEXT_COLUMNS)
_IMAGE = COLUMNS.index("image")
_CATEGORY = COLUMNS.index("category")


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One good row; a missing field is ''.

    Args:
        line: physical line in which the row begins, from 1; in Parquet the number of the row.
        product_id: never empty, unique in its catalog.
        texts: of `model.product.TEXT_FIELDS`, in their order.
        image: path or http(s) URL.
        category: the label, normalized by `model.taxonomy.normalize_path`.
        offer: of `catalog.columns.OFFER_COLUMNS`, in their order, without spaces around.
    """

    line: int
    product_id: str
    texts: tuple[str, ...]
    image: str
    category: str
    offer: tuple[str, ...] = ("",) * len(OFFER_COLUMNS)

    def text(self, field: str) -> str:
        """The text of one of `model.product.TEXT_FIELDS`."""
        return self.texts[_TEXT_POSITIONS[field]]

    def offer_text(self, column: str) -> str:
        """The text of one of `catalog.columns.OFFER_COLUMNS`."""
        return self.offer[_OFFER_POSITIONS[column]]

    def product(self, image: bytes | None) -> Product:
        """The row as a product.

        Args:
            image: its encoded picture, None without one.
        """
        return Product.of_texts(self.product_id, self.texts, image)


def read_catalog(
    path: Path,
    options: ReadOptions = DEFAULT_OPTIONS,
    chunk_rows: int = 8192,
    rejects: RejectSink | None = None,
    image_root: Path | None = None,
    spellings: LabelSpellings | None = None,
) -> Iterator[list[CatalogRow]]:
    """Stream the good rows of a catalog in file order.

    Args:
        path: see `catalog.formats.row_readers` for the endings.
        options: how it is read.
        chunk_rows: rows read at a time, 1 or more; a chunk is shorter where rows are left out, never empty.
        rejects: receives every row that is left out; None leaves them out silently, for a second pass.
        image_root: folder that relative image paths are joined to; None leaves them as they are in the file.
        spellings: remembers how the labels were written.
    Raises:
        CatalogError: the file as a whole cannot be read; raised while iterating.
    """

    def on_bad(line: int, product_id: str, reason: str) -> None:
        if rejects is not None:
            rejects.add(path, line, product_id, reason)

    rows = _checked_rows(path, options, image_root, spellings or LabelSpellings(options), on_bad)
    seen = ProductIds()
    while chunk := list(islice(rows, chunk_rows)):
        if not len(seen) and (rounded := rounded_id([row.product_id for row in chunk])):
            raise CatalogError(
                f"{path}: expected ids, found numbers that a spreadsheet has rounded to {rounded!r}; export the file"
                " anew with product_id as text, or name another column with --columns product_id=HEADING"
            )
        is_new = seen.add([row.product_id for row in chunk])
        if not is_new.all():
            for row in compress(chunk, ~is_new):
                on_bad(row.line, row.product_id, DUPLICATE)
            chunk = list(compress(chunk, is_new))
        if chunk:
            yield chunk


def catalog_digest(path: Path) -> str:
    """BLAKE2b over the file's bytes, 32 hexadecimal digits; a key for what is computed from a catalog.

    Raises:
        CatalogError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise CatalogError(f"{path} cannot be read: {error}; check the path") from error


def presence_flags(rows: Sequence[CatalogRow]) -> np.ndarray:
    """Find the fields each row has: a letter or digit in a text, an image named.

    Returns:
        (N, len(FIELDS)) float32 of 0 and 1, in the order of `model.product.FIELDS`.
    """
    flags = [[bool(row.image) if field == "image" else has_text(row.text(field)) for field in FIELDS] for row in rows]
    return np.array(flags, np.float32).reshape(len(rows), len(FIELDS))


def is_url(image: str) -> bool:
    """Return True for an image field that is to be fetched rather than opened."""
    return image[:8].lower().startswith(_URL_STARTS)


def _checked_rows(
    path: Path, options: ReadOptions, image_root: Path | None, spellings: LabelSpellings, on_bad: OnBadRow
) -> Iterator[CatalogRow]:
    for line, texts in with_group_texts(path, row_reader(path)(path, options, on_bad)):
        fault = _fault(texts)
        if fault:
            on_bad(line, texts[0], fault)
            continue
        image = texts[_IMAGE]
        if image:
            image = first_picture(image, path.parent)
            if image_root is not None and image and not is_url(image):
                image = str(image_root / image)
        category = spellings.category(texts[_CATEGORY])
        offer = tuple(text.strip() for text in texts[_CATEGORY + 1 :])
        yield CatalogRow(line, texts[0], tuple(texts[i] for i in _TEXTS), image, category, offer)


def _fault(texts: tuple[str, ...]) -> str:
    """Return the reason why a row cannot be used, '' when it can."""
    joined = "".join(texts)
    try:
        joined.encode()
    except UnicodeEncodeError as error:
        return _undecodable(texts, joined[error.start])
    if "\0" in joined:
        column = next(name for name, text in zip(COLUMNS, texts, strict=True) if "\0" in text)
        return f"NUL byte: found in {column}; remove it, or save the file as UTF-8"
    if not texts[0] or texts[0].isspace():
        return "no product_id: expected an id, found none; give each row its own"
    return ""


def _undecodable(texts: tuple[str, ...], surrogate: str) -> str:
    column = next(name for name, text in zip(COLUMNS, texts, strict=True) if surrogate in text)
    byte = ord(surrogate) - 0xDC00
    what = f"the byte 0x{byte:02x}" if 0x80 <= byte <= 0xFF else f"the lone surrogate U+{ord(surrogate):04X}"
    return f"undecodable bytes: found {what} in {column}; save the file as UTF-8, or name its encoding with --encoding"
