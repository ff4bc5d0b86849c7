"""The commands of `python -m client`."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from typing_extensions import Doc

from aisle_client.channel import Security
from aisle_client.client import AisleClient
from aisle_client.errors import InputError
from aisle_client.messages import MAX_PRODUCTS_PER_REQUEST
from aisle_client.prediction import Failure, Prediction
from aisle_client.retry import NO_RETRY, RetryPolicy
from catalog.pictures.losses import MAX_LOST_PICTURES
from catalog.read_options import ReadOptions
from client.answers import Answer, AnswerFile, Score, answer_table
from client.catalog import CatalogItem, read_image, read_items
from client.refused_pictures import ask_without_refused
from model.product import FIELD_SPECS, TEXT_FIELDS, Product

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class ProductTexts:
        """Texts of one product, an attribute for each text field of `model.product`."""

        def __getattr__(self, name: str) -> str: ...
else:
    ProductTexts = dataclasses.make_dataclass(
        "ProductTexts",
        [
            (spec.name, Annotated[str, Doc(f"The product's own text: {spec.words}.")], field(default=""))
            for spec in FIELD_SPECS
            if spec.kind == "text"
        ],
        namespace={"__doc__": "Texts of one product."},
        frozen=True,
    )


@dataclass(frozen=True)
class ClassifyCommand:
    """Ask a server about one product, or about a catalog."""

    target: str = "localhost:50051"
    """HOST:PORT of the server; several IP:PORT, joined by commas, share the requests."""
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
    out: Path | None = None
    """CSV file for the answers."""
    resume: bool = False
    """Go on behind the last answer in --out, where there is one."""
    show: int = 50
    """Most answers to print."""
    mask_parent: str = ""
    """Category that every answer has to lie in, its levels joined by '>'; none is the whole tree."""
    evidence: bool = False
    """Show why: what each field says by itself, and the words of the name that carried the answer."""
    model: str = ""
    """Name of the model; empty where the server holds one."""
    security: Annotated[Security, tyro.conf.OmitArgPrefixes] = field(default_factory=Security)
    """TLS and token."""
    timeout_s: float = 30.0
    """Longest wait for a request, with all its retries, seconds."""
    max_retries: int = RetryPolicy.max_retries
    """Times that a request is sent again to a server that is not there or overloaded."""


@dataclass(frozen=True)
class GetModelCommand:
    """Print what a server says about a model."""

    target: str = "localhost:50051"
    """HOST:PORT of the server."""
    model: str = ""
    """Name of the model; empty where the server holds one."""
    security: Annotated[Security, tyro.conf.OmitArgPrefixes] = field(default_factory=Security)
    """TLS and token."""
    timeout_s: float = 30.0
    """Longest wait, seconds."""


def classify(command: ClassifyCommand, console: Console) -> None:
    """Ask, and print a table and the counts below it.

    Raises:
        InputError: a file or flag cannot be used.
        CallError: the server refused a request or cannot be reached.
    """
    items = _items(command)
    shown: list[Answer] = []
    score = Score()
    answer_file = AnswerFile(command.out, command.resume) if command.out else contextlib.nullcontext()
    with (
        AisleClient(
            command.target,
            timeout_s=command.timeout_s,
            retry=RetryPolicy(command.max_retries),
            security=command.security,
        ) as client,
        answer_file as file,
    ):
        if file is not None and file.num_kept:
            _skip(items, file, console)
        for answer in _answers(client, items, command):
            score.add(answer)
            if file is not None:
                file.add(answer)
            if len(shown) < command.show:
                shown.append(answer)
    console.print(answer_table(shown))
    if score.num_products > len(shown):
        console.print(f"... and {score.num_products - len(shown)} more")
    for line in score.lines() if command.catalog else ():
        console.print(line)


def get_model(command: GetModelCommand, console: Console) -> None:
    """Print the model's description.

    Raises:
        CallError: no such model, or the server cannot be reached.
    """
    with AisleClient(command.target, timeout_s=command.timeout_s, retry=NO_RETRY, security=command.security) as client:
        console.print(str(client.get_model(command.model)).rstrip(), markup=False, highlight=False)


def _items(command: ClassifyCommand) -> Iterator[CatalogItem]:
    texts = [getattr(command.texts, name) for name in TEXT_FIELDS]
    has_product = any(texts) or command.image is not None
    if has_product == (command.catalog is not None):
        found = "both" if has_product else "neither"
        raise InputError(f"expected one product (--name, --image, ...) or --catalog FILE, found {found}")
    if command.resume and (command.catalog is None or command.out is None):
        raise InputError("--resume: expected --catalog FILE and --out FILE with it")
    if command.max_retries < 0:
        raise InputError(f"--max-retries: expected 0 or more, found {command.max_retries}")
    if command.limit is not None and command.limit < 0:
        raise InputError(f"--limit: expected 0 or more rows, found {command.limit}")
    if command.catalog is not None:
        return read_items(command.catalog, command.read_options, command.limit, command.max_lost_pictures)
    image = read_image(command.image) if command.image is not None else None
    return iter([CatalogItem(Product.of_texts("", texts, image), "", "")])


def _skip(items: Iterator[CatalogItem], file: AnswerFile, console: Console) -> None:
    """Pass over what is answered already."""
    last = next(itertools.islice(items, file.num_kept - 1, None), None)
    found = "fewer rows" if last is None else f"the product {last.product.product_id!r}"
    if last is None or last.product.product_id != file.last_id:
        raise InputError(
            f"cannot resume: expected the product {file.last_id!r} in row {file.num_kept} of the catalog, as in --out,"
            f" found {found}; leave out --resume to begin anew"
        )
    console.print(f"{file.num_kept} products are answered already; going on behind {file.last_id!r}")


def _answers(client: AisleClient, items: Iterable[CatalogItem], command: ClassifyCommand) -> Iterator[Answer]:
    """Ask part by part; a row with a problem is not asked about."""
    items = iter(items)

    def ask(products: Iterable[Product]) -> list[Prediction | Failure]:
        return client.classify(
            products,
            model=command.model,
            include_evidence=command.evidence,
            mask_parent=command.mask_parent,
            include_words=command.evidence,
        )

    while part := list(itertools.islice(items, MAX_PRODUCTS_PER_REQUEST)):
        asked = [item for item in part if not item.problem]
        products = [item.product for item in asked]
        results = ask(products)
        if command.catalog is not None:
            for place, reason in ask_without_refused(results, products, lambda bare: ask(bare.values())).items():
                asked[place] = replace(asked[place], lost_picture=reason)
        answered = iter(map(Answer, asked, results))
        yield from (Answer(item, _not_sent(item)) if item.problem else next(answered) for item in part)


def _not_sent(item: CatalogItem) -> Failure:
    return Failure(item.product.product_id, "NOT_SENT", item.problem)
