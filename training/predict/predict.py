"""The predictions of `training predict`: one answer per row of a catalog, as CSV or Parquet."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from catalog.rejects import Rejects, common_reason
from catalog.rows import catalog_digest
from model.bundle_files import FILES
from model.errors import CatalogError
from model.predictor import Predictor
from model.sub_tree import SubTree
from training.encoding.file_lock import exclusive_or_holder
from training.predict.answered_catalog import AnsweredChunk, CatalogSource, answer_catalog
from training.predict.partial_answers import TOP_K, PartialAnswers


def predict(
    predictor: Predictor,
    catalog: CatalogSource,
    out: Path,
    rejects_path: Path,
    sub_tree: SubTree | None = None,
    resume: bool = False,
) -> tuple[int, int]:
    """Write the answers to a catalog to a file, which appears only when it is complete.

    Args:
        sub_tree: the part of the tree that answers are restricted to; None is the whole tree.
        resume: go on where an interrupted run stopped, to the same result.
    Returns:
        The number of answered rows and of rejected rows; together they are all rows of the catalog.
    Raises:
        CatalogError: the catalog cannot be read, none of its rows can be answered, or `out` is the catalog, is being
            written by another process, has another ending or cannot be written.
    """
    if out.resolve() == catalog.path.resolve():
        raise CatalogError(f"--out and --catalog name the same file, {out}; give two")
    with _alone(out), _opened(out, _run(predictor, catalog, rejects_path, sub_tree), resume) as answers:
        with Rejects(rejects_path, answers.done.rejects if answers.done else None) as rejects:
            for chunk in answer_catalog(predictor, catalog, rejects, TOP_K, sub_tree, answers.done):
                records = answer_rows(predictor, chunk)
                with _catalog_errors(out):
                    answers.write(records, chunk.progress)
        if not answers.num_rows:
            reason = common_reason(rejects_path) if rejects.count else "it has none"
            raise CatalogError(f"{catalog.path}: no row can be answered: {reason or rejects.summary()}")
    return answers.num_rows, rejects.count


def _run(predictor: Predictor, catalog: CatalogSource, rejects_path: Path, sub_tree: SubTree | None) -> dict[str, Any]:
    """All that shapes the answers, by name; a run that goes on has to have the same."""
    engine = predictor.engine
    return {
        "--bundle": hashlib.sha256((predictor.bundle.path / FILES.manifest).read_bytes()).hexdigest(),
        "--catalog": catalog_digest(catalog.path),
        **{f"--{name.replace('_', '-')}": value for name, value in asdict(catalog.read_options).items()},
        "--engine": engine.name,
        "--precision": engine.precision,
        "--mask-parent": sub_tree.path if sub_tree else "",
        "--rejects": str(rejects_path.absolute()),
        "rows of a batch": [catalog.chunk_rows, catalog.batch_rows, catalog.image_batch_rows],
    }


@contextmanager
def _opened(out: Path, run: dict[str, Any], resume: bool) -> Iterator[PartialAnswers]:
    with _catalog_errors(out):
        partial = PartialAnswers(out, run, resume)
    with _catalog_errors(out), partial:
        yield partial


def answer_rows(predictor: Predictor, chunk: AnsweredChunk) -> list[dict[str, Any]]:
    """Return a record per row: the answer, the accepted category ('' for none) and the top 5."""
    taxonomy = predictor.bundle.taxonomy
    records = []
    for position, row in enumerate(chunk.rows):
        top = chunk.answers.categories(position, taxonomy)
        accepted = chunk.answers.accepted(position, taxonomy)
        record = {
            "product_id": row.product_id,
            "category": top[0].category,
            "category_id": top[0].category_id,
            "probability": round(top[0].probability, 6),
            "accepted": accepted.category if accepted else "",
            "needs_review": chunk.answers.needs_review(position, taxonomy),
        }
        for rank in range(TOP_K):  # with fewer leaves the remaining columns are empty
            record[f"category_{rank + 1}"] = top[rank].category if rank < len(top) else None
            record[f"probability_{rank + 1}"] = round(top[rank].probability, 6) if rank < len(top) else None
        records.append(record)
    return records


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other processes from writing the same file."""
    lock = out.with_name(f".{out.name}.lock")
    with _catalog_errors(out), exclusive_or_holder(lock) as holder:
        if holder is not None:
            raise CatalogError(f"process {holder} is writing {out}; wait for it, or give another --out")
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def _catalog_errors(out: Path) -> Iterator[None]:
    """Convert an OSError to a CatalogError with a sentence."""
    try:
        yield
    except OSError as error:
        raise CatalogError(f"{out} cannot be written: {error.strerror}; choose another path or free space") from error
