"""A fitted tokenizer on disk."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from model.settings import text_fields
from tests.conftest import TOY_SETTINGS, write_catalog
from tokenizer.tokenizer import Tokenizer
from training.encoding import tokenizer_cache
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.encoding.tokenizer_cache import fitted_tokenizer

ROWS = [{"product_id": f"p{i}", "product_name": f"반팔 티셔츠 {i}", "brand": "나이키"} for i in range(8)]
SETTINGS = TOY_SETTINGS.tokenizer
FIELDS = text_fields(("name", "brand", "image"), TOY_SETTINGS.fields)


@pytest.fixture
def catalog(tmp_path: Path) -> ParsedCatalog:
    return parsed(tmp_path, ROWS)


def parsed(tmp_path: Path, rows: list[dict[str, str]], options: ReadOptions = DEFAULT_OPTIONS) -> ParsedCatalog:
    return parse_catalog(write_catalog(tmp_path / "shop.csv", rows), options, tmp_path / "cache")


def test_a_second_call_loads(catalog: ParsedCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, folder = fitted_tokenizer(catalog, FIELDS, SETTINGS, 0, tmp_path / "cache")
    assert set(first.num_texts) == {"name", "brand"}
    monkeypatch.setattr(tokenizer_cache, "fit_tokenizer", None)
    second, again = fitted_tokenizer(catalog, FIELDS, SETTINGS, 0, tmp_path / "cache")
    assert again == folder
    assert second.digest == first.digest
    np.testing.assert_array_equal(second.word_vectors, first.word_vectors)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert not list(folder.glob("corpus*"))


def test_whatever_shapes_it_gives_another(catalog: ParsedCatalog, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    swapped = parsed(tmp_path, ROWS, ReadOptions("product_name=brand,brand=product_name"))
    other = parsed(tmp_path, ROWS[:7])
    folders = {
        fitted_tokenizer(of, fields, settings, seed, cache)[1]
        for of, fields, settings, seed in (
            (catalog, FIELDS, SETTINGS, 0),
            (other, FIELDS, SETTINGS, 0),
            (swapped, FIELDS, SETTINGS, 0),
            (catalog, FIELDS[:1], SETTINGS, 0),
            (catalog, FIELDS, replace(SETTINGS, min_count=2), 0),
            (catalog, [replace(FIELDS[0], num_tokens=5), FIELDS[1]], SETTINGS, 0),
            (catalog, FIELDS, SETTINGS, 1),
        )
    }
    assert len(folders) == 7


def test_a_crash_leaves_no_half_tokenizer(
    catalog: ParsedCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Tokenizer.save

    def torn_save(self: Tokenizer, folder: Path) -> None:
        save(self, folder)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Tokenizer, "save", torn_save)
    with pytest.raises(OSError, match="No space left"):
        fitted_tokenizer(catalog, FIELDS, SETTINGS, 0, tmp_path / "cache")
    monkeypatch.undo()
    assert not list((tmp_path / "cache" / "tokenizers").iterdir())
    _, folder = fitted_tokenizer(catalog, FIELDS, SETTINGS, 0, tmp_path / "cache")
    assert Tokenizer.load(folder).tokens


def test_what_a_killed_process_of_the_same_id_left_is_no_obstacle(catalog: ParsedCatalog, tmp_path: Path) -> None:
    _, folder = fitted_tokenizer(catalog, FIELDS, SETTINGS, 0, tmp_path / "cache")
    left = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    folder.rename(left)
    _, again = fitted_tokenizer(catalog, FIELDS, SETTINGS, 0, tmp_path / "cache")
    assert again == folder
    assert not left.exists()


def test_a_catalog_of_pictures_only_gives_a_tokenizer_without_words(tmp_path: Path) -> None:
    catalog = parsed(tmp_path, [{"product_id": "1", "image": "a.jpg"}])
    tokenizer, _ = fitted_tokenizer(catalog, [], SETTINGS, 0, tmp_path / "cache")
    assert tokenizer.tokens == ()
    assert tokenizer.num_texts == {}
