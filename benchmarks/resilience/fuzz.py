"""Fuzz test with mutated requests and pictures: no crash, no leak, a valid status for each, right answers afterwards.

    python -m benchmarks.resilience.fuzz --bundle DIR --catalog FILE

Every case goes through the server's own parsing, checking and decoding in a process of its own, and a share of them
through a real server. A case that fails a check is written to a file; its seed and number reproduce it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import grpc
import tyro
from tqdm import tqdm

from aisle_client.messages import product_message
from aisle_client.v1 import classifier_pb2, classifier_pb2_grpc
from benchmarks.resilience.checks import Check, report_checks
from benchmarks.resilience.expected_answers import TOP_K, ExpectedAnswers, read_products
from benchmarks.resilience.fuzzing.mutations import Mutator
from benchmarks.resilience.fuzzing.parse_process import ParseProcess, growth_mib
from benchmarks.resilience.fuzzing.served_cases import BAR_FORMAT, ServedCases
from benchmarks.resilience.process import OWN_CONNECTION, ServerProcess
from model.product import Product


@dataclass(frozen=True)
class Options:
    """Settings of the test."""

    bundle: Path
    """Bundle that is served."""
    catalog: Path
    """Catalog whose products are mutated."""
    num_cases: int = 100_000
    """Number of cases for parsing, checking and decoding."""
    num_served: int = 10_000
    """Number of these also sent to a real server, alone and in a stream, each with a GetModel request."""
    max_growth_mib: float = 32.0
    """Largest growth of resident memory of either process from the second fifth of the cases to the last, MiB."""
    limit: int = 100
    """Most rows of the catalog to use."""
    seed: int = 0
    """Random seed of all cases."""
    failures: Path = Path("fuzz-failures")
    """Folder for the cases that fail a check."""
    json: Path | None = None
    """File for all figures."""


def main() -> None:
    """Run the test and report its checks."""
    options = tyro.cli(Options, prog="python -m benchmarks.resilience.fuzz", description=__doc__)
    products = read_products(options.catalog, options.limit)
    expected = ExpectedAnswers(options.bundle, products)
    mutator = Mutator(products, options.seed)
    process = ParseProcess(options.bundle, products, options.seed)
    with tqdm(total=options.num_cases, desc="in a process", bar_format=BAR_FORMAT, disable=None) as bar:
        for num_done in process.run(options.num_cases):
            bar.update(num_done - bar.n)
    with ServerProcess("--bundle", str(options.bundle)) as server:
        served = ServedCases(server, mutator)
        served.send(min(options.num_served, options.num_cases))
        is_serving = server.is_running and server.is_serving()
        wrong = ask_good(server, products, expected) if is_serving else "the server is not serving any more"
    checks = [
        _no_faults("no crash, only known errors", options.num_cases, process.outcomes, process.faults),
        _constant_memory("no leak", process.rss_mib, options.max_growth_mib),
        *(
            _no_faults(f"a valid status from {method}", sum(codes.values()), codes, served.faults[method])
            for method, codes in served.codes.items()
        ),
        _constant_memory("no leak of the server", served.rss_mib, options.max_growth_mib),
        Check("right answers afterwards", wrong or f"{len(products)} of {len(products)}", not wrong),
    ]
    save_cases(options, "parsed", mutator.request, process.faults)
    for method, faults in served.faults.items():
        save_cases(options, method, mutator.model_request if method == "GetModel" else mutator.request, faults)
    figures = {"seed": options.seed, "outcomes": process.outcomes, "codes": served.codes}
    figures |= {"rss_mib": process.rss_mib, "server_rss_mib": served.rss_mib}
    report_checks(f"fuzz: {options.num_cases} cases, seed {options.seed}", checks, figures, options.json)


def ask_good(server: ServerProcess, products: list[Product], expected: ExpectedAnswers) -> str:
    """Classify valid products and return the first mismatch, '' without any."""
    with grpc.insecure_channel(server.target, options=OWN_CONNECTION) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        for product in products:
            request = classifier_pb2.ClassifyRequest(products=[product_message(product)], top_k=TOP_K)
            if mismatch := expected.mismatch(stub.Classify(request, timeout=60)):
                return mismatch
    return ""


def _no_faults(name: str, num_cases: int, outcomes: Counter[str], faults: dict[int, str]) -> Check:
    counts = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    first = "".join(f"; case {number}: {fault}" for number, fault in islice(faults.items(), 1))
    return Check(name, f"{len(faults)} of {num_cases} cases wrong ({counts}){first}", not faults)


def _constant_memory(name: str, rss_mib: list[float], max_mib: float) -> Check:
    growth = growth_mib(rss_mib)
    return Check(f"{name}: at most {max_mib:g} MiB more", f"{growth:+.1f} MiB", growth <= max_mib)


def save_cases(options: Options, method: str, request: Callable[[int], bytes], faults: dict[int, str]) -> None:
    """Write the bytes of the cases that failed a check, with the fault."""
    for number, fault in faults.items():
        options.failures.mkdir(parents=True, exist_ok=True)
        case = options.failures / f"seed-{options.seed}-{method}-{number}.bin"
        case.write_bytes(request(number))
        case.with_suffix(".txt").write_text(fault + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
