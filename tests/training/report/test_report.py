"""The report on disk: metrics.json, plots, and one self-contained page."""

import dataclasses
import json
import re
import resource
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.prediction.answers import WordSupport, softmax
from model.prediction.calibration import Calibration
from model.settings import Settings, settings_to_dict
from model.taxonomy import Taxonomy
from tests.conftest import answered
from training.evaluation.cross_fitting import SampledRows, cross_fitted_calibration
from training.metrics.classification import (
    answer_metrics,
    confident_error_rows,
    confused_pairs,
    evaluation_metrics,
    per_category_table,
)
from training.metrics.comparison import compare
from training.metrics.confidence import reliability_bins, risk_coverage
from training.metrics.hierarchy import sibling_pairs
from training.metrics.outcomes import Outcomes
from training.report.plots import DARK
from training.report.report import PICTURES, ConfidentError, HeadAnswer, ReportDetails, plain, write_report

TAXONOMY = Taxonomy(["패션의류>여성의류>원피스", "패션의류>여성의류>코트", "식품>과일", "식품>견과<b 류"])
HISTORY = [{"epoch": 1, "loss": 1.0, "joint_accuracy": 0.5}, {"epoch": 2, "loss": 0.5, "joint_accuracy": 0.7}]
ATTACK = '<script>alert("1")</script>'
PIXEL = "data:image/png;base64,iVBORw0KGgo="
VOID_TAGS = {"meta", "img", "source", "input", "link", "br"}


def case(num_rows: int, **changes: Any) -> tuple[dict[str, Any], ReportDetails]:
    """Metrics and details of `num_rows` rows, from random logits biased towards the label."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, num_rows).astype(np.int32)
    logits = rng.normal(0, 1.5, (num_rows, 4))
    logits[np.arange(num_rows), labels] += 2
    outcomes = Outcomes.of(labels, softmax(logits))
    answers = answered(logits, TAXONOMY, Calibration(thresholds=(0.8, 0.9, 0.95)), top_k=3)
    presence = np.ones((num_rows, 2)) * (rng.random((num_rows, 2)) < 0.8)
    metrics = evaluation_metrics(
        {"joint": outcomes, "name": outcomes}, answers, presence, ("name", "image"), TAXONOMY, 0.98
    )
    errors = [
        ConfidentError(
            product_id=f"p{i}",
            product_name=ATTACK,
            mall_category="A&B>C",
            truth=TAXONOMY.leaves[labels[i]],
            answer=TAXONOMY.leaves[outcomes.predicted[i]],
            probability=float(outcomes.confidences[i]),
            is_accepted=True,
            thumbnail=PIXEL,
            heads=(HeadAnswer("name", TAXONOMY.leaves[0], 0.75),),
            words=tuple(
                WordSupport(word, support, 0.5) for word, support in ((ATTACK, 2.0), ("빨간", 1.0), ("가", -1.0))
            ),
        )
        for i in confident_error_rows(outcomes, limit=2)
    ]
    details = ReportDetails(
        title="Evaluation of " + ATTACK,
        bundle_name="toy",
        bundle_version="7",
        catalog_name="toy.csv",
        created_at="2025-01-01 12:00 UTC",
        taxonomy=TAXONOMY,
        precision_target=0.98,
        precision_confidence=0.95,
        reliability=reliability_bins(outcomes),
        risk_coverage=risk_coverage(outcomes),
        category_rows=per_category_table(outcomes, TAXONOMY),
        confused_pairs=confused_pairs(outcomes, TAXONOMY),
        sibling_pairs=sibling_pairs(outcomes, TAXONOMY),
        confident_errors=errors,
        reject_counts={"unreadable image": 3, "label outside the tree": 2},
        history=HISTORY,
        settings=settings_to_dict(Settings()),
        facts={"Engine": "keras, float32"},
    )
    return metrics, dataclasses.replace(details, **changes)


class Page(HTMLParser):
    """A parser that collects links and text, and checks that tags close in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open_tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open_tags == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]
        if tag not in VOID_TAGS:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open_tags and self.open_tags[-1] not in ("style", "script"):
            self.words.append(data)


