"""Texts to ids by worker processes."""

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tokenizer.tokenizer import Tokenizer
from training.encoding.text_encoding import _load_tokenizer, encode_texts


def chunk(start: int, count: int) -> dict[str, list[str]]:
    return {
        "name": [f"반팔 티셔츠 {i} 무료배송" if i % 5 else "" for i in range(start, start + count)],
        "brand": [f"brand{i % 5}" for i in range(start, start + count)],
    }


def test_worker_processes_give_what_one_process_gives_in_order(
    toy_tokenizer: tuple[Tokenizer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, folder = toy_tokenizer
    chunks = [(chunk(10 * i, 1 + 40 * (i % 3)), f"companion {i}") for i in range(12)]
    expected = [tokenizer.encode(texts) for texts, _ in chunks]
    monkeypatch.setattr(Tokenizer, "encode", None)  # this process may not encode
    found = list(encode_texts(tokenizer, folder, chunks))
    assert [companion for _, companion in found] == [companion for _, companion in chunks]
    for (arrays, _), reference in zip(found, expected, strict=True):
        assert arrays.keys() == reference.keys()
        for name, values in reference.items():
            np.testing.assert_array_equal(arrays[name], values)
    assert not multiprocessing.active_children()


def test_one_chunk_starts_no_process(toy_tokenizer: tuple[Tokenizer, Path], tmp_path: Path) -> None:
    tokenizer, _ = toy_tokenizer
    ((arrays, companion),) = encode_texts(tokenizer, tmp_path / "nowhere", [(chunk(0, 3), "one")])
    assert companion == "one"
    assert arrays["name_token_ids"].shape == (3, tokenizer.fields["name"].num_tokens)


def test_no_chunk_gives_nothing(toy_tokenizer: tuple[Tokenizer, Path]) -> None:
    assert not list(encode_texts(*toy_tokenizer, []))


def test_an_error_of_the_reader_reaches_the_caller(toy_tokenizer: tuple[Tokenizer, Path]) -> None:
    def chunks() -> Iterator[tuple[dict[str, list[str]], int]]:
        yield chunk(0, 2), 0
        yield chunk(2, 2), 1
        raise RuntimeError("the disk went away")

    with pytest.raises(RuntimeError, match="the disk went away"):
        list(encode_texts(*toy_tokenizer, chunks()))
    assert not multiprocessing.active_children()


def test_workers_leave_ctrl_c_to_the_main_process(toy_tokenizer: tuple[Tokenizer, Path]) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, _load_tokenizer, toy_tokenizer[1:]) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
