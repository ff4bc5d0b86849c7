"""Settings of the load test; tyro builds the command line from them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from aisle_client.channel import Security
from aisle_client.errors import InputError
from catalog.pictures.losses import MAX_LOST_PICTURES
from catalog.read_options import ReadOptions


@dataclass(frozen=True)
class LoadTestCommand:
    """Generate load on a server and report the latency of its answers.

    Open loop: requests are sent at random times (Poisson) at --rate, even if earlier ones are not answered yet, and
    latency counts from the time a request was due. Closed loop: --concurrency callers, each of which sends its next
    request when the last one is answered.

    Raises:
        InputError: a value is out of range or two of them contradict each other.
    """

    catalog: Path
    """A .csv, .tsv, .jsonl (each also with .gz) or .parquet file, a product a row, to draw products from."""
    target: str = "localhost:50051"
    """HOST:PORT of the server; several IP:PORT, joined by commas, share the load."""
    mode: Literal["open", "closed"] = "open"
    """Open loop, which sends requests by the clock, or closed loop, which waits for answers."""
    rate: float | None = None
    """Open loop: requests per second."""
    rates: tuple[float, ...] = ()
    """Open loop, instead of --rate: one run at each of these rates, for a latency curve."""
    concurrency: int | None = None
    """Closed loop: callers at the same time."""
    duration_s: Annotated[float, tyro.conf.arg(aliases=("--duration",))] = 10.0
    """Measured part of each run, seconds."""
    warmup_s: float = 2.0
    """Warm-up before it, with load but not measured, seconds."""
    products_per_request: int = 1
    """Products in each request."""
    picture_share: float | None = None
    """Share of the products that carry a picture, 0 to 1; by default rows are sent unchanged."""
    limit: int | None = 1000
    """Rows of the catalog to draw from; their pictures are held in memory."""
    read_options: Annotated[ReadOptions, tyro.conf.OmitArgPrefixes] = field(default_factory=ReadOptions)
    """Options for reading the catalog."""
    max_lost_pictures: float = MAX_LOST_PICTURES
    """Share of these rows' pictures that may be unreadable, 0 to 1; their rows are sent without them."""
    model: str = ""
    """Name of the model; empty where the server holds one."""
    top_k: int = 0
    """Leaf categories to ask for; 0 leaves it to the server."""
    timeout_s: float = 10.0
    """Deadline of a request, counted from its due time, seconds."""
    seed: int = 0
    """Random seed of the arrival times and of the choice of products."""
    json: Path | None = None
    """JSON file to write the figures to."""
    png: Path | None = None
    """PNG file for the latency curve over --rates."""
    security: Annotated[Security, tyro.conf.OmitArgPrefixes] = field(default_factory=Security)
    """TLS and token."""

    def __post_init__(self) -> None:
        self._check_mode()
        for name in ("duration_s", "timeout_s", "products_per_request"):
            _check(name, getattr(self, name), "more than 0", getattr(self, name) > 0)
        for name in ("warmup_s", "top_k", "seed"):
            _check(name, getattr(self, name), "0 or more", getattr(self, name) >= 0)
        if self.limit is not None:
            _check("limit", self.limit, "1 or more rows", self.limit >= 1)
        if self.picture_share is not None:
            _check("picture_share", self.picture_share, "0 to 1", 0 <= self.picture_share <= 1)
        if self.png is not None and not self.rates:
            raise InputError("--png draws a curve over --rates R1 R2 ..., found no --rates")

    @property
    def offered_rates_rps(self) -> tuple[float, ...]:
        """The rates to run at, requests per second; empty in closed loop."""
        return self.rates if self.rate is None else (self.rate,)

    def _check_mode(self) -> None:
        has_rate, has_rates = self.rate is not None, bool(self.rates)
        if self.mode == "closed":
            if has_rate or has_rates or self.concurrency is None:
                raise InputError("--mode closed: expected --concurrency N and neither --rate nor --rates")
            _check("concurrency", self.concurrency, "1 or more", self.concurrency >= 1)
        elif has_rate == has_rates or self.concurrency is not None:
            raise InputError("--mode open: expected one of --rate R and --rates R1 R2 ..., and no --concurrency")
        for rate in self.offered_rates_rps:
            _check("rate", rate, "more than 0 requests per second", rate > 0)


def _check(name: str, value: float, expected: str, is_right: bool) -> None:
    if not is_right:
        raise InputError(f"--{name.replace('_', '-')}: expected {expected}, found {value}")
