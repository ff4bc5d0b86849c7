"""benchmark --task same on a small shop, from a file to files."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from model.errors import CatalogError, SettingsError
from retrieval.commands.benchmark_command import BenchmarkCommand, run_benchmark
from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.index.record import Attributes
from retrieval.settings import MatcherSettings, MetricSettings
from tests.conftest import toy_picture
from tests.retrieval.matching.support import offers_of

MATCHER = MatcherSettings(num_models=1, num_trees=40, num_folds=2)
METRIC = MetricSettings(loss="arcface", dim=16, steps=30, batch_products=8, batch_entries=2, learning_rate=0.01)
RUNGS = [
    "alone", "tfidf", "word2vec", "picture", "picture_arcface", "text_and_picture", "matcher", "matcher_groups"
]  # fmt: skip


def write_offers(folder: Path, offers: Sequence[Attributes], columns: Sequence[str], has_pictures: bool = True) -> Path:
    """Write a catalog; the offers of a group have pictures of one colour."""
    (folder / "images").mkdir()
    path = folder / "offers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("product_id", "image", *columns))
        for i, offer in enumerate(offers):
            image = f"images/{i}.jpg" if has_pictures and i % 9 else ""
            if image:
                group = int(offer.group_id[1:])
                color = (37 * group % 200 + 25, 91 * group % 200 + 25, 53 * group % 200 + 25)
                (folder / image).write_bytes(toy_picture(color, i))
            price = "" if math.isnan(offer.price) else f"{offer.price:.2f}"
            values = {"product_name": offer.product_name, "group_id": offer.group_id, "price": price}
            writer.writerow((f"p{i}", image, *(values[name] for name in columns)))
    return path


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    columns = ("product_name", "group_id", "price")
    return write_offers(tmp_path_factory.mktemp("offers"), offers_of(96, seed=1), columns)


def test_every_rung_is_measured(offers: Path, toy_bundle: Path, toy_cache: Path, tmp_path: Path) -> None:
    path, report = tmp_path / "same.json", tmp_path / "report"
    command = BenchmarkCommand(
        task="same", catalog=offers, bundle=toy_bundle, json=path, report=report, cache_dir=toy_cache, metric=METRIC,
        matcher=MATCHER,
    )  # fmt: skip
    table = run_benchmark(command)
    figures = json.loads(path.read_text(encoding="utf-8"))
    assert table.row_count == len(RUNGS)
    assert list(figures["rungs"]) == RUNGS
    for name in ("reported", "thresholds", "metric_learning"):
        assert figures[name] == {"num_offers": 64, "num_groups": 32}
    f1 = {name: entry["f1"] for name, entry in figures["rungs"].items()}
    assert f1["alone"] == pytest.approx(2 / 3)
    assert min(f1["tfidf"], f1["picture"], f1["picture_arcface"], f1["text_and_picture"]) > f1["alone"]
    assert min(f1["matcher"], f1["matcher_groups"]) > 0.9
    assert f1["text_and_picture"] > f1["tfidf"]
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "measured on 64 offers of 32 groups" in page
    assert "metric learning from yet another 32" in page
    assert "data:image/jpeg" in page or "found worst" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_rungs_without_pictures_say_why(offers: Path, toy_cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "same.json"
    run_benchmark(BenchmarkCommand(task="same", catalog=offers, json=path, cache_dir=toy_cache, matcher=MATCHER))
    figures = json.loads(path.read_text(encoding="utf-8"))
    assert "metric_learning" not in figures
    assert figures["thresholds"] == {"num_offers": 128, "num_groups": 64}
    skipped = {name: entry["skipped"] for name, entry in figures["rungs"].items() if "skipped" in entry}
    none = "no vectors of pictures; give --bundle or --index"
    assert skipped == {
        "picture": none, "picture_arcface": "no image encoder to learn with; give --bundle", "text_and_picture": none
    }  # fmt: skip
    assert figures["rungs"]["matcher"]["f1"] > 0.9


def test_pictures_alone_by_an_index(toy_bundle: Path, toy_cache: Path, tmp_path: Path) -> None:
    catalog = write_offers(tmp_path, offers_of(30, seed=2), ("group_id",))
    run_build(BuildCommand(toy_bundle, catalog, str(tmp_path / "index"), cache_dir=toy_cache))
    path = tmp_path / "same.json"
    command = BenchmarkCommand(
        str(tmp_path / "index"), task="same", catalog=catalog, json=path, cache_dir=toy_cache, matcher=MATCHER,
        bundle=toy_bundle, learn_vectors=False,
    )  # fmt: skip
    run_benchmark(command)
    rungs = json.loads(path.read_text(encoding="utf-8"))["rungs"]
    assert rungs["picture"]["f1"] > rungs["alone"]["f1"]
    assert rungs["tfidf"]["skipped"] == rungs["word2vec"]["skipped"] == "the offers have no product_name"
    assert rungs["picture_arcface"]["skipped"] == "not wanted (--no-learn-vectors)"


def test_without_pictures_names_are_compared(toy_bundle: Path, toy_cache: Path, tmp_path: Path) -> None:
    catalog = write_offers(tmp_path, offers_of(30, seed=2), ("group_id", "product_name"), has_pictures=False)
    path = tmp_path / "same.json"
    run_benchmark(BenchmarkCommand(task="same", catalog=catalog, bundle=toy_bundle, json=path, cache_dir=toy_cache))
    rungs = json.loads(path.read_text(encoding="utf-8"))["rungs"]
    for name in ("picture", "picture_arcface", "text_and_picture"):
        assert rungs[name]["skipped"] == "no offer has a picture's vector"
    assert rungs["tfidf"]["f1"] > rungs["alone"]["f1"]


def test_a_catalog_without_groups_is_an_error(tmp_path: Path) -> None:
    catalog = write_offers(tmp_path, offers_of(30, seed=2), ("product_name",), has_pictures=False)
    with pytest.raises(
        CatalogError, match="expected 6 or more groups of two offers or more in the column group_id, found 0"
    ):
        run_benchmark(BenchmarkCommand(task="same", catalog=catalog))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "--task similar: expected --index, found none; name the index to measure"),
        ({"task": "same"}, "--task same: expected --catalog, found none; name a catalog with group_id"),
        (
            {"index": "i", "catalog": Path("c")},
            "--catalog: for --task same alone, found it with --task similar",
        ),
        (
            {"task": "same", "catalog": Path("c"), "at": (1,), "against": "i"},
            "--at, --against: for --task similar alone, found it with --task same; leave it out",
        ),
        ({"index": "i", "learn_vectors": False}, "--learn-vectors: for --task same alone"),
        ({"index": "i", "metric": METRIC, "matcher": MATCHER}, "--metric, --matcher: for --task same alone"),
    ],
)
def test_flags_of_the_other_task_are_errors(flags: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        BenchmarkCommand(**flags)
