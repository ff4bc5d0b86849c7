"""The commands `python -m demo galleries` and `python -m demo image-types`."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from demo.galleries.labelled_types import write_image_types
from demo.galleries.shop import compose_items, write_galleries, write_user_photos
from retrieval.pairs.image_types import IMAGE_TYPES
from tokenizer.errors import require


@dataclass(frozen=True)
class GalleriesCommand:
    """Draw a fashion shop whose items have galleries (shop.csv), and its users' photos (users.csv)."""

    out: Path
    """Folder to write to."""
    items: int = 300
    """Items of the shop, 20 or more; each has about a dozen pictures."""
    user_photos: int = 2
    """Photos of each product by users."""
    seed: int = 0
    """Seed of everything drawn."""

    def __post_init__(self) -> None:
        require(self.user_photos >= 0, "user_photos", "0 or more", self.user_photos)


@dataclass(frozen=True)
class ImageTypesCommand:
    """Draw a labelled set of pictures for the image-type classifier: train.csv and test.csv."""

    out: Path
    """Folder to write to."""
    pictures: int = 150
    """Pictures of each type to train on."""
    test_pictures: int = 50
    """Pictures of each type to test on."""
    seed: int = 0
    """Seed of everything drawn."""

    def __post_init__(self) -> None:
        require(self.pictures >= 1, "pictures", "1 or more", self.pictures)
        require(self.test_pictures >= 1, "test_pictures", "1 or more", self.test_pictures)


def run_galleries(command: GalleriesCommand, console: Console) -> None:
    """Draw, and say what was written."""
    items = compose_items(command.items, command.seed)
    bar = iter(track(range(2 * len(items)), "drawing galleries", console=console, transient=True))
    shop = write_galleries(command.out, items, command.seed, on_item=lambda: next(bar, None))
    users = write_user_photos(command.out, items, command.user_photos, command.seed, on_item=lambda: next(bar, None))
    next(bar, None)  # finishes the bar
    for path in (shop, users):
        console.print(f"{path}: {len(path.read_text(encoding='utf-8').splitlines()) - 1:,} pictures")


def run_image_types(command: ImageTypesCommand, console: Console) -> None:
    """Draw, and say what was written."""
    num_pictures = {"train": command.pictures, "test": command.test_pictures}
    total = sum(num_pictures.values()) * len(IMAGE_TYPES)
    bar = iter(track(range(total), "drawing pictures", console=console, transient=True))
    files = write_image_types(command.out, num_pictures, command.seed, on_picture=lambda: next(bar, None))
    next(bar, None)
    for split, path in files.items():
        console.print(f"{path}: {num_pictures[split] * len(IMAGE_TYPES):,} pictures of {len(IMAGE_TYPES)} types")
