"""Mutated requests and pictures: no crash, no leak, a proper status for each, right answers afterwards.

    python -m benchmarks.resilience.fuzz --bundle DIR --catalog FILE

Every case goes through the server's own parsing, checking and decoding in a process of its own, and a share of them
through a real server. A case that breaks a promise is written to a file; its seed and number make it again.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import grpc
import tyro
from tqdm import tqdm

from benchmarks.resilience.mutations import Mutator
from benchmarks.resilience.parse_process import ParseProcess, growth_mib
from benchmarks.resilience.process import OWN_CONNECTION, ServerProcess
from benchmarks.resilience.promises import Promise, conclude
from benchmarks.resilience.served_cases import BAR_FORMAT, ServedCases
from benchmarks.resilience.truth import TOP_K, Truth, read_products
from client.messages import product_message
from model.product import Product
from proto.aisle.v1 import classifier_pb2, classifier_pb2_grpc


@dataclass(frozen=True)
class Options:
    """What to try, and what is promised."""

    bundle: Path
    """Bundle that is served."""
    catalog: Path
    """Catalog whose products are mutated."""
    num_cases: int = 100_000
    """Cases through parsing, checking and decoding."""
    num_served: int = 10_000
    """Of these, through a real server, each by itself and in a stream, with a question about a model."""
    max_growth_mib: float = 32.0
    """Most that resident memory of either process grows from the second fifth of the cases to the last, MiB."""
    limit: int = 100
    """Rows of the catalog that are used."""
    seed: int = 0
    """Of all cases."""
    failures: Path = Path("fuzz-failures")
    """Folder for the cases that break a promise."""
    json: Path | None = None
    """File for all figures."""


def main() -> None:
    """Try, tell."""
    options = tyro.cli(Options, prog="python -m benchmarks.resilience.fuzz", description=__doc__)
    products = read_products(options.catalog, options.limit)
    truth = Truth(options.bundle, products)
    mutator = Mutator(products, options.seed)
    process = ParseProcess(options.bundle, products, options.seed)
    with tqdm(total=options.num_cases, desc="in a process", bar_format=BAR_FORMAT, disable=None) as bar:
        for num_done in process.run(options.num_cases):
            bar.update(num_done - bar.n)
    with ServerProcess("--bundle", str(options.bundle)) as server:
        served = ServedCases(server, mutator)
        served.ask(min(options.num_served, options.num_cases))
        is_serving = server.is_running and server.is_serving()
        wrong = ask_good(server, products, truth) if is_serving else "the server does not serve any more"
    promises = [
        _faultless("no crash, only known errors", options.num_cases, process.outcomes, process.faults),
        _level("no leak", process.rss_mib, options.max_growth_mib),
        *(
            _faultless(f"a proper status from {method}", sum(codes.values()), codes, served.faults[method])
            for method, codes in served.codes.items()
        ),
        _level("no leak of the server", served.rss_mib, options.max_growth_mib),
        Promise("right answers afterwards", wrong or f"{len(products)} of {len(products)}", not wrong),
    ]
    save_cases(options, "parsed", mutator.request, process.faults)
    for method, faults in served.faults.items():
        save_cases(options, method, mutator.model_request if method == "GetModel" else mutator.request, faults)
    figures = {"seed": options.seed, "outcomes": process.outcomes, "codes": served.codes}
    figures |= {"rss_mib": process.rss_mib, "server_rss_mib": served.rss_mib}
    conclude(f"fuzz: {options.num_cases} cases, seed {options.seed}", promises, figures, options.json)


def ask_good(server: ServerProcess, products: list[Product], truth: Truth) -> str:
    """What is wrong with the answers to good products; '' when nothing is."""
    with grpc.insecure_channel(server.target, options=OWN_CONNECTION) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        for product in products:
            request = classifier_pb2.ClassifyRequest(products=[product_message(product)], top_k=TOP_K)
            if fault := truth.fault(stub.Classify(request, timeout=60)):
                return fault
    return ""


def _faultless(what: str, num_cases: int, outcomes: Counter[str], faults: dict[int, str]) -> Promise:
    counts = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    first = "".join(f"; case {number}: {fault}" for number, fault in islice(faults.items(), 1))
    return Promise(what, f"{len(faults)} of {num_cases} cases wrong ({counts}){first}", not faults)


def _level(what: str, rss_mib: list[float], most_mib: float) -> Promise:
    growth = growth_mib(rss_mib)
    return Promise(f"{what}: at most {most_mib:g} MiB more", f"{growth:+.1f} MiB", growth <= most_mib)


def save_cases(options: Options, how: str, request: Callable[[int], bytes], faults: dict[int, str]) -> None:
    """Keep the bytes of the cases that broke a promise, and how."""
    for number, fault in faults.items():
        options.failures.mkdir(parents=True, exist_ok=True)
        case = options.failures / f"seed-{options.seed}-{how}-{number}.bin"
        case.write_bytes(request(number))
        case.with_suffix(".txt").write_text(fault + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
