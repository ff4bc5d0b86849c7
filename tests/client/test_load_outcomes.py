import grpc
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from client.load.outcomes import Outcomes
from client.load.summary import summarize


def answer(queue_ms: float, num_failed: int = 0) -> bytes:
    response = pb.ClassifyResponse(timings=pb.Timings(queue_ms=queue_ms, total_ms=queue_ms + 1))
    response.classifications.add().prediction.needs_review = True
    for _ in range(num_failed):
        response.classifications.add().error.code = 3
    return response.SerializeToString()


@pytest.fixture
def outcomes() -> Outcomes:
    """Outcomes with one second of warm-up and two measured seconds."""
    outcomes = Outcomes(warmup_s=1, duration_s=2)
    outcomes.add(0.5, 0.5, 0.6, answer(700))  # warm-up
    outcomes.add(0.9, 0.9, 1.1, answer(800))  # due in the warm-up, answered in the measured time
    outcomes.add(1.0, 1.1, 1.5, answer(10, num_failed=2))
    outcomes.add(2.0, 2.0, 2.1, answer(20))
    outcomes.add(2.5, 2.5, 2.6, grpc.StatusCode.UNAVAILABLE)
    outcomes.add(2.5, 2.5, 2.6, grpc.StatusCode.RESOURCE_EXHAUSTED)
    outcomes.add(2.5, 2.5, 2.6, grpc.StatusCode.RESOURCE_EXHAUSTED)
    outcomes.add(2.9, 2.9, 3.4, answer(30))  # answered too late to count for the rate
    return outcomes


def test_latency_counts_from_the_due_time(outcomes: Outcomes):
    phases = outcomes.phases_ms()
    assert phases["total"].tolist() == pytest.approx([500, 100, 500])
    assert phases["send_lag"].tolist() == pytest.approx([100, 0, 0])
    assert phases["queue"].tolist() == [10, 20, 30]
    assert phases["server"].tolist() == [11, 21, 31]


def test_the_rate_counts_answers_in_the_measured_time(outcomes: Outcomes):
    assert outcomes.achieved_rps() == 3 / 2
    assert outcomes.achieved_products_per_s() == 3 / 2


def test_errors_and_failed_products_are_counted(outcomes: Outcomes):
    assert list(outcomes.errors().items()) == [("RESOURCE_EXHAUSTED", 2), ("UNAVAILABLE", 1)]
    assert outcomes.num_failed == 3
    assert outcomes.num_failed_products() == 2
    assert outcomes.num_measured() == 6
    assert len(outcomes) == 8


def test_a_summary_has_the_percentiles(outcomes: Outcomes):
    total = summarize(outcomes, 4.0, None).phases_ms["total"]
    assert list(total) == ["p50", "p95", "p99", "p99.9", "max"]
    assert total["p50"] == pytest.approx(500)


@pytest.mark.parametrize("add_error", [True, False])
def test_without_an_answer_there_are_no_percentiles(add_error: bool):
    outcomes = Outcomes(0, 1)
    if add_error:
        outcomes.add(0.5, 0.5, 0.6, grpc.StatusCode.UNAVAILABLE)
    summary = summarize(outcomes, None, 3)
    assert summary.phases_ms == {}
    assert summary.achieved_rps == 0
    assert summary.title == "3 callers"