def page_of(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_files_of_a_report(tmp_path: Path) -> None:
    path = write_report(tmp_path / "new" / "report", *case(300))
    assert path == tmp_path / "new" / "report" / "report.html"
    assert {file.name for file in path.parent.iterdir()} == {
        "report.html",
        "metrics.json",
        *(f"{name}.png" for name in PICTURES),
    }
    for name in PICTURES:
        png = (path.parent / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        assert len(png) > 3000


def test_a_full_disk_leaves_the_older_report(tmp_path: Path) -> None:
    """No file may be longer than 1,000 bytes."""
    (tmp_path / "metrics.json").write_text("{}", encoding="utf-8")
    older = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, older[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*metrics\.json'"):
            write_report(tmp_path, *case(300))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, older)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]
    assert (tmp_path / "metrics.json").read_text(encoding="utf-8") == "{}"


def test_metrics_come_back_from_json(tmp_path: Path) -> None:
    metrics, details = case(300)
    write_report(tmp_path, metrics, details)
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text) == plain(metrics)
    assert "NaN" not in text
    assert "Infinity" not in text
    assert list(json.loads(text)) == sorted(metrics)


def test_values_unknown_to_json_are_converted() -> None:
    values = {"a": np.float32(0.5), "b": np.arange(2), 3: (np.bool_(True), float("nan"), np.inf), "d": {"e": None}}
    assert plain(values) == {"a": 0.5, "b": [0, 1], "3": [True, None, None], "d": {"e": None}}


def test_the_page_is_well_formed_and_self_contained(tmp_path: Path) -> None:
    page = page_of(write_report(tmp_path, *case(300)))
    pictures = [link for link in page.links if not link.startswith("#")]
    assert len(pictures) == 2 * len(PICTURES) + 2  # light and dark, and two thumbnails
    assert all(link.startswith("data:image/") for link in pictures)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text


def test_nothing_from_the_catalog_becomes_markup(tmp_path: Path) -> None:
    path = write_report(tmp_path, *case(300, facts={ATTACK: ATTACK}, reject_counts={ATTACK: 1}, catalog_name=ATTACK))
    text = path.read_text(encoding="utf-8")
    assert ATTACK not in text
    assert "<b 류" not in text
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in text
    assert text.count("<script>") == 1  # the page's own script


def test_the_page_shows_the_given_details(tmp_path: Path) -> None:
    metrics, details = case(300)
    words = " ".join(page_of(write_report(tmp_path, metrics, details)).words)
    for expected in ("300 products", "toy", "version 7", "toy.csv", "원피스", "unreadable image 3", "keras, float32"):
        assert expected in " ".join(words.split()).replace("version  7", "version 7")
    assert f"{100 * metrics['accuracy']:.1f}\u00a0%" in words
    assert f"{metrics['levels'][0]['macro_f1']:.3f}" in words
    assert "hidden_dim" in words
    assert re.search(r"name\s+원피스\s+75\u00a0%\s+words", words)
    assert "빨간" in words
    assert not re.search(r"\b가\b", words)  # its support is negative


def test_a_precision_below_the_target_is_marked(tmp_path: Path) -> None:
    metrics, details = case(300)
    contract = metrics["contract"]
    contract |= {"accepted_precision": 0.5, "precision_interval": [0.4, 0.6], "is_kept": False}
    assert "✗ not kept" in page_of(write_report(tmp_path, metrics, details)).words
    contract |= {"accepted_precision": 0.97, "precision_interval": [0.96, 0.985]}
    assert "✗ not kept, by no more than chance makes of it" in page_of(write_report(tmp_path, metrics, details)).words
    contract |= {"accepted_precision": 0.98, "is_kept": True}
    assert "✓ kept" in page_of(write_report(tmp_path, metrics, details)).words


def test_the_promise_is_told_by_depth_and_by_fields(tmp_path: Path) -> None:
    metrics, details = case(300)
    words = " ".join(" ".join(page_of(write_report(tmp_path, metrics, details)).words).split())
    section = words[words.index("The promise Of the answers") : words.index("Weakest categories")]
    for entry in (metrics["contract"], *metrics["contract"]["depths"], *metrics["field_combinations"]):
        assert str(entry["num_accepted"]) in section
        if entry["is_kept"] is not None:
            assert f"{100 * entry['accepted_precision']:.1f}" in section or entry["accepted_precision"] == 1
    assert "name, image" in section


def test_no_product_and_no_history_leave_no_old_plot(tmp_path: Path) -> None:
    write_report(tmp_path, *case(300))
    path = write_report(tmp_path, *case(0, history=(), settings={}, reject_counts={}))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["metrics.json", "report.html"]
    assert any("No product could be evaluated" in words for words in page_of(path).words)
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["accuracy"] is None


