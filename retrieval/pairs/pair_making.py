"""Training pairs from beginning to end: a catalog in, pairs.csv, dropped.csv and what the report shows out."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from tqdm import tqdm

from catalog.pairs import pair_writer
from catalog.rejects import Rejects
from retrieval.embedding.embedded_catalog import CatalogSource
from retrieval.embedding.embedder import Embedder
from retrieval.pairs.candidates import candidate_pairs
from retrieval.pairs.gallery_pictures import GalleryPictures, described_pictures
from retrieval.pairs.image_type_classifier import ImageTypeClassifier
from retrieval.pairs.image_types import IMAGE_TYPES
from retrieval.pairs.rules import KEPT, RULES, rules_of_pairs
from retrieval.pairs.shared_pictures import count_items
from retrieval.settings import PairSettings

PAIRS_FILE = "pairs.csv"
DROPPED_FILE = "dropped.csv"
REJECTS_FILE = "rejects.csv"
NUM_EXAMPLES = 12


@dataclass(frozen=True)
class ExamplePair:
    """A pair that the report shows: of each side product_id, picture and image type, '' where nobody asked."""

    left: tuple[str, str, str]
    right: tuple[str, str, str]


@dataclass
class MadePairs:
    """Outcomes of the candidates, counted; together they are all of them.

    Args:
        num_pictures, num_items: that were read; num_paired_items: with a pair that stays.
        num_rejected, num_without_item: rows whose picture cannot be used, and that lack item_id or image.
        num_not_drawn: candidates of items with very many pictures that nobody looked at.
        num_of_types: pictures by image type; empty where nobody asked.
        num_dropped: by rule; num_kept: pairs that stay.
        examples: by rule, KEPT for pairs that stay.
    """

    num_pictures: int = 0
    num_items: int = 0
    num_paired_items: int = 0
    num_rejected: int = 0
    num_without_item: int = 0
    num_not_drawn: int = 0
    num_of_types: dict[str, int] = field(default_factory=dict)
    num_dropped: dict[str, int] = field(default_factory=lambda: {rule.name: 0 for rule in RULES})
    num_kept: int = 0
    examples: dict[int, list[ExamplePair]] = field(default_factory=dict)

    @property
    def num_candidates(self) -> int:
        """Pairs that the rules were asked about."""
        return self.num_kept + sum(self.num_dropped.values())

    def num_of_kind(self, kind: str) -> int:
        """Pairs that rules of one kind dropped."""
        return sum(self.num_dropped[rule.name] for rule in RULES if rule.kind == kind)


def make_pairs(
    embedder: Embedder, classifier: ImageTypeClassifier | None, source: CatalogSource, out: Path, settings: PairSettings
) -> MadePairs:
    """Make the pairs of a catalog and write them to a folder.

    Args:
        out: receives pairs.csv, dropped.csv and, where pictures cannot be used, rejects.csv.
    Raises:
        CatalogError: the catalog cannot be read, or has no items with pictures.
    """
    out.mkdir(parents=True, exist_ok=True)
    made = MadePairs()
    with (
        Rejects(out / REJECTS_FILE) as rejects,
        described_pictures(embedder, classifier, source, rejects, out) as pictures,
        _written_aside(out / PAIRS_FILE) as kept_file,
        _written_aside(out / DROPPED_FILE) as dropped_file,
    ):
        made.num_rejected, made.num_without_item = rejects.count, pictures.num_without_item
        made.num_pictures, made.num_items = len(pictures.ids), len(pictures.item_ids)
        if classifier is not None:
            counts = np.bincount(pictures.types, minlength=len(IMAGE_TYPES)).tolist()
            made.num_of_types = dict(zip(IMAGE_TYPES, counts, strict=True))
        _sort_pairs(pictures, kept_file, dropped_file, settings, made)
    return made


def _sort_pairs(
    pictures: GalleryPictures, kept_file: IO[str], dropped_file: IO[str], settings: PairSettings, made: MadePairs
) -> None:
    """Write each candidate to one of two files, and count it."""
    kept, dropped = pair_writer(kept_file, "same"), pair_writer(dropped_file, "rule")
    examples = _Examples(settings.seed)
    num_items = count_items(pictures, settings.vector_similarity)
    with tqdm(desc="Pairs", total=len(pictures.item_ids), unit=" items", unit_scale=True) as bar:
        for left, right, num_not_drawn in candidate_pairs(pictures, settings.max_item_pairs, settings.seed):
            rules = rules_of_pairs(pictures, num_items, left, right, settings)
            made.num_not_drawn += num_not_drawn
            made.num_paired_items += bool((rules == KEPT).any())
            for i, j, rule in zip(left.tolist(), right.tolist(), rules.tolist(), strict=True):
                ids = (pictures.ids[i], pictures.ids[j])
                if rule == KEPT:
                    made.num_kept += 1
                    kept.writerow((*ids, 1))
                else:
                    made.num_dropped[RULES[rule].name] += 1
                    dropped.writerow((*ids, RULES[rule].name))
                examples.see(rule, (i, j))
            bar.update(1)
        bar.update(len(pictures.item_ids) - bar.n)  # those with a single picture
    made.examples = {rule: [_example(pictures, *pair) for pair in pairs] for rule, pairs in examples.kept.items()}


class _Examples:
    """A few pairs of each rule by chance, whatever their number (reservoir sampling, Vitter 1985)."""

    def __init__(self, seed: int):
        self.kept: dict[int, list[tuple[int, int]]] = {}
        self._num_seen: dict[int, int] = {}
        self._random = random.Random(seed)

    def see(self, rule: int, pair: tuple[int, int]) -> None:
        kept = self.kept.setdefault(rule, [])
        count = self._num_seen[rule] = self._num_seen.get(rule, 0) + 1
        if len(kept) < NUM_EXAMPLES:
            kept.append(pair)
        elif (place := self._random.randrange(count)) < NUM_EXAMPLES:
            kept[place] = pair


def _example(pictures: GalleryPictures, left: int, right: int) -> ExamplePair:
    sides = [
        (pictures.ids[i], pictures.images[i], IMAGE_TYPES[pictures.types[i]] if pictures.types[i] >= 0 else "")
        for i in (left, right)
    ]
    return ExamplePair(*sides)


@contextmanager
def _written_aside(path: Path) -> Iterator[IO[str]]:
    """A text file that takes its name when it is whole."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        yield file
    part.replace(path)
