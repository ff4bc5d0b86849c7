"""The dashboard shows exactly the metrics that a real server exports."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from aisle_client.v1 import classifier_pb2 as pb
from server.app import AisleServer
from tests.server.support import Stub, ask, named, scrape, toy_settings

DASHBOARD = Path(__file__).parents[2] / "deploy/grafana/aisle.json"
_METRIC = re.compile(r"\b(?:aisle|process)_\w+")
_LABELS = re.compile(r"(?:by|ignoring) \(([^)]*)\)|(\w+)=~?\"")


@pytest.fixture(scope="module")
def server(toy_bundle: Path) -> Iterator[AisleServer]:
    server = AisleServer(toy_settings(toy_bundle, metrics_port=0))
    server.start()
    yield server
    server.stop(grace_s=5)


def expressions() -> list[tuple[str, str]]:
    """List (title of the panel, expression) pairs, and the query of the model variable."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [("choice", variable["definition"]) for variable in dashboard["templating"]["list"][1:]]
    return queries + [(p["title"], target["expr"]) for p in dashboard["panels"] for target in p["targets"]]


def test_every_expression_uses_metrics_and_labels_that_the_server_exports(server: AisleServer, stub: Stub, jpeg: bytes):
    ask(stub, pb.Product(product_name="red shirt", image=jpeg), pb.Product())
    with pytest.raises(grpc.RpcError):
        ask(stub)
    labels: dict[str, set[str]] = {}
    for family in scrape(server):
        for sample in family.samples:
            labels.setdefault(sample.name, {"instance"}).update(sample.labels)  # Prometheus adds the instance
    for title, expression in expressions():
        names = _METRIC.findall(expression)
        assert names, title
        assert not set(names) - set(labels), title
        known = set.union(*(labels[name] for name in names))
        used = {label for by, equal in _LABELS.findall(expression) for label in re.findall(r"\w+", by or equal)}
        assert not used - known, title


def test_every_aisle_metric_is_shown(server: AisleServer, stub: Stub):
    ask(stub, named("red shirt"))
    shown = " ".join(expression for _, expression in expressions())
    ours = {family.name for family in scrape(server) if family.name.startswith("aisle_")}
    created = {name for name in ours if name.endswith("_created")}
    assert not {name for name in ours - created if name not in shown}
