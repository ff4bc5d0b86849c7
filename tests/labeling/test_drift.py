"""labeling drift: a new catalog beside what a bundle learned."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from labeling.commands.drift_command import DriftCommand, run_drift
from labeling.drift.trained_products import trained_products
from labeling.drift.word_shares import WordCounter
from labeling.likelihood_ratio import log_likelihood_ratio
from model.bundle.bundle import load_bundle
from model.errors import BundleError, LabelingError
from tests.conftest import toy_rows, write_catalog
from tests.labeling.support import read_rows
from tokenizer.settings import TokenizerSettings
from tokenizer.text_field import TextField
from tokenizer.tokenizer import fit_tokenizer


def expected_accuracy(said: str) -> float:
    found = re.match(r"expect ([\d.]+)% right answers to \d+ products, where ([\d.]+)% were measured", said)
    assert found is not None, said
    return float(found[1])


@pytest.fixture
def new_catalog(toy_catalogs: tuple[Path, Path], tmp_path: Path) -> Path:
    """The validation catalog, whose laptops are sold under other names and without anything else."""
    rows = []
    for row in read_rows(toy_catalogs[1]):
        row["image"] = ""
        if row["category"] == "디지털>노트북":
            row |= {
                "product_name": f"chromebook foldable stylus tablet {row['product_id']}",
                "mall_category": "",
                "brand": "",
            }
        rows.append(row)
    return write_catalog(tmp_path / "new.csv", rows)


def test_nothing_changed_in_rows_like_those_of_training(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    said = run_drift(DriftCommand(toy_catalogs[1], toy_bundle, tmp_path / "out", cache_dir=toy_cache))
    measured = re.search(r"where ([\d.]+)% were measured; (\d+) words are new or more frequent", said)
    assert measured is not None
    assert abs(expected_accuracy(said) - float(measured[1])) < 10
    assert int(measured[2]) == 0
    for field in read_rows(tmp_path / "out" / "fields.csv"):
        assert float(field["share"]) == pytest.approx(float(field["measured_share"]), abs=0.02)


def test_planted_drift_is_found(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], new_catalog: Path, toy_cache: Path, tmp_path: Path
) -> None:
    before = run_drift(DriftCommand(toy_catalogs[1], toy_bundle, tmp_path / "before", cache_dir=toy_cache))
    said = run_drift(DriftCommand(new_catalog, toy_bundle, tmp_path / "out", cache_dir=toy_cache))
    assert expected_accuracy(said) < expected_accuracy(before) - 5
    words = read_rows(tmp_path / "out" / "words.csv")
    assert len(words) >= 2  # in the toy's table of 1,024 places some words share one with frequent pieces
    assert {row["word"] for row in words} <= {"chromebook", "foldable", "stylus", "tablet"}
    assert all(float(row["trained_share"]) < float(row["share"]) for row in words)
    fields = {row["field"]: row for row in read_rows(tmp_path / "out" / "fields.csv")}
    assert float(fields["image"]["share"]) == 0
    assert float(fields["image"]["measured_share"]) > 0.5
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert words[0]["word"] in page
    assert "http" not in page.replace("http-equiv", "")


def test_categories_to_label_first_are_those_with_the_most_wrong_answers(
    toy_bundle: Path, new_catalog: Path, toy_cache: Path, tmp_path: Path
) -> None:
    said = run_drift(DriftCommand(new_catalog, toy_bundle, tmp_path, cache_dir=toy_cache))
    rows = read_rows(tmp_path / "categories.csv")
    wrong = [float(row["expected_wrong"]) for row in rows]
    assert wrong == sorted(wrong, reverse=True)
    assert f"label first: {rows[0]['category']}" in said
    assert sum(int(row["products"]) for row in rows) == 45
    assert sum(float(row["trained_share"]) for row in rows) == pytest.approx(1, abs=1e-4)
    assert sum(float(row["likely_share"]) for row in rows) == pytest.approx(1, abs=1e-4)


def test_categories_that_grow_or_disappear_are_named(
    toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    rows = [row for row in toy_rows(tmp_path, "n", 240) if row["category"] != "의류>하의>청바지"]
    rows = [row for row in rows if row["category"] == "디지털>노트북" or int(row["product_id"][1:]) < 18]
    catalog = write_catalog(tmp_path / "new.csv", rows)
    said = run_drift(DriftCommand(catalog, toy_bundle, tmp_path / "out", cache_dir=toy_cache))
    assert re.search(r"; grown: 디지털>노트북 \(33\.3% to 9\d\.\d%\)", said), said
    assert re.search(r"; shrunk or gone: .*의류>하의>청바지 \(33\.3% to [0-3]\.\d%\)", said), said
    changes = {row["category"]: row["change"] for row in read_rows(tmp_path / "out" / "categories.csv")}
    assert changes == {"디지털>노트북": "grew", "의류>하의>청바지": "gone", "의류>상의>티셔츠": "shrank"}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<td>디지털&gt;노트북</td><td>grew</td>" in page
    said = run_drift(DriftCommand(toy_catalogs[1], toy_bundle, tmp_path / "same", cache_dir=toy_cache))
    assert "grown" not in said
    assert "gone" not in said
    assert {row["change"] for row in read_rows(tmp_path / "same" / "categories.csv")} == {""}


def test_a_bundle_of_an_older_program_says_what_its_neighbours_say_or_nothing(toy_bundle: Path, tmp_path: Path) -> None:
    bundle = load_bundle(toy_bundle)
    products = trained_products(bundle)
    assert products is not None
    assert products.tolist() == bundle.metrics["training_products"]
    assert len(products) == bundle.taxonomy.num_leaves
    older = {name: value for name, value in bundle.metrics.items() if name != "training_products"}
    of_neighbors = trained_products(dataclasses.replace(bundle, metrics=older))
    assert of_neighbors is not None
    assert of_neighbors.tolist() == products.tolist()
    assert trained_products(dataclasses.replace(bundle, metrics=older, path=tmp_path)) is None


def test_evidence_grows_with_the_difference_and_the_counts() -> None:
    assert log_likelihood_ratio(10, 100, 100, 1000) == pytest.approx(0)
    few, many = log_likelihood_ratio(2, 10, 100, 1000), log_likelihood_ratio(20, 100, 1000, 10000)
    assert 0 < few < many
    assert log_likelihood_ratio(0, 50, 0, 50) == 0
    draws = np.random.default_rng(0).binomial([500, 2000], 0.1, (2000, 2))
    ratios = [log_likelihood_ratio(one, 500, other, 2000) for one, other in draws.tolist()]
    assert np.mean(np.array(ratios) > 3.84) == pytest.approx(0.05, abs=0.015)


def test_a_catalog_without_a_product_to_answer_is_refused(toy_bundle: Path, toy_cache: Path, tmp_path: Path) -> None:
    catalog = write_catalog(tmp_path / "new.csv", [{"product_id": "a"}])
    with pytest.raises(LabelingError, match=r"new.csv: expected products to answer, found none; see .*rejects.csv"):
        run_drift(DriftCommand(catalog, toy_bundle, tmp_path / "out", cache_dir=toy_cache))
    empty = write_catalog(tmp_path / "empty.csv", [])
    with pytest.raises(LabelingError, match=r"empty.csv: expected products to answer, found none$"):
        run_drift(DriftCommand(empty, toy_bundle, tmp_path / "out", cache_dir=toy_cache))
    with pytest.raises(BundleError, match=r"manifest\.json"):
        run_drift(DriftCommand(catalog, tmp_path, tmp_path / "out", cache_dir=toy_cache))


def test_new_words_are_named_and_old_ones_are_not(tmp_path: Path) -> None:
    settings = TokenizerSettings(
        analyzer="script", min_count=1, ngram_min_count=1, hash_buckets=2**18, word2vec_epochs=1, vector_size=8
    )
    old = [f"steel kettle {i}" for i in range(50)] + [f"iron pan {i}" for i in range(50)]
    field = TextField("name", 0, 8, 64)
    tokenizer = fit_tokenizer([{"name": old}], settings, [field], 0, tmp_path / "corpus")
    counter = WordCounter(tokenizer)
    counter.add({"name": [f"steel kettle {i}" for i in range(30)]})
    counter.add({"name": ["Glass/kettle", "glass kettle", *["GLASS  kettle!"] * 8, ""]})
    found = counter.risen()
    assert {word.word for word in found} == {"kettle", "glass"}
    glass = next(word for word in found if word.word == "glass")
    assert (glass.field, glass.products, glass.share, glass.trained_share) == ("name", 10, 0.25, 0)
    assert WordCounter(tokenizer).risen() == []
