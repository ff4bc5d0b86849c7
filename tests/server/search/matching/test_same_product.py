"""SameProduct of a real server: what is said of each pair, and what becomes of a matcher that dies or does not fit."""

import csv
import dataclasses
import json
import math
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import code_pb2

from aisle_client.v1 import search_pb2
from model.errors import MatcherError, SettingsError
from retrieval.commands.match_command import MatchCommand, run_match
from retrieval.index.index_folder import open_index
from retrieval.index.record import MATCHED_SPACES
from retrieval.matching.matcher.matcher import PairScorer
from server.app import AisleServer
from server.messages.undecodable_text import bytes_class
from server.search import SEARCH_SERVICE
from server.search.matching.config import MatcherConfig
from server.search.matching.matcher_process import MatcherProcess, ServedMatcher
from server.search.matching.pair_batch import PairRequest, merged
from server.search.matching.pair_comparer import PairComparer
from server.search.same_product import AskedPairs, same_product_response
from server.settings import ServerSettings
from tests.server.search.matching.conftest import NUM_PRODUCTS
from tests.server.search.support import SearchStub, delete, get_index, offer, problem, rejected, upsert
from tests.server.support import open_channel, scrape, values, wait_for

PAIRS = [(f"p{2 * i}", f"p{2 * j + 1}") for i in range(12) for j in (i, i + 1, i + 7)]


def same_product(stub: SearchStub, *pairs: tuple[str, str], precision: float = 0.0) -> search_pb2.SameProductResponse:
    messages = [search_pb2.ProductPair(left_id=left, right_id=right) for left, right in pairs]
    return stub.SameProduct(search_pb2.SameProductRequest(pairs=messages, precision=precision), timeout=30)


def probability(stub: SearchStub, left: str, right: str) -> float:
    [result] = same_product(stub, (left, right)).results
    assert result.HasField("answer"), result.error.message
    return result.answer.probability


def matcher_processes() -> list[int]:
    """Numbers of those that this process started, the newest last."""
    children = [
        int(number) for file in Path("/proc/self/task").glob("*/children") for number in file.read_text().split()
    ]
    return sorted(one for one in children if b"server.search.matching" in Path(f"/proc/{one}/cmdline").read_bytes())


def test_pairs_are_answered_as_the_command_answers_them(
    search: SearchStub, matcher: Path, offers: Path, offers_index: Path, tmp_path: Path
):
    asked = tmp_path / "asked.csv"
    asked.write_text("\n".join(["left_id,right_id", *map(",".join, PAIRS)]) + "\n")
    run_match(MatchCommand(matcher, offers, asked, tmp_path / "out.csv", precision=0.9, index=str(offers_index)))
    with (tmp_path / "out.csv").open() as file:
        expected = [(float(row["probability"]), row["is_same"] == "1") for row in csv.DictReader(file)]
    for start in range(0, len(PAIRS), 18):
        response = same_product(search, *PAIRS[start : start + 18])
        found = [(result.answer.probability, result.answer.is_same) for result in response.results]
        assert [same for _, same in found] == [same for _, same in expected[start : start + 18]]
        assert [p for p, _ in found] == pytest.approx([p for p, _ in expected[start : start + 18]], abs=1e-4)
    assert {same for _, same in expected} == {True, False}
    assert (response.precision, response.total_ms > 0) == (0.9, True)
    assert 0 < response.threshold <= 1


def test_requests_at_the_same_time_get_their_own_answers(search: SearchStub):
    alone = [probability(search, *pair) for pair in PAIRS]
    with ThreadPoolExecutor(len(PAIRS)) as threads:
        together = list(threads.map(lambda pair: probability(search, *pair), PAIRS))
    assert together == pytest.approx(alone, abs=1e-6)
    swapped = [probability(search, right, left) for left, right in PAIRS[:3]]
    assert swapped == pytest.approx(alone[:3], abs=1e-6)


def test_a_precision_that_cannot_be_promised_calls_nothing_the_same(search: SearchStub):
    least = same_product(search, *PAIRS[:15], precision=0.6)
    most = same_product(search, *PAIRS[:15], precision=0.9999)
    assert least.precision == 0.6
    assert sum(result.answer.is_same for result in least.results) >= 5
    assert not most.HasField("threshold")
    assert not any(result.answer.is_same for result in most.results)
    assert [result.answer.probability for result in most.results] == [r.answer.probability for r in least.results]


