"""The comparison with other servers, without their environments: settings, formats, load, checks."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.peers import mlserver, mosec, triton
from benchmarks.peers.batch_classifier import BatchClassifier, product
from benchmarks.peers.launch import PeerModel, free_port
from benchmarks.peers.tuning import TUNED, Tuning
from benchmarks.serving import competitors, load
from benchmarks.serving.answer_check import check_answers, reference_answers
from benchmarks.serving.comparison import Options, half_rates, installed
from benchmarks.serving.competitors import ServedBundle, ask, environment_of, is_installed, protocol_of
from benchmarks.serving.protocols import PROTOCOLS, _packed, _Request, _Response, _unpacked
from benchmarks.serving.tables import latency_table
from model.product import TEXT_COLUMNS, Product
from server.app import AisleServer
from tests.conftest import toy_picture
from tests.server.support import toy_settings

TUNING = Tuning(max_batch_size=8, max_delay_ms=1.5, instances=2, engine_threads=1, decoders=3)
SHIRT = Product("1", "반팔 티셔츠", "패션 > 탑", "brand1", "maker", image=toy_picture((40, 40, 220), 1))
LAPTOP = Product("2", "게이밍 laptop")


@pytest.fixture(scope="module")
def port(toy_bundle: Path) -> Iterator[int]:
    server = AisleServer(toy_settings(toy_bundle))
    server.start()
    yield server.port
    server.stop(grace_s=5)


@pytest.fixture
def model(tmp_path: Path) -> PeerModel:
    return PeerModel(tmp_path / "bundle", "onnx", "float32", TUNING)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The files of Triton's wheel that the launch copies."""
    server = tmp_path / "environment" / "lib" / "python3.11" / "site-packages" / "pytriton" / "tritonserver"
    for path in ("backends/python/libtriton_python.so", "python_backend_stubs/3.11/triton_python_backend_stub"):
        (server / path).parent.mkdir(parents=True)
        (server / path).write_bytes(b"\x7fELF")
    return tmp_path / "environment"


def test_triton_gets_its_model_stub_and_settings(environment: Path, tmp_path: Path, model: PeerModel) -> None:
    launch = triton.launch(environment, tmp_path, 8001, model)
    config = (tmp_path / "repository/aisle/config.pbtxt").read_text("utf-8")
    assert "max_batch_size: 8\n" in config
    assert "instance_group [ { count: 2 kind: KIND_CPU } ]" in config
    assert "dynamic_batching { max_queue_delay_microseconds: 1500 }" in config
    assert f'parameters {{ key: "bundle" value: {{ string_value: "{tmp_path / "bundle"}" }} }}' in config
    assert 'parameters { key: "decoders" value: { string_value: "3" } }' in config
    (filename,) = (line.split('"')[1] for line in config.splitlines() if line.startswith("default_model_filename"))
    assert "class TritonPythonModel" in (tmp_path / "repository/aisle/1" / filename).read_text("utf-8")
    backend = tmp_path / "backends" / "python"
    assert {path.name for path in backend.iterdir()} == {"libtriton_python.so", "triton_python_backend_stub"}
    assert "--grpc-port=8001" in launch.command
    assert launch.environment["LD_LIBRARY_PATH"].endswith("site-packages/nvidia_pytriton.libs")


def test_mlserver_gets_its_settings(tmp_path: Path, model: PeerModel) -> None:
    launch = mlserver.launch(Path("environment"), tmp_path, 8001, model)
    assert launch.command == ("environment/bin/mlserver", "start", str(tmp_path))
    settings = json.loads((tmp_path / "settings.json").read_text("utf-8"))
    assert (settings["grpc_port"], settings["parallel_workers"]) == (8001, 2)
    served = json.loads((tmp_path / "model-settings.json").read_text("utf-8"))
    assert (served["max_batch_size"], served["max_batch_time"]) == (8, 0.0015)
    assert served["parameters"]["extra"] == model.parameters()


@pytest.mark.parametrize(("given_ms", "expected_ms"), [(0.0, 1), (1.5, 2), (5.0, 5)])
def test_mosec_never_gets_a_delay_of_zero(tmp_path: Path, model: PeerModel, given_ms: float, expected_ms: int) -> None:
    tuning = replace(TUNING, max_delay_ms=given_ms)
    launch = mosec.launch(Path("environment"), tmp_path, 8001, replace(model, tuning=tuning))
    given = json.loads(launch.environment["AISLE_PEER"])
    assert given == {**model.parameters(), "instances": 2, "max_batch_size": 8, "max_delay_ms": expected_ms}


def test_every_peer_has_tuned_settings() -> None:
    for name in TUNED:
        assert environment_of(name) is not None
        assert protocol_of(name) in PROTOCOLS


def test_bytes_tensors_keep_their_elements() -> None:
    elements = ["셔츠".encode(), b"", b"\xff\xd8\x00" * 100]
    assert _unpacked(_packed(elements)) == elements


def test_an_open_inference_request_has_texts_and_pictures() -> None:
    request = _Request.FromString(PROTOCOLS["open-inference"].encode([SHIRT, LAPTOP]))
    assert {tensor.name: (tensor.datatype, list(tensor.shape)) for tensor in request.inputs} == {
        "texts": ("BYTES", [2, len(TEXT_COLUMNS)]),
        "image": ("BYTES", [2, 1]),
    }
    texts, images = map(_unpacked, request.raw_input_contents)
    assert [product(texts[: len(TEXT_COLUMNS)], images[0]), product(texts[len(TEXT_COLUMNS) :], images[1])] == [
        replace(SHIRT, product_id=""),
        replace(LAPTOP, product_id=""),
    ]


