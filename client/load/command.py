"""The command `python -m client load-test`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from aisle_client.client import AisleClient
from aisle_client.errors import InputError
from aisle_client.retry import NO_RETRY
from aisle_client.v1 import classifier_pb2
from client.catalog import read_items
from client.load.arrivals import poisson_arrivals
from client.load.generator import LoadGenerator, grpc_connection
from client.load.mix import Mix
from client.load.outcomes import Outcomes
from client.load.plot import draw_curve
from client.load.progress import Progress
from client.load.settings import LoadTestCommand
from client.load.summary import Summary, curve_table, summarize, summary_lines, summary_table


def load_test(command: LoadTestCommand, console: Console) -> None:
    """Run the load test, print a table per run, and write the JSON file and plot that were asked for.

    Raises:
        InputError: the catalog or a file cannot be used, or the server allows fewer products in a request.
        CallError: the server cannot be reached or has no such model.
    """
    model = _check_server(command)
    rows = read_items(command.catalog, command.read_options, command.limit, command.max_lost_pictures)
    head = classifier_pb2.ClassifyRequest(model=command.model, top_k=command.top_k)
    mix = Mix(rows, command.picture_share, head)
    if mix.num_skipped:
        console.print(f"skipped {mix.num_skipped} rows that cannot be asked about")
    if mix.num_lost_pictures:
        console.print(f"{mix.num_lost_pictures} rows go without their picture, which cannot be read")
    summaries = []
    for summary in _runs(command, mix):
        console.print(summary_table(summary))
        for line in summary_lines(summary):
            console.print(line, highlight=False)
        summaries.append(summary)
    if command.rates:
        console.print(curve_table(summaries))
    if command.json is not None:
        _write_json(command.json, command, model, summaries)
    if command.png is not None:
        draw_curve(summaries, command.png)


def _check_server(command: LoadTestCommand) -> classifier_pb2.GetModelResponse:
    with AisleClient(command.target, timeout_s=command.timeout_s, retry=NO_RETRY, security=command.security) as client:
        model = client.get_model(command.model)
    most = model.limits.max_products
    if command.products_per_request > most:
        raise InputError(
            f"--products-per-request: expected at most {most}, the limit of {command.target},"
            f" found {command.products_per_request}"
        )
    return model


def _runs(command: LoadTestCommand, mix: Mix) -> Iterator[Summary]:
    total_s = command.warmup_s + command.duration_s
    with Progress(total_s * max(len(command.offered_rates_rps), 1)) as progress:
        for rate_rps in command.offered_rates_rps or (None,):
            arrivals_rng, mix_rng = np.random.default_rng(command.seed).spawn(2)
            requests = mix.requests(command.products_per_request, mix_rng)
            connect = partial(grpc_connection, command.target, command.security)
            generator = LoadGenerator(connect, requests, command.timeout_s)
            outcomes = Outcomes(command.warmup_s, command.duration_s)
            if rate_rps is not None:
                progress.begin(f"{rate_rps:g} requests/s")
                generator.run_open(poisson_arrivals(rate_rps, total_s, arrivals_rng), outcomes, progress)
            else:
                assert command.concurrency is not None
                progress.begin(f"{command.concurrency} callers")
                generator.run_closed(command.concurrency, total_s, outcomes, progress)
            yield summarize(outcomes, rate_rps, command.concurrency)


def _write_json(
    path: Path, command: LoadTestCommand, model: classifier_pb2.GetModelResponse, summaries: list[Summary]
) -> None:
    served = {"model": model.model, "model_version": model.model_version, "engine": model.engine}
    report = {"settings": _plain(asdict(command)), **served, "runs": [summary.json() for summary in summaries]}
    try:
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Convert settings to JSON values, without the paths of secrets."""
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in settings.items() if name != "security"
    }