def test_a_bad_pair_costs_no_other(search: SearchStub):
    asked = [("p0", "p1"), ("p0", "none"), ("", "p1"), ("p3", "p3"), ("missing", "p1"), ("p2", "p3")]
    good, unknown, empty, itself, missing, last = same_product(search, *asked).results
    assert good.answer.probability > 0.5 < last.answer.probability
    text = "pairs[1].right_id: the index has no product 'none'; upsert it first"
    assert problem(unknown.error) == (code_pb2.NOT_FOUND, ["pairs[1].right_id"], text)
    text = "pairs[2].left_id: expected the id of a product of the index, found none"
    assert problem(empty.error) == (code_pb2.INVALID_ARGUMENT, ["pairs[2].left_id"], text)
    text = "pairs[3]: expected two different products, found 'p3' twice"
    assert problem(itself.error) == (code_pb2.INVALID_ARGUMENT, ["pairs[3]"], text)
    assert problem(missing.error)[1] == ["pairs[4].left_id"]


def test_an_id_that_is_not_utf8_costs_its_pair_alone(channel: grpc.Channel):
    pairs = [{"left_id": b"\xff", "right_id": b"p1"}, {"left_id": b"p0", "right_id": b"p1"}]
    content = bytes_class("SameProductRequest")(pairs=pairs).SerializeToString()
    reply = channel.unary_unary(f"/{SEARCH_SERVICE}/SameProduct")(content, timeout=30)
    bad, good = search_pb2.SameProductResponse.FromString(reply).results
    assert problem(bad.error)[:2] == (code_pb2.INVALID_ARGUMENT, ["pairs[0].left_id"])
    assert good.answer.is_same


@pytest.mark.parametrize(
    ("pairs", "precision", "text"),
    [
        ([], 0.0, "pairs: expected 1 to 20 pairs, found none"),
        ([("p0", "p1")] * 21, 0.0, "pairs: expected 1 to 20 pairs, found 21; split the request"),
        ([("p0", "p1")], 1.0, "precision: expected above 0 and below 1, or 0 for the matcher's promise; found 1"),
        ([("p0", "p1")], float("nan"), "precision: expected above 0 and below 1, or 0 for the matcher's promise"),
    ],
)
def test_a_wrong_request_is_refused(search: SearchStub, pairs: list[tuple[str, str]], precision: float, text: str):
    status = rejected(lambda: same_product(search, *pairs, precision=precision))
    assert status.code == code_pb2.INVALID_ARGUMENT
    assert status.message.startswith(text)


def test_the_index_describes_its_matcher(search: SearchStub, server: AisleServer):
    found = get_index(search)
    described = found.matcher
    assert (described.learned_from, described.precision, described.confidence) == ("pairs", 0.9, 0.95)
    assert 0 < described.threshold <= 1
    assert described.embedding_checksum == found.embedding_checksum
    assert described.num_products == 2 * NUM_PRODUCTS
    same_product(search, ("p0", "p1"))
    assert values(scrape(server))["aisle_same_product_duration_seconds_count",] > 0


def test_a_changed_index_is_compared_at_once_and_known_soon(fresh_server: AisleServer):
    with open_channel(fresh_server) as channel:
        search = SearchStub(channel)
        assert probability(search, "p0", "p9") < 0.2
        name = get_name(search, "p9")
        upsert(search, offer("p0", name, source="left"), offer("new", name, source="left"))
        assert probability(search, "p0", "p9") > 0.5
        assert probability(search, "new", "p9") > 0.5
        wait_for(lambda: get_index(search).matcher.num_products == 2 * NUM_PRODUCTS + 1)
        for start in range(0, 2 * NUM_PRODUCTS, 10):
            delete(search, "new", *(f"p{i}" for i in range(start, start + 10)))
        wait_for(lambda: get_index(search).matcher.num_products == 0)
        assert problem(same_product(search, ("p0", "p9")).results[0].error)[0] == code_pb2.NOT_FOUND
        upsert(search, offer("a", name), offer("b", name))
        assert 0 <= probability(search, "a", "b") <= 1


