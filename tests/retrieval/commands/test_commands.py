"""The commands of `python -m retrieval` on the toy catalog, from a file to files."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from model.errors import AisleError, CatalogError, SettingsError, VectorIndexError
from retrieval.commands.benchmark_command import BenchmarkCommand, run_benchmark
from retrieval.commands.build_command import BuildCommand, run_build
from retrieval.commands.command_line import main
from retrieval.commands.query_command import QueryCommand, run_query
from retrieval.commands.train_command import TrainCommand, run_train
from retrieval.commands.update_command import UpdateCommand, run_update
from retrieval.index.index_folder import open_index
from tests.conftest import toy_picture, write_catalog
from tests.retrieval.conftest import TOY_METRIC

HEADINGS = "product_id,product_name,category,image,brand,price,mall,group_id,item_id\n"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalog with offers: two of one item, a broken picture with a name, and one with nothing."""
    (tmp_path / "red.jpg").write_bytes(toy_picture((40, 40, 220), 1))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff cut off")
    rows = [
        {
            "product_id": "a",
            "product_name": "반팔 티셔츠",
            "image": "red.jpg",
            "price": "1,000",
            "mall": "M",
            "item_id": "i",
        },
        {"product_id": "b", "product_name": "반팔 티셔츠 빨강", "price": "20.5", "item_id": "i", "brand": "B "},
        {"product_id": "c", "product_name": "데님 청바지", "image": "broken.jpg", "price": "cheap"},
        {"product_id": "d", "image": "broken.jpg"},
        {"product_id": "e"},
    ]
    return write_catalog(tmp_path / "shop.csv", rows)


def test_build_counts_every_row(shop: Path, toy_bundle: Path, toy_cache: Path, tmp_path: Path) -> None:
    summary = run_build(BuildCommand(toy_bundle, shop, str(tmp_path / "index"), cache_dir=toy_cache))
    assert summary.startswith(
        f"3 products in {tmp_path / 'index'}, 1 without their picture, which cannot be used, 2 rejected"
    )
    rejected = rows_of(tmp_path / "index.rejects.csv")
    assert {row["product_id"]: row["reason"].partition(":")[0] for row in rejected} == {
        "c": "unreadable picture", "d": "unreadable picture", "e": "nothing to embed",
    }  # fmt: skip
    reasons = {row["product_id"]: row["reason"] for row in rejected}
    assert reasons["c"].endswith("; the row counts without it")
    assert "expected something for a vector of image or text or joint" in reasons["e"]
    with open_index(str(tmp_path / "index")) as engine:
        first, second, third = engine.get(["a", "b", "c"])
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.attributes.price == 1000
    assert second.attributes.brand == "B"
    assert str(third.attributes.price) == "nan"
    assert set(third.vectors) == {"text", "joint"}


def test_too_many_lost_pictures_stop_build_and_update(
    shop: Path, toy_bundle: Path, toy_cache: Path, tmp_path: Path
) -> None:
    index = str(tmp_path / "index")
    command = BuildCommand(toy_bundle, shop, index, cache_dir=toy_cache, max_lost_pictures=0.3)
    with pytest.raises(CatalogError, match=r"1 of 3 pictures are lost, such as unreadable picture: broken\.jpg"):
        run_build(command)
    assert not Path(index).exists()
    assert run_build(replace(command, max_lost_pictures=0.4)).startswith(f"3 products in {index}")
    update = UpdateCommand(index, shop, cache_dir=toy_cache, max_lost_pictures=0.3)
    with pytest.raises(CatalogError, match="1 of 3 pictures are lost"):
        run_update(update)
    assert "1 without their picture" in run_update(replace(update, max_lost_pictures=0.4))


def test_build_of_one_space(toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path) -> None:
    command = BuildCommand(toy_bundle, toy_catalogs[1], str(tmp_path / "index"), "image", "exact", cache_dir=toy_cache)
    run_build(command)
    with open_index(str(tmp_path / "index")) as engine:
        assert set(engine.description.dims) == {"image"}
        assert 0 < len(engine) < 45  # every fourth has no picture


