from pathlib import Path
from typing import Any

import pytest

from aisle_client.errors import InputError
from client.load.settings import LoadTestCommand

CATALOG = Path("catalog.csv")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "--mode open: expected one of --rate R and --rates R1 R2 ..., and no --concurrency"),
        ({"rate": 1.0, "rates": (1.0, 2.0)}, "--mode open: expected one of --rate R and --rates"),
        ({"rate": 1.0, "concurrency": 2}, "--mode open: .* no --concurrency"),
        ({"mode": "closed"}, "--mode closed: expected --concurrency N and neither --rate nor --rates"),
        ({"mode": "closed", "concurrency": 2, "rate": 1.0}, "--mode closed: expected --concurrency N"),
        ({"mode": "closed", "concurrency": 0}, "--concurrency: expected 1 or more, found 0"),
        ({"rate": 0.0}, "--rate: expected more than 0 requests per second, found 0.0"),
        ({"rates": (5.0, -1.0)}, "--rate: expected more than 0 requests per second, found -1.0"),
        ({"rate": 1.0, "duration_s": 0.0}, "--duration-s: expected more than 0, found 0.0"),
        ({"rate": 1.0, "warmup_s": -1.0}, "--warmup-s: expected 0 or more, found -1.0"),
        ({"rate": 1.0, "limit": 0}, "--limit: expected 1 or more rows, found 0"),
        ({"rate": 1.0, "picture_share": 1.5}, "--picture-share: expected 0 to 1, found 1.5"),
        ({"rate": 1.0, "png": Path("a.png")}, "--png draws a curve over --rates"),
    ],
)
def test_invalid_settings_are_one_sentence(values: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        LoadTestCommand(CATALOG, **values)


def test_the_rates_of_a_run():
    assert LoadTestCommand(CATALOG, rate=5.0).offered_rates_rps == (5.0,)
    assert LoadTestCommand(CATALOG, rates=(5.0, 6.0)).offered_rates_rps == (5.0, 6.0)
    assert LoadTestCommand(CATALOG, mode="closed", concurrency=1).offered_rates_rps == ()
