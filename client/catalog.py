"""Catalogs as the client asks about them: the rows of `catalog.rows` with their pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from pathlib import Path

from aisle_client.errors import InputError
from catalog.cache_dir import default_cache_dir
from catalog.pictures.losses import MAX_LOST_PICTURES, PictureLosses
from catalog.pictures.source import PictureSource
from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from catalog.rows import CatalogRow, read_catalog
from model.errors import CatalogError, PictureError
from model.product import Product

#: Rows whose pictures are in memory at a time.
_CHUNK_ROWS = 512


@dataclass(frozen=True)
class CatalogItem:
    """A row, ready to be asked about.

    Args:
        truth: the row's own `category`; '' where it has none.
        problem: why the row cannot be asked about; '' when it can.
        group_id: rows with the same value are the same product; '' is unknown.
        lost_picture: why the picture that the row names is not sent; '' when it is, or the row names none.
    """

    product: Product
    truth: str
    problem: str
    group_id: str = ""
    lost_picture: str = ""


def read_items(
    path: Path,
    options: ReadOptions = DEFAULT_OPTIONS,
    limit: int | None = None,
    max_lost_pictures: float = MAX_LOST_PICTURES,
) -> Iterator[CatalogItem]:
    """Read a catalog row by row in file order; a bad row becomes an item with a problem.

    A row whose picture cannot be read is asked about without it, unless it has nothing else.

    Args:
        path: paths of pictures are relative to it.
        options: how it is read.
        limit: most rows to read; None is all.
        max_lost_pictures: share of the pictures of these rows that may be unreadable, 0 to 1.
    Raises:
        InputError: the file as a whole cannot be read, or too many of its pictures.
        SettingsError: `max_lost_pictures` is no share.
    """
    losses = PictureLosses(path, None, max_lost_pictures)
    try:
        yield from islice(_all_items(path, options, losses), limit)
        losses.check()
    except CatalogError as error:
        raise InputError(str(error)) from error


def read_image(path: Path) -> bytes:
    """Read the bytes of a picture.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"picture {path} cannot be read: {error.strerror}") from error


class _RejectedRows:
    """Rejected rows as items with their lines, until they are taken."""

    def __init__(self) -> None:
        self._items: list[tuple[int, CatalogItem]] = []

    def add(self, file: Path | str, line: int, product_id: str, reason: str) -> None:
        problem = f"{file}, line {line}: {reason}"
        self._items.append((line, CatalogItem(Product(product_id), "", problem)))

    def take(self) -> list[tuple[int, CatalogItem]]:
        """Return the items by line, and forget them."""
        items, self._items = self._items, []
        return sorted(items, key=lambda numbered: numbered[0])


def _all_items(path: Path, options: ReadOptions, losses: PictureLosses) -> Iterator[CatalogItem]:
    rejected = _RejectedRows()
    with PictureSource(path.parent, default_cache_dir()) as pictures:
        for rows in read_catalog(path, options, _CHUNK_ROWS, rejected):
            items = zip((row.line for row in rows), _items(rows, pictures, losses), strict=True)
            yield from (item for _, item in merge(rejected.take(), items, key=lambda numbered: numbered[0]))
        yield from (item for _, item in rejected.take())


def _items(rows: Sequence[CatalogRow], pictures: PictureSource, losses: PictureLosses) -> Iterator[CatalogItem]:
    found = iter(pictures.read_many([row.image for row in rows if row.image]))
    for row in rows:
        picture = next(found) if row.image else None
        product, problem, lost = row.product(None), "", ""
        if isinstance(picture, PictureError) and product.is_empty:
            problem = str(picture)
        elif isinstance(picture, PictureError):
            lost = losses.lose(row, picture)
        else:
            product = row.product(picture)
        losses.count(1 if row.image else 0)
        yield CatalogItem(product, row.category, problem, row.offer_text("group_id"), lost)