def test_a_single_right_answer(tmp_path: Path) -> None:
    """Check that every optional part of the page is absent: no mistake, no contract, one level."""
    taxonomy = Taxonomy(["Shoes"])
    outcomes = Outcomes.of(np.array([0]), np.array([[1.0]], np.float32))
    answers = answered(np.zeros((1, 1)), taxonomy, Calibration(), top_k=1)
    metrics = evaluation_metrics({"joint": outcomes}, answers, np.ones((1, 1)), ("name",), taxonomy, 0.98)
    details = ReportDetails(
        title="One",
        bundle_name="one",
        bundle_version="1",
        catalog_name="one.csv",
        created_at="2025-01-01",
        taxonomy=taxonomy,
        precision_target=0.98,
        precision_confidence=0.95,
        reliability=reliability_bins(outcomes),
        risk_coverage=risk_coverage(outcomes),
        category_rows=per_category_table(outcomes, taxonomy),
        confused_pairs=confused_pairs(outcomes, taxonomy),
    )
    words = page_of(write_report(tmp_path, metrics, details)).words
    assert "No mistake was found." in words
    assert "nothing accepted" in words


def requested(num_rows: int) -> dict[str, Any]:
    """Metrics with all optional sections, of a catalog with hostile names."""
    rng = np.random.default_rng(1)
    labels, other = rng.integers(0, 4, (2, num_rows))
    comparison = compare(rng.random(num_rows) < 0.9, other == labels, labels, TAXONOMY)
    figures = {**answer_metrics(labels, other, TAXONOMY), "coverage_at_precision": {"0.98": 0.4}}
    cell = {"count": 9, "accuracy": 0.5, "accuracy_untouched": 0.7}
    accepted = {"leaf_accepted_share": 0.2, "leaf_accepted_precision": None, "expected_calibration_error": 0.1}
    accepted |= {"accepted_share": 0.625, "accepted_precision": 0.875}
    none = {"count": 0, "accuracy": None, "accuracy_untouched": None, **accepted}
    baseline = {**figures, "comparison": comparison}
    return {
        "baselines": {
            "catalog": ATTACK,
            "num_rows": 10,
            "num_rows_in_catalog": 2000,
            "num_left_out": 3,
            "aisle": figures,
            "baselines": {"tfidf_linear_svm": baseline, "mall_category_lookup": baseline, "majority": baseline},
        },
        "bundle_comparison": {
            **comparison,
            "name": ATTACK,
            "version": "3",
            "fields": ["name"],
            "num_left_out": 5,
            "num_categories": 4,
            "num_categories_other_lacks": 1,
            "num_categories_only_other": 2,
            "num_label_unknown_to_other": 9,
            "this": accepted,
            "other": accepted,
        },
        "field_grid": {
            "given": [{"fields": ["name", "image"], **none}, {"fields": ["image"], **cell, **accepted}],
            "wrong": [{"field": "image", "share": 0.1, **cell, **accepted}],
        },
        "mall_categories": [{"mall_category": ATTACK, **cell, **accepted}],
        "calibration": cross_fitted_calibration(
            SampledRows(
                rng.normal(size=(50, 4)),
                np.zeros((50, 1), np.float32),
                labels[:50].astype(np.int32),
                np.zeros((50, 3), np.float32),
                np.arange(50),
                np.arange(50),
            ),
            Calibration(),
            TAXONOMY,
        ),
    }


def test_sections_on_request_are_well_formed_and_escaped(tmp_path: Path) -> None:
    metrics, details = case(300)
    path = write_report(tmp_path, metrics | requested(300), details)
    text = " ".join(" ".join(page_of(path).words).split()).replace("\u00a0", " ")
    for expected in (
        "10 of 2,000, drawn at random, products of",
        "Aisle is better than TF-IDF + linear SVM",
        "toy version 7 is better than",
        "exact McNemar test p below 0.0001",
        "5 products are excluded",
        "Categories with more products found 4 categories",
        f"Of {metrics['mistakes']['count']} mistakes",
        "원피스 코트",
        "−20.0",  # with the picture alone
        "20.0 % – 62.5 % 87.5 %",  # accepted at a leaf, right; accepted at any level, right
        "cross-fitted",
        "98 % are to be right, with 95 % confidence.",
    ):
        assert expected in text
    page = path.read_text(encoding="utf-8")
    assert ATTACK not in page
    assert page.count("<script>") == 1
    assert set(re.findall(r'href="#(\w+)"', page)) <= set(re.findall(r'id="(\w+)"', page))


@pytest.mark.parametrize("thumbnail", ["https://shop.example/a.jpg", "javascript:alert(1)", "data:text/html,x"])
def test_a_thumbnail_other_than_a_data_uri_is_an_error(thumbnail: str) -> None:
    with pytest.raises(
        ValueError, match=r"product p1: expected a thumbnail as a data:image/ URI, found '.*embed the pi"
    ):
        ConfidentError("p1", "", "", "A", "B", 0.9, False, thumbnail)


def test_dark_plots_match_the_page(tmp_path: Path) -> None:
    text = write_report(tmp_path, *case(50)).read_text(encoding="utf-8")
    assert f"--surface: {DARK.surface}" in text
