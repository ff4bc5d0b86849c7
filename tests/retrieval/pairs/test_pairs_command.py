"""`python -m retrieval pairs` and `train --pairs` on toy galleries, from a file to files."""

import csv
import re
from pathlib import Path

import pytest

from model.errors import BundleError, CatalogError, SettingsError, TrainingError
from retrieval.commands.command_line import main
from retrieval.commands.pairs_command import PairsCommand, run_pairs
from retrieval.commands.train_command import TrainCommand, run_train
from retrieval.embedding.embedder import Embedder
from retrieval.pairs.image_type_classifier import ImageTypeClassifier
from retrieval.pairs.image_types import IMAGE_TYPES
from retrieval.settings import PairSettings
from tests.conftest import toy_picture
from tests.retrieval.conftest import TOY_METRIC
from tests.retrieval.pairs.conftest import COLORS, write_rows

pytestmark = pytest.mark.long(seconds=30)

#: Untrained features of noise on one colour are near to each other; no vector rule, unless a test is about it.
HASH_ONLY = PairSettings(vector_similarity=1.0, hash_distance=2)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_toy_bundle_tells_image_types_apart(toy_types: Path, toy_cache: Path) -> None:
    pictures = [toy_picture(COLORS[name], 50_000 + number) for number, name in enumerate(IMAGE_TYPES)]
    with ImageTypeClassifier(toy_types, toy_cache) as classifier:
        found = classifier.types([*pictures, *pictures[:2]])
    assert found.tolist() == [*range(8), 0, 1]


