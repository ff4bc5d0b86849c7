"""The soak test: a short run, and its checks."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grpc
import pytest

from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2 as pb
from benchmarks.resilience.expected_answers import ExpectedAnswers, read_products
from benchmarks.resilience.process import ServerProcess, Usage, children_of, usage_of
from benchmarks.resilience.soak import CheckedOutcomes, Options, checks, slope_per_min
from client.load.summary import summarize
from model.prediction.answers import Prediction
from model.predictor import Predictor

SHORT = ["--search-s", "1", "--warmup-s", "1", "--duration-s", "3", "--concurrency", "4", "--limit", "12"]


def test_a_short_soak(toy_bundle: Path, toy_catalogs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    # A short run is all warm-up, so its slope and its threads are meaningless.
    loose = ["--max-slope-mib-per-min", "100000", "--max-extra-threads", "1000"]
    paths = ["--bundle", str(toy_bundle), "--catalog", str(toy_catalogs[1]), "--json", str(out)]
    command = [sys.executable, "-m", "benchmarks.resilience.soak", *paths, *SHORT, *loose]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    assert [check["is_passed"] for check in report["checks"]] == [True] * 5
    assert report["soak"]["errors"] == {}
    assert report["soak"]["num_requests"] > 0
    assert report["highest_after_rps"] > 0
    assert all(sample["rss_mib"] > 10 and sample["num_threads"] > 5 for sample in report["usage"])


def test_the_resources_of_engine_processes_count(toy_bundle: Path) -> None:
    with ServerProcess("--bundle", str(toy_bundle), "--engine-processes", "2") as server:
        front, *engines = map(usage_of, [server._process.pid, *children_of(server._process.pid)])
        assert len(engines) == 2
        assert server.usage.rss_mib > front.rss_mib + sum(engine.rss_mib for engine in engines) / 2
        assert server.usage.num_threads > front.num_threads


def test_failures_and_growth_fail_checks(toy_bundle: Path, toy_catalogs: tuple[Path, Path]) -> None:
    options = Options(toy_bundle, toy_catalogs[1])
    outcomes = CheckedOutcomes(0.0, 10.0, ExpectedAnswers(toy_bundle, read_products(toy_catalogs[1], 1)))
    outcomes.add(0.0, 0.0, 0.1, grpc.StatusCode.UNAVAILABLE)
    outcomes.faults.append("product 7 has no answer")
    samples = [Usage(100.0 + second, 10 + second, 20) for second in range(5)]
    found = checks(options, [outcomes], summarize(outcomes, 1.0, None), samples)
    assert [check.is_passed for check in found] == [False, False, False, False, True]
    assert found[0].found == "60.00 MiB/min, from 100.0 to 104.0 MiB"
    assert found[1].found.startswith("1 of 1 (UNAVAILABLE: 1)")
    assert found[2].found == "1: product 7 has no answer"
    assert outcomes.codes == Counter(UNAVAILABLE=1)


def test_the_slope_needs_two_samples() -> None:
    assert slope_per_min([1.0, 2.0, 3.0], sample_s=30.0) == pytest.approx(2.0)
    assert not slope_per_min([1.0], sample_s=1.0) < 1.0


def test_wrong_answers_are_mismatches(toy_bundle: Path, toy_catalogs: tuple[Path, Path]) -> None:
    products = read_products(toy_catalogs[1], 2)
    expected = ExpectedAnswers(toy_bundle, products)
    predictor = Predictor.open(toy_bundle, "openvino")
    predictions = predictor.predict(products)
    predictor.close()
    response = pb.ClassifyResponse(model_version="1")
    for prediction in predictions:
        assert isinstance(prediction, Prediction)
        answer = response.classifications.add(product_id=prediction.product_id).prediction
        for scored in prediction.categories:
            answer.categories.add(category=scored.category, probability=scored.probability)
        if prediction.accepted is not None:
            answer.accepted.category = prediction.accepted.category
    assert expected.mismatch(response) == ""
    best = response.classifications[1].prediction.categories[0]
    best.probability -= 2e-5
    assert expected.mismatch(response).startswith("product 1 of version 1: expected ")
    best.probability += 2e-5
    response.classifications[0].error.message = "broken"
    assert "found Failure(product_id='0'" in expected.mismatch(response)
    assert product_message(products[1]).product_id == "1"