def test_an_interrupted_build_goes_on(
    toy_bundle: Path,
    toy_catalogs: tuple[Path, Path],
    toy_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from retrieval.embedding import embedded_catalog

    monkeypatch.setattr(embedded_catalog, "_PICTURE_CHUNK_ROWS", 20)
    command = BuildCommand(toy_bundle, toy_catalogs[0], str(tmp_path / "index"), cache_dir=toy_cache)
    from retrieval.index.index_folder import IndexBuild

    note_done = IndexBuild.note_done

    def interrupted(build: IndexBuild, num_rows: int) -> None:
        note_done(build, num_rows)
        if num_rows >= 40:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(IndexBuild, "note_done", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_build(command)
    assert not (tmp_path / "index").exists()
    caplog.set_level("INFO", "aisle.retrieval")
    assert run_build(command).startswith("90 products")
    assert "40 rows were indexed by an interrupted build" in caplog.text


def test_query_by_id_text_and_picture(toy_index: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path) -> None:
    picture = toy_catalogs[0].parent / "images/t1.jpg"
    out, sheet = tmp_path / "hits.csv", tmp_path / "hits.png"
    for command in (
        QueryCommand(str(toy_index), product_id="t1", k=3, out=out),
        QueryCommand(str(toy_index), name="데님 청바지", k=3, out=out),
        QueryCommand(str(toy_index), image=picture, k=3, out=out, sheet=sheet),
    ):
        hits, _ = run_query(command)
        found = rows_of(out)
        assert [row["product_id"] for row in found] == [hit.product_id for hit in hits]
        assert {row["category"] for row in found} == {"의류>하의>청바지"}
    assert hits[0].product_id == "t1"
    with Image.open(sheet) as drawn:
        assert drawn.size[0] > 4 * 180


def test_filters_leave_what_meets_them(toy_index: Path) -> None:
    hits, _ = run_query(QueryCommand(str(toy_index), product_id="t1", k=90, filter=("brand=brand1", "category=의류")))
    assert hits
    assert {hit.attributes.brand for hit in hits} == {"brand1"}
    assert all(hit.attributes.category.startswith("의류>") for hit in hits)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "expected --product-id ID, or --image FILE and --name TEXT or one of them; found neither"),
        ({"product_id": "t1", "name": "a"}, "found both"),
        ({"product_id": "zzz"}, "--product-id: no product 'zzz' in"),
        ({"product_id": "t1", "k": 0}, "k: expected 1 to 1,000, found 0"),
        ({"product_id": "t1", "k": 1_000_000}, "k: expected 1 to 1,000, found 1,000,000"),
        ({"product_id": "t1", "filter": ("color=red",)}, "unknown column 'color'; an index is filtered by category"),
        ({"product_id": "t1", "diversity": 1.0}, "diversity: expected 0 to below 1"),
        ({"product_id": "t0", "space": "image"}, "expected one of text, joint, which the product has, found 'image'"),
        ({"image": Path("nowhere.jpg")}, r"--image nowhere\.jpg cannot be read: No such file"),
        ({"name": "..."}, "expected something for a vector of"),
    ],
)
def test_wrong_questions(toy_index: Path, flags: dict, message: str) -> None:
    with pytest.raises(AisleError, match=message):
        run_query(QueryCommand(str(toy_index), **flags))