def test_a_gallery_keeps_its_pairs_of_different_shots(
    toy_types: Path, galleries: Path, toy_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = run_pairs(PairsCommand(toy_types, galleries, out, toy_types, cache_dir=toy_cache, settings=HASH_ONLY))
    kept = [(row["left_id"], row["right_id"], row["same"]) for row in rows_of(out / "pairs.csv")]
    assert kept == [(f"i{i}-{shot}", f"i{i}-2", "1") for i in (1, 2) for shot in (0, 1)]
    dropped = {(row["left_id"], row["right_id"]): row["rule"] for row in rows_of(out / "dropped.csv")}
    assert dropped[("i1-0", "i1-1")] == "same_hash"
    assert dropped[("i1-0", "i1-3")] == "type_detail"
    assert dropped[("i2-3", "i2-4")] == "type_chart"
    assert len(dropped) == 2 * 10 - len(kept)
    assert "Of 20 candidate pairs 14 (70 %) were incorrect and 2 (10 %) trivial; 4 (20 %) stay" in summary
    assert "1 pictures cannot be used" in summary
    (reject,) = rows_of(out / "rejects.csv")
    assert (reject["product_id"], reject["line"]) == ("i1-broken", "12")
    assert not list(out.glob("*.part"))


def test_the_report_is_one_file_that_shows_each_rule(
    toy_types: Path, galleries: Path, toy_cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_pairs(PairsCommand(toy_types, galleries, out, toy_types, cache_dir=toy_cache, settings=HASH_ONLY))
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,') == 2 * 20
    assert not re.search(r"https?://|<script", page)
    for text in ("type_chart", "same_hash", "One side is a size chart", "i1-2", "model&gt;street", "1 rows without"):
        assert text in page


def test_without_image_types_only_shared_and_trivial_pairs_fall(
    toy_types: Path, galleries: Path, toy_cache: Path, tmp_path: Path
) -> None:
    rows = rows_of(galleries)
    for number in range(4):  # the chart of i1 is in four more items
        rows.append({"product_id": f"c{number}", "image": "i1-4.jpg", "item_id": f"other{number}"})
    catalog = write_rows(tmp_path / "shared.csv", rows)
    settings = PairSettings(vector_similarity=0.9999, hash_distance=2)
    run_pairs(PairsCommand(toy_types, catalog, tmp_path / "out", cache_dir=toy_cache, settings=settings))
    dropped = {(row["left_id"], row["right_id"]): row["rule"] for row in rows_of(tmp_path / "out/dropped.csv")}
    assert dropped[("i1-0", "i1-4")] == dropped[("i1-3", "i1-4")] == "shared_picture"
    assert dropped[("i1-0", "i1-1")] == "same_hash"
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "No image-type classifier was given" in page
    assert "type_chart" not in page


def test_vectors_find_near_duplicates_that_the_hash_misses(
    toy_types: Path, galleries: Path, toy_cache: Path, tmp_path: Path
) -> None:
    settings = PairSettings(vector_similarity=-1.0, hash_distance=0, max_items=9)
    summary = run_pairs(PairsCommand(toy_types, galleries, tmp_path / "out", cache_dir=toy_cache, settings=settings))
    assert "0 (0 %) stay" in summary
    assert "18 dropped by same_vector" in summary


def test_a_catalog_without_items(toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path):
    with pytest.raises(CatalogError, match=r"expected rows with an item_id and a picture .*90 rows lack item_id or"):
        run_pairs(PairsCommand(toy_bundle, toy_catalogs[0], tmp_path / "out", cache_dir=toy_cache))


def test_a_bundle_with_other_categories_is_no_image_type_classifier(
    toy_bundle: Path, galleries: Path, toy_cache: Path, tmp_path: Path
) -> None:
    command = PairsCommand(toy_bundle, galleries, tmp_path / "out", toy_bundle, cache_dir=toy_cache)
    message = r"expected a bundle with the 8 image types product>shop, .*, found 3 categories, such as '.*'; train one"
    with pytest.raises(BundleError, match=message):
        run_pairs(command)


def test_settings_out_of_range(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsError, match="hash_distance: expected 0 to 64, found 65"):
        PairSettings(hash_distance=65)
    with pytest.raises(SettingsError, match="max_items: expected 1 or more, found 0"):
        PairSettings(max_items=0)
    with pytest.raises(SettingsError, match="vector_similarity: expected -1 to 1, found 2"):
        PairSettings(vector_similarity=2)
    flags = ["--bundle", "b", "--catalog", "c.csv", "--out", "o", "--max-item-pairs", "0"]
    assert main(["pairs", *flags]) == 1
    assert "error: max_item_pairs: expected 1 or more, found 0" in capsys.readouterr().err


def test_training_on_pairs_learns_their_products_alone(toy_types: Path, toy_cache: Path, tmp_path: Path) -> None:
    """Pairs of one colour each: the products are the colours, though no row has group_id or category."""
    rows, pairs = [], []
    for number, (name, color) in enumerate(list(COLORS.items())[:4]):
        for picture in range(6):
            product_id = f"{number}-{picture}"
            (tmp_path / f"{product_id}.jpg").write_bytes(toy_picture(color, 900 + 10 * number + picture))
            rows.append({"product_id": product_id, "image": f"{product_id}.jpg", "item_id": name})
            if picture and picture < 5:
                pairs.append({"left_id": f"{number}-{picture - 1}", "right_id": product_id, "same": "1"})
    catalog, file = write_rows(tmp_path / "catalog.csv", rows), write_rows(tmp_path / "pairs.csv", pairs)
    command = TrainCommand(
        toy_types, (catalog,), tmp_path / "out", pairs=file, mirrored=False, cache_dir=toy_cache, settings=TOY_METRIC
    )
    assert run_train(command).startswith("learned from 20 rows of 4 products; image vectors of 16 numbers")
    embedder = Embedder.open(tmp_path / "out")
    assert embedder.embedding.trained["pairs"] == str(file)
    write_rows(file, [{"left_id": "gone", "right_id": "0-0", "same": "1"}])
    with pytest.raises(CatalogError, match=r"pairs\.csv: expected pairs, found no good one, 1 row left out: .*; see "):
        run_train(command)


def test_pairs_that_say_nothing_is_the_same_teach_nothing(
    toy_types: Path, galleries: Path, toy_cache: Path, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "pairs.csv", [{"left_id": "i1-0", "right_id": "i2-0", "same": "0"}])
    command = TrainCommand(
        toy_types, (galleries,), tmp_path / "bundle", pairs=file, cache_dir=toy_cache, settings=TOY_METRIC
    )
    with pytest.raises(TrainingError, match="expected two or more products with two or more pictures"):
        run_train(command)
