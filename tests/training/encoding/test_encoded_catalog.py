"""A labelled catalog as arrays on disk."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import cv2
import keras
import numpy as np
import pytest

from catalog.labels.label_space import LabelSpace
from catalog.read_options import DEFAULT_OPTIONS, ReadOptions
from model.errors import CatalogError
from model.product import FIELDS
from model.settings import ImageSettings
from model.taxonomy import Taxonomy
from tests.conftest import write_catalog
from tests.training.conftest import Runs
from tokenizer.tokenizer import Tokenizer
from training.encoding.encoded_catalog import CatalogEncoder
from training.encoding.parsed_catalog import ParsedCatalog, parse_catalog
from training.encoding.picture_encoding import PictureEncoder

COLORS = {"a>red": (200, 10, 10), "a>green": (10, 200, 10), "b": (10, 10, 200)}
LABELS = LabelSpace(Taxonomy(COLORS), "the test's tree")
MeanColor = tuple[keras.Model, ImageSettings]
NewEncoder = Callable[..., CatalogEncoder]


def save_png(path: Path, color: tuple[int, int, int]) -> None:
    path.write_bytes(cv2.imencode(".png", np.full((10, 10, 3), color[::-1], np.uint8))[1].tobytes())


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, str]]:
    """Six good rows, the second and fifth without a picture."""
    rows = []
    for i in range(6):
        category = list(COLORS)[i % 3]
        row = {"product_id": f"p{i}", "product_name": f"셔츠 {i}", "brand": "brand1", "category": category}
        if i % 3 != 1:
            row["image"] = f"{i}.png"
            save_png(tmp_path / row["image"], (*COLORS[category][:2], COLORS[category][2] + i))
        rows.append(row)
    return rows


@pytest.fixture
def new_encoder(toy_tokenizer: tuple[Tokenizer, Path], mean_color: MeanColor, tmp_path: Path) -> NewEncoder:
    """Makes an encoder as a new run would."""

    def new(**changes: object) -> CatalogEncoder:
        cache = tmp_path / "cache"
        pictures = PictureEncoder(*mean_color, cache)
        fields = ("name", "brand", "image")
        encoder = CatalogEncoder(*toy_tokenizer, LABELS, fields, mean_color[1], pictures, cache)
        return replace(encoder, **changes)  # type: ignore[arg-type]

    return new


def write_and_parse(path: Path, rows: list[dict[str, str]], options: ReadOptions = DEFAULT_OPTIONS) -> ParsedCatalog:
    return parse_catalog(write_catalog(path, rows), options, path.parent / "cache")


def reject_reasons(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["product_id"]: row["reason"] for row in csv.DictReader(file)}


def test_rows_become_arrays(rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path) -> None:
    encoder = new_encoder()
    found = encoder.encode(write_and_parse(tmp_path / "shop.csv", rows), tmp_path / "rejects.csv")
    assert len(found) == 6
    assert found.num_rejects == 0
    np.testing.assert_array_equal(found.arrays["labels"], [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(found.arrays["rows"], np.arange(6))
    np.testing.assert_array_equal(found.arrays["presence"][:2], [[1, 0, 1, 0, 0, 1], [1, 0, 1, 0, 0, 0]])
    texts = encoder.tokenizer.encode(
        {field: [row[column] for row in rows] for field, column in (("name", "product_name"), ("brand", "brand"))}
    )
    for name, values in texts.items():
        np.testing.assert_array_equal(found.arrays[name], values)
    assert found.arrays.keys() == {*texts, "labels", "presence", "rows", "image_feature_rows"}
    picture_rows = found.arrays["image_feature_rows"]
    np.testing.assert_array_equal(picture_rows < 0, [False, True, False] * 2)
    assert found.image_features is not None
    expected = [(200, 10, 10), (10, 10, 202), (200, 10, 13), (10, 10, 205)]
    np.testing.assert_allclose(found.image_features[picture_rows[picture_rows >= 0]], expected, rtol=0.01)


def test_equal_content_is_found_again(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = write_and_parse(tmp_path / "shop.csv", rows)
    first = new_encoder().encode(catalog, tmp_path / "rejects.csv")
    runs.rows.clear()
    copy = write_and_parse(tmp_path / "copy.csv", rows)
    monkeypatch.setattr(CatalogEncoder, "_write", None)
    again = new_encoder().encode(copy, tmp_path / "rejects.csv")
    assert again.digest == first.digest
    assert runs.rows == []
    for name, values in first.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)


def with_shorter_names(tokenizer: Tokenizer) -> Tokenizer:
    fields = [replace(field, num_tokens=7 * (field.num_tokens > 0)) for field in tokenizer.fields.values()]
    return Tokenizer(
        tokenizer.settings,
        fields,
        tokenizer.tokens,
        tokenizer.word_vectors,
        tokenizer.ngram_frequencies,
        tokenizer.num_texts,
    )


def test_whatever_shapes_it_gives_another_entry(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path, toy_tokenizer: tuple[Tokenizer, Path]
) -> None:
    catalog = write_and_parse(tmp_path / "shop.csv", rows)
    other_catalog = write_and_parse(tmp_path / "other.csv", [*rows, {**rows[0], "product_id": "new"}])
    swapped = write_and_parse(tmp_path / "shop.csv", rows, ReadOptions("product_name=brand,brand=product_name"))
    tokenizer, _ = toy_tokenizer
    shorter = with_shorter_names(tokenizer)
    changes: list[dict[str, object]] = [
        {},
        {"fields": ("name", "image")},
        {"tokenizer": shorter},
        {"label_space": LabelSpace(Taxonomy([*COLORS, "c"]), "another tree")},
        {"pictures": None, "fields": ("name", "brand")},
    ]
    digests = [new_encoder(**change).encode(catalog, tmp_path / "rejects.csv").digest for change in changes]
    digests += [new_encoder().encode(other, tmp_path / "rejects.csv").digest for other in (other_catalog, swapped)]
    assert len(set(digests)) == len(digests)


def test_pictures_alone_are_found_again_whatever_the_tokenizer(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path, toy_tokenizer: tuple[Tokenizer, Path]
) -> None:
    catalog = write_and_parse(tmp_path / "shop.csv", rows)
    tokenizer, _ = toy_tokenizer
    shorter = with_shorter_names(tokenizer)
    found = [
        new_encoder(fields=("image",), tokenizer=one).encode(catalog, tmp_path / "rejects.csv")
        for one in (tokenizer, shorter)
    ]
    assert found[0].digest == found[1].digest
    assert found[0].arrays.keys() == {"labels", "presence", "rows", "image_feature_rows"}


def test_rejects_are_counted_and_cost_no_neighbour(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    bad = [
        {**rows[0], "product_id": "none", "category": " "},
        {**rows[0], "product_id": "unknown", "category": "a>blue"},
        {**rows[0], "product_id": "above", "category": "a"},
        {**rows[0], "product_id": "broken", "image": "broken.png"},
        {**rows[0], "product_id": "lost", "image": "lost.png", "product_name": "", "brand": ""},
        {**rows[0], "product_id": "p0"},
    ]
    mixed = [row for pair in zip(rows, bad, strict=True) for row in pair]
    catalog = write_and_parse(tmp_path / "shop.csv", mixed)
    for _ in range(2):  # the second time from the cache
        found = new_encoder().encode(catalog, tmp_path / "rejects.csv")
        assert (found.num_rejects, found.num_lost_pictures) == (5, 1)
    np.testing.assert_array_equal(found.arrays["labels"], [0, 1, 2, 0, 0, 1, 2])
    np.testing.assert_array_equal(found.arrays["rows"], [0, 2, 4, 6, 7, 8, 10])
    assert found.arrays["presence"][4, FIELDS.index("image")] == 0
    assert found.arrays["image_feature_rows"][4] == -1
    reasons = reject_reasons(tmp_path / "rejects.csv")
    assert reasons["none"].startswith("no label: ")
    assert reasons["unknown"].startswith("unknown label: 'a>blue' is not a leaf of the test's tree")
    assert reasons["above"].startswith("label above the leaves: ")
    assert reasons["broken"].startswith("unreadable picture: broken.png: expected a JPEG")
    assert reasons["lost"].startswith(f"unreadable picture: {tmp_path / 'lost.png'}: expected a picture file")
    assert reasons["p0"].startswith("duplicate product_id: ")


def test_rejects_of_an_earlier_run_are_reported_again(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = write_and_parse(tmp_path / "shop.csv", [*rows, {**rows[0], "product_id": "none", "category": ""}])
    new_encoder().encode(catalog, tmp_path / "first.csv")
    monkeypatch.setattr(CatalogEncoder, "_write", None)
    found = new_encoder().encode(catalog, tmp_path / "second.csv")
    assert found.num_rejects == 1
    assert reject_reasons(tmp_path / "second.csv") == reject_reasons(tmp_path / "first.csv")
    assert list(reject_reasons(tmp_path / "second.csv")) == ["none"]


def test_a_mended_picture_is_read_by_the_next_run(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path
) -> None:
    (tmp_path / "0.png").unlink()
    catalog = write_and_parse(tmp_path / "shop.csv", rows)
    first = new_encoder().encode(catalog, tmp_path / "rejects.csv")
    assert (len(first), first.num_rejects, first.num_lost_pictures) == (6, 0, 1)
    save_png(tmp_path / "0.png", (1, 2, 3))
    second = new_encoder().encode(catalog, tmp_path / "rejects.csv")
    assert (len(second), second.num_rejects, second.num_lost_pictures) == (6, 0, 0)
    assert second.digest != first.digest
    assert not (tmp_path / "rejects.csv").exists()


def test_features_that_were_deleted_are_made_again(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path
) -> None:
    catalog = write_and_parse(tmp_path / "shop.csv", rows)
    new_encoder().encode(catalog, tmp_path / "rejects.csv")
    shutil.rmtree(tmp_path / "cache" / "features")
    other = write_and_parse(tmp_path / "other.csv", rows[::-1])
    new_encoder().encode(other, tmp_path / "rejects.csv")  # its pictures take the first rows of the new cache
    found = new_encoder().encode(catalog, tmp_path / "rejects.csv")
    assert found.image_features is not None
    first = found.image_features[found.arrays["image_feature_rows"][0]]
    np.testing.assert_allclose(first, COLORS["a>red"], rtol=0.01)
    shutil.rmtree(tmp_path / "cache" / "features")
    found = new_encoder().encode(catalog, tmp_path / "rejects.csv")
    assert (found.arrays["image_feature_rows"][[0, 2]] >= 0).all()


def test_pictures_come_from_urls(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as shop:
        thread = Thread(target=shop.serve_forever)
        thread.start()
        for row in rows:
            if "image" in row:
                row["image"] = f"http://127.0.0.1:{shop.server_port}/{row['image']}"
        rows.append({**rows[0], "product_id": "lost", "image": f"{rows[0]['image']}.lost"})
        catalog = write_and_parse(tmp_path / "shop.csv", rows)
        found = new_encoder().encode(catalog, tmp_path / "rejects.csv")
        shop.shutdown()
        thread.join()
    assert (len(found), found.num_rejects, found.num_lost_pictures) == (7, 0, 1)
    assert found.image_features is not None
    first = found.image_features[found.arrays["image_feature_rows"][0]]
    np.testing.assert_allclose(first, COLORS["a>red"], rtol=0.01)
    assert reject_reasons(tmp_path / "rejects.csv")["lost"].startswith(f"unreadable picture: {rows[-1]['image']}")
    assert "404" in reject_reasons(tmp_path / "rejects.csv")["lost"]


def test_a_catalog_of_rejects_has_no_rows(rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path) -> None:
    catalog = write_and_parse(tmp_path / "shop.csv", [{**row, "category": "other"} for row in rows])
    for _ in range(2):
        found = new_encoder().encode(catalog, tmp_path / "rejects.csv")
        assert (len(found), found.num_rejects) == (0, 6)
        assert len(reject_reasons(tmp_path / "rejects.csv")) == 6


def test_rejects_do_not_overwrite_another_file(
    rows: list[dict[str, str]], new_encoder: NewEncoder, tmp_path: Path
) -> None:
    catalog = write_and_parse(tmp_path / "shop.csv", rows)
    with pytest.raises(CatalogError, match=r"shop\.csv exists and is no rejects file"):
        new_encoder().encode(catalog, catalog.path)
    assert catalog.path.exists()
