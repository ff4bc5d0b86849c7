"""Answers out of fold: each row of a catalog is answered by a classifier of the rows of other folds (Stone 1974)."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from tqdm import tqdm

from labeling.answers.labelled_catalog import LabelledCatalog
from labeling.answers.picture_inputs import write_picture_inputs
from labeling.answers.top_answers import TopAnswers
from labeling.answers.tree_classifier import TreeClassifier
from labeling.output_files import output_file
from labeling.settings import AnswerSettings
from model.errors import LabelingError
from model.machine.cores import usable_cores
from model.machine.worker_process import serve_parent
from model.taxonomy import Taxonomy
from training.encoding.array_store import open_arrays
from training.encoding.encoded_catalog import EncodedCatalog
from training.ensemble.ngram_matrix import ngram_matrix
from training.splitting.folds import assign_folds

#: Part of the key of kept answers; raise it when they are computed otherwise.
_VERSION = 2
#: Rows that fit the temperatures.
_CALIBRATION_ROWS = 10_000
_CHUNK_ROWS = 16_384
#: Fewer rows of all folds are answered in this process.
_FEW_ROWS = 20_000
_POLL_S = 0.5
#: A worker process' own.
_process: dict[str, Any] = {}


@dataclass(frozen=True)
class _Fold:
    """One fold's work, as its process gets it.

    Args:
        encoded: folder of the encoded catalog.
        pictures: file of `write_picture_inputs`; None without pictures.
        classes: (N,) int32, that were given.
        folds: (N,) int, of each row.
    """

    number: int
    encoded: Path
    pictures: Path | None
    classes: np.ndarray
    folds: np.ndarray
    field_weights: Mapping[str, float]
    hash_buckets: int
    taxonomy: Taxonomy
    settings: AnswerSettings
    target: Path


def answer_out_of_fold(
    catalog: LabelledCatalog, settings: AnswerSettings, folder: Path, classes: np.ndarray | None = None
) -> TopAnswers:
    """Answer every row; folds that an interrupted run has finished are found again.

    Args:
        folder: gets a file a fold.
        classes: (N,) int32, labels to believe in place of the catalog's own.
    Raises:
        LabelingError: there are too few products for folds, the disk refused, or a process was killed.
    """
    classes = catalog.classes if classes is None else classes
    labels = [str(number) for number in classes]
    num_folds = min(settings.num_folds, len(np.unique(catalog.groups)))
    if num_folds < 2 or len(np.unique(classes)) < 2:
        raise LabelingError(
            f"{catalog.parsed.path}: expected different products of 2 categories or more, found"
            f" {len(np.unique(catalog.groups))} products of {len(np.unique(classes))}; add rows"
        )
    folds = assign_folds(catalog.groups, labels, num_folds, settings.seed)
    files = [folder / f"fold-{number}.npz" for number in range(num_folds)]
    key = _key(catalog, settings, classes)
    _keep_only(folder, key)
    pictures = None
    if catalog.encoded.image_features is not None:
        pictures = folder / "pictures.npy"
        write_picture_inputs(catalog.encoded, pictures, settings.seed)
    work = [
        _Fold(
            number, catalog.encoded_folder, pictures, classes, folds, catalog.field_weights,
            catalog.settings.tokenizer.hash_buckets, catalog.labels.taxonomy, settings, file,
        )
        for number, file in enumerate(files)
        if not file.exists()
    ]  # fmt: skip
    _answer_all(work, num_folds, settings.num_processes or usable_cores())
    answers = TopAnswers.empty(len(catalog), catalog.labels.taxonomy.num_leaves)
    for number, file in enumerate(files):
        answers.put(np.flatnonzero(folds == number), TopAnswers.load(file))
    return answers


def _key(catalog: LabelledCatalog, settings: AnswerSettings, classes: np.ndarray) -> str:
    values = {**asdict(settings), "num_processes": 0, "version": _VERSION, "catalog": catalog.encoded.digest}
    values["classes"] = hashlib.sha256(np.ascontiguousarray(classes).tobytes()).hexdigest()
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _keep_only(folder: Path, key: str) -> None:
    """Remove answers that were computed from something else."""
    note = folder / "key.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not note.exists() or note.read_text(encoding="ascii") != key:
            for file in folder.glob("fold-*.npz"):
                file.unlink()
            note.write_text(key, encoding="ascii")
    except OSError as error:
        raise LabelingError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error


def _answer_all(work: list[_Fold], num_folds: int, num_processes: int) -> None:
    """Work on folds in processes of their own; here, where one is left or they would take longer to start."""
    num_rows = sum(len(fold.folds) for fold in work)
    desc = f"Answer {len(work)} of {num_folds} folds"
    with tqdm(desc=desc, total=num_rows, unit=" rows", unit_scale=True, disable=not work) as bar:
        if min(num_processes, len(work)) <= 1 or num_rows < _FEW_ROWS:
            for fold in work:
                _answer_fold(fold, bar.update)
            return
        context = multiprocessing.get_context("spawn")
        done_rows = context.Value("q", 0)
        try:
            with ProcessPoolExecutor(num_processes, context, _start_process, (done_rows,)) as pool:
                running = [pool.submit(_answer_in_process, fold) for fold in work]
                while running:
                    finished, left = wait(running, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                    for future in finished:
                        future.result()
                    running = list(left)
                    bar.update(int(done_rows.value) - bar.n)
        except BrokenProcessPool as error:
            raise LabelingError(
                "a process that answers a fold was killed, most likely for want of memory; finished folds are kept:"
                " run the same command again with --num-processes 1 or a smaller --max-train-rows"
            ) from error


def _start_process(done_rows: Any) -> None:
    serve_parent()
    _process["done_rows"] = done_rows


def _answer_in_process(fold: _Fold) -> None:
    counter = _process["done_rows"]

    def advance(num_rows: float) -> None:
        with counter.get_lock():
            counter.value += round(num_rows)

    _answer_fold(fold, advance)


def _answer_fold(fold: _Fold, on_progress: Callable[[float], object]) -> None:
    """Learn from the other folds, answer this one, and write its file.

    Args:
        on_progress: called with what is done of all rows, those to learn from included.
    """
    arrays = open_arrays(fold.encoded)
    draw = np.random.default_rng([fold.settings.seed, fold.number])
    train = np.flatnonzero(fold.folds != fold.number)
    if len(train) > fold.settings.max_train_rows:
        train = np.sort(draw.permutation(train)[: fold.settings.max_train_rows])
    own = np.flatnonzero(fold.folds == fold.number)
    part = (len(fold.folds) - len(own)) / len(train)
    classifier = TreeClassifier.fit(
        fold.taxonomy,
        _inputs(fold, arrays, train),
        fold.classes[train],
        fold.settings.linear_cost,
        fold.settings.seed,
        lambda share: on_progress(share * len(train) * part),
    )
    few = np.sort(draw.permutation(own)[:_CALIBRATION_ROWS])
    classifier.calibrate(_inputs(fold, arrays, few), fold.classes[few])
    parts = []
    for start in range(0, len(own), _CHUNK_ROWS):
        rows = own[start : start + _CHUNK_ROWS]
        parts.append(classifier.answer(_inputs(fold, arrays, rows), fold.classes[rows]))
        on_progress(len(rows))
    with output_file(fold.target) as aside, aside.open("wb") as file:
        TopAnswers.concatenate(parts).save(file)


def _inputs(fold: _Fold, arrays: Mapping[str, np.ndarray], rows: np.ndarray) -> sparse.csr_matrix:
    """(len(rows), hash_buckets + D) float32, the n-grams of some rows, and their pictures where there are some."""
    part = {name: values[rows] for name, values in arrays.items() if "_ngram_" in name or name == "labels"}
    ngrams = ngram_matrix(EncodedCatalog(part, None, 0, ""), fold.field_weights, fold.hash_buckets)
    if fold.pictures is None:
        return ngrams
    pictures = np.load(fold.pictures, mmap_mode="r")[rows].astype(np.float32)
    return sparse.hstack([ngrams, sparse.csr_matrix(pictures)], format="csr")
