"""The command `python -m retrieval query`: products of an index like one."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from model.errors import PictureError, SettingsError
from model.product import Product
from retrieval.commands.open_bundle import open_embedder
from retrieval.embedding.crop import CropName
from retrieval.index.engine import IndexEngine
from retrieval.index.filter import parse_filter
from retrieval.index.index_folder import open_index
from retrieval.index.record import SPACES, Hit, Space
from retrieval.search.contact_sheet import write_contact_sheet
from retrieval.search.similar import AskedProduct, SimilarOptions, best_space, similar

COLUMNS = (
    "rank",
    "product_id",
    "score",
    "product_name",
    "category",
    "brand",
    "mall",
    "price",
    "group_id",
    "item_id",
    "image",
)


@dataclass(frozen=True)
class QueryCommand:
    """Find products like one of the index, like a picture, or like a text."""

    index: str
    """Index to search: its folder, or its URL."""
    product_id: str = ""
    """Id of a product of the index."""
    image: Path | None = None
    """Picture to ask about."""
    name: str = ""
    """Name to ask about; with --image, one product that has both."""
    k: int = 10
    """Products to find, 1 to 1,000."""
    out: Path | None = None
    """CSV file for them."""
    sheet: Path | None = None
    """PNG file: the picture that was asked about beside theirs."""
    space: Space | None = None
    """Vectors to compare; by default joint ones where the question has picture and text, else those of what it has."""
    filter: tuple[str, ...] = ()
    """Conditions: category=Food>Fruit, brand=Acme, mall=..., price=10..20; several brands or malls are alternatives."""
    exclude_same_product: bool = False
    """Leave out products with the same group_id as the product that is asked about."""
    diversity: float = 0.0
    """0 finds the nearest; towards 1 products that are less like each other."""
    crop: CropName | None = None
    """Part of the picture that counts; as in the index by default."""
    bundle: Path | None = None
    """Bundle of the index, where it is not any more where it was."""


def run_query(command: QueryCommand) -> tuple[list[Hit], Table]:
    """Search, write the file, and return the hits with a table for the terminal."""
    options = SimilarOptions(command.k, parse_filter(command.filter), command.exclude_same_product, command.diversity)
    if bool(command.product_id) == bool(command.image is not None or command.name):
        found = "both" if command.product_id else "neither"
        raise SettingsError(f"expected --product-id ID, or --image FILE and --name TEXT or one of them; found {found}")
    with open_index(command.index) as engine:
        asked_picture = command.image
        if command.product_id:
            space, vector, asked, asked_picture = _of_the_index(engine, command)
        else:
            space, vector, asked = _from_outside(engine, command)
        hits = similar(engine, space, vector[None], [asked], options)[0]
    if command.out is not None:
        command.out.write_text(hits_csv(hits), encoding="utf-8", newline="")
    if command.sheet is not None:
        write_contact_sheet(command.sheet, asked_picture, hits)
    return hits, _table(hits, space)


def hits_csv(hits: Sequence[Hit]) -> str:
    """Hits as the text of a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for rank, hit in enumerate(hits, start=1):
        entry = hit.attributes
        price = "" if math.isnan(entry.price) else f"{entry.price:.15g}"
        named = {name: getattr(entry, name) for name in COLUMNS if hasattr(entry, name)}
        writer.writerow(
            named | {"rank": rank, "product_id": hit.product_id, "score": f"{hit.score:.6f}", "price": price}
        )
    return text.getvalue()


def _of_the_index(engine: IndexEngine, command: QueryCommand) -> tuple[Space, np.ndarray, AskedProduct, Path | None]:
    record = engine.get([command.product_id])[0]
    if record is None:
        raise SettingsError(
            f"--product-id: no product {command.product_id!r} in {command.index}; insert it with update"
        )
    space = command.space or best_space(record)
    if space not in record.vectors:
        raise SettingsError(
            f"--space: expected one of {', '.join(record.vectors)}, which the product has, found {space!r}"
        )
    image = record.attributes.image
    return space, record.vectors[space], AskedProduct.of(record), Path(image) if image else None


def _from_outside(engine: IndexEngine, command: QueryCommand) -> tuple[Space, np.ndarray, AskedProduct]:
    embedder = open_embedder(engine.description, command.bundle, command.crop)
    vectors = embedder.embed([Product("", command.name, image=_picture(command.image))])[0]
    if isinstance(vectors, PictureError):
        raise PictureError(f"--image {command.image}: {vectors}") from vectors
    if isinstance(vectors, Exception):
        raise vectors
    given: tuple[Space, ...] = ("joint",) if command.image and command.name else ()
    space = command.space or chosen_space((*given, *(("image",) if command.image else ("text",)), *SPACES), engine)
    if space not in vectors:
        raise SettingsError(f"--space: expected one of {', '.join(vectors)}, which this question has, found {space!r}")
    return space, vectors[space], AskedProduct()


def chosen_space(preferred: Sequence[Space], engine: IndexEngine) -> Space:
    """The first of some spaces that an index has."""
    return next(space for space in preferred if space in engine.description.dims)


def _picture(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"--image {path} cannot be read: {error.strerror}; check the path") from error


def _table(hits: Sequence[Hit], space: Space) -> Table:
    table = Table("rank", "product", "score", "name", "category", title=f"Similar products by {space} vectors")
    for rank, hit in enumerate(hits, start=1):
        entry = hit.attributes
        table.add_row(str(rank), hit.product_id, f"{hit.score:.3f}", entry.product_name, entry.category)
    return table