def get_name(search: SearchStub, product_id: str) -> str:
    """Its name, by a product that is like it."""
    request = search_pb2.SimilarRequest(queries=[search_pb2.SimilarQuery(product_id="p0")], k=2 * NUM_PRODUCTS)
    hits = search.Similar(request, timeout=30).results[0].hits.hits
    return next(hit.attributes.product_name for hit in hits if hit.product_id == product_id)


def test_a_killed_matcher_is_started_anew(fresh_server: AisleServer):
    with open_channel(fresh_server) as channel:
        search = SearchStub(channel)
        before = probability(search, "p0", "p1")
        os.kill(matcher_processes()[-1], signal.SIGKILL)
        status = rejected(lambda: [probability(search, "p0", "p1") for _ in range(100)])
        assert status.code == code_pb2.UNAVAILABLE
        assert status.message == "the matcher is being started anew; send the request again"
        assert len(search.Similar(by_ids("p0"), timeout=30).results[0].hits.hits) == 10  # the rest answers on

        def answers() -> bool:
            try:
                return probability(search, "p0", "p1") == pytest.approx(before)
            except grpc.RpcError:
                return False

        wait_for(answers)


def by_ids(*product_ids: str) -> search_pb2.SimilarRequest:
    return search_pb2.SimilarRequest(queries=[search_pb2.SimilarQuery(product_id=one) for one in product_ids])


def test_a_matcher_of_another_bundle_stops_the_start(settings: ServerSettings, matcher: Path, tmp_path: Path):
    other = shutil.copytree(matcher, tmp_path / "other")
    description = json.loads((other / "matcher.json").read_text())
    (other / "matcher.json").write_text(json.dumps(description | {"embedding_checksum": "0" * 64}))
    server, running = AisleServer(dataclasses.replace(settings, matcher=other)), matcher_processes()
    expected = "the matcher other compares vectors of the embedding 000000000000, the index holds those of .*; train it"
    with pytest.raises(MatcherError, match=expected):
        server.start()
    assert matcher_processes() == running


def test_a_missing_matcher_is_named(offers_index: Path, tmp_path: Path):
    with pytest.raises(MatcherError, match=r"none is no matcher: matcher\.json cannot be read"):
        MatcherProcess(MatcherConfig(str(tmp_path / "none"), str(offers_index), "text"))


def test_a_pair_that_cannot_be_compared_costs_no_other(
    matcher: Path, offers_index: Path, monkeypatch: pytest.MonkeyPatch
):
    comparer = PairComparer.open(MatcherConfig(str(matcher), str(offers_index), "text"))
    compare = PairScorer.probabilities

    def fail_on_p1(scorer: PairScorer, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        if "p1" in scorer.table.product_ids:
            raise ValueError("a text that no one has thought of")
        return compare(scorer, left, right)

    with open_index(str(offers_index)) as engine:
        found = engine.get(["p0", "p1", "p2", "p3"])
    records = [record for record in found if record is not None]
    pairs = [(records[0], records[1]), (records[2], records[3]), (records[0], records[3])]
    batch = merged([PairRequest(pairs[:1]), PairRequest(pairs[1:])], MATCHED_SPACES)
    expected = comparer.answer(batch).probabilities
    monkeypatch.setattr(PairScorer, "probabilities", fail_on_p1)
    answers = comparer.answer(batch)
    assert answers.probabilities == pytest.approx([math.nan, *expected[1:]], abs=1e-6, nan_ok=True)
    response = same_product_response(3, 0.0, AskedPairs(pairs, range(3), {}), answers, served_matcher())
    assert problem(response.results[0].error)[:2] == (code_pb2.INTERNAL, ["pairs[0]"])
    assert response.results[1].answer.is_same


def served_matcher() -> ServedMatcher:
    return ServedMatcher("pairs", 0.9, 0.95, 0.5, "", 4)


def test_a_matcher_needs_an_index(settings: ServerSettings):
    with pytest.raises(SettingsError, match="--matcher: expected --index beside it, whose products it compares"):
        dataclasses.replace(settings, index=None, write_token_file=None)
