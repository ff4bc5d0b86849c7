"""A labelled catalog as memory-mapped arrays, made once and found again by content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from catalog.labels.label_space import LabelSpace
from catalog.pictures.decoding import UNREADABLE, picture_fault
from catalog.pictures.limits import PictureSourceSettings
from catalog.pictures.losses import PictureLosses
from catalog.pictures.source import PictureSource
from catalog.rejects import Rejects
from catalog.rows import CatalogRow, presence_flags
from model.errors import PictureError
from model.product import FIELDS, TEXT_FIELDS, has_text
from model.settings import ImageSettings
from tokenizer.tokenizer import Tokenizer
from training.encoding.array_store import ArrayWriter, has_arrays, open_arrays
from training.encoding.file_lock import exclusive
from training.encoding.parsed_catalog import ParsedCatalog
from training.encoding.text_encoding import Texts, encode_texts

if TYPE_CHECKING:  # it imports Keras, which texts alone do without
    from training.encoding.picture_encoding import PictureEncoder

#: Part of the cache key; raise it when the arrays change their names or meaning.
ENCODING_VERSION = 4

#: Position in its chunk, row and class.
_LabelledRow = tuple[int, CatalogRow, int]

_log = logging.getLogger("aisle.encode")
_PICTURE_CHUNK_ROWS = 512
_NOTE, _REJECTS = "rejects.json", "rejects.csv"
#: Stands for a missing picture among keys; a picture has this key with a chance of 1 in 2**64.
_NO_PICTURE = 0


@dataclass(frozen=True)
class EncodedCatalog:
    """Rows of one catalog, ready for training.

    Args:
        arrays: the text inputs of `model/features.py`, "presence" (N, len(FIELDS)) float32, "labels" (N,) int32,
            "rows" (N,) int64 of the parsed catalog, and with pictures "image_feature_rows" (N,) int64; training adds
            "counts" (N,) float64 where rows do not count the same.
        image_features: (M, F) that `image_feature_rows` points into, -1 for none.
        num_rejects: rows left out.
        num_lost_pictures: rows that count without theirs, as it cannot be read.
        digest: hexadecimal, equal for equal rows encoded in the same way.
    """

    arrays: dict[str, np.ndarray]
    image_features: np.ndarray | None
    num_rejects: int
    digest: str
    num_lost_pictures: int = 0

    def __len__(self) -> int:
        return len(self.arrays["labels"]) if self.arrays else 0  # a catalog of rejects only leaves no array

    def class_counts(self, num_classes: int) -> list[int]:
        """The number of rows of each class."""
        counts: list[int] = np.bincount(self.arrays["labels"], minlength=num_classes).tolist()
        return counts


@dataclass(frozen=True)
class CatalogEncoder:
    """All that turns rows into arrays; equal encoders and equal files share one cache entry.

    Pictures do not enter the key: one that changes under the same path is not noticed, but an entry
    that lacks unreadable ones is made again, so that a mended picture or network counts.

    Args:
        tokenizer_dir: where `tokenizer` is saved.
        fields: those the model reads.
        pictures: embeds pictures; None when they are not read.
    """

    tokenizer: Tokenizer
    tokenizer_dir: Path
    label_space: LabelSpace
    fields: tuple[str, ...]
    image: ImageSettings
    pictures: PictureEncoder | None
    cache_dir: Path

    def folder(self, catalog: ParsedCatalog) -> Path:
        """The place of a catalog's arrays."""
        return self.cache_dir / "encoded" / self._key(catalog)

    def encode(self, catalog: ParsedCatalog, rejects_path: Path) -> EncodedCatalog:
        """Encode a catalog, or open what an earlier run left."""
        folder = self.folder(catalog)
        key = folder.name
        # Of two processes the second one finds what the first has encoded or, with other texts, embedded.
        waits_for = self.pictures.digest if self.pictures else key
        with exclusive(self.cache_dir / "locks" / waits_for), Rejects(rejects_path) as rejects:
            if self.pictures:
                self.pictures.cache.refresh()
            if self._is_usable(folder):
                _log.info("%s: encoded by an earlier run, found in %s", catalog.path, folder)
                if (folder / _REJECTS).exists():
                    shutil.copyfile(folder / _REJECTS, rejects_path)
            else:
                with ArrayWriter(folder) as writer:
                    self._write(catalog, writer, rejects)
                note = {"rejects": rejects.count, "lost_pictures": rejects.num_lost_pictures}
                if any(note.values()):
                    shutil.copyfile(rejects_path, folder / _REJECTS)
                note["unreadable_pictures"] = note["lost_pictures"] + rejects.counts_by_reason[UNREADABLE]
                (folder / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        arrays = open_arrays(folder)
        features = self.pictures.cache.features() if self.pictures else None
        if self.pictures and arrays:
            arrays["image_feature_rows"] = self.pictures.cache.rows(arrays.pop("image_keys"))
        encoded = EncodedCatalog(arrays, features, note["rejects"], key, note["lost_pictures"])
        return dataclasses.replace(encoded, digest=f"{key}-{len(encoded)}-{encoded.num_lost_pictures}")

    def _is_usable(self, folder: Path) -> bool:
        """True if an earlier run left all rows, and the features of their pictures are still there."""
        note = folder / _NOTE
        if not has_arrays(folder) or not note.exists():
            return False
        if json.loads(note.read_text(encoding="utf-8"))["unreadable_pictures"]:
            return False
        arrays = open_arrays(folder)
        if not self.pictures or not arrays:
            return True
        keys = arrays["image_keys"]
        return bool((self.pictures.cache.rows(keys)[keys != _NO_PICTURE] >= 0).all())

    def _write(self, catalog: ParsedCatalog, writer: ArrayWriter, rejects: Rejects) -> None:
        chunk_rows = _PICTURE_CHUNK_ROWS if self.pictures else 8192
        chunks = self._chunks(catalog, rejects, chunk_rows)
        with tqdm(desc=f"Encode {catalog.path.name}", unit=" rows", unit_scale=True) as bar:
            for encoded, arrays in encode_texts(self.tokenizer, self.tokenizer_dir, chunks):
                writer.append({**encoded, **arrays})
                bar.update(len(arrays["labels"]))

    def _chunks(
        self, catalog: ParsedCatalog, rejects: Rejects, chunk_rows: int
    ) -> Iterator[tuple[Texts, dict[str, np.ndarray]]]:
        text_fields = [field for field in self.fields if field in TEXT_FIELDS]
        start = 0
        for file in catalog.files:
            losses = PictureLosses(file.path, rejects, self.image.max_lost_pictures)
            with self._picture_source(file.path.parent) as source:
                for rows in file.rows(chunk_rows, rejects):
                    kept = self._labelled(file.path, rows, rejects)
                    kept, arrays = self._with_pictures(file.path, kept, rejects, source, losses)
                    if kept:
                        chosen = [row for _, row, _ in kept]
                        arrays["labels"] = np.array([label for _, _, label in kept], np.int32)
                        arrays["rows"] = np.array([start + position for position, _, _ in kept], np.int64)
                        arrays["presence"] = self._presence(chosen, arrays.get("image_keys"))
                        yield {field: [row.text(field) for row in chosen] for field in text_fields}, arrays
                    start += len(rows)
            losses.check()

    def _presence(self, rows: list[CatalogRow], image_keys: np.ndarray | None) -> np.ndarray:
        flags = presence_flags(rows)
        if image_keys is not None:
            flags[image_keys == _NO_PICTURE, FIELDS.index("image")] = 0
        return flags

    def _picture_source(self, root: Path) -> PictureSource:
        limits = PictureSourceSettings(max_image_bytes=self.image.max_image_bytes)
        return PictureSource(root, self.cache_dir / "pictures", limits)

    def _labelled(self, catalog: Path, rows: list[CatalogRow], rejects: Rejects) -> list[_LabelledRow]:
        kept = []
        for position, row in enumerate(rows):
            label = self.label_space.class_of(row)
            if isinstance(label, str):
                rejects.add(catalog, row.line, row.product_id, label)
            else:
                kept.append((position, row, label))
        return kept

    def _with_pictures(
        self, catalog: Path, rows: list[_LabelledRow], rejects: Rejects, source: PictureSource, losses: PictureLosses
    ) -> tuple[list[_LabelledRow], dict[str, np.ndarray]]:
        """Give the rows their feature keys; one whose picture is unreadable loses it, and is dropped without text."""
        if not self.pictures:
            return rows, {}
        images = [row.image for _, row, _ in rows]
        with_image = [i for i, image in enumerate(images) if image]
        encoded = source.read_many([images[i] for i in with_image])
        values = dict(zip(with_image, self.pictures.embed(encoded), strict=True))
        good, keys = [], []
        for i, labelled in enumerate(rows):
            row, value = labelled[1], values.get(i, _NO_PICTURE)
            if isinstance(value, PictureError):
                if not any(has_text(row.text(field)) for field in self.fields if field in TEXT_FIELDS):
                    rejects.add(catalog, row.line, row.product_id, picture_fault(row.image, value))
                    continue
                losses.lose(row, value)
                value = _NO_PICTURE
            good.append(labelled)
            keys.append(value)
        losses.count(len(with_image))
        return good, {"image_keys": np.array(keys, np.uint64)}

    def _key(self, catalog: ParsedCatalog) -> str:
        parts = {
            "version": ENCODING_VERSION,
            "catalog": catalog.digest,
            "folders": [str(file.path.parent.resolve()) for file in catalog.files],
            "fields": self.fields,
            "tokenizer": self.tokenizer.digest if set(self.fields) & set(TEXT_FIELDS) else "",
            "taxonomy": self.label_space.taxonomy.checksum,
            "pictures": self.pictures.digest if self.pictures else "",
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
