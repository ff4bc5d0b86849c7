"""The command `python -m demo offers`."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from demo.offers.product import compose_products
from demo.offers.shop import write_offers
from tokenizer.errors import require


@dataclass(frozen=True)
class OffersCommand:
    """Draw a marketplace in which several sellers offer the same product (offers.csv, with group_id)."""

    out: Path
    """Folder to write to."""
    products: int = 1_000
    """Products; each has one to four offers, most two or three."""
    seed: int = 0
    """Seed of everything written and drawn."""

    def __post_init__(self) -> None:
        require(self.products >= 1, "products", "1 or more", self.products)


def run_offers(command: OffersCommand, console: Console) -> None:
    """Draw, and say what was written."""
    products = compose_products(command.products, command.seed)
    bar = iter(track(range(len(products)), "drawing offers", console=console, transient=True))
    path = write_offers(command.out, products, command.seed, on_product=lambda: next(bar, None))
    next(bar, None)  # finishes the bar
    num_offers = len(path.read_text(encoding="utf-8").splitlines()) - 1
    console.print(f"{path}: {num_offers:,} offers of {len(products):,} products")
