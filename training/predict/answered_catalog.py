"""The answers of a bundle to a catalog, chunk by chunk and in order; shared by predict and evaluate."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from catalog.pictures.decoding import decode_or_error, picture_fault
from catalog.pictures.limits import PictureSourceSettings
from catalog.pictures.losses import LossCounts, PictureLosses
from catalog.pictures.source import PictureSource
from catalog.read_options import ReadOptions
from catalog.rejects import Rejects, RejectsMark
from catalog.rows import CatalogRow, read_catalog
from model.errors import AisleError, PictureError
from model.features import Features
from model.machine.cores import usable_cores
from model.prediction.answers import Answers
from model.predictor import Predictor
from model.product import Product
from model.sub_tree import SubTree
from training.encoding.text_encoding import encode_texts

_TEXT_CHUNK_ROWS = 4096
_PICTURE_CHUNK_ROWS = 512
_BATCH_ROWS = 256


@dataclass(frozen=True)
class CatalogSource:
    """A catalog to answer, and how much of it at a time.

    Args:
        read_options: how its file is read.
        cache_dir: folder for fetched pictures.
        chunk_rows: rows in memory at a time; 0 is 512 with pictures and 4,096 without.
        batch_rows, image_batch_rows: rows in one call of the classifier and of the image encoder.
        max_lost_pictures: share of the pictures that may be unreadable; None is what the bundle was trained with.
    """

    path: Path
    read_options: ReadOptions
    cache_dir: Path
    chunk_rows: int = 0
    batch_rows: int = _BATCH_ROWS
    image_batch_rows: int = 32
    max_lost_pictures: float | None = None


@dataclass(frozen=True)
class Progress:
    """The place after a chunk, to go on from after an interruption.

    Args:
        num_chunks: chunks of the catalog that were read.
        rejects, losses: of these.
    """

    num_chunks: int
    rejects: RejectsMark
    losses: LossCounts


@dataclass(frozen=True)
class AnsweredChunk:
    """A chunk of rows with their answers.

    Args:
        rows: N catalog rows, in the file's order.
        features: the classifier's inputs, (N, ...) each, "presence" among them.
        outputs: engine outputs, (N, ...) each.
        answers: top k and accepted categories.
        pixels: decoded pictures by position in `rows`, for rows that have one.
        progress: the place after it.
    """

    rows: list[CatalogRow]
    features: Features
    outputs: dict[str, np.ndarray]
    answers: Answers
    pixels: dict[int, np.ndarray]
    progress: Progress

    def select(self, kept: np.ndarray) -> "AnsweredChunk":
        """Select rows.

        Args:
            kept: (M,) positions, ascending.
        """
        positions = {int(old): new for new, old in enumerate(kept)}
        return AnsweredChunk(
            [self.rows[i] for i in kept],
            {name: values[kept] for name, values in self.features.items()},
            {name: values[kept] for name, values in self.outputs.items()},
            Answers(**{entry.name: getattr(self.answers, entry.name)[kept] for entry in fields(Answers)}),
            {positions[old]: picture for old, picture in self.pixels.items() if old in positions},
            self.progress,
        )


@dataclass(frozen=True)
class _Chunk:
    rows: list[CatalogRow]
    products: list[Product]
    pixels: dict[int, np.ndarray]


def answer_catalog(
    predictor: Predictor,
    catalog: CatalogSource,
    rejects: Rejects,
    top_k: int,
    sub_tree: SubTree | None = None,
    done: Progress | None = None,
) -> Iterator[AnsweredChunk]:
    """Answer all rows that can be answered; the others go to `rejects` with a reason.

    Args:
        sub_tree: the part of the tree that answers are restricted to; None is the whole tree.
        done: what an interrupted run has answered, which is read and not answered again; its rejects are in `rejects`.
    Raises:
        CatalogError: the catalog cannot be read, or too many of its pictures.
    """
    with_images = "image" in predictor.bundle.fields
    chunk_rows = catalog.chunk_rows or (_PICTURE_CHUNK_ROWS if with_images else _TEXT_CHUNK_ROWS)
    settings = predictor.bundle.settings.image
    limits = PictureSourceSettings(max_image_bytes=settings.max_image_bytes)
    source = PictureSource(catalog.path.parent, catalog.cache_dir / "pictures", limits)
    max_share = settings.max_lost_pictures if catalog.max_lost_pictures is None else catalog.max_lost_pictures
    losses = PictureLosses(catalog.path, rejects, max_share, done.losses if done else None)
    num_done = done.num_chunks if done else 0
    preprocessor = predictor.preprocessor

    bar = tqdm(desc=f"Answer {catalog.path.name}", unit=" rows", unit_scale=True)
    with source, ThreadPoolExecutor(usable_cores()) as pool, bar:

        def chunks() -> Iterator[tuple[dict[str, list[str]], tuple[_Chunk, Progress]]]:
            sink = _LateRejects(rejects, is_open=not num_done)
            read = read_catalog(catalog.path, catalog.read_options, chunk_rows=chunk_rows, rejects=sink)
            for num_chunks, rows in enumerate(read, start=1):
                sink.is_open = num_chunks >= num_done
                if num_chunks <= num_done:
                    bar.update(len(rows))
                    continue
                pictures = _decoded(rows, source if with_images else None, predictor, pool)
                chunk = _answerable(predictor, catalog.path, rows, pictures, rejects, losses)
                bar.update(len(rows) - len(chunk.rows))
                if chunk.rows:
                    texts = {f: [product.text(f) for product in chunk.products] for f in preprocessor.text_fields}
                    yield texts, (chunk, Progress(num_chunks, rejects.mark(), losses.counts))
            losses.check()

        tokenizer_dir = predictor.bundle.path / "tokenizer"
        for texts, (chunk, progress) in encode_texts(preprocessor.tokenizer, tokenizer_dir, chunks()):
            features = _features(predictor, texts, chunk, catalog.image_batch_rows)
            outputs = classify_rows(predictor, features, batch_rows=catalog.batch_rows)
            answers = predictor.answers(outputs, features["presence"], top_k, sub_tree)
            bar.update(len(chunk.rows))
            yield AnsweredChunk(chunk.rows, features, outputs, answers, chunk.pixels, progress)


class _LateRejects:
    """Passes rejects on, but for those that an interrupted run has listed."""

    def __init__(self, rejects: Rejects, is_open: bool):
        self._rejects = rejects
        self.is_open = is_open

    def add(self, file: Path | str, line: int, product_id: str, reason: str) -> None:
        """Reject one row; see `Rejects.add`."""
        if self.is_open:
            self._rejects.add(file, line, product_id, reason)


def classify_rows(
    predictor: Predictor, features: Features, all_heads: bool = True, batch_rows: int = _BATCH_ROWS
) -> dict[str, np.ndarray]:
    """Run the classifier on one or more rows, in batches of a size that suits the engine."""
    count = len(features["presence"])
    parts = [
        predictor.classify({name: values[i : i + batch_rows] for name, values in features.items()}, all_heads)
        for i in range(0, count, batch_rows)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _answerable(
    predictor: Predictor,
    catalog: Path,
    rows: list[CatalogRow],
    pictures: list[np.ndarray | PictureError | None],
    rejects: Rejects,
    losses: PictureLosses,
) -> _Chunk:
    """The rows that can be answered; one whose picture is unreadable is answered by the rest of it."""
    chunk = _Chunk([], [], {})
    for row, picture in zip(rows, pictures, strict=True):
        # Only its presence matters here; the pixels are passed separately.
        product = row.product(b"" if isinstance(picture, np.ndarray) else None)
        try:
            predictor.check(product)
        except AisleError as error:
            rejects.add(catalog, row.line, row.product_id, _fault(row, picture, error))
            continue
        if isinstance(picture, PictureError):
            losses.lose(row, picture)
        elif picture is not None:
            chunk.pixels[len(chunk.rows)] = picture
        chunk.rows.append(row)
        chunk.products.append(product)
    losses.count(sum(picture is not None for picture in pictures))
    return chunk


def _decoded(
    rows: list[CatalogRow], source: PictureSource | None, predictor: Predictor, pool: ThreadPoolExecutor
) -> list[np.ndarray | PictureError | None]:
    pictures: list[np.ndarray | PictureError | None] = [None] * len(rows)
    if source is not None:
        with_image = [i for i, row in enumerate(rows) if row.image]
        encoded = source.read_many([rows[i].image for i in with_image])
        settings = predictor.bundle.settings.image
        for i, found in zip(
            with_image, pool.map(lambda picture: decode_or_error(picture, settings), encoded), strict=True
        ):
            pictures[i] = found
    return pictures


def _features(predictor: Predictor, texts: dict[str, np.ndarray], chunk: _Chunk, image_batch_rows: int) -> Features:
    features = {**texts, "presence": predictor.preprocessor.presence(chunk.products)}
    image_features = predictor.preprocessor.empty_image_features(len(chunk.rows))
    if image_features is not None:
        positions = list(chunk.pixels)
        for start in range(0, len(positions), image_batch_rows):
            batch = positions[start : start + image_batch_rows]
            image_features[batch] = predictor.encode_images(np.stack([chunk.pixels[i] for i in batch]))
        features["image_features"] = image_features
    return features


def _fault(row: CatalogRow, picture: np.ndarray | PictureError | None, error: AisleError) -> str:
    return picture_fault(row.image, picture) if isinstance(picture, PictureError) else f"nothing to answer: {error}"
