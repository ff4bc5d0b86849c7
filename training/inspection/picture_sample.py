"""A sample of a catalog's pictures, read and decoded as training would."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from catalog.pictures.decoding import decode_or_error, picture_fault
from catalog.pictures.limits import PictureSourceSettings
from catalog.pictures.source import PictureSource
from model.errors import PictureError
from model.settings import ImageSettings
from training.encoding.parsed_catalog import ParsedCatalog

#: A host that does not answer is soon given up: this is a first look.
_QUICK = PictureSourceSettings(timeout_s=5.0, num_retries=0)
_CHUNK = 32
_NUM_EXAMPLES = 10


@dataclass(frozen=True)
class PictureSample:
    """The pictures of a sample that can be used, counted.

    Args:
        num_pictures: rows that name one.
        num_tried, num_lost: of the sample, and of these those that cannot be read or decoded.
        faults: of some of them, with their line.
    """

    num_pictures: int
    num_tried: int
    num_lost: int
    faults: list[str]

    @classmethod
    def of(cls, catalog: ParsedCatalog, num_tried: int, seed: int, cache_dir: Path) -> "PictureSample":
        """Read some of the pictures.

        Args:
            num_tried: pictures to read, 0 or more.
            seed: chooses them.
        """
        num_pictures = catalog.statistics.field_counts["image"]
        chosen = set(np.random.default_rng(seed).permutation(num_pictures)[:num_tried].tolist())
        named = ((row.line, row.image) for rows in catalog.rows() for row in rows if row.image)
        images = [one for number, one in enumerate(named) if number in chosen]
        faults: list[str] = []
        with (
            PictureSource(catalog.path.parent, cache_dir / "pictures", _QUICK) as source,
            tqdm(desc="Read pictures", total=len(images), unit=" pictures", delay=1) as bar,
        ):
            for start in range(0, len(images), _CHUNK):
                part = images[start : start + _CHUNK]
                for (line, image), picture in zip(part, source.read_many([image for _, image in part]), strict=True):
                    decoded = decode_or_error(picture, ImageSettings())
                    if isinstance(decoded, PictureError):
                        faults.append(f"line {line}: {picture_fault(image, decoded)}")
                bar.update(len(part))
        return cls(num_pictures, len(images), len(faults), faults[:_NUM_EXAMPLES])
