import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image
from rich.console import Console

from aisle_client.errors import CallError, InputError
from client.load.command import load_test
from client.load.settings import LoadTestCommand
from server.app import AisleServer


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog of two rows with a text, one of them with a picture, and one whose picture is missing."""
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.jpg")
    rows = ("1,red shirt,", "2,blue shirt,red.jpg", "3,a shirt,missing.jpg")
    (tmp_path / "catalog.csv").write_text("product_id,product_name,image\n" + "\n".join(rows) + "\n")
    return tmp_path / "catalog.csv"


def run(catalog: Path, target: str, **values: Any) -> tuple[str, dict[str, Any]]:
    """Run the load test; return the printed text and the written JSON."""
    path = catalog.with_name("load.json")
    values = {"duration_s": 0.5, "warmup_s": 0.1, "json": path} | values
    console = Console(width=200)
    with console.capture() as capture:
        load_test(LoadTestCommand(catalog, target, **values), console)
    return capture.get(), json.loads(path.read_text())


def test_an_open_loop_is_measured_by_phase(catalog: Path, target: str):
    printed, report = run(catalog, target, rate=100.0, products_per_request=3, picture_share=0.5, seed=4)
    [measured] = report["runs"]
    assert (report["model"], report["engine"]) == ("toy", "openvino")
    assert report["settings"]["products_per_request"] == 3
    assert "security" not in report["settings"]
    assert measured["offered_rps"] == 100
    assert measured["errors"] == {}
    assert measured["num_failed_products"] == 0
    assert 20 < measured["num_requests"] < 90  # 50 are expected of the seed
    assert measured["achieved_products_per_s"] == pytest.approx(3 * measured["achieved_rps"])
    assert set(measured["phases_ms"]) == {"total", "send_lag", "server", "decode", "queue", "inference"}
    for phase in ("total", "server", "decode", "inference"):
        assert 0 < measured["phases_ms"][phase]["p50"] <= measured["phases_ms"][phase]["max"]
    assert measured["phases_ms"]["total"]["p50"] > measured["phases_ms"]["server"]["p50"]
    assert "1 rows go without their picture, which cannot be read" in printed
    assert "p99.9" in printed
    assert "100 requests/s" in printed


def test_a_closed_loop_keeps_its_callers_busy(catalog: Path, target: str):
    printed, report = run(catalog, target, mode="closed", concurrency=3, warmup_s=0.0)
    [measured] = report["runs"]
    assert (measured["offered_rps"], measured["concurrency"]) == (None, 3)
    assert measured["num_requests"] >= 3
    assert measured["errors"] == {}
    assert "3 callers" in printed


def test_a_sweep_draws_its_curve(catalog: Path, target: str):
    png = catalog.with_name("curve.png")
    printed, report = run(catalog, target, rates=(30.0, 60.0), duration_s=0.3, png=png)
    assert [measured["offered_rps"] for measured in report["runs"]] == [30, 60]
    assert "latency over rate" in printed
    with Image.open(png) as image:
        assert image.format == "PNG"
        assert image.width > 500


def test_errors_are_counted_by_code(catalog: Path, target: str, server: AisleServer):
    printed, report = run(catalog, target, rate=50.0, top_k=101)
    [measured] = report["runs"]
    assert measured["errors"] == {"INVALID_ARGUMENT": measured["num_requests"]}
    assert measured["phases_ms"] == {}
    assert measured["achieved_rps"] == 0
    assert f"INVALID_ARGUMENT: {measured['num_requests']} requests" in printed


def test_too_many_products_for_the_server_are_an_error_before_the_run(catalog: Path, target: str):
    with pytest.raises(InputError, match=f"expected at most 512, the limit of {target}, found 513"):
        run(catalog, target, rate=1.0, products_per_request=513)


def test_an_unknown_model_is_an_error_before_the_run(catalog: Path, target: str):
    with pytest.raises(CallError, match="model: expected one of toy, found 'no'") as caught:
        run(catalog, target, rate=1.0, model="no")
    assert caught.value.code == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["json", "png"])
def test_a_file_that_cannot_be_written_is_named(catalog: Path, target: str, name: str):
    path = catalog.with_name("missing") / "file"
    with pytest.raises(InputError, match=f"{path} cannot be written: No such file or directory"):
        run(catalog, target, rates=(20.0,), duration_s=0.1, **{name: path})


def test_the_command_line_loads_a_server(catalog: Path, target: str):
    renamed = catalog.with_name("renamed.csv")
    renamed.write_text(catalog.read_text().replace("product_name", "title", 1))
    arguments = ["--target", target, "--catalog", str(renamed), "--columns", "product_name=title"]
    arguments += ["--rate", "20", "--duration", "0.3", "--warmup-s", "0"]
    command = [sys.executable, "-m", "client", "load-test", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "20 requests/s" in done.stdout


def test_a_wrong_command_line_is_one_sentence(catalog: Path):
    command = [sys.executable, "-m", "client", "load-test", "--catalog", str(catalog)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: --mode open: expected one of --rate R" in done.stderr
    assert "Traceback" not in done.stderr
