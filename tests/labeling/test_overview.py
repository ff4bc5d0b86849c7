"""labeling overview on a shop with planted wrong labels, and the noise model behind it."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from labeling.answers.top_answers import TopAnswers
from labeling.commands.overview_command import OverviewCommand, run_overview
from labeling.overview.noise_model import NoiseModel
from labeling.settings import OverviewSettings
from model.errors import SettingsError
from model.taxonomy import Taxonomy
from tests.labeling.conftest import Found
from tests.labeling.support import planted_rows, read_rows, write_rows

#: As much time as 50 products take.
_SETTINGS = OverviewSettings(hours=0.5, seconds_per_product=36)


@pytest.fixture(scope="module")
def overview(found: Found, toy_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of `labeling issues` with the overview in it, and what the command said."""
    out = tmp_path_factory.mktemp("overview") / "out"
    shutil.copytree(found.out, out)
    times = {path: path.stat().st_mtime_ns for path in (out / "folds").glob("fold-*")}
    said = run_overview(OverviewCommand(found.catalog, out, cache_dir=toy_cache, overview=_SETTINGS))
    assert {path: path.stat().st_mtime_ns for path in (out / "folds").glob("fold-*")} == times
    return out, said


def test_five_sentences_say_what_was_planted(overview: tuple[Path, str], found: Found) -> None:
    *lines, last = overview[1].split("\n")
    assert len(lines) == 5
    assert last.endswith("overview.html")
    wrong = re.match(r"About (\d+) of the 602 labels are wrong, [\d.]+% \([\d.]+ to [\d.]+ %\)", lines[0])
    assert wrong is not None, lines[0]
    assert int(wrong[1]) == pytest.approx(len(found.truth), rel=0.2)
    assert "belong in another branch of the tree" in lines[0]
    assert "at 36 seconds a product, a person looks at the 50 most suspicious ones" in lines[1]
    assert "19 of 20" not in lines[1]  # there is more to find than there is time for
    assert re.search(r"^A model gains", lines[2])
    assert lines[3].startswith("Begin with ")
    assert "2 products in 1 groups of near-duplicates are labelled differently" in lines[4]


def test_what_the_review_finds_is_what_there_is(overview: tuple[Path, str], found: Found) -> None:
    values = json.loads((overview[0] / "overview.json").read_text(encoding="utf-8"))
    review = values["review"]
    assert review["num_reviewed"] == 50
    listed = read_rows(overview[0] / "issues.csv")[:50]
    truth = sum(row["product_id"] in found.truth for row in listed)
    assert review["expected_found"]["value"] == pytest.approx(truth, abs=3)
    low, high = values["expected_wrong"]["low"], values["expected_wrong"]["high"]
    assert low <= values["expected_wrong"]["value"] <= high
    assert low <= len(found.truth) <= high
    assert values["gain"]["relabelled"] >= 0.8 * truth
    in_categories = sum(one["expected_found"] for one in values["categories"])
    assert in_categories == pytest.approx(review["expected_found"]["value"])
    assert sum(one["reviewed"] for one in values["categories"]) == 50


def test_the_page_is_whole_and_its_links_lead_somewhere(overview: tuple[Path, str]) -> None:
    page = (overview[0] / "overview.html").read_text(encoding="utf-8")
    for sentence in json.loads((overview[0] / "overview.json").read_text(encoding="utf-8"))["sentences"]:
        assert sentence.replace("&", "&amp;").replace("'", "&#39;").replace(">", "&gt;") in page
    links = re.findall(r'href="([^"]+)"', page)
    assert len(links) >= 5
    assert all((overview[0] / link).exists() for link in links)
    assert page.count("data:image/png") == 2
    assert "http" not in page.replace("http-equiv", "")


def test_a_review_that_could_be_shorter_is_said_so(found: Found, overview: tuple[Path, str], toy_cache: Path) -> None:
    settings = OverviewSettings(hours=5, seconds_per_product=36, gain=False)
    said = run_overview(OverviewCommand(found.catalog, overview[0], cache_dir=toy_cache, overview=settings))
    early = re.search(r"a person looks at the 500 .*, 19 of 20 of them in the first ([\d.]+) hours; after that", said)
    assert early is not None, said
    num_looked_at = float(early[1]) * 100
    assert len(found.truth) <= num_looked_at <= 3 * len(found.truth)


def test_a_clean_catalog_is_called_clean(toy_cache: Path, tmp_path: Path) -> None:
    rows, _ = planted_rows(300, 0.0, seed=5)
    catalog = write_rows(tmp_path / "shop.csv", [*rows, {**rows[0], "product_id": "u", "category": ""}])
    settings = OverviewSettings(gain=False)
    said = run_overview(OverviewCommand(catalog, tmp_path / "out", cache_dir=toy_cache, overview=settings))
    assert said.startswith("About 0 of the 300 labels are wrong, 0.0% (0.0 to 0.")
    assert "What a model gains by the corrections was not measured." in said
    assert "No category stands out: there is hardly a wrong label to find." in said
    assert "Beyond single products there is nothing to mend" in said
    assert f"1 rows are left out; see {tmp_path / 'out' / 'rejects.csv'}." in said
    assert not (tmp_path / "out" / "folds-relabelled").exists()


def test_a_review_without_time_is_refused() -> None:
    with pytest.raises(SettingsError, match="hours: expected more than 0, found 0"):
        OverviewSettings(hours=0)
    with pytest.raises(SettingsError, match="seconds_per_product: expected more than 0, found -1"):
        OverviewSettings(seconds_per_product=-1)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2])
def test_the_noise_model_finds_the_noise_that_labels_were_drawn_with(rate: float) -> None:
    taxonomy = Taxonomy([f"{branch}>{leaf}" for branch in "abcd" for leaf in range(4)])
    random, count = np.random.default_rng(0), 6000
    probabilities = random.dirichlet(np.full(16, 0.08), count).astype(np.float32)
    probabilities = np.maximum(probabilities, 1e-5) / np.maximum(probabilities, 1e-5).sum(axis=1, keepdims=True)
    true = (probabilities.cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    siblings = true // 4 * 4 + (true + random.integers(1, 4, count)) % 4
    classes = np.where(random.random(count) < rate, siblings, true)
    answers = TopAnswers.of(probabilities**0.7 / (probabilities**0.7).sum(axis=1, keepdims=True), classes)
    answers.given[0] = np.nan
    model = NoiseModel.fit(answers, classes, taxonomy)
    assert model.exponent == pytest.approx(1 / 0.7, rel=0.15)
    assert model.shares[1] == pytest.approx(rate, abs=0.03)
    assert model.shares[2] < 0.02
    wrong = model.wrong(answers, classes, taxonomy)
    assert wrong[0] == 0
    is_wrong = classes != true
    assert wrong.sum() == pytest.approx(is_wrong.sum(), abs=0.015 * count)
    if rate:
        worst = np.argsort(-wrong)[: int(is_wrong.sum())]
        assert wrong[worst].mean() == pytest.approx(is_wrong[worst].mean(), abs=0.06)
