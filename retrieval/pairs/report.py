"""The page about made pairs: how many fell to which rule, with example pictures of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.pictures.source import PictureSource
from catalog.pictures.thumbnail import thumbnail_url
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.pairs.image_types import WHOLE_PRODUCT_TYPES
from retrieval.pairs.pair_making import DROPPED_FILE, PAIRS_FILE, REJECTS_FILE, ExamplePair, MadePairs
from retrieval.pairs.rules import KEPT, RULES
from retrieval.settings import PairSettings
from training.report.page_environment import page_environment

TEMPLATE = "page.html.jinja"
REPORT_FILE = "report.html"


@dataclass(frozen=True)
class ReportDetails:
    """The inputs of made pairs, for their page; '' for no image-type classifier."""

    catalog: str
    bundle: str
    image_types: str


def write_report(
    folder: Path, made: MadePairs, source: CatalogSource, settings: PairSettings, details: ReportDetails
) -> None:
    """Write report.html, one self-contained file."""
    environment = page_environment(Path(__file__).parent)
    with PictureSource(source.path.parent, source.cache_dir / "pictures") as pictures:
        examples = {rule: _shown(pairs, pictures) for rule, pairs in made.examples.items()}
    page = environment.get_template(TEMPLATE).render(
        details=details,
        made=made,
        settings=settings,
        verdict=verdict(made),
        rules=[
            {"rule": rule, "num": made.num_dropped[rule.name], "examples": examples.get(number, [])}
            for number, rule in enumerate(RULES)
            if made.num_dropped[rule.name] or details.image_types or not rule.name.startswith("type_")
        ],
        kept_examples=examples.get(KEPT, []),
        whole_types=WHOLE_PRODUCT_TYPES,
        files={"pairs": PAIRS_FILE, "dropped": DROPPED_FILE, "rejects": REJECTS_FILE},
    )
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def verdict(made: MadePairs) -> str:
    """Say in a sentence what became of the candidates."""
    if not made.num_candidates:
        return f"None of the {made.num_items:,} items has two pictures, so that there is nothing to pair."
    incorrect, trivial = made.num_of_kind("incorrect"), made.num_of_kind("trivial")

    def share(count: int) -> str:
        return f"{count:,} ({100 * count / made.num_candidates:.0f} %)"

    return (
        f"Of {made.num_candidates:,} candidate pairs {share(incorrect)} were incorrect and {share(trivial)} trivial;"
        f" {share(made.num_kept)} stay to learn from, of {made.num_paired_items:,} of {made.num_items:,} items."
    )


def _shown(pairs: list[ExamplePair], pictures: PictureSource) -> list[list[dict[str, Any]]]:
    """Both sides of each pair with their pictures."""
    sides = [side for pair in pairs for side in (pair.left, pair.right)]
    found = pictures.read_many([image for _, image, _ in sides])
    shown = [
        {
            "product_id": product_id,
            "image_type": image_type,
            "picture": thumbnail_url(picture) if isinstance(picture, bytes) else "",
        }
        for (product_id, _, image_type), picture in zip(sides, found, strict=True)
    ]
    return [shown[i : i + 2] for i in range(0, len(shown), 2)]