@pytest.mark.parametrize("is_raw", [True, False])
def test_an_open_inference_answer_is_read_raw_or_not(is_raw: bool) -> None:
    names, values = [b"A", b"B", b"C", "셔츠".encode()], [0.75, 0.25, 0.5, 0.5]
    response = _Response()
    for name in ("probabilities", "categories"):
        response.outputs.add(name=name, shape=[2, 2])
    if is_raw:
        import numpy as np

        response.raw_output_contents.extend([np.array(values, np.float32).tobytes(), _packed(names)])
    else:
        response.outputs[0].contents.fp32_contents.extend(values)
        response.outputs[1].contents.bytes_contents.extend(names)
    found = PROTOCOLS["open-inference"].read(response.SerializeToString())
    assert found == [[("A", 0.75), ("B", 0.25)], [("C", 0.5), ("셔츠", 0.5)]]


def test_mosec_uses_messagepack() -> None:
    import msgpack

    texts, image = msgpack.unpackb(PROTOCOLS["mosec"].encode([SHIRT, LAPTOP]))[0]
    assert product(texts, image) == replace(SHIRT, product_id="")
    answer = msgpack.packb([(["A", "B"], [0.75, 0.25])])
    assert PROTOCOLS["mosec"].read(answer) == [[("A", 0.75), ("B", 0.25)]]


def test_answers_do_not_depend_on_the_batch(toy_bundle: Path) -> None:
    classifier = BatchClassifier(toy_bundle, "openvino", "float32", engine_threads=1, decoders=2)
    together, probabilities = classifier.classify([SHIRT, LAPTOP], classifier.decode([SHIRT, LAPTOP]))
    for row, alone in enumerate(reference_answers(ServedBundle(toy_bundle), [SHIRT, LAPTOP])):
        assert [name for name, _ in alone] == together[row]
        assert [value for _, value in alone] == pytest.approx(probabilities[row].tolist(), abs=1e-5)


def test_the_answers_of_a_server_are_checked(toy_bundle: Path, port: int) -> None:
    products = [SHIRT, LAPTOP]
    expected = reference_answers(ServedBundle(toy_bundle), products)
    check_answers("aisle", port, products, expected, "float32")
    expected[1] = [("디지털>휴대폰", 0.5), *expected[1][1:]]
    with pytest.raises(SystemExit, match=r"aisle answers product 2 wrong: expected 디지털>휴대폰 with 0\.5000 and 3"):
        check_answers("aisle", port, products, expected, "float32")


@pytest.mark.parametrize("name", ["aisle", "mosec"])
def test_a_server_that_does_not_answer(name: competitors.ServerName) -> None:
    with pytest.raises(ConnectionError, match=f"{name} rejects 2: UNAVAILABLE"):
        ask(name, free_port(), [LAPTOP])


@pytest.mark.parametrize(("rate", "concurrency"), [(50.0, None), (0.0, 2)])
def test_the_load_counts_answered_products(
    toy_catalogs: tuple[Path, Path], port: int, rate: float, concurrency: int | None
) -> None:
    options = load.Options(
        "aisle", port, toy_catalogs[1], rate, 2, products_per_request=3, warmup_s=0.1, duration_s=0.4
    )
    summary = load.run(options)
    assert summary.errors == {}
    assert summary.concurrency == concurrency
    assert summary.achieved_products_per_s == pytest.approx(3 * summary.achieved_rps)
    assert summary.achieved_rps > 0
    assert summary.phases_ms["total"]["p99"] > 0


def test_rates_of_the_open_loop() -> None:
    rates = {"aisle": [400.0, 300.0, 100.0], "mosec": [160.0], "mlserver": [148.0]}
    options = Options(Path("bundle"), Path("catalog.csv"), products_per_request=2)
    assert half_rates(options, rates) == {"aisle": 75, "mosec": 75, "mlserver": 37}  # type: ignore[arg-type]


def test_a_peer_without_environment_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competitors, "ENVIRONMENTS", tmp_path)
    (tmp_path / "triton" / "bin").mkdir(parents=True)
    (tmp_path / "triton" / "bin" / "python").touch()
    assert is_installed("triton-onnx")
    options = Options(Path("bundle"), Path("catalog.csv"), ("ceiling", "aisle", "triton-openvino", "mosec"))
    console = Console(width=120, record=True, file=io.StringIO())
    assert installed(options, console) == ["ceiling", "aisle", "triton-openvino"]
    assert "mosec is skipped: its environment is missing; create it with make peers" in console.export_text()


def test_the_latency_table_compares_with_aisle() -> None:
    latency_ms = {"mosec": {"p50": [5.0, 6.0], "p99": [30.0, 10.0]}, "aisle": {"p50": [4.0, 5.0], "p99": [20.0, 5.0]}}
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(latency_table("224 px", {"mosec": 90.0, "aisle": 100.0}, latency_ms))
    assert "224 px, open loop" in (text := console.export_text())
    assert "1.75" in text  # the median of 1.5 and 2
