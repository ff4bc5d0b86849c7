"""An ONNX encoder that a shop brings, with and without a text tower, from training to a query by words."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from catalog.read_options import ReadOptions
from model.errors import EngineError, SettingsError
from model.product import Product
from retrieval.embedding.embedder import Embedder
from retrieval.learning.train import MetricJob, train_metric
from tests.conftest import toy_picture
from tests.retrieval.conftest import TOY_METRIC

SIZE, DIM, NUM_TOKENS = 8, 6, 4
WORDS = {"[UNK]": 0, "red": 1, "blue": 2}


def write_program(path: Path, inputs: list[onnx.ValueInfoProto], nodes: list[onnx.NodeProto], values: dict) -> None:
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["b", DIM])]
    initializers = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializers)
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture's mean colour as its vector, and a tower that knows the colours' words."""
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("clip")
    colors = np.zeros((3, DIM), np.float32)
    colors[np.arange(3), np.arange(3)] = 1
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["b", 3, SIZE, SIZE])
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "colors"], ["vectors"]),
    ]
    write_program(folder / "clip.onnx", [pixels], nodes, {"colors": colors})
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", NUM_TOKENS])
    table = np.zeros((3, DIM), np.float32)
    table[1, 0] = table[2, 2] = 1  # red is the first channel, blue the third
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("ReduceSum", ["words", "axes"], ["vectors"], keepdims=0),
    ]
    write_program(folder / "text.onnx", [ids], nodes, {"table": table, "axes": np.array([1])})
    vocabulary = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, unk_token="[UNK]"))
    vocabulary.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vocabulary.save(str(folder / "tokenizer.json"))
    (folder / "clip.toml").write_text(
        f'image_size = {SIZE}\ndtype = "float32"\nlayout = "NCHW"\nstd = [255.0, 255.0, 255.0]\n'
        f'[text]\nprogram = "text.onnx"\ntokenizer = "tokenizer.json"\nnum_tokens = {NUM_TOKENS}\n'
    )
    return folder / "clip.onnx"


def job(bundle: Path, catalog: Path, cache: Path, out: Path, image_encoder: Path) -> MetricJob:
    rejects = out.with_name("rejects.csv")
    return MetricJob(bundle, (catalog,), ReadOptions(), out, (), image_encoder, False, "none", rejects, cache)


def test_a_projection_over_both_towers(
    encoder: Path, toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    train_metric(job(toy_bundle, toy_catalogs[0], toy_cache, tmp_path / "own", encoder), TOY_METRIC)
    description = json.loads((tmp_path / "own/retrieval/embedding.json").read_text())
    assert [entry["name"] for entry in description["image_encoders"]] == ["clip"]
    embedder = Embedder.open(tmp_path / "own")
    assert embedder.dims == {"image": 16, "text": 16, "joint": 16}


def test_two_towers_share_their_space_without_training(encoder: Path, toy_bundle: Path, tmp_path: Path) -> None:
    from model.bundle.writing import derive_bundle
    from retrieval.embedding.description import EmbeddingDescription, write_embedding
    from retrieval.learning.backbones import add_backbones

    def change(folder: Path) -> None:
        encoders, text = add_backbones(folder, (), encoder, tmp_path)
        write_embedding(folder, EmbeddingDescription(encoders, text=text))

    derive_bundle(toy_bundle, tmp_path / "towers", change)
    embedder = Embedder.open(tmp_path / "towers")
    red, blue, word = embedder.embed(
        [
            Product("1", image=toy_picture((20, 20, 250), 1)),  # blue, green, red
            Product("2", image=toy_picture((250, 20, 20), 2)),
            Product("3", "red"),
        ]
    )
    assert isinstance(red, dict)
    assert isinstance(blue, dict)
    assert isinstance(word, dict)
    assert word["text"] @ red["image"] > 0.9 > word["text"] @ blue["image"]
    assert embedder.dims["joint"] == DIM


def test_an_encoder_without_its_description(
    encoder: Path, toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(encoder.read_bytes())
    with pytest.raises(SettingsError, match=r"alone\.toml cannot be read: .*; write it beside the ONNX file"):
        train_metric(job(toy_bundle, toy_catalogs[0], toy_cache, tmp_path / "own", alone), TOY_METRIC)
    assert not (tmp_path / "own").exists()


def test_a_description_that_does_not_fit_the_program(
    encoder: Path, toy_bundle: Path, toy_catalogs: tuple[Path, Path], toy_cache: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(encoder.read_bytes())
    wrong.with_suffix(".toml").write_text("image_size = 32")
    with pytest.raises(EngineError, match=r"cannot take pictures as its TOML file says: .*; check image_size, dtype"):
        train_metric(job(toy_bundle, toy_catalogs[0], toy_cache, tmp_path / "own", wrong), TOY_METRIC)
