"""Texts to ids with all cores: chunks go to worker processes and come back in order."""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from model.machine.cores import usable_cores
from model.machine.worker_process import serve_parent
from tokenizer.tokenizer import Tokenizer

T = TypeVar("T")
Texts = dict[str, list[str]]
#: A worker process' own.
_worker: dict[str, Tokenizer] = {}


def encode_texts(
    tokenizer: Tokenizer, tokenizer_dir: Path, chunks: Iterable[tuple[Texts, T]]
) -> Iterator[tuple[dict[str, np.ndarray], T]]:
    """Encode chunks of texts in order, each beside whatever it came with.

    A catalog of one chunk, or with one core to run on, is encoded right here: processes would take longer.

    Args:
        tokenizer_dir: where `tokenizer` is saved, for the workers to load.
        chunks: field to texts, the same fields in each, and the caller's own companion of the chunk.
    """
    iterator = iter(chunks)
    first, second = next(iterator, None), next(iterator, None)
    if first is None:
        return
    num_workers = usable_cores()
    if second is None or num_workers == 1:
        for texts, companion in chain((first,), (second,) if second else (), iterator):
            yield tokenizer.encode(texts), companion
        return
    # Workers are spawned: a fork of a process that runs TensorFlow's threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, _load_tokenizer, (tokenizer_dir,)) as pool:
        pending: deque[tuple[Future[dict[str, np.ndarray]], T]] = deque()
        for texts, companion in chain((first, second), iterator):
            pending.append((pool.submit(_encode, texts), companion))
            if len(pending) > 2 * num_workers:  # bounds memory when the reader is faster
                yield _result(pending)
        while pending:
            yield _result(pending)


def _result(pending: "deque[tuple[Future[dict[str, np.ndarray]], T]]") -> tuple[dict[str, np.ndarray], T]:
    future, companion = pending.popleft()
    return future.result(), companion


def _load_tokenizer(tokenizer_dir: Path) -> None:
    serve_parent()
    _worker["tokenizer"] = Tokenizer.load(tokenizer_dir)


def _encode(chunk: Texts) -> dict[str, np.ndarray]:
    return _worker["tokenizer"].encode(chunk)