def test_update_inserts_replaces_and_deletes(
    shop: Path, toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    index = str(tmp_path / "index")
    run_build(BuildCommand(toy_bundle, toy_catalogs[1], index, cache_dir=toy_cache))
    summary = run_update(UpdateCommand(index, shop, cache_dir=toy_cache))
    assert summary.startswith("3 products in")
    assert summary.endswith("; 48 in all")
    assert run_update(UpdateCommand(index, delete="a, b,zzz")).startswith("2 products deleted")
    ids = tmp_path / "ids.txt"
    ids.write_text("c\n\nv0\n")
    assert run_update(UpdateCommand(index, delete=f"@{ids}")).endswith("; 44 left")
    with pytest.raises(SettingsError, match="expected --catalog FILE or --delete IDS, found neither"):
        run_update(UpdateCommand(index))
    nameless = tmp_path / "nameless.csv"
    nameless.write_text("product_name\nshirt\n")
    with pytest.raises(
        CatalogError, match=r"nameless\.csv: expected a heading 'product_id' for product_id, found 'product_"
    ):
        run_update(UpdateCommand(index, nameless, cache_dir=toy_cache))


def test_another_bundle_is_refused(toy_index: Path, toy_similar: Path) -> None:
    with pytest.raises(VectorIndexError, match=r"the index holds vectors of the bundle toy 1 .*give that bundle with"):
        run_query(QueryCommand(str(toy_index), name="반팔", bundle=toy_similar))


def test_benchmark_of_the_index_itself(toy_index: Path, tmp_path: Path) -> None:
    figures = []
    for number in range(2):
        path = tmp_path / f"{number}.json"
        run_benchmark(BenchmarkCommand(str(toy_index), at=(1, 5), json=path, report=tmp_path / "report", sample=50))
        figures.append(json.loads(path.read_text()))
    assert figures[0] == figures[1]
    assert figures[0]["num_queries"] == 50
    assert figures[0]["relevance"] == "category"
    assert figures[0]["same_product@1"] > 0.9
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "In 9 of 10 cases" in page or "In more than" in page
    assert "same_category_depth_1" in page
    assert "http" not in page.replace("http-equiv", "")


def test_benchmark_by_another_catalog_against_another_index(
    toy_index: Path,
    toy_similar: Path,
    toy_catalogs: tuple[Path, Path],
    toy_cache: Path,
    tmp_path: Path,
) -> None:
    other = str(tmp_path / "other")
    run_build(BuildCommand(toy_similar, toy_catalogs[0], other, cache_dir=toy_cache))
    path = tmp_path / "figures.json"
    command = BenchmarkCommand(
        str(toy_index), toy_catalogs[1], (1, 3), "image", path, tmp_path / "report", other, cache_dir=toy_cache
    )
    run_benchmark(command)
    compared = json.loads(path.read_text())["against"]["same_product@1"]
    assert compared["low"] <= compared["difference"] <= compared["high"]
    assert "Compared with" in (tmp_path / "report/report.html").read_text(encoding="utf-8")


def test_ranks_out_of_range() -> None:
    with pytest.raises(SettingsError, match="--at: expected ranks from 1 to 1,000, found 0"):
        BenchmarkCommand("index", at=(0,))


def test_train_writes_a_bundle_that_is_measured(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "similar" / "1"
    command = TrainCommand(
        toy_bundle, (toy_catalogs[0],), out, toy_catalogs[1], mirrored=True, cache_dir=toy_cache, settings=TOY_METRIC
    )
    summary = run_train(command)
    assert "learned from 90 rows of 3 products; image and text vectors of 16 numbers" in summary
    assert "same_product@1" in summary
    assert (out / "retrieval/projection.npz").exists()


def test_fine_tuned_layers_are_an_encoder_of_their_own(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    settings = replace(TOY_METRIC, finetune_layers=3, finetune_steps=4)
    run_train(TrainCommand(toy_bundle, (toy_catalogs[0],), tmp_path / "t", cache_dir=toy_cache, settings=settings))
    description = json.loads((tmp_path / "t/retrieval/embedding.json").read_text())
    assert [entry["name"] for entry in description["image_encoders"]] == ["MobileNetV2-tuned"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["nonsense"],
            2,
            "usage: python -m retrieval {build,update,query,pairs,train,benchmark,study,train-matcher,",
        ),
        (["query", "--index", "/nowhere", "--name", "a"], 1, "error: /nowhere is no index: index.json cannot be read"),
        (["build", "--bundle", "/nowhere", "--catalog", "a.csv", "--index", "i"], 1, "error: /nowhere is no bundle"),
    ],
)
def test_the_command_line_ends_with_a_sentence(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert message in capsys.readouterr().err


def test_a_catalog_without_the_fields_of_the_bundle(toy_bundle: Path, toy_cache: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "other.csv"
    catalog.write_text("product_id,description\n1,\n")
    with pytest.raises(
        VectorIndexError, match=r"other\.csv: no product can be indexed, 1 row left out: .*; see .*rejects\.csv"
    ):
        run_build(BuildCommand(toy_bundle, catalog, str(tmp_path / "index"), cache_dir=toy_cache))
