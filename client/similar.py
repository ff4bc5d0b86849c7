"""The command `python -m client similar`: products of a server's index like one, or like each of a catalog."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from aisle_client.channel import Security
from aisle_client.client import AisleClient
from aisle_client.errors import InputError
from aisle_client.hits import Hits
from aisle_client.messages import MAX_PRODUCTS_PER_REQUEST
from aisle_client.offer import Offer
from aisle_client.prediction import Failure
from aisle_client.retry import RetryPolicy
from aisle_client.search_filter import SearchFilter
from aisle_client.search_messages import Query
from catalog.offer_conditions import OfferConditions
from catalog.pictures.losses import MAX_LOST_PICTURES
from catalog.read_options import ReadOptions
from client.catalog import CatalogItem, read_image, read_items
from client.commands import ProductTexts
from client.found import Found, FoundCounts, FoundFile, found_table
from client.refused_pictures import ask_without_refused
from model.product import TEXT_FIELDS, Product


@dataclass(frozen=True)
class SimilarCommand:
    """Find products of a server's index like one, or like each product of a catalog."""

    target: str = "localhost:50051"
    """HOST:PORT of the server; several IP:PORT, joined by commas, share the requests."""
    product_id: str = ""
    """Id of a product of the index."""
    texts: Annotated[ProductTexts, tyro.conf.OmitArgPrefixes] = field(default_factory=ProductTexts)
    """Texts of the product."""
    image: Path | None = None
    """Picture of the product."""
    catalog: Path | None = None
    """Instead of one product: a .csv, .tsv, .jsonl (each also with .gz) or .parquet file, a product a row."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    limit: int | None = None
    """Most rows of the catalog to ask about."""
    max_lost_pictures: float = MAX_LOST_PICTURES
    """Share of the pictures that may be unreadable, 0 to 1; their rows are asked about without them."""
    k: int = 10
    """Products to find for each; the server says how many it allows."""
    filter: tuple[str, ...] = ()
    """Conditions: category=Food>Fruit, brand=Acme, mall=..., price=10..20; several brands or malls are alternatives."""
    space: Literal["image", "text", "joint"] | None = None
    """Vectors to compare; by default joint ones where the question has picture and text, else those of what it has."""
    exclude_same_product: bool = False
    """Leave out products with the same group_id as the product that is asked about."""
    diversity: float = 0.0
    """0 finds the nearest; towards 1 products that are less like each other."""
    out: Path | None = None
    """CSV file for all that is found."""
    show: int = 5
    """Most products of the catalog whose hits are printed."""
    security: Annotated[Security, tyro.conf.OmitArgPrefixes] = field(default_factory=Security)
    """TLS and token."""
    timeout_s: float = 30.0
    """Longest wait for a request, with all its retries, seconds."""
    max_retries: int = RetryPolicy.max_retries
    """Times that a request is sent again to a server that is not there or overloaded."""


@dataclass(frozen=True)
class _Question:
    """A product to ask about, or one that cannot be asked about.

    Args:
        title: for people.
        row: of a catalog, that it is; None where there is no catalog.
    """

    title: str
    query: Query
    row: CatalogItem | None = None

    @property
    def problem(self) -> str:
        return self.row.problem if self.row else ""


def similar(command: SimilarCommand, console: Console) -> None:
    """Ask, write the file, and print a table with the counts of a catalog below it.

    Raises:
        InputError: a file or flag cannot be used, or the one product that is asked about.
        SettingsError: a condition of --filter cannot be read.
        CallError: the server refused a request, has no index, or cannot be reached.
    """
    _check(command)
    questions, condition = _questions(command), _filter(command)
    shown: list[Found] = []
    counts = FoundCounts()
    with (
        AisleClient(
            command.target,
            timeout_s=command.timeout_s,
            retry=RetryPolicy(command.max_retries),
            security=command.security,
        ) as client,
        FoundFile(command.out) if command.out else contextlib.nullcontext() as file,
    ):
        for found in _found(client, questions, command, condition):
            if isinstance(found.result, Failure) and command.catalog is None:
                raise InputError(f"{command.target} answered {found.result.code}: {found.result.message}")
            counts.add(found)
            if file is not None:
                file.add(found)
            if len(shown) < command.show:
                shown.append(found)
    console.print(found_table(shown))
    if counts.num_queries > len(shown):
        console.print(f"... and {counts.num_queries - len(shown)} more")
    if command.catalog is not None:
        console.print(counts.line())


def _check(command: SimilarCommand) -> None:
    has_product = any(_texts(command)) or command.image is not None
    flags = {
        "--product-id": bool(command.product_id),
        "a product (--name, --image, ...)": has_product,
        "--catalog": command.catalog is not None,
    }
    given = [flag for flag, is_given in flags.items() if is_given]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise InputError(
            f"expected --product-id ID, one product (--name, --image, ...) or --catalog FILE, found {found}"
        )
    least = {"--k": (command.k, 1), "--max-retries": (command.max_retries, 0), "--limit": (command.limit, 0)}
    for flag, (value, lowest) in least.items():
        if value is not None and value < lowest:
            raise InputError(f"{flag}: expected {lowest} or more, found {value}")


def _texts(command: SimilarCommand) -> list[str]:
    return [getattr(command.texts, name) for name in TEXT_FIELDS]


def _questions(command: SimilarCommand) -> Iterator[_Question]:
    if command.product_id:
        return iter([_Question(command.product_id, command.product_id)])
    if command.catalog is not None:
        items = read_items(command.catalog, command.read_options, command.limit, command.max_lost_pictures)
        return map(_question, items)
    image = read_image(command.image) if command.image is not None else None
    title = next(filter(None, _texts(command)), str(command.image))
    return iter([_Question(title, Product.of_texts("", _texts(command), image))])


def _question(item: CatalogItem) -> _Question:
    """A row of a catalog; its group_id says which hits are the same product."""
    query = Offer(item.product, group_id=item.group_id)
    return _Question(item.product.product_id, query, item)


def _filter(command: SimilarCommand) -> SearchFilter:
    found = OfferConditions.parse(command.filter)
    low, high = (bound if math.isfinite(bound) else None for bound in (found.min_price, found.max_price))
    return SearchFilter(found.category, found.brands, found.malls, low, high)


def _found(
    client: AisleClient, questions: Iterator[_Question], command: SimilarCommand, condition: SearchFilter
) -> Iterator[Found]:
    """Ask part by part; a row with a problem is not asked about."""

    def ask(queries: list[Query]) -> list[Hits | Failure]:
        return client.similar(
            queries,
            command.k,
            space=command.space or "",
            filter=condition,
            exclude_same_product=command.exclude_same_product,
            diversity=command.diversity,
        )

    while part := list(itertools.islice(questions, MAX_PRODUCTS_PER_REQUEST)):
        asked = [question for question in part if not question.problem]
        results = ask([question.query for question in asked])
        lost: dict[int, str] = {}
        if rows := [question.row for question in asked if question.row]:
            products = [row.product for row in rows]
            lost = ask_without_refused(results, products, partial(_ask_bare, ask, rows))
        found = (
            Found(question.title, result, lost.get(place, question.row.lost_picture if question.row else ""))
            for place, (question, result) in enumerate(zip(asked, results, strict=True))
        )
        yield from (_not_sent(question) if question.problem else next(found) for question in part)


def _ask_bare(
    ask: Callable[[list[Query]], list[Hits | Failure]], rows: list[CatalogItem], bare: dict[int, Product]
) -> list[Hits | Failure]:
    return ask([Offer(product, group_id=rows[place].group_id) for place, product in bare.items()])


def _not_sent(question: _Question) -> Found:
    return Found(question.title, Failure(question.title, "NOT_SENT", question.problem))
