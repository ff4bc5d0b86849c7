"""Texts to ids with all cores: chunks go to worker processes and come back in order."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np

from tokenizer.tokenizer import Tokenizer

Texts = dict[str, list[str]]
_worker_tokenizer: Tokenizer


def encode_texts(tokenizer: Tokenizer, tokenizer_dir: Path, chunks: Iterable[Texts]) -> Iterator[dict[str, np.ndarray]]:
    """Encode chunks of texts in order.

    A catalog of one chunk is encoded right here: starting processes would take longer.

    Args:
        tokenizer_dir: where `tokenizer` is saved, for the workers to load.
        chunks: field to texts, the same fields in each.
    """
    iterator = iter(chunks)
    first, second = next(iterator, None), next(iterator, None)
    if first is None:
        return
    if second is None:
        yield tokenizer.encode(first)
        return
    num_workers = os.cpu_count() or 1
    # Workers are spawned: a fork of a process that runs TensorFlow's threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, _load_tokenizer, (tokenizer_dir,)) as pool:
        pending: deque[Future[dict[str, np.ndarray]]] = deque()
        for chunk in chain((first, second), iterator):
            pending.append(pool.submit(_encode, chunk))
            if len(pending) > 2 * num_workers:  # bounds memory when the reader is faster
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _load_tokenizer(tokenizer_dir: Path) -> None:
    global _worker_tokenizer
    _worker_tokenizer = Tokenizer.load(tokenizer_dir)


def _encode(chunk: Texts) -> dict[str, np.ndarray]:
    return _worker_tokenizer.encode(chunk)
