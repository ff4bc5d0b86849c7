"""Mutated requests and pictures: no crash, no leak, a proper status for each, right answers afterwards.

    python -m benchmarks.ordeals.fuzz --bundle DIR --catalog FILE

Every case goes through the server's own parsing, checking and decoding in a process of its own, and a share of them
through a real server. A case that breaks a promise is written to a file; its seed and number make it again.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import grpc
import tyro
from google.rpc import code_pb2
from tqdm import tqdm

from benchmarks.ordeals.mutations import Mutator
from benchmarks.ordeals.parse_process import ParseProcess, growth_mib
from benchmarks.ordeals.process import OWN_CONNECTION, ServerProcess
from benchmarks.ordeals.promises import Promise, conclude
from benchmarks.ordeals.truth import TOP_K, Truth, read_products
from client.messages import product_message
from model.product import Product
from proto.aisle.v1 import classifier_pb2, classifier_pb2_grpc

_FORMAT = "{desc:12} {percentage:3.0f}% |{bar}| {remaining} left{postfix}"
_METHOD = "/aisle.v1.ProductClassifier/Classify"
_IN_FLIGHT = 32
_PROPER = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}


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
    """Of these, through a real server."""
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


@dataclass
class Served:
    """What became of the cases that a server was asked.

    Args:
        codes: how many ended with each status.
        faults: number of a case to what was wrong with its answer.
        rss_mib: the server's resident memory as the cases went by.
    """

    codes: Counter[str] = field(default_factory=Counter)
    faults: dict[int, str] = field(default_factory=dict)
    rss_mib: list[float] = field(default_factory=list)


def main() -> None:
    """Try, tell."""
    options = tyro.cli(Options, prog="python -m benchmarks.ordeals.fuzz", description=__doc__)
    products = read_products(options.catalog, options.limit)
    truth = Truth(options.bundle, products)
    mutator = Mutator(products, options.seed)
    process = ParseProcess(options.bundle, products, options.seed)
    with tqdm(total=options.num_cases, desc="in a process", bar_format=_FORMAT, disable=None) as bar:
        for num_done in process.run(options.num_cases):
            bar.update(num_done - bar.n)
    with ServerProcess("--bundle", str(options.bundle)) as server:
        served = ask_all(server, mutator, min(options.num_served, options.num_cases))
        is_serving = server.is_running and server.is_serving()
        wrong = ask_good(server, products, truth) if is_serving else "the server does not serve any more"
    promises = [
        _faultless("no crash, only known errors", options.num_cases, process.outcomes, process.faults),
        _level("no leak", process.rss_mib, options.max_growth_mib),
        _faultless("a proper status from the server", sum(served.codes.values()), served.codes, served.faults),
        _level("no leak of the server", served.rss_mib, options.max_growth_mib),
        Promise("right answers afterwards", wrong or f"{len(products)} of {len(products)}", not wrong),
    ]
    _save(options, mutator, process.faults | served.faults)
    figures = {"seed": options.seed, "outcomes": process.outcomes, "codes": served.codes}
    figures |= {"rss_mib": process.rss_mib, "server_rss_mib": served.rss_mib}
    conclude(f"fuzz: {options.num_cases} cases, seed {options.seed}", promises, figures, options.json)


def ask_all(server: ServerProcess, mutator: Mutator, num_cases: int) -> Served:
    """Send raw bytes, many at the same time, and look at every status."""
    served = Served()
    cases = ((number, mutator.request(number)) for number in range(num_cases))
    with (
        grpc.insecure_channel(server.target, options=OWN_CONNECTION) as channel,
        tqdm(total=num_cases, desc="served", bar_format=_FORMAT, disable=None) as bar,
    ):
        classify: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_METHOD)
        while server.is_running and (batch := list(islice(cases, _IN_FLIGHT))):
            calls = [classify.future(content, timeout=60) for _, content in batch]
            for (number, _), call in zip(batch, calls, strict=True):
                code, details = call.code(), call.details() or ""
                served.codes[code.name] += 1
                answer = call.result() if code == grpc.StatusCode.OK else b""
                if fault := status_fault(code, details, answer):
                    served.faults[number] = fault
            if server.is_running:
                served.rss_mib.append(server.usage.rss_mib)
            bar.update(len(batch))
    return served


def ask_good(server: ServerProcess, products: list[Product], truth: Truth) -> str:
    """What is wrong with the answers to good products; '' when nothing is."""
    with grpc.insecure_channel(server.target, options=OWN_CONNECTION) as channel:
        stub = classifier_pb2_grpc.ProductClassifierStub(channel)
        for product in products:
            request = classifier_pb2.ClassifyRequest(products=[product_message(product)], top_k=TOP_K)
            if fault := truth.fault(stub.Classify(request, timeout=60)):
                return fault
    return ""


def status_fault(code: grpc.StatusCode, details: str, answer: bytes) -> str:
    """What is wrong with how a server answered, or one of the products; '' when nothing is.

    Args:
        answer: a serialised ClassifyResponse, where the code is OK.
    """
    if code not in _PROPER:
        return f"{code.name}: {details}"
    for classification in classifier_pb2.ClassifyResponse.FromString(answer).classifications:
        error = classification.error
        if classification.HasField("error") and error.code != code_pb2.INVALID_ARGUMENT:
            return f"a product ended with {code_pb2.Code.Name(error.code)}: {error.message}"
    return ""


def _faultless(what: str, num_cases: int, outcomes: Counter[str], faults: dict[int, str]) -> Promise:
    counts = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    first = "".join(f"; case {number}: {fault}" for number, fault in islice(faults.items(), 1))
    return Promise(what, f"{len(faults)} of {num_cases} cases wrong ({counts}){first}", not faults)


def _level(what: str, rss_mib: list[float], most_mib: float) -> Promise:
    growth = growth_mib(rss_mib)
    return Promise(f"{what}: at most {most_mib:g} MiB more", f"{growth:+.1f} MiB", growth <= most_mib)


def _save(options: Options, mutator: Mutator, faults: dict[int, str]) -> None:
    for number, fault in faults.items():
        options.failures.mkdir(parents=True, exist_ok=True)
        case = options.failures / f"seed-{options.seed}-case-{number}.bin"
        case.write_bytes(mutator.request(number))
        case.with_suffix(".txt").write_text(fault + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
